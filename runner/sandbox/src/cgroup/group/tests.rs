//! Groups on a machine that is made up.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::super::fake::{Fake, Fault, Operation};
use super::*;

const UNIFIED: &str = "/sys/fs/cgroup";

const ALL: Limits = Limits {
    memory: Some((100 << 20) + 5),
    processes: Some(20),
    cpu_millis: Some(1500),
};

fn unified() -> Arc<Fake> {
    Fake::new(&[("cgroup2", UNIFIED, "cpu memory pids")], "0::/\n")
}

/// Version 1 with two controllers in one hierarchy, and version 2 with none beside it.
fn hybrid() -> Arc<Fake> {
    let fake = Fake::new(
        &[
            ("cgroup", "/cg/cpu,memory", "cpu,memory"),
            ("cgroup", "/cg/pids", "pids"),
            ("cgroup", "/cg/freezer", "freezer"),
            ("cgroup2", "/cg/unified", ""),
        ],
        "4:cpu,memory:/a/b\n3:pids:/\n2:freezer:/a\n0::/\n",
    );
    fake.group("/cg/cpu,memory/a/b");
    fake.group("/cg/freezer/a");
    fake
}

fn make(fake: &Arc<Fake>, limits: &Limits) -> Result<Group, CgroupError> {
    Group::create(&fake.hierarchies(), "task", limits)
}

fn file(group: &Group, parent: &str, name: &str) -> PathBuf {
    let of_parent = |folder: &&Path| folder.parent() == Some(Path::new(parent));
    group.folders().find(of_parent).unwrap().join(name)
}

#[test]
fn limits_of_version_2_are_written() {
    let fake = unified();
    let group = make(&fake, &ALL).unwrap();
    for (name, expected) in [
        ("memory.max", "104857600"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "20"),
        ("cpu.max", "150000 100000"),
    ] {
        assert_eq!(fake.text(&file(&group, UNIFIED, name)), expected, "{name}");
    }
    assert_eq!(
        group.enforced(Limit::Memory),
        Some(&Enforcement::Enforced {
            by: "memory.max of cgroup v2"
        })
    );
    assert_eq!(group.attach_files().unwrap().len(), 1);
}

#[test]
fn limits_of_version_1_are_written_below_ones_own_groups() {
    let fake = hybrid();
    let group = make(&fake, &ALL).unwrap();
    let own = "/cg/cpu,memory/a/b";
    for (name, expected) in [
        ("memory.limit_in_bytes", "104857600"),
        ("memory.memsw.limit_in_bytes", "104857600"),
        ("cpu.cfs_quota_us", "150000"),
        ("cpu.cfs_period_us", "100000"),
    ] {
        assert_eq!(fake.text(&file(&group, own, name)), expected, "{name}");
    }
    assert!(
        fake.text(&file(&group, own, "memory.oom_control"))
            .starts_with("oom_kill_disable 0")
    );
    assert_eq!(fake.text(&file(&group, "/cg/pids", "pids.max")), "20");
    assert_eq!(
        group.folders().count(),
        3,
        "two controllers share one, and no freezer is needed"
    );
    assert_eq!(group.attach_files().unwrap().len(), 3);
    group.remove().unwrap();
    for parent in [own, "/cg/pids", "/cg/unified", "/cg/freezer/a"] {
        assert_eq!(fake.names(parent), Vec::<String>::new(), "{parent}");
    }
}

#[test]
fn the_freezer_stands_in_for_version_2() {
    let fake = hybrid();
    fake.fail(Operation::Access, "/cg/unified", Fault::Error(Errno::ACCESS));
    let group = make(&fake, &Limits::default()).unwrap();
    assert_eq!(
        group.killing(),
        Enforcement::Enforced {
            by: "freezer.state of cgroup v1"
        }
    );
    assert!(file(&group, "/cg/freezer/a", "freezer.state").starts_with("/cg/freezer/a"));
    fake.fail(Operation::Access, "/cg/freezer/a", Fault::Error(Errno::ACCESS));
    let limits = Limits {
        processes: Some(3),
        ..Limits::default()
    };
    drop(group);
    let group = make(&fake, &limits).unwrap();
    assert!(matches!(group.killing(), Enforcement::Partial { .. }));
}

#[test]
fn a_share_of_version_1_is_not_more_than_that_above() {
    let fake = hybrid();
    fake.put("/cg/cpu,memory/a/cpu.cfs_quota_us", "30000\n");
    fake.put("/cg/cpu,memory/a/cpu.cfs_period_us", "60000\n");
    let group = make(&fake, &ALL).unwrap();
    let own = "/cg/cpu,memory/a/b";
    assert_eq!(fake.text(&file(&group, own, "cpu.cfs_quota_us")), "30000");
    assert_eq!(fake.text(&file(&group, own, "cpu.cfs_period_us")), "60000");
    drop(group);
    let smaller = Limits {
        cpu_millis: Some(499),
        ..Limits::default()
    };
    let group = make(&fake, &smaller).unwrap();
    assert_eq!(fake.text(&file(&group, own, "cpu.cfs_quota_us")), "49900");
}

