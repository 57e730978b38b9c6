//! Where groups are made on machines with version 2.

use std::sync::Arc;

use rustix::io::Errno;

use super::super::fake::{Fake, Fault, Operation};
use super::super::group::Group;
use super::super::leaf::Version;
use super::super::limits::{Enforcement, Limit, Limits};

const POINT: &str = "/sys/fs/cgroup";
const APP: &str = "/sys/fs/cgroup/user.slice/app.slice";
const OWN: &str = "/sys/fs/cgroup/user.slice/app.slice/run.scope";

const ALL: Limits = Limits {
    memory: Some(100 << 20),
    processes: Some(20),
    cpu_millis: Some(1500),
};

fn machine(group: &str) -> Arc<Fake> {
    Fake::new(
        &[("cgroup2", POINT, "cpuset cpu io memory pids")],
        &format!("0::{group}\n"),
    )
}

/// A machine whose user's manager hands memory and processes to what it starts, and this process in a scope of it.
fn desktop() -> Arc<Fake> {
    let fake = machine("/user.slice/app.slice/run.scope");
    for folder in [POINT, "/sys/fs/cgroup/user.slice", APP] {
        fake.group(folder);
        fake.put(&format!("{folder}/cgroup.subtree_control"), "memory pids");
    }
    fake.group(OWN);
    fake.enter(OWN, 77);
    fake
}

fn reasons(fake: &Arc<Fake>) -> Vec<String> {
    let hierarchies = fake.hierarchies();
    Limit::ALL
        .into_iter()
        .filter_map(|limit| hierarchies.available(limit).err().map(str::to_owned))
        .collect()
}

