//! Entering a group and the end of its processes.

use std::time::{Duration, Instant};

use rustix::process::Pid;
use wrun_sandbox::cgroup::{Group, Hierarchies, Limits};

use crate::support::{hierarchies, left_over, members, ready, runs, shell};

/// So many processes that left their session and their parent, and one that waits.
pub(crate) const FAMILY: &str = "i=0; while [ $i -lt 200 ]; do (setsid sleep 1000 >/dev/null 2>&1 &); \
    i=$((i+1)); done; trap '' TERM; echo ready; sleep 1000";

/// What is done with a family of processes, on whatever machine this is.
pub(crate) fn end_a_family(hierarchies: &Hierarchies, name: &str) {
    let limits = Limits {
        processes: Some(1000),
        ..Limits::default()
    };
    let group = Group::create(hierarchies, name, &limits).unwrap();
    let mut child = ready(&mut shell(&group, FAMILY));
    assert!(group.holds(Pid::from_child(&child)).unwrap());
    assert!(!group.holds(rustix::process::getpid()).unwrap());
    let family = members(group.folders().next().unwrap());
    assert!(family.len() > 200, "{}", family.len());
    let start = Instant::now();
    group.kill().unwrap();
    let took = start.elapsed();
    println!("{name}: {} processes killed in {took:?}", family.len());
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(group.is_empty().unwrap());
    child.wait().unwrap();
    for pid in &family {
        assert!(!runs(*pid), "{pid}");
    }
    group.remove().unwrap();
    assert!(left_over(name).is_empty());
}

#[test]
fn a_family_that_left_its_session_is_killed() {
    let Some(hierarchies) = hierarchies() else { return };
    end_a_family(&hierarchies, "family");
}

#[test]
fn an_empty_group_is_killed_at_once() {
    let Some(hierarchies) = hierarchies() else { return };
    let group = Group::create(&hierarchies, "empty", &Limits::default()).unwrap();
    group.kill().unwrap();
    assert!(group.is_empty().unwrap());
    group.kill().unwrap();
    group.remove().unwrap();
    assert!(left_over("empty").is_empty());
}

#[test]
fn a_group_that_is_dropped_takes_its_processes_along() {
    let Some(hierarchies) = hierarchies() else { return };
    let limits = Limits {
        memory: Some(64 << 20),
        processes: Some(10),
        cpu_millis: Some(1000),
    };
    let group = Group::create(&hierarchies, "dropped", &limits).unwrap();
    let mut child = ready(&mut shell(&group, "trap '' TERM INT; echo ready; sleep 1000"));
    drop(group);
    assert!(left_over("dropped").is_empty());
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_process_that_stopped_is_killed() {
    let Some(hierarchies) = hierarchies() else { return };
    let group = Group::create(&hierarchies, "stopped", &Limits::default()).unwrap();
    let mut child = ready(&mut shell(&group, "echo ready; kill -STOP $$; sleep 1000"));
    group.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    group.remove().unwrap();
}

#[test]
fn groups_of_a_living_process_stay() {
    let Some(hierarchies) = hierarchies() else { return };
    let group = Group::create(&hierarchies, "mine", &Limits::default()).unwrap();
    let folder = group.folders().next().unwrap().to_owned();
    assert!(!hierarchies.sweep().contains(&folder));
    assert!(folder.exists());
    group.remove().unwrap();
}

#[test]
fn groups_of_a_dead_process_are_removed() {
    let Some(hierarchies) = hierarchies() else { return };
    let group = Group::create(&hierarchies, "dead", &Limits::default()).unwrap();
    let folder = group.folders().next().unwrap().to_owned();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let own = format!("-{}-", std::process::id());
    let dead = folder.with_file_name(name.replacen(&own, &format!("-{}-", child.id()), 1));
    rustix::fs::mkdir(&dead, rustix::fs::Mode::RWXU).unwrap();
    // The sweep of a test beside this one may be first.
    drop(hierarchies.sweep());
    assert!(!dead.exists());
    group.remove().unwrap();
    assert!(left_over("dead").is_empty());
}
