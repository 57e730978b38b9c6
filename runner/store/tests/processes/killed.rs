//! Processes that are killed while they hold something.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wrun_store::{FlightKey, Store, StoreError};

use crate::roles::{ARGUMENTS, Actor, alone, command, stay};
use crate::support::{build, build_with, env_id, flight, fresh, info, make_part, part_id, spec_id};

pub(crate) fn build_half(root: &Path) {
    let store = Store::open(root).unwrap();
    let id = env_id("x");
    let _lease = store.lease(&id).unwrap();
    let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    let build = store.begin(&flight, &id).unwrap();
    build.tree().write("half", b"half", false).unwrap();
    let _scratch = store.scratch("half").unwrap();
    flight.set_phase("installing");
    stay();
}

pub(crate) fn make_half_a_part(root: &Path) {
    let store = Store::open(root).unwrap();
    let id = part_id("x");
    let _lease = store.part_lease(&id).unwrap();
    let flight = flight(&store, &FlightKey::Part(id.clone())).unwrap();
    let build = store.begin_part(&flight, &id).unwrap();
    build.tree().write("half", b"half", false).unwrap();
    stay();
}

/// One of many that want the same part at the same time; says whether it was the one that made it.
pub(crate) fn race_for_a_part(root: &Path) {
    let store = Store::open(root).unwrap();
    let id = part_id("x");
    let lease = store.part_lease(&id).unwrap();
    let flight = flight(&store, &FlightKey::Part(id.clone())).unwrap();
    if lease.part().unwrap().is_none() {
        let build = store.begin_part(&flight, &id).unwrap();
        build.tree().write("file", b"content", false).unwrap();
        build.commit("x", 1).unwrap();
        println!("made it");
    }
}

pub(crate) fn use_environment_with_parts(root: &Path) {
    let store = Store::open(root).unwrap();
    let lease = store.lease(&env_id("a")).unwrap();
    lease.environment().unwrap().unwrap();
    for descriptor in lease.inheritable_fds().unwrap() {
        start_heir(descriptor);
    }
    stay();
}

pub(crate) fn hold_flight(root: &Path) {
    let store = Store::open(root).unwrap();
    let _flight = flight(&store, &FlightKey::Spec(spec_id("x"))).unwrap();
    stay();
}

/// Starts a child that inherits a descriptor and reads its input to the end.
#[expect(
    clippy::zombie_processes,
    reason = "the child is meant to outlive this process"
)]
fn start_heir(descriptor: OwnedFd) {
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::empty()).unwrap();
    Command::new("cat").spawn().unwrap();
    drop(descriptor);
}

pub(crate) fn lease_for_a_child(root: &Path) {
    let store = Store::open(root).unwrap();
    let lease = store.lease(&env_id("x")).unwrap();
    for descriptor in lease.inheritable_fds().unwrap() {
        start_heir(descriptor);
    }
    stay();
}

pub(crate) fn flight_for_a_child(root: &Path) {
    let store = Store::open(root).unwrap();
    let id = env_id("x");
    let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    let _build = store.begin(&flight, &id).unwrap();
    start_heir(flight.inheritable_fd().unwrap());
    stay();
}

#[test]
fn a_builder_that_is_killed_leaves_no_environment_and_nothing_in_the_way() {
    let _alone = alone();
    let (_folder, store) = fresh();
    let id = env_id("x");
    let builder = Actor::start("build", store.root());
    assert!(matches!(store.remove(&id), Err(StoreError::Busy { .. })));
    let swept = store.sweep().unwrap();
    assert_eq!((swept.unfinished, swept.scratch), (0, 0));
    let lease = store.lease(&id).unwrap();
    assert_eq!(lease.environment().unwrap(), None);
    builder.kill();

    assert_eq!(lease.environment().unwrap(), None);
    let flight = store
        .flight(&FlightKey::Env(id.clone()), &|| false, &mut |_| {})
        .unwrap();
    assert_eq!(flight.shared_failure(), None);
    let build = store.begin(&flight, &id).unwrap();
    assert_eq!(std::fs::read_dir(build.prefix()).unwrap().count(), 0);
    build.tree().write("whole", b"whole", false).unwrap();
    let environment = build.commit(info("x")).unwrap();
    assert!(!environment.prefix.join("half").exists());
    assert_eq!(store.sweep().unwrap().scratch, 1);
    assert_eq!(std::fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_part_whose_maker_was_killed_is_thrown_away_and_made_again() {
    let _alone = alone();
    let (_folder, store) = fresh();
    let id = part_id("x");
    let maker = Actor::start("part", store.root());
    assert!(matches!(store.remove_part(&id), Err(StoreError::Busy { .. })));
    assert_eq!(store.sweep().unwrap().unfinished, 0);
    maker.kill();
    assert_eq!(store.part_lease(&id).unwrap().part().unwrap(), None);
    let part = make_part(&store, "x");
    assert!(!part.path.join("half").exists());
    assert_eq!(store.check_part(&id).unwrap(), []);

    store.remove_part(&id).unwrap();
    Actor::start("part", store.root()).kill();
    assert_eq!(store.sweep().unwrap().unfinished, 1);
    assert!(!store.root().join(format!("v1/part/{id}")).exists());
}

#[test]
fn of_many_processes_one_makes_a_part() {
    let _alone = alone();
    let (_folder, store) = fresh();
    // The flight is held here until all of them are under way.
    let held = flight(&store, &FlightKey::Part(part_id("x"))).unwrap();
    let program = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            command(program.to_str().unwrap(), &ARGUMENTS, "race", store.root())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    drop(held);
    let made = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8_lossy(&output.stdout).matches("made it").count()
        })
        .sum::<usize>();
    assert_eq!(made, 1);
    assert_eq!(store.check_part(&part_id("x")).unwrap(), []);
}

