//! The same on other machines: this one with some mounts taken away, or as another user. This program is started anew
//! there, in a mount namespace of its own.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use wrun_sandbox::cgroup::{Enforcement, Group, Hierarchies, Limit, Limits, Version};

use crate::processes::end_a_family;
use crate::support::{self, PART, is_root};

const ALL: Limits = Limits {
    memory: Some(64 << 20),
    processes: Some(10),
    cpu_millis: Some(1000),
};

/// What this program does as it is started anew; nothing in a usual run.
#[test]
fn part() {
    let Ok(name) = std::env::var(PART) else { return };
    match name.as_str() {
        "bomb" => bomb(),
        "legacy" => legacy(),
        "signals" => signals(),
        "refused" => refused(),
        "nothing" => nothing(),
        other => panic!("no such part: {other}"),
    }
    println!("{name} was played");
}

fn bomb() {
    let mut started = Vec::new();
    loop {
        let mut sleeper = Command::new("sleep");
        sleeper.arg("1000").stdout(Stdio::null()).stderr(Stdio::null());
        match sleeper.spawn() {
            Ok(child) => started.push(child),
            Err(error) => {
                let code = error.raw_os_error().unwrap_or_default();
                println!("stopped after {} by error {code}", started.len());
                return;
            }
        }
    }
}

fn legacy() {
    let hierarchies = Hierarchies::find();
    assert_eq!(hierarchies.available(Limit::Processes), Ok(Version::V1));
    assert_eq!(hierarchies.kills(), Ok(Version::V1));
    end_a_family(&hierarchies, "legacy-family");
}

/// Nothing makes processes stand still.
fn signals() {
    let hierarchies = Hierarchies::find();
    assert!(hierarchies.kills().is_err());
    end_a_family(&hierarchies, "signals-family");
}

/// Groups are there and may not be made.
fn refused() {
    let hierarchies = Hierarchies::find();
    let group = Group::create(&hierarchies, "refused", &ALL).unwrap();
    assert_eq!(group.folders().count(), 0);
    for limit in Limit::ALL {
        let reason = hierarchies.available(limit).unwrap_err();
        println!("{limit}: {reason}");
        assert!(reason.contains("is not writable"), "{reason}");
        assert!(matches!(
            group.enforced(limit),
            Some(Enforcement::NotEnforced { .. })
        ));
    }
    assert!(hierarchies.kills().unwrap_err().contains("is not writable"));
    assert!(group.kill().is_err());
    assert!(hierarchies.sweep().is_empty());
    group.remove().unwrap();
}

/// No control groups are mounted.
fn nothing() {
    let hierarchies = Hierarchies::find();
    let group = Group::create(&hierarchies, "nothing", &ALL).unwrap();
    assert_eq!(group.folders().count(), 0);
    for limit in Limit::ALL {
        let reason = hierarchies.available(limit).unwrap_err();
        assert!(reason.starts_with("no mount of control groups"), "{reason}");
    }
}

/// Plays a part after a script changed the mounts of a namespace of its own.
fn play(name: &str, script: &str) {
    let program = support::part(name);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-e", "-c"])
        .arg(format!("{script}\nexec \"$@\""))
        .arg("sh")
        .arg(program.get_program())
        .args(program.get_args())
        .env(PART, name);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains(&format!("{name} was played")), "{said}");
}

/// Whether this machine can be made another: version 1 is mounted, and mounts can be changed.
fn can_change() -> bool {
    if !is_root() {
        return false;
    }
    let may_unshare = Command::new("unshare")
        .args(["--mount", "true"])
        .status()
        .is_ok_and(|status| status.success());
    let has_legacy = Hierarchies::find().available(Limit::Processes) == Ok(Version::V1);
    if !(may_unshare && has_legacy) {
        println!("skipped: no writable control groups of version 1, or no mount namespaces");
    }
    may_unshare && has_legacy
}

#[test]
fn a_machine_without_version_2() {
    if can_change() {
        play(
            "legacy",
            "for m in $(awk '$3 == \"cgroup2\" {print $2}' /proc/self/mounts); do umount $m; done",
        );
    }
}

#[test]
fn a_machine_without_version_2_and_freezer() {
    if can_change() {
        play(
            "signals",
            "for m in $(awk '$3 == \"cgroup2\" || $4 ~ /freezer/ {print $2}' /proc/self/mounts); do umount $m; done",
        );
    }
}

#[test]
fn a_machine_whose_groups_are_read_only() {
    if can_change() {
        play(
            "refused",
            "for m in $(awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts); do mount -o remount,bind,ro $m; done",
        );
    }
}

#[test]
fn a_machine_without_mounts_of_groups() {
    if can_change() {
        play("nothing", "umount --recursive /sys/fs/cgroup");
    }
}

#[test]
fn another_user() {
    if !can_change() {
        return;
    }
    // The folder of this program need not be readable for others.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    for path in [folder.path(), &copy] {
        rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    }
    let output = Command::new(&copy)
        .args(["--exact", "machines::part", "--nocapture"])
        .env(PART, "refused")
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("refused was played"), "{said}");
}
