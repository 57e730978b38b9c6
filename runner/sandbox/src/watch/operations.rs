//! What refused calls are called, and what they do.

use libc::c_long;
use wrun_core::denial::{Denial, DenialKind, Grant};
use wrun_core::sandbox::Tier;

use super::call::int;

const OTHER_PROCESSES: &str = "look into other processes or change them";
const MOUNTS: &str = "change what is mounted, or go to other namespaces";
const HANDLES: &str = "open files past the folders that they lie in";
const KERNEL: &str = "put programs or probes into the kernel";
const KEYS: &str = "use the kernel's keys, which are those of all processes of the user";
const MACHINE: &str = "change the machine's settings";
const HARDWARE: &str = "reach the hardware";
const OBSOLETE: &str = "use an obsolete call";
const MACHINE_WIDE: &str = "make shared memory, semaphores or queues that every process of the machine sees";
const MODES: &str = "change modes, owners and attributes of files";
const SPECIAL_BITS: &str = "make a program that runs as another user or group";

/// Calls that are refused whatever their arguments are, and `socket` and its like.
const CALLS: &[(c_long, &str, &str)] = &[
    (libc::SYS_ptrace, "ptrace", OTHER_PROCESSES),
    (libc::SYS_process_vm_readv, "process_vm_readv", OTHER_PROCESSES),
    (libc::SYS_process_vm_writev, "process_vm_writev", OTHER_PROCESSES),
    (libc::SYS_kcmp, "kcmp", OTHER_PROCESSES),
    (libc::SYS_pidfd_getfd, "pidfd_getfd", OTHER_PROCESSES),
    (libc::SYS_process_madvise, "process_madvise", OTHER_PROCESSES),
    (libc::SYS_prlimit64, "prlimit64", OTHER_PROCESSES),
    (libc::SYS_move_pages, "move_pages", OTHER_PROCESSES),
    (libc::SYS_migrate_pages, "migrate_pages", OTHER_PROCESSES),
    (libc::SYS_setns, "setns", MOUNTS),
    (libc::SYS_clone, "clone", "make namespaces"),
    (libc::SYS_unshare, "unshare", "make namespaces"),
    (libc::SYS_mount, "mount", MOUNTS),
    (libc::SYS_umount2, "umount2", MOUNTS),
    (libc::SYS_pivot_root, "pivot_root", MOUNTS),
    (libc::SYS_chroot, "chroot", MOUNTS),
    (libc::SYS_open_tree, "open_tree", MOUNTS),
    (libc::SYS_move_mount, "move_mount", MOUNTS),
    (libc::SYS_fsopen, "fsopen", MOUNTS),
    (libc::SYS_fsconfig, "fsconfig", MOUNTS),
    (libc::SYS_fsmount, "fsmount", MOUNTS),
    (libc::SYS_fspick, "fspick", MOUNTS),
    (libc::SYS_mount_setattr, "mount_setattr", MOUNTS),
    (libc::SYS_quotactl, "quotactl", MACHINE),
    (443, "quotactl_fd", MACHINE),
    (467, "open_tree_attr", MOUNTS),
    (libc::SYS_open_by_handle_at, "open_by_handle_at", HANDLES),
    (libc::SYS_bpf, "bpf", KERNEL),
    (libc::SYS_perf_event_open, "perf_event_open", KERNEL),
    (libc::SYS_userfaultfd, "userfaultfd", KERNEL),
    (libc::SYS_fanotify_init, "fanotify_init", KERNEL),
    (libc::SYS_init_module, "init_module", KERNEL),
    (libc::SYS_finit_module, "finit_module", KERNEL),
    (libc::SYS_delete_module, "delete_module", KERNEL),
    (libc::SYS_kexec_load, "kexec_load", KERNEL),
    (libc::SYS_kexec_file_load, "kexec_file_load", KERNEL),
    (libc::SYS_keyctl, "keyctl", KEYS),
    (libc::SYS_add_key, "add_key", KEYS),
    (libc::SYS_request_key, "request_key", KEYS),
    (libc::SYS_reboot, "reboot", MACHINE),
    (libc::SYS_swapon, "swapon", MACHINE),
    (libc::SYS_swapoff, "swapoff", MACHINE),
    (libc::SYS_acct, "acct", MACHINE),
    (libc::SYS_syslog, "syslog", "read the kernel's log"),
    (libc::SYS_vhangup, "vhangup", "take a terminal away"),
    (libc::SYS_sethostname, "sethostname", MACHINE),
    (libc::SYS_setdomainname, "setdomainname", MACHINE),
    (libc::SYS_settimeofday, "settimeofday", MACHINE),
    (libc::SYS_clock_settime, "clock_settime", MACHINE),
    (libc::SYS_clock_adjtime, "clock_adjtime", MACHINE),
    (libc::SYS_adjtimex, "adjtimex", MACHINE),
    (libc::SYS_shmget, "shmget", MACHINE_WIDE),
    (libc::SYS_semget, "semget", MACHINE_WIDE),
    (libc::SYS_msgget, "msgget", MACHINE_WIDE),
    (libc::SYS_mq_open, "mq_open", MACHINE_WIDE),
    (libc::SYS_shmat, "shmat", MACHINE_WIDE),
    (libc::SYS_shmctl, "shmctl", MACHINE_WIDE),
    (libc::SYS_semop, "semop", MACHINE_WIDE),
    (libc::SYS_semtimedop, "semtimedop", MACHINE_WIDE),
    (libc::SYS_semctl, "semctl", MACHINE_WIDE),
    (libc::SYS_msgsnd, "msgsnd", MACHINE_WIDE),
    (libc::SYS_msgrcv, "msgrcv", MACHINE_WIDE),
    (libc::SYS_msgctl, "msgctl", MACHINE_WIDE),
    (libc::SYS_mq_unlink, "mq_unlink", MACHINE_WIDE),
    (libc::SYS_ioctl, "ioctl", "put characters into a terminal's input"),
    (
        libc::SYS_personality,
        "personality",
        "switch the kernel's protections off",
    ),
    (libc::SYS_fchmod, "fchmod", SPECIAL_BITS),
    (libc::SYS_fchmodat, "fchmodat", SPECIAL_BITS),
    (452, "fchmodat2", SPECIAL_BITS),
    (libc::SYS_mknodat, "mknodat", SPECIAL_BITS),
    (libc::SYS_openat, "openat", SPECIAL_BITS),
    (libc::SYS_fchown, "fchown", MODES),
    (libc::SYS_fchownat, "fchownat", MODES),
    (libc::SYS_setxattr, "setxattr", MODES),
    (libc::SYS_lsetxattr, "lsetxattr", MODES),
    (libc::SYS_fsetxattr, "fsetxattr", MODES),
    (463, "setxattrat", MODES),
    (libc::SYS_removexattr, "removexattr", MODES),
    (libc::SYS_lremovexattr, "lremovexattr", MODES),
    (libc::SYS_fremovexattr, "fremovexattr", MODES),
    (466, "removexattrat", MODES),
    (libc::SYS_socket, "socket", ""),
    (libc::SYS_socketpair, "socketpair", ""),
];