#[test]
fn a_task_keeps_the_parts_of_its_environment_when_its_parent_is_killed() {
    let _alone = alone();
    let (_folder, store) = fresh();
    let id = make_part(&store, "x").id;
    build_with(&store, "a", &[&id]);
    let orphans = Actor::start("parts", store.root()).kill();
    assert!(
        store.parts().unwrap()[0].in_use,
        "its parent is dead, the child lives"
    );
    // Also when the environment itself is gone.
    std::fs::remove_dir_all(store.root().join(format!("v1/env/{}", env_id("a")))).unwrap();
    assert!(matches!(store.remove_part(&id), Err(StoreError::Busy { .. })));
    orphans.end();
    let begun = Instant::now();
    while matches!(store.remove_part(&id), Err(StoreError::Busy { .. })) {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "the lease outlived everybody"
        );
        std::thread::yield_now();
    }
    assert_eq!(store.parts().unwrap(), []);
}

#[test]
fn what_a_killed_builder_left_is_swept() {
    let _alone = alone();
    let (_folder, store) = fresh();
    Actor::start("build", store.root()).kill();
    let swept = store.sweep().unwrap();
    assert_eq!(
        (swept.unfinished, swept.scratch, swept.problems.len()),
        (1, 1, 0),
        "{swept:?}"
    );
    assert!(!store.root().join(format!("v1/env/{}", env_id("x"))).exists());
}

#[test]
fn one_process_waits_for_another_until_that_is_killed() {
    let _alone = alone();
    let (_folder, store) = fresh();
    let holder = Actor::start("flight", store.root());
    let pid = holder.id();
    let mut holder = Some(holder);
    let mut seen = Vec::new();
    let flight = store
        .flight(&FlightKey::Spec(spec_id("x")), &|| false, &mut |told| {
            seen.push(told.pid);
            if let Some(holder) = holder.take() {
                holder.kill();
            }
        })
        .unwrap();
    assert_eq!(seen.first(), Some(&pid));
    assert_eq!(flight.shared_failure(), None);
}

#[test]
fn a_lease_lives_as_long_as_the_last_process_that_inherited_it() {
    let _alone = alone();
    let (_folder, store) = fresh();
    let id = build(&store, "x").id;
    let orphans = Actor::start("lease", store.root()).kill();
    assert!(
        matches!(store.remove(&id), Err(StoreError::Busy { .. })),
        "its parent is dead, the child lives"
    );
    assert!(store.environments().unwrap()[0].in_use);
    orphans.end();
    // The child closes its output a moment before its other descriptors.
    let begun = Instant::now();
    while matches!(store.remove(&id), Err(StoreError::Busy { .. })) {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "the lease outlived everybody"
        );
        std::thread::yield_now();
    }
    assert_eq!(store.environments().unwrap(), []);
}

#[test]
fn an_installer_that_lost_its_parent_keeps_the_next_builder_waiting() {
    let _alone = alone();
    let (_folder, store) = fresh();
    let id = env_id("x");
    let mut orphans = Some(Actor::start("install", store.root()).kill());
    assert!(matches!(store.remove(&id), Err(StoreError::Building { .. })));
    assert_eq!(store.sweep().unwrap().unfinished, 0);
    let mut waited = false;
    let flight = store
        .flight(&FlightKey::Env(id.clone()), &|| false, &mut |_| {
            waited = true;
            if let Some(orphans) = orphans.take() {
                orphans.end();
            }
        })
        .unwrap();
    assert!(waited);
    store.begin(&flight, &id).unwrap();
}
