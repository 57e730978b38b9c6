//! What happens at a limit.

use std::os::unix::process::ExitStatusExt as _;

use wrun_sandbox::cgroup::{CgroupError, Enforcement, Events, Group, Limit, Limits};

use crate::support::{enter, hierarchies, left_over, part, shell, text};

const MEMORY: Limits = Limits {
    memory: Some(32 << 20),
    processes: None,
    cpu_millis: None,
};

#[test]
fn a_memory_bomb_is_killed_and_told() {
    let Some(hierarchies) = hierarchies() else { return };
    let group = Group::create(&hierarchies, "memory", &MEMORY).unwrap();
    assert!(matches!(
        group.enforced(Limit::Memory),
        Some(Enforcement::Enforced { .. })
    ));
    let status = shell(&group, "x=0123456789abcdef; while :; do x=$x$x; done")
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9));
    let events = group.events();
    assert!(events.oom_kills >= 1, "{events:?}");
    assert_eq!(events.process_limit_hits, 0);
    if let Some(peak) = events.memory_peak {
        assert!(peak > 16 << 20 && peak <= 32 << 20, "{events:?}");
    }
    group.remove().unwrap();
    assert!(left_over("memory").is_empty());
}

#[test]
fn files_in_memory_count() {
    let Some(hierarchies) = hierarchies() else { return };
    let group = Group::create(&hierarchies, "shared-memory", &MEMORY).unwrap();
    let folder = tempfile::Builder::new().tempdir_in("/dev/shm").unwrap();
    let script = format!("exec head -c 64M /dev/zero > {}/f", folder.path().display());
    let status = shell(&group, &script).status().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert!(group.events().oom_kills >= 1);
    drop(folder);
    group.remove().unwrap();
    assert!(left_over("shared-memory").is_empty());
}

#[test]
fn a_kill_that_is_none_of_memory_is_told_apart() {
    let Some(hierarchies) = hierarchies() else { return };
    let group = Group::create(&hierarchies, "killed", &MEMORY).unwrap();
    let status = shell(&group, "kill -9 $$").status().unwrap();
    assert_eq!(status.signal(), Some(9));
    let events = group.events();
    assert_eq!(
        events,
        Events {
            memory_peak: events.memory_peak,
            ..Events::default()
        }
    );
    group.remove().unwrap();
    assert!(left_over("killed").is_empty());
}

#[test]
fn a_task_within_its_limits_is_not_disturbed() {
    let Some(hierarchies) = hierarchies() else { return };
    let limits = Limits {
        memory: Some(64 << 20),
        processes: Some(10),
        cpu_millis: Some(2000),
    };
    let group = Group::create(&hierarchies, "calm", &limits).unwrap();
    let output = shell(&group, "(echo a; echo b) | wc -l").output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout.trim_ascii(), b"2");
    let events = group.events();
    assert_eq!((events.oom_kills, events.process_limit_hits), (0, 0));
    assert!(group.is_empty().unwrap());
    group.remove().unwrap();
    assert!(left_over("calm").is_empty());
}

#[test]
fn a_fork_bomb_stops_at_the_limit_and_is_told() {
    let Some(hierarchies) = hierarchies() else { return };
    let limits = Limits {
        processes: Some(20),
        ..Limits::default()
    };
    let group = Group::create(&hierarchies, "forks", &limits).unwrap();
    let mut bomb = part("bomb");
    enter(&mut bomb, &group);
    let output = bomb.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // The bomb has a thread or two of its own. `EAGAIN` is 11.
    let stopped = |after: u32| said.contains(&format!("stopped after {after} by error 11"));
    assert!(stopped(18) || stopped(19), "{said}");
    let events = group.events();
    assert!(events.process_limit_hits >= 1, "{events:?}");
    assert_eq!(events.oom_kills, 0);
    assert!(!group.is_empty().unwrap(), "they outlive the bomb");
    group.kill().unwrap();
    assert!(group.is_empty().unwrap());
    group.remove().unwrap();
    assert!(left_over("forks").is_empty());
}

#[test]
fn a_share_of_processor_time_is_held_to() {
    let Some(hierarchies) = hierarchies() else { return };
    let limits = Limits {
        cpu_millis: Some(100),
        ..Limits::default()
    };
    let group = Group::create(&hierarchies, "cpu", &limits).unwrap();
    let held = group
        .folders()
        .find(|folder| folder.join("cpu.stat").exists() && folder.join("cpu.cfs_quota_us").exists())
        .map(|folder| {
            (
                text(&folder.join("cpu.cfs_quota_us")),
                text(&folder.join("cpu.cfs_period_us")),
            )
        });
    if let Some((quota, period)) = held {
        assert_eq!((quota.trim(), period.trim()), ("10000", "100000"));
    }
    let status = shell(&group, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
        .status()
        .unwrap();
    assert!(status.success());
    assert!(group.events().cpu_throttled > 0);
    group.remove().unwrap();
    assert!(left_over("cpu").is_empty());
}

#[test]
fn a_small_share_of_processor_time_is_taken() {
    let Some(hierarchies) = hierarchies() else { return };
    let limits = Limits {
        cpu_millis: Some(1),
        ..Limits::default()
    };
    Group::create(&hierarchies, "cpu-least", &limits)
        .unwrap()
        .remove()
        .unwrap();
    assert!(left_over("cpu-least").is_empty());
}

#[test]
fn a_limit_is_rounded_to_pages() {
    let Some(hierarchies) = hierarchies() else { return };
    for bytes in [(1 << 20) + 1, (1 << 20) + 4095, 1 << 40, 1 << 62] {
        let limits = Limits {
            memory: Some(bytes),
            ..Limits::default()
        };
        let group = Group::create(&hierarchies, "pages", &limits).unwrap();
        group.remove().unwrap();
    }
}

#[test]
fn a_group_that_exists_is_an_error() {
    let Some(hierarchies) = hierarchies() else { return };
    let limits = Limits {
        memory: Some(32 << 20),
        processes: Some(10),
        cpu_millis: Some(500),
    };
    let first = Group::create(&hierarchies, "twice", &limits).unwrap();
    let folders: Vec<_> = first.folders().map(ToOwned::to_owned).collect();
    let error = Group::create(&hierarchies, "twice", &limits).unwrap_err();
    assert!(matches!(error, CgroupError::Exists { .. }), "{error}");
    for folder in &folders {
        assert!(folder.exists(), "the first stays: {}", folder.display());
    }
    first.remove().unwrap();

    // One folder of several is enough, and what was made before it is removed again.
    for existing in &folders {
        rustix::fs::mkdir(existing, rustix::fs::Mode::RWXU).unwrap();
        let error = Group::create(&hierarchies, "twice", &limits).unwrap_err();
        assert!(
            matches!(&error, CgroupError::Exists { path } if path == existing),
            "{error}"
        );
        assert_eq!(left_over("twice"), std::slice::from_ref(existing));
        rustix::fs::rmdir(existing).unwrap();
    }
}