/// Calls that only this architecture has.
#[cfg(target_arch = "x86_64")]
const CALLS_HERE: &[(c_long, &str, &str)] = &[
    (libc::SYS_chmod, "chmod", SPECIAL_BITS),
    (libc::SYS_chown, "chown", MODES),
    (libc::SYS_lchown, "lchown", MODES),
    (libc::SYS_creat, "creat", SPECIAL_BITS),
    (libc::SYS_mknod, "mknod", SPECIAL_BITS),
    (libc::SYS_open, "open", SPECIAL_BITS),
    (libc::SYS_iopl, "iopl", HARDWARE),
    (libc::SYS_ioperm, "ioperm", HARDWARE),
    (libc::SYS_modify_ldt, "modify_ldt", HARDWARE),
    (libc::SYS_uselib, "uselib", OBSOLETE),
    (libc::SYS_ustat, "ustat", OBSOLETE),
    (libc::SYS__sysctl, "_sysctl", OBSOLETE),
];
#[cfg(not(target_arch = "x86_64"))]
const CALLS_HERE: &[(c_long, &str, &str)] = &[];

/// Whether a call is one of these.
#[cfg(test)]
pub(crate) fn is_named(number: c_long) -> bool {
    CALLS
        .iter()
        .chain(CALLS_HERE)
        .any(|(known, _, _)| *known == number)
}