#[test]
fn a_group_that_exists_is_an_error_and_stays_as_it_is() {
    let fake = hybrid();
    let first = make(&fake, &ALL).unwrap();
    let other = Limits {
        processes: Some(7),
        ..Limits::default()
    };
    let error = make(&fake, &other).unwrap_err();
    assert!(matches!(error, CgroupError::Exists { .. }), "{error}");
    assert_eq!(fake.text(&file(&first, "/cg/pids", "pids.max")), "20");
    assert_eq!(first.folders().count(), 3);
    for folder in first.folders() {
        assert!(fake.exists(folder), "{}", folder.display());
    }
}

#[test]
fn every_step_that_fails_leaves_nothing() {
    let steps = [
        (Operation::Write, "memory.max"),
        (Operation::Write, "memory.swap.max"),
        (Operation::Write, "memory.oom.group"),
        (Operation::Write, "pids.max"),
        (Operation::Write, "cpu.max"),
        (Operation::Write, "cgroup.subtree_control"),
        (Operation::Make, "-task"),
    ];
    for (operation, suffix) in steps {
        let fake = unified();
        fake.fail(operation, suffix, Fault::Error(Errno::INVAL));
        let error = make(&fake, &ALL).unwrap_err();
        assert!(matches!(error, CgroupError::Io { .. }), "{suffix}: {error}");
        assert_eq!(fake.names(UNIFIED), Vec::<String>::new(), "{suffix}");
    }
    for suffix in [
        "memory.oom_control",
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "pids.max",
        "cpu.cfs_quota_us",
        "cpu.cfs_period_us",
    ] {
        let fake = hybrid();
        fake.fail(Operation::Write, suffix, Fault::Error(Errno::PERM));
        let error = make(&fake, &ALL).unwrap_err();
        assert!(matches!(error, CgroupError::Io { .. }), "{suffix}: {error}");
        for parent in ["/cg/cpu,memory/a/b", "/cg/pids", "/cg/unified"] {
            assert_eq!(fake.names(parent), Vec::<String>::new(), "{suffix}");
        }
    }
}

#[test]
fn a_limit_that_is_not_taken_is_an_error() {
    for suffix in [
        "memory.max",
        "memory.swap.max",
        "memory.oom.group",
        "pids.max",
        "cpu.max",
    ] {
        let fake = unified();
        fake.fail(Operation::Write, suffix, Fault::Ignored);
        let error = make(&fake, &ALL).unwrap_err();
        assert!(
            matches!(&error, CgroupError::NotTaken { path, .. } if path.ends_with(suffix)),
            "{error}"
        );
        assert_eq!(fake.names(UNIFIED), Vec::<String>::new(), "{suffix}");
    }
}

#[test]
fn a_controller_that_is_not_there_after_all_is_an_error() {
    let fake = unified();
    fake.fail(Operation::Write, "cgroup.subtree_control", Fault::Ignored);
    assert!(matches!(make(&fake, &ALL), Err(CgroupError::Io { .. })));
    assert_eq!(fake.names(UNIFIED), Vec::<String>::new());
}

#[test]
fn a_folder_that_may_not_be_made_is_told() {
    let fake = hybrid();
    fake.fail(Operation::Make, "-task", Fault::Error(Errno::ACCESS));
    let group = make(&fake, &ALL).unwrap();
    assert_eq!(group.folders().count(), 0);
    for limit in Limit::ALL {
        let Some(Enforcement::NotEnforced { reason }) = group.enforced(limit) else {
            panic!("{limit} is said to be enforced");
        };
        assert!(reason.contains("is not writable: Permission denied"), "{reason}");
    }
    assert!(matches!(group.killing(), Enforcement::NotEnforced { .. }));
}

#[test]
fn swap_that_is_not_limited_is_told() {
    let fake = Fake::new(&[("cgroup2", UNIFIED, "memory")], "0::/a\n");
    let own = format!("{UNIFIED}/a");
    fake.group(&own);
    fake.put(&format!("{own}/cgroup.controllers"), "memory");
    let leaf = Leaf {
        folder: PathBuf::from(&own),
        version: Version::V2,
    };
    fake.put(&format!("{own}/memory.max"), "max\n");
    let held = || settings::limit(fake.as_ref(), &leaf, Limit::Memory, 1 << 20).unwrap();
    assert!(matches!(held(), Enforcement::Enforced { .. }), "there is no swap");
    fake.put("/proc/swaps", "Filename Type Size\n/dev/vdb partition 1024\n");
    assert!(matches!(held(), Enforcement::Partial { .. }));
    fake.put(&format!("{own}/memory.swap.max"), "max\n");
    assert!(matches!(held(), Enforcement::Enforced { .. }));
}

