//! Mounts and namespaces.

use crate::rows::{DENIED, FILTERED, GONE, Row, row};
use crate::scene::Scene;

/// The old call and the new ones, and namespaces in which they would be allowed.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    const OWN: &str = "a task may know the mounts that it sees";
    let folder = scene.path("secret");
    let mut rows = vec![
        row(42, &format!("bind {folder} .")).both(&[FILTERED]).for_root(),
        row(42, "remount /").both(&[FILTERED]).for_root(),
        row(42, "remount .")
            .both(&[FILTERED])
            .varies("the folder is no mount of its own without a sandbox"),
        row(42, "propagate /").both(&[FILTERED]).for_root(),
        row(42, "unmount /proc").both(&[FILTERED]).for_root(),
        row(42, "unmount /proc/sys")
            .both(&[FILTERED])
            .varies("it is no mount of its own without a sandbox"),
        row(42, "pivot").both(&[FILTERED]).for_root(),
        row(43, "new-mount statmount").unpromised(OWN),
        row(43, "new-mount listmount").unpromised(OWN),
        row(53, "make-group /sys/fs/cgroup")
            .full(&[GONE, DENIED])
            .restricted(&[DENIED])
            .varies("it may be no group"),
    ];
    for kind in [
        "tmpfs", "proc", "sysfs", "cgroup2", "cgroup", "devpts", "mqueue", "overlay", "bpf", "debugfs",
    ] {
        let item = if kind.starts_with("cgroup") { 53 } else { 42 };
        rows.push(row(item, &format!("mount {kind}")).both(&[FILTERED]).for_root());
    }
    for way in ["open_tree", "fsopen", "fspick", "mount_setattr", "move_mount"] {
        rows.push(row(43, &format!("new-mount {way}")).both(&[FILTERED]).for_root());
    }
    rows.push(
        row(43, "new-mount open_tree_attr")
            .both(&[FILTERED])
            .varies("older kernels do not have it"),
    );
    for name in ["user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time"] {
        let mut one = row(44, &format!("unshare {name}")).both(&[FILTERED]);
        if name != "user" {
            one = one.for_root();
        }
        rows.push(one);
        if name == "time" {
            continue;
        }
        for call in ["clone", "clone3"] {
            let mut one = row(44, &format!("{call} {name}")).both(&[FILTERED]);
            if name != "user" {
                one = one.for_root();
            }
            rows.push(one);
        }
    }
    for path in [
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/memory/cgroup.procs",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/memory/notify_on_release",
        "/sys/fs/cgroup/unified/cgroup.procs",
    ] {
        rows.push(
            row(53, &format!("write {path}"))
                .full(&[GONE, DENIED])
                .restricted(&[DENIED, GONE])
                .varies("control groups are where the machine has them"),
        );
    }
    for path in [
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/unified",
    ] {
        rows.push(
            row(53, &format!("make-group {path}"))
                .full(&[GONE, DENIED])
                .restricted(&[DENIED, GONE])
                .varies("control groups are where the machine has them"),
        );
    }
    rows
}
