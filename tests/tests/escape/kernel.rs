//! What only an administrator may tell the kernel, its larger interfaces, and its other doors.

use crate::rows::{DENIED, FILTERED, GONE, Row, row};
use crate::scene::Scene;

/// Keys, rings, maps, counters, clocks, modules, `/proc` and `/sys`, and calls by other numbers.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    const ABSENT: &str = "not every kernel has it";
    let (secret, marker) = (scene.secret(), &scene.marker);
    let name = scene.neighbour.borrow().name.clone();
    let mut rows = vec![
        row(46, "add-key").both(&[FILTERED]),
        row(46, &format!("find-key user {name} {marker}"))
            .both(&[FILTERED])
            .varies("the key is the neighbour's"),
        row(46, &format!("find-key session {name} {marker}"))
            .both(&[FILTERED])
            .varies("the key is the neighbour's"),
        row(46, &format!("request-key {name} {marker}"))
            .both(&[FILTERED])
            .varies("the key is the neighbour's"),
        row(46, "new-session").both(&[FILTERED]),
        row(47, "io-uring").both(&[FILTERED]).varies(ABSENT),
        row(48, "bpf").both(&[FILTERED]).for_root(),
        row(49, "perf").both(&[FILTERED]).varies("it may be turned off"),
        row(50, "userfaultfd").both(&[FILTERED]).varies(ABSENT),
        row(54, "int80 getpid").both(&[FILTERED]).may_lack(),
        row(54, "int80 unshare").both(&[FILTERED]).may_lack(),
        row(54, "int80 ptrace").both(&[FILTERED]).may_lack(),
        row(54, "int80 keyctl")
            .both(&[FILTERED])
            .varies("there may be no keyring")
            .may_lack(),
        row(54, "int80 socket").both(&[FILTERED]).may_lack(),
        row(54, &format!("int80-read {secret} {marker}"))
            .both(&[FILTERED, GONE])
            .may_lack(),
        row(58, "personality 0x0400000").both(&[FILTERED]),
        row(58, "personality 0x0040000").both(&[FILTERED]),
        row(58, "vsyscall")
            .unpromised("it tells the time, which nobody is kept from")
            .may_lack(),
    ];
    for way in ["getpid", "unshare", "ptrace", "keyctl"] {
        rows.push(
            row(54, &format!("x32 {way}"))
                .both(&[FILTERED])
                .varies(ABSENT)
                .may_lack(),
        );
    }
    for way in [
        "reboot",
        "settimeofday",
        "adjtimex",
        "clock_adjtime",
        "sethostname",
        "setdomainname",
        "swapon",
        "swapoff",
        "acct",
        "fanotify",
        "quotactl",
    ] {
        rows.push(row(51, &format!("administer {way}")).both(&[FILTERED]).for_root());
    }
    for way in [
        "kexec_load",
        "init_module",
        "finit_module",
        "delete_module",
        "iopl",
        "ioperm",
    ] {
        rows.push(
            row(51, &format!("administer {way}"))
                .both(&[FILTERED])
                .varies(ABSENT)
                .may_lack(),
        );
    }
    rows.push(row(56, "administer syslog").both(&[FILTERED]).for_root());
    rows.extend(of_proc_and_sys());
    rows
}

/// Files by which the kernel is told and tells.
fn of_proc_and_sys() -> Vec<Row> {
    const NOTHING: &[&str] = &["", "EINVAL", "EAGAIN"];
    let mut rows = Vec::new();
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/power/state",
        "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
    ] {
        rows.push(
            row(52, &format!("write {path}"))
                .both(&[GONE, DENIED])
                .varies("not every kernel has every file"),
        );
    }
    for path in ["/proc/kcore", "/proc/kmsg", "/sys/kernel/debug/sleep_time"] {
        let mut one = row(52, &format!("read {path}"))
            .both(&[GONE, DENIED, NOTHING])
            .varies("not every kernel has every file");
        if path == "/proc/kmsg" {
            // Reading would wait, and take from the machine what it reads.
            one = one.without_sandbox("look /proc/kmsg");
        }
        rows.push(one);
    }
    for path in ["/proc/timer_list", "/proc/keys", "/proc/sched_debug"] {
        rows.push(
            row(52, &format!("read {path}"))
                .full(&[GONE, DENIED, NOTHING])
                .unpromised_in_restricted(
                    "a process has its own files in /proc, and Landlock takes all of it or none",
                )
                .varies("not every kernel has every file"),
        );
    }
    rows
}
