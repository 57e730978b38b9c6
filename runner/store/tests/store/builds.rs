use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use wrun_store::{Difference, FlightKey, Mismatch, Store, StoreError};

use crate::support::{build, env_id, flight, fresh, info};

#[test]
fn a_built_environment_is_found_and_read_only() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let lease = store.lease(&id).unwrap();
    assert_eq!(lease.environment().unwrap(), None);
    let environment = build(&store, "x");
    assert_eq!(lease.environment().unwrap().as_ref(), Some(&environment));
    assert_eq!(
        environment.prefix,
        store.root().join(format!("v1/env/{id}/prefix"))
    );
    assert_eq!((environment.record.files, environment.record.bytes), (2, 14));
    let mode = |rel: &str| {
        std::fs::metadata(environment.prefix.join(rel))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("bin/tool"), 0o555);
    assert_eq!(mode("lib/data file"), 0o444);
    assert_eq!(mode(""), 0o555);
    assert_eq!(mode("empty") & 0o222, 0);
    assert_eq!(
        std::fs::read_link(environment.prefix.join("bin/env")).unwrap(),
        Path::new("/usr/bin/env")
    );
    assert_eq!(store.check_environment(&id).unwrap(), []);
    assert_eq!(
        Store::open(store.root())
            .unwrap()
            .lease(&id)
            .unwrap()
            .environment()
            .unwrap(),
        Some(environment)
    );
}

#[test]
fn an_environment_without_what_it_needs_is_built_again() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let lease = store.lease(&id).unwrap();
    let build = || {
        let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
        let build = store.begin(&flight, &id).unwrap();
        build.tree().write("tool", b"#!/bin/sh\n", true).unwrap();
        let mut info = info("x");
        info.required = vec!["tool".to_owned()];
        build.commit(info).unwrap()
    };
    let prefix = build().prefix;
    std::fs::set_permissions(&prefix, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(prefix.join("tool")).unwrap();
    assert_eq!(lease.environment().unwrap(), None);
    build();
    assert!(lease.environment().unwrap().is_some());
    std::fs::set_permissions(&prefix, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_dir_all(&prefix).unwrap();
    assert_eq!(lease.environment().unwrap(), None);
    build();
    assert!(prefix.join("tool").exists());
}

#[test]
fn a_sealed_environment_is_its_builder_s_until_it_is_committed() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let lease = store.lease(&id).unwrap();
    let seal = || {
        let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
        let build = store.begin(&flight, &id).unwrap();
        build.tree().write("tool", b"#!/bin/sh\n", true).unwrap();
        (build.seal(info("x")).unwrap(), flight)
    };
    let (sealed, alone) = seal();
    let prefix = sealed.environment().prefix.clone();
    let mode = std::fs::metadata(prefix.join("tool"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o555);
    assert_eq!(lease.environment().unwrap(), None);
    drop((sealed, alone));
    assert!(!prefix.exists());

    let (mut sealed, _alone) = seal();
    sealed.commit().unwrap();
    let environment = sealed.environment().clone();
    drop(sealed);
    assert_eq!(lease.environment().unwrap(), Some(environment));
    assert_eq!(store.check_environment(&id).unwrap(), []);
}

#[test]
fn the_manifest_has_a_line_for_everything() {
    let (_folder, store) = fresh();
    build(&store, "x");
    let manifest =
        std::fs::read_to_string(store.root().join(format!("v1/env/{}/manifest", env_id("x")))).unwrap();
    let digest = |content: &[u8]| wrun_core::id::Digest::of(content).hex();
    let expected = format!(
        "40555 0 - bin\n\
         120777 12 ->/usr/bin/env bin/env\n\
         100555 10 {} bin/tool\n\
         40555 0 - empty\n\
         40555 0 - lib\n\
         100444 4 {} lib/data%20file\n\
         120777 3 ->lib lib64\n",
        digest(b"#!/bin/sh\n"),
        digest(b"data"),
    );
    assert_eq!(manifest, expected);
}

#[test]
fn every_change_is_found() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let prefix = build(&store, "x").prefix;
    let writable =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let check = |difference, path: &str| {
        assert_eq!(
            store.check_environment(&id).unwrap(),
            [Mismatch {
                path: path.to_owned(),
                difference
            }]
        );
    };
    let file = prefix.join("lib/data file");

    writable(&file, 0o644);
    check(Difference::Changed, "prefix/lib/data%20file");
    std::fs::write(&file, "dat4").unwrap();
    writable(&file, 0o444);
    check(Difference::Changed, "prefix/lib/data%20file");
    writable(&file, 0o644);
    std::fs::write(&file, "data").unwrap();
    writable(&file, 0o444);
    assert_eq!(store.check_environment(&id).unwrap(), []);

    writable(&prefix.join("bin"), 0o755);
    std::fs::remove_file(prefix.join("bin/env")).unwrap();
    writable(&prefix.join("bin"), 0o555);
    check(Difference::Missing, "prefix/bin/env");
    writable(&prefix.join("bin"), 0o755);
    std::os::unix::fs::symlink("/usr/bin/false", prefix.join("bin/env")).unwrap();
    writable(&prefix.join("bin"), 0o555);
    check(Difference::Changed, "prefix/bin/env");
    writable(&prefix.join("bin"), 0o755);
    std::fs::remove_file(prefix.join("bin/env")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", prefix.join("bin/env")).unwrap();
    std::fs::write(prefix.join("bin/more"), "").unwrap();
    writable(&prefix.join("bin"), 0o555);
    check(Difference::Unexpected, "prefix/bin/more");

    let manifest = store.root().join(format!("v1/env/{id}/manifest"));
    writable(&manifest, 0o644);
    std::fs::write(&manifest, "").unwrap();
    check(Difference::Changed, "manifest");
}

#[test]
fn a_build_that_is_given_up_leaves_nothing() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    let build = store.begin(&flight, &id).unwrap();
    build.tree().write("a/b/c", b"", false).unwrap();
    std::fs::set_permissions(build.prefix().join("a/b"), std::fs::Permissions::from_mode(0o500)).unwrap();
    drop(build);
    assert!(!store.root().join(format!("v1/env/{id}")).exists());
    assert_eq!(std::fs::read_dir(store.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn a_build_needs_its_own_flight_and_does_not_replace_an_environment() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let wrong = flight(&store, &FlightKey::Env(env_id("y"))).unwrap();
    assert!(matches!(
        store.begin(&wrong, &id),
        Err(StoreError::WrongFlight { .. })
    ));
    build(&store, "x");
    let right = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    assert!(matches!(
        store.begin(&right, &id),
        Err(StoreError::AlreadyBuilt { .. })
    ));
    assert_eq!(store.check_environment(&id).unwrap(), []);
}

#[test]
fn a_pipe_in_the_tree_stops_the_commit() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    let build = store.begin(&flight, &id).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        build.prefix().join("pipe"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    assert!(build.tree().read("pipe", 10).is_err());
    assert!(matches!(
        build.commit(info("x")),
        Err(StoreError::SpecialFile { .. })
    ));
    assert_eq!(store.lease(&id).unwrap().environment().unwrap(), None);
}

#[test]
fn a_tree_larger_than_what_is_synced_one_by_one_is_committed() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    let build = store.begin(&flight, &id).unwrap();
    for number in 0..100 {
        build
            .tree()
            .write(&format!("{}/{number}", number % 7), b"x", false)
            .unwrap();
    }
    assert_eq!(build.commit(info("x")).unwrap().record.files, 100);
    assert_eq!(store.check_environment(&id).unwrap(), []);
}

/// What an interrupted commit left: its name, the steps that were done, and the record if there is one.
type Interrupted<'a> = (&'a str, &'a [&'a str], Option<&'a [u8]>);

