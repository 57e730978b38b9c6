use std::os::unix::fs::PermissionsExt as _;

use wrun_core::id::{Digest, EnvId};
use wrun_store::{Difference, FlightKey, Mismatch, PartId, Store, StoreError};

use crate::support::{build_with, env_id, flight, fresh, make_part, part_id};

#[test]
fn a_part_keeps_its_modes_and_is_found_by_its_lease() {
    let (_folder, store) = fresh();
    let id = part_id("x");
    let lease = store.part_lease(&id).unwrap();
    assert_eq!(lease.part().unwrap(), None);
    let part = make_part(&store, "x");
    assert_eq!(part.path, store.root().join(format!("v1/part/{id}/tree")));
    assert_eq!(
        (part.record.files, part.record.bytes, part.record.top_names),
        (2, 14, 2)
    );
    assert_eq!(lease.part().unwrap(), Some(part.clone()));
    let mode = |rel: &str| {
        let metadata = std::fs::metadata(part.path.join(rel)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!(
        (mode("bin/tool"), mode("bin"), mode("data")),
        (0o755, 0o755, 0o644)
    );
    assert_eq!(store.check_part(&id).unwrap(), []);
    std::fs::write(part.path.join("data"), "dat4").unwrap();
    assert_eq!(
        store.check_part(&id).unwrap(),
        [Mismatch {
            path: "tree/data".to_owned(),
            difference: Difference::Changed
        }]
    );
}

#[test]
fn what_stands_for_nothing_in_a_layer_is_kept() {
    let (_folder, store) = fresh();
    let id = part_id("x");
    let flight = flight(&store, &FlightKey::Part(id.clone())).unwrap();
    let build = store.begin_part(&flight, &id).unwrap();
    build.tree().write("etc/kept", b"kept", false).unwrap();
    let node = build.path().join("etc/gone");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &node,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::empty(),
        0,
    )
    .unwrap();
    let part = build.commit("x", 1).unwrap();
    assert_eq!((part.record.files, part.record.bytes), (1, 4));
    assert_eq!(store.check_part(&id).unwrap(), []);
    std::fs::remove_file(&node).unwrap();
    assert_eq!(
        store.check_part(&id).unwrap(),
        [Mismatch {
            path: "tree/etc/gone".to_owned(),
            difference: Difference::Missing
        }]
    );
    drop(flight);
    store.remove_part(&id).unwrap();
    assert!(!part.path.exists());
}

#[test]
fn a_part_that_is_used_or_named_is_not_removed() {
    let (_folder, store) = fresh();
    let id = make_part(&store, "x").id;
    let lease = store.part_lease(&id).unwrap();
    assert!(matches!(store.remove_part(&id), Err(StoreError::Busy { .. })));
    assert!(store.parts().unwrap()[0].in_use);
    let environment = build_with(&store, "a", &[&id]);
    drop(lease);
    assert!(
        matches!(store.remove_part(&id), Err(StoreError::PartNamed { environment: named, .. }) if named == environment.id)
    );
    let parts = store.parts().unwrap();
    assert_eq!(
        (parts[0].environments.as_slice(), parts[0].in_use),
        (&[environment.id][..], false)
    );
    assert!(matches!(
        store.remove_part(&part_id("y")),
        Err(StoreError::NoPart { .. })
    ));
}

#[test]
fn the_last_environment_takes_its_parts_with_it() {
    let (_folder, store) = fresh();
    let [shared, own, used] = ["shared", "own", "used"].map(|name| make_part(&store, name).id);
    let first = build_with(&store, "first", &[&shared, &own, &used]).id;
    let second = build_with(&store, "second", &[&shared]).id;
    let lease = store.part_lease(&used).unwrap();
    let removed = |id: &EnvId| {
        let removal = store.remove(id).unwrap();
        removal
            .parts
            .into_iter()
            .map(|part| (part.id, part.label))
            .collect::<Vec<_>>()
    };
    assert_eq!(removed(&first), [(own, "own".to_owned())]);
    assert_eq!(removed(&second), [(shared, "shared".to_owned())]);
    drop(lease);
    let left = store.parts().unwrap();
    assert_eq!(
        (left.len(), left[0].environments.len()),
        (1, 0),
        "a part in use is left, and can be removed later"
    );
    assert_eq!(store.remove_part(&used).unwrap().files, 2);
    assert_eq!(store.parts().unwrap(), []);
    assert_eq!(std::fs::read_dir(store.root().join("trash")).unwrap().count(), 0);
    assert_eq!(
        std::fs::read_dir(store.root().join("v1/lease")).unwrap().count(),
        0
    );
}

#[test]
fn the_lease_of_an_environment_holds_its_parts_for_those_who_inherit_it() {
    let (_folder, store) = fresh();
    let ids = ["x", "y"].map(|name| make_part(&store, name).id);
    let id = build_with(&store, "a", &[&ids[0], &ids[1]]).id;
    let in_use = || {
        store
            .parts()
            .unwrap()
            .iter()
            .map(|part| part.in_use)
            .collect::<Vec<_>>()
    };
    let lease = store.lease(&id).unwrap();
    assert_eq!(in_use(), [false, false]);
    let environment = lease.environment().unwrap().unwrap();
    assert_eq!(environment.record.parts, ids);
    assert_eq!(in_use(), [true, true]);
    let inherited = lease.inheritable_fds().unwrap();
    assert_eq!(inherited.len(), 3);
    drop(lease);
    assert_eq!(in_use(), [true, true]);
    drop(inherited);
    assert_eq!(in_use(), [false, false]);

    let fresh = store.lease(&id).unwrap();
    fresh.hold_parts(&environment).unwrap();
    assert_eq!(in_use(), [true, true]);
}

/// Something that happens to the folder of a part.
type Damage = fn(&std::path::Path);

#[test]
fn an_environment_without_its_part_is_built_again() {
    let (_folder, store) = fresh();
    let id = part_id("x");
    let usable = |store: &Store| {
        store
            .lease(&env_id("a"))
            .unwrap()
            .environment()
            .unwrap()
            .is_some()
    };
    let mut part = make_part(&store, "x");
    build_with(&store, "a", &[&id]);
    let damages: [(&str, Damage); 4] = [
        ("gone", |part| std::fs::remove_dir_all(part).unwrap()),
        ("no record", |part| {
            std::fs::remove_file(part.join("meta.json")).unwrap();
        }),
        ("no tree", |part| {
            std::fs::remove_dir_all(part.join("tree")).unwrap();
        }),
        ("emptied", |part| {
            std::fs::remove_dir_all(part.join("tree/bin")).unwrap();
            std::fs::remove_file(part.join("tree/data")).unwrap();
        }),
    ];
    for (name, damage) in damages {
        assert!(usable(&store), "{name}");
        damage(part.path.parent().unwrap());
        assert!(!usable(&store), "{name}");
        assert_eq!(store.part_lease(&id).unwrap().part().unwrap(), None, "{name}");
        part = make_part(&store, "x");
        assert_eq!(store.check_part(&id).unwrap(), [], "{name}");
    }
    assert!(usable(&store));
}

#[test]
fn records_without_parts_still_read_and_newer_ones_protect_theirs() {
    let (_folder, store) = fresh();
    let id = make_part(&store, "x").id;
    let environment = build_with(&store, "a", &[&id]);
    let path = store.root().join(format!("v1/env/{}/meta.json", environment.id));
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut write = |edit: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
        edit(record.as_object_mut().unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    };
    write(&|record| drop(record.insert("format".to_owned(), 99.into())));
    assert_eq!(store.environments().unwrap(), []);
    assert!(matches!(
        store.remove_part(&id),
        Err(StoreError::PartNamed { .. })
    ));
    write(&|record| {
        record.insert("format".to_owned(), 1.into());
        record.remove("parts");
    });
    assert_eq!(store.environments().unwrap()[0].record.parts, []);
    store.remove_part(&id).unwrap();
}

#[test]
fn a_part_is_made_under_its_own_flight_and_once() {
    let (_folder, store) = fresh();
    let id = part_id("x");
    let wrong = flight(&store, &FlightKey::Part(part_id("y"))).unwrap();
    assert!(matches!(
        store.begin_part(&wrong, &id),
        Err(StoreError::WrongFlight { .. })
    ));
    make_part(&store, "x");
    let right = flight(&store, &FlightKey::Part(id.clone())).unwrap();
    assert!(matches!(
        store.begin_part(&right, &id),
        Err(StoreError::AlreadyBuilt { .. })
    ));
}

#[test]
fn what_is_given_up_or_half_made_is_thrown_away() {
    let (_folder, store) = fresh();
    let id = part_id("x");
    let folder = store.root().join(format!("v1/part/{id}"));
    let held = flight(&store, &FlightKey::Part(id.clone())).unwrap();
    let build = store.begin_part(&held, &id).unwrap();
    build.tree().write("half", b"half", false).unwrap();
    assert!(matches!(store.remove_part(&id), Err(StoreError::Building { .. })));
    assert_eq!(store.sweep().unwrap().unfinished, 0);
    drop(build);
    assert!(!folder.exists());
    drop(held);

    std::fs::create_dir_all(folder.join("tree/old")).unwrap();
    assert_eq!(store.parts().unwrap(), []);
    assert_eq!(store.sweep().unwrap().unfinished, 1);
    assert!(!folder.exists());
    std::fs::create_dir_all(folder.join("tree/old")).unwrap();
    let part = make_part(&store, "x");
    assert!(!part.path.join("old").exists());
}

#[test]
fn an_empty_part_is_complete() {
    let (_folder, store) = fresh();
    let id = part_id("empty");
    let held = flight(&store, &FlightKey::Part(id.clone())).unwrap();
    store
        .begin_part(&held, &id)
        .unwrap()
        .commit("nothing", 0)
        .unwrap();
    let part = store.part_lease(&id).unwrap().part().unwrap().unwrap();
    assert_eq!((part.record.files, part.record.top_names), (0, 0));
}

#[test]
fn parts_are_found_by_the_beginning_of_their_id() {
    let (_folder, store) = fresh();
    let mut ids = ["a", "b", "c"].map(|name| make_part(&store, name).id);
    ids.sort();
    assert_eq!(store.find_parts("layer-").unwrap(), ids);
    assert_eq!(store.find_parts(&ids[1].to_string()).unwrap(), [ids[1].clone()]);
    assert_eq!(store.find_parts("../").unwrap(), []);
    std::fs::create_dir(store.root().join("v1/part/not-a-part")).unwrap();
    assert_eq!(store.parts().unwrap().len(), 3);
    assert!(PartId::new("../layer", Digest::of(b"x")).is_err());
}