#[test]
fn events_are_told_apart() {
    let fake = unified();
    let group = make(&fake, &ALL).unwrap();
    let put = |name: &str, text: &str| fake.put(file(&group, UNIFIED, name).to_str().unwrap(), text);
    assert_eq!(
        group.events(),
        Events {
            memory_peak: Some(0),
            ..Events::default()
        }
    );
    put("memory.events", "max 9\noom 2\noom_kill 3\noom_group_kill 1\n");
    put("memory.peak", "104857600\n");
    assert_eq!(
        group.events(),
        Events {
            oom_kills: 3,
            memory_peak: Some(104_857_600),
            ..Events::default()
        }
    );
    put("pids.events", "max 4\n");
    put("cpu.stat", "nr_periods 8\nnr_throttled 5\n");
    let events = group.events();
    assert_eq!((events.process_limit_hits, events.cpu_throttled), (4, 5));
    fake.take(file(&group, UNIFIED, "memory.peak").to_str().unwrap());
    assert_eq!(group.events().memory_peak, None);
}

#[test]
fn events_of_version_1_are_read() {
    let fake = hybrid();
    let group = make(&fake, &ALL).unwrap();
    let own = "/cg/cpu,memory/a/b";
    let put = |parent: &str, name: &str, text: &str| {
        fake.put(file(&group, parent, name).to_str().unwrap(), text);
    };
    put(
        own,
        "memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    );
    put(own, "memory.max_usage_in_bytes", "4096\n");
    put(
        own,
        "cpu.stat",
        "nr_periods 8\nnr_throttled 5\nthrottled_time 1\n",
    );
    put("/cg/pids", "pids.events", "max 2\n");
    assert_eq!(
        group.events(),
        Events {
            oom_kills: 1,
            process_limit_hits: 2,
            cpu_throttled: 5,
            memory_peak: Some(4096)
        }
    );
}

#[test]
fn processes_are_killed_before_the_group_is_removed() {
    let fake = unified();
    let group = make(&fake, &ALL).unwrap();
    let folder = group.folders().next().unwrap().to_str().unwrap().to_owned();
    // The number of a process that the stand-in never signals.
    fake.enter(&folder, 7);
    assert!(!group.is_empty().unwrap());
    assert!(group.holds(Pid::from_raw(7).unwrap()).unwrap());
    assert!(!group.holds(Pid::from_raw(8).unwrap()).unwrap());
    drop(group);
    assert_eq!(fake.names(UNIFIED), Vec::<String>::new());
}

#[test]
fn left_over_groups_are_removed_if_their_maker_is_gone() {
    let fake = hybrid();
    let own = Owner::current().unwrap().folder("a").unwrap();
    let mut parts: Vec<_> = own.split('-').map(str::to_owned).collect();
    parts[3] = (parts[3].parse::<u64>().unwrap() - 1).to_string();
    let gone = parts.join("-");
    parts[1] = (parts[1].parse::<u64>().unwrap() + 1).to_string();
    let foreign = parts.join("-");
    let populated = format!("{gone}-populated");
    for name in [own.as_str(), &gone, &foreign, &populated, "other"] {
        fake.group(&format!("/cg/pids/{name}"));
    }
    fake.group(&format!("/cg/unified/{gone}"));
    fake.group(&format!("/cg/freezer/a/{gone}"));
    fake.enter(&format!("/cg/pids/{populated}"), 7);
    let mut removed = fake.hierarchies().sweep();
    removed.sort();
    let expected = [
        format!("/cg/freezer/a/{gone}"),
        format!("/cg/pids/{gone}"),
        format!("/cg/unified/{gone}"),
    ];
    assert_eq!(removed, expected.map(PathBuf::from));
    let mut left = fake.names("/cg/pids");
    left.sort();
    let mut expected = vec![own, foreign, populated, "other".to_owned()];
    expected.sort();
    assert_eq!(left, expected);
}

/// The one test here of the real machine: a kernel of today is only asked to stand still if told so.
#[test]
fn processes_are_frozen_and_killed_where_there_is_no_other_way() {
    let hierarchies = Hierarchies::find();
    if let Err(reason) = &hierarchies.unified {
        println!("skipped: {reason}");
        return;
    }
    let mut group = Group::create(&hierarchies, "frozen", &Limits::default()).unwrap();
    let leaf = group.leaves.first().unwrap().clone();
    assert_eq!(leaf.version, Version::V2);
    let script = format!(
        "echo 0 > {}; for i in 1 2 3 4 5 6 7 8 9; do (setsid sleep 1000 >/dev/null 2>&1 &); done; echo ready; \
         sleep 1000",
        leaf.file("cgroup.procs").display()
    );
    let mut shell = Command::new("/bin/sh");
    let mut child = shell
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    group.means = Means::Freeze(leaf);
    assert!(!group.is_empty().unwrap());
    group.kill().unwrap();
    assert!(group.is_empty().unwrap());
    child.wait().unwrap();
    group.remove().unwrap();
}
