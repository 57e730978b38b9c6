//! The small program that sets sandboxes up: it is used where it is what it seems, and nothing is lost where it is not.

#![expect(clippy::unwrap_used, reason = "a test says where it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use wrun_tests::binary::{built, wrun};
use wrun_tests::{World, files, skipped};

/// What the first process of a task's namespace was started as.
const FIRST: &[&str] = &["run", "--", "cat", "/proc/1/cmdline"];

/// A folder with `wrun` in it.
fn installed(world: &World) -> PathBuf {
    let folder = files::folder(&world.path().join("bin"));
    put(&wrun(), &folder.join("wrun"));
    folder
}

fn put(program: &Path, at: &Path) {
    if fs::hard_link(program, at).is_err() {
        fs::copy(program, at).unwrap();
    }
}

fn first_process(world: &World, folder: &Path) -> Option<String> {
    let ran = world.command(folder.join("wrun").as_ref()).args(FIRST).run();
    if ran.stderr.contains("tier `restricted`") {
        skipped("namespaces cannot be had here");
        return None;
    }
    Some(ran.ends_with(0).stdout.clone())
}

#[test]
fn the_small_helper_is_used() {
    let world = World::new();
    let folder = installed(&world);
    put(&built("wrun-helper").unwrap(), &folder.join("wrun-helper"));
    let Some(first) = first_process(&world, &folder) else {
        return;
    };
    assert!(
        first.starts_with(folder.join("wrun-helper").to_str().unwrap()),
        "{first}"
    );
}

#[test]
fn wrun_alone_does_its_work() {
    let world = World::new();
    let folder = installed(&world);
    let Some(first) = first_process(&world, &folder) else {
        return;
    };
    assert!(first.starts_with("/proc/self/exe"), "{first}");
}

/// A program of another build would hold to another policy.
#[test]
fn another_program_in_its_place_is_done_without() {
    for other in ["/bin/true", "/bin/false", "/bin/cat"] {
        let world = World::new();
        let folder = installed(&world);
        fs::copy(other, folder.join("wrun-helper")).unwrap();
        let Some(first) = first_process(&world, &folder) else {
            return;
        };
        assert!(first.starts_with("/proc/self/exe"), "{other}: {first}");
    }
}

#[test]
fn what_others_may_change_is_not_executed() {
    let world = World::new();
    let folder = installed(&world);
    let (trap, marker) = (folder.join("wrun-helper"), world.path().join("executed"));
    files::write(&trap, format!("#!/bin/sh\ntouch '{}'\n", marker.display()));
    files::set_mode(&trap, 0o777);
    if first_process(&world, &folder).is_none() {
        return;
    }
    assert!(!marker.exists());
    // The same, which only its owner may change, is.
    files::set_mode(&trap, 0o755);
    first_process(&world, &folder).unwrap();
    assert!(marker.exists());
}

#[test]
fn by_itself_it_says_what_it_is_for() {
    let world = World::new();
    let ran = world
        .command(built("wrun-helper").unwrap().as_ref())
        .args(["anything"])
        .run();
    ran.ends_with(2).says("wrun-helper is started by wrun");
}