/// What a builder that is killed after each of its steps leaves.
#[test]
fn a_commit_that_was_interrupted_is_no_environment_and_is_built_again() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let folder = store.root().join(format!("v1/env/{id}"));
    let complete = build(&store, "x");
    let record = std::fs::read(folder.join("meta.json")).unwrap();
    let another = serde_json::to_vec(&wrun_store::CommitRecord {
        env_id: env_id("y"),
        ..complete.record.clone()
    })
    .unwrap();
    let newer = serde_json::to_vec(&wrun_store::CommitRecord {
        format: 2,
        ..complete.record
    })
    .unwrap();
    store.remove(&id).unwrap();
    let states: [Interrupted<'_>; 9] = [
        ("folder made", &[], None),
        ("prefix made", &["prefix"], None),
        ("half installed", &["prefix", "file"], None),
        ("sealed", &["prefix", "file", "sealed"], None),
        (
            "manifest written",
            &["prefix", "file", "sealed", "manifest"],
            None,
        ),
        (
            "record empty",
            &["prefix", "file", "sealed", "manifest"],
            Some(b""),
        ),
        (
            "record cut off",
            &["prefix", "file", "sealed", "manifest"],
            record.get(..record.len() / 2),
        ),
        (
            "record of another",
            &["prefix", "file", "sealed", "manifest"],
            Some(&another),
        ),
        (
            "record of another version",
            &["prefix", "file", "sealed", "manifest"],
            Some(&newer),
        ),
    ];
    for again in [false, true] {
        for (state, steps, record) in states {
            std::fs::create_dir(&folder).unwrap();
            for step in steps {
                match *step {
                    "prefix" => std::fs::create_dir(folder.join("prefix")).unwrap(),
                    "file" => std::fs::write(folder.join("prefix/old"), "old").unwrap(),
                    "sealed" => {
                        let sealed = std::fs::Permissions::from_mode(0o555);
                        std::fs::set_permissions(folder.join("prefix"), sealed).unwrap();
                    }
                    _ => std::fs::write(folder.join("manifest"), "").unwrap(),
                }
            }
            if let Some(record) = record {
                std::fs::write(folder.join("meta.json"), record).unwrap();
            }
            assert_eq!(store.lease(&id).unwrap().environment().unwrap(), None, "{state}");
            assert_eq!(store.environments().unwrap(), [], "{state}");
            if again {
                let environment = build(&store, "x");
                assert!(!environment.prefix.join("old").exists(), "{state}");
                store.remove(&id).unwrap();
            } else {
                let swept = store.sweep().unwrap();
                assert_eq!(
                    (swept.unfinished, swept.problems.len()),
                    (1, 0),
                    "{state}: {swept:?}"
                );
            }
            assert!(!folder.exists(), "{state}");
        }
    }
}