const FOR_GOOD: &str = "no grant allows it";

/// What a refused call is, for a person. `keeps_modes` is whether every change of a mode is refused.
pub(super) fn operation(call: &libc::seccomp_data, tier: Tier, keeps_modes: bool) -> Denial {
    let number = c_long::from(call.nr);
    let [family, kind, ..] = call.args.map(int);
    if [libc::SYS_socket, libc::SYS_socketpair].contains(&number) {
        return socket(family, kind, tier);
    }
    let known = CALLS
        .iter()
        .chain(CALLS_HERE)
        .find(|(known, _, _)| *known == number);
    let Some((_, name, does)) = known else {
        return Denial::for_good(DenialKind::Operation, format!("system call {number}"), FOR_GOOD);
    };
    let does = if keeps_modes && name.contains("chmod") {
        MODES
    } else {
        does
    };
    let reason = match does {
        MACHINE_WIDE => {
            "no grant allows it in the tier `restricted`; in the tier `full` the task has its own"
        }
        MODES => "no grant allows it to a task of root in the tier `restricted`; in the tier `full` it may",
        _ => FOR_GOOD,
    };
    Denial::for_good(DenialKind::Operation, format!("{name}: {does}"), reason)
}

fn socket(family: i32, kind: i32, tier: Tier) -> Denial {
    /// The bits of the kind that are not flags.
    const KIND: i32 = 0xf;
    let what = match family {
        libc::AF_UNIX => "socket: reach other programs of the machine",
        libc::AF_INET | libc::AF_INET6 if kind & KIND != libc::SOCK_RAW => "socket: reach the network",
        libc::AF_INET | libc::AF_INET6 => "socket: send and receive raw packets",
        libc::AF_PACKET => "socket: read and write the network's frames",
        libc::AF_NETLINK => "socket: talk to the kernel's network",
        _ => {
            return Denial::for_good(
                DenialKind::Operation,
                format!("socket: use the address family {family}"),
                FOR_GOOD,
            );
        }
    };
    if tier == Tier::Full {
        return Denial::for_good(DenialKind::Operation, what, FOR_GOOD);
    }
    match family {
        libc::AF_INET | libc::AF_INET6 if kind & KIND != libc::SOCK_RAW => {
            Denial::new(DenialKind::Net, what, Grant::WholeNetwork)
                .because("single hosts can be granted in the tier `full` alone")
        }
        // Libraries ask for one at every turn and do without; who needs it should not have to grant that much.
        libc::AF_UNIX | libc::AF_NETLINK => Denial::for_good(
            DenialKind::Operation,
            what,
            "in the tier `restricted` only a task with the whole network may; in the tier `full` a socket is a path to read",
        ),
        _ => Denial::for_good(DenialKind::Operation, what, FOR_GOOD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: c_long, args: [u64; 6]) -> libc::seccomp_data {
        libc::seccomp_data {
            nr: i32::try_from(number).unwrap(),
            arch: 0,
            instruction_pointer: 0,
            args,
        }
    }

    #[test]
    fn each_call_is_named_once() {
        let mut numbers: Vec<c_long> = CALLS
            .iter()
            .chain(CALLS_HERE)
            .map(|(number, _, _)| *number)
            .collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
        let named = operation(&call(libc::SYS_ptrace, [0; 6]), Tier::Full, false);
        assert_eq!(named.what, format!("ptrace: {OTHER_PROCESSES}"));
        assert_eq!(named.grant, None);
    }

    #[test]
    fn the_network_can_be_granted_and_raw_packets_cannot() {
        let inet = u64::from(libc::AF_INET.cast_unsigned());
        let of = |kind: i32| {
            let args = [inet, u64::from(kind.cast_unsigned()), 0, 0, 0, 0];
            operation(&call(libc::SYS_socket, args), Tier::Restricted, false)
        };
        let flags = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        assert_eq!(of(flags).grant, Some(Grant::WholeNetwork));
        assert_eq!(of(libc::SOCK_RAW).grant, None);
    }
}