fn folders(group: &Group) -> Vec<String> {
    group
        .folders()
        .map(|folder| folder.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_root_hands_down_what_is_asked_for_only() {
    let fake = machine("/");
    let hierarchies = fake.hierarchies();
    for limit in Limit::ALL {
        assert_eq!(hierarchies.available(limit), Ok(Version::V2));
    }
    assert_eq!(
        fake.text(format!("{POINT}/cgroup.subtree_control").as_ref()),
        "",
        "looking changes nothing"
    );
    let limits = Limits {
        processes: Some(5),
        ..Limits::default()
    };
    let group = Group::create(&hierarchies, "a", &limits).unwrap();
    assert_eq!(
        fake.text(format!("{POINT}/cgroup.subtree_control").as_ref()),
        "pids"
    );
    assert_eq!(group.enforced(Limit::Memory), None);
    group.remove().unwrap();
    assert_eq!(fake.names(POINT), Vec::<String>::new());
}

#[test]
fn processes_of_ones_own_are_in_the_way() {
    let fake = desktop();
    let hierarchies = fake.hierarchies();
    let reason = hierarchies.available(Limit::Memory).unwrap_err();
    assert_eq!(
        reason,
        "`/sys/fs/cgroup/user.slice/app.slice/run.scope` has processes, so it cannot hand controllers to groups \
         below it; `/sys/fs/cgroup/user.slice/app.slice` was not handed to this user"
    );
    assert_eq!(hierarchies.kills(), Ok(Version::V2));
    let group = Group::create(&hierarchies, "a", &ALL).unwrap();
    assert!(
        folders(&group)[0].starts_with(OWN),
        "a group without limits is made below, to kill by"
    );
    for limit in Limit::ALL {
        assert!(matches!(
            group.enforced(limit),
            Some(Enforcement::NotEnforced { .. })
        ));
    }
    assert_eq!(
        group.killing(),
        Enforcement::Enforced {
            by: "cgroup.kill of cgroup v2"
        }
    );
    assert_eq!(
        fake.text(format!("{OWN}/cgroup.procs").as_ref()),
        "77",
        "nobody was moved"
    );
}

#[test]
fn a_parent_that_was_handed_over_is_used() {
    let fake = desktop();
    fake.delegate(APP);
    let hierarchies = fake.hierarchies();
    assert_eq!(hierarchies.available(Limit::Memory), Ok(Version::V2));
    assert_eq!(hierarchies.available(Limit::Processes), Ok(Version::V2));
    assert!(
        hierarchies.available(Limit::Cpu).is_err(),
        "the slice does not hand it down"
    );
    let group = Group::create(&hierarchies, "a", &ALL).unwrap();
    let folders = folders(&group);
    assert_eq!(folders.len(), 1);
    assert!(folders[0].starts_with(APP) && !folders[0].starts_with(OWN));
    assert!(matches!(
        group.enforced(Limit::Memory),
        Some(Enforcement::Enforced { .. })
    ));
    let Some(Enforcement::NotEnforced { reason }) = group.enforced(Limit::Cpu) else {
        panic!("cpu is said to be enforced");
    };
    assert!(reason.contains("controller `cpu`"), "{reason}");
}

#[test]
fn an_empty_parent_that_was_handed_over_is_told_to_hand_down() {
    let fake = desktop();
    fake.delegate(APP);
    fake.put(&format!("{APP}/cgroup.controllers"), "cpu memory pids");
    let hierarchies = fake.hierarchies();
    assert_eq!(hierarchies.available(Limit::Cpu), Ok(Version::V2));
    let group = Group::create(&hierarchies, "a", &ALL).unwrap();
    for limit in Limit::ALL {
        assert!(matches!(
            group.enforced(limit),
            Some(Enforcement::Enforced { .. })
        ));
    }
    drop(group);
    fake.enter(APP, 88);
    fake.put(&format!("{APP}/cgroup.subtree_control"), "memory pids");
    assert!(
        fake.hierarchies().available(Limit::Cpu).is_err(),
        "not if it has processes"
    );
}

#[test]
fn the_top_of_a_containers_namespace_was_handed_over() {
    let fake = machine("/init");
    fake.group("/sys/fs/cgroup/init");
    fake.put(&format!("{POINT}/cgroup.type"), "domain\n");
    fake.put(&format!("{POINT}/cgroup.procs"), "");
    fake.enter("/sys/fs/cgroup/init", 77);
    let group = Group::create(&fake.hierarchies(), "a", &ALL).unwrap();
    for limit in Limit::ALL {
        assert!(matches!(
            group.enforced(limit),
            Some(Enforcement::Enforced { .. })
        ));
    }
    assert_eq!(fake.names(POINT).len(), 2);
}

#[test]
fn the_real_root_is_not_a_namespaces() {
    let fake = machine("/init");
    fake.group("/sys/fs/cgroup/init");
    fake.enter("/sys/fs/cgroup/init", 77);
    let reasons = reasons(&fake);
    assert_eq!(reasons.len(), 3);
    assert!(
        reasons[0].contains("`/sys/fs/cgroup` was not handed to this user"),
        "{reasons:?}"
    );
}

#[test]
fn limits_of_ones_own_group_are_not_escaped() {
    for (name, text) in [
        ("memory.max", "1073741824\n"),
        ("memory.high", "0\n"),
        ("cpu.max", "50000 100000\n"),
        ("cpuset.cpus", "0-1\n"),
        ("io.max", "8:16 rbps=2097152 wbps=max riops=max wiops=max\n"),
    ] {
        let fake = desktop();
        fake.delegate(APP);
        fake.put(&format!("{OWN}/{name}"), text);
        let reasons = reasons(&fake);
        assert_eq!(reasons.len(), 3, "{name}");
        assert!(
            reasons[0].contains(&format!("escape its `{name}`")),
            "{reasons:?}"
        );
    }
    let fake = desktop();
    fake.delegate(APP);
    fake.put(&format!("{OWN}/cpu.max"), "max 100000\n");
    fake.put(&format!("{OWN}/cpuset.cpus"), "\n");
    assert_eq!(fake.hierarchies().available(Limit::Memory), Ok(Version::V2));
}

#[test]
fn the_number_of_processes_is_carried_over() {
    for (asked, expected) in [(Some(20), "10"), (Some(5), "5"), (None, "10")] {
        let fake = desktop();
        fake.delegate(APP);
        fake.put(&format!("{OWN}/pids.max"), "10\n");
        let limits = Limits {
            processes: asked,
            ..Limits::default()
        };
        let group = Group::create(&fake.hierarchies(), "a", &limits).unwrap();
        let folder = group.folders().next().unwrap().to_owned();
        assert_eq!(fake.text(&folder.join("pids.max")), expected, "{asked:?}");
    }
    let fake = desktop();
    fake.delegate(APP);
    fake.put(&format!("{OWN}/pids.max"), "10\n");
    fake.put(&format!("{APP}/cgroup.subtree_control"), "memory");
    fake.put(&format!("{APP}/cgroup.controllers"), "memory");
    assert_eq!(reasons(&fake).len(), 3, "it cannot be, so nothing is made beside");
}

#[test]
fn groups_of_threads_are_refused() {
    let fake = machine("/");
    fake.group("/sys/fs/cgroup/t");
    fake.put("/sys/fs/cgroup/t/cgroup.type", "domain threaded\n");
    fake.put("/proc/self/cgroup", "0::/t\n");
    let hierarchies = fake.hierarchies();
    let reason = hierarchies.kills().unwrap_err();
    assert!(reason.contains("is a `domain threaded` group"), "{reason}");
    let group = Group::create(&hierarchies, "a", &ALL).unwrap();
    assert_eq!(group.folders().count(), 0);
    assert!(matches!(group.killing(), Enforcement::NotEnforced { .. }));
    assert!(group.kill().unwrap_err().to_string().contains("domain threaded"));
    assert!(group.attach_files().unwrap().is_empty());
    assert!(!group.holds(rustix::process::getpid()).unwrap());
}

#[test]
fn a_file_system_that_is_read_only_is_told() {
    let fake = machine("/");
    fake.fail(Operation::Access, POINT, Fault::Error(Errno::ROFS));
    let reasons = reasons(&fake);
    assert_eq!(
        reasons[0],
        "`/sys/fs/cgroup` is not writable: Read-only file system (os error 30)"
    );
}

#[test]
fn a_process_that_cannot_be_moved_is_told() {
    let fake = machine("/");
    fake.fail(Operation::Access, "/cgroup.procs", Fault::Error(Errno::ACCESS));
    let reasons = reasons(&fake);
    assert_eq!(
        reasons[0],
        "`/sys/fs/cgroup/cgroup.procs` is not writable: Permission denied (os error 13)"
    );
}

#[test]
fn a_mount_that_does_not_show_this_process_is_told() {
    let fake = machine("/../elsewhere");
    assert!(reasons(&fake)[0].starts_with("no mount of control groups of version 2"));
    let fake = Fake::new(&[], "0::/\n");
    assert!(reasons(&fake)[0].starts_with("no mount of control groups of version 2"));
    let fake = Fake::new(&[], "");
    assert_eq!(
        reasons(&fake)[0],
        "this kernel has no control groups of version 2"
    );
    fake.take("/proc/self/cgroup");
    assert!(reasons(&fake)[0].starts_with("`/proc/self/cgroup` is not readable"));
}
