//! Which calls are refused.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError,
    SeccompCmpArgLen::{Dword, Qword},
    SeccompCmpOp, SeccompCondition, SeccompRule,
};

use crate::policy::{Network, Policy};
use wrun_core::sandbox::Tier;

/// Rules by call; a call with no rules matches always.
pub(super) type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

type Result<T> = std::result::Result<T, BackendError>;

/// Calls that libraries can do without.
///
/// `clone3` and `openat2` take their arguments in memory, where a filter cannot look; what they do is done by `clone`
/// and `openat`. `io_uring` would do the work of refused calls.
const ABSENT: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Calls that do not exist under a policy. Where a file system has no extended attributes, what copies files does without.
pub(super) fn absent(policy: &Policy) -> Vec<c_long> {
    let attributes = ATTRIBUTES.iter().filter(|_| policy.tier != Tier::Full);
    ABSENT.iter().chain(attributes).copied().collect()
}

/// Calls of administrators and debuggers, which reach over to other processes or to the kernel itself.
const REFUSED: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    // Namespaces and mounts.
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    // Files by handle, past every folder.
    libc::SYS_open_by_handle_at,
    // Programs and probes in the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    // Keys, which are shared by all processes of a user.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // Pages of other processes.
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];

/// The same number everywhere (Linux 5.14); the library does not have it.
const QUOTACTL_FD: c_long = 443;
/// `open_tree_attr` (Linux 6.15).
const OPEN_TREE_ATTR: c_long = 467;
/// `fchmodat2` (Linux 6.6).
const FCHMODAT2: c_long = 452;

/// Calls that only this architecture has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[libc::SYS_kexec_file_load];

/// Objects of System V and message queues of POSIX, which without a namespace are those of the machine.
/// Whoever knows the number of one needs no other call before.
const MACHINE_WIDE: &[c_long] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Changes of modes and owners.
const MODES: &[c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
];

/// Changes of extended attributes (`xattr(7)`), which Landlock has no right for.
const ATTRIBUTES: &[c_long] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SETXATTRAT,
    REMOVEXATTRAT,
];
/// `setxattrat` and `removexattrat` (Linux 6.13).
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;

/// Those that only this architecture has.
#[cfg(target_arch = "x86_64")]
const MODES_HERE: &[c_long] = &[libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown];
#[cfg(not(target_arch = "x86_64"))]
const MODES_HERE: &[c_long] = &[];

/// Flags of `clone` and `unshare` that make namespaces (`namespaces(7)`); `CLONE_NEWTIME` cannot be asked of `clone`.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Ways to put characters into a terminal's input (`ioctl_tty(2)`, `ioctl_console(2)`).
const TERMINAL_INPUT: &[u64] = &[libc::TIOCSTI, 0x541C];

/// Protocols of the internet families: unspecified, TCP, UDP, UDP-Lite, MPTCP (RFC 8684).
const PROTOCOLS: &[i32] = &[
    0,
    libc::IPPROTO_TCP,
    libc::IPPROTO_UDP,
    libc::IPPROTO_UDPLITE,
    libc::IPPROTO_MPTCP,
];

/// Calls that are refused under a policy.
pub(super) fn refused(policy: &Policy) -> Result<Rules> {
    let mut rules: Rules = REFUSED.iter().chain(REFUSED_HERE).copied().map(always).collect();
    let namespaces: Result<Vec<SeccompRule>> = NAMESPACES.iter().map(|flag| all([has(0, *flag)?])).collect();
    rules.insert(libc::SYS_clone, namespaces?);
    let time = all([has(0, libc::CLONE_NEWTIME)?])?;
    let namespaces: Result<Vec<SeccompRule>> = NAMESPACES.iter().map(|flag| all([has(0, *flag)?])).collect();
    rules.insert(libc::SYS_unshare, namespaces?.into_iter().chain([time]).collect());
    let terminals: Result<Vec<SeccompRule>> = TERMINAL_INPUT
        .iter()
        .map(|request| all([SeccompCondition::new(1, Dword, SeccompCmpOp::Eq, *request)?]))
        .collect();
    rules.insert(libc::SYS_ioctl, terminals?);
    // Asking for the personality and setting the plain one are what programs do; others switch protections off.
    rules.insert(
        libc::SYS_personality,
        vec![all([
            SeccompCondition::new(0, Dword, SeccompCmpOp::Ne, 0)?,
            SeccompCondition::new(0, Dword, SeccompCmpOp::Ne, 0xffff_ffff)?,
        ])?],
    );
    // A process may set its own limits; those of another one, its supervisor for instance, only be read.
    rules.insert(
        libc::SYS_prlimit64,
        vec![all([
            SeccompCondition::new(0, Dword, SeccompCmpOp::Ne, 0)?,
            SeccompCondition::new(2, Qword, SeccompCmpOp::Ne, 0)?,
        ])?],
    );
    rules.extend(setuid_bits()?);
    sockets(&mut rules, policy)?;
    if policy.keeps_modes {
        rules.extend(MODES.iter().chain(MODES_HERE).copied().map(always));
    }
    if policy.tier != Tier::Full {
        rules.extend(MACHINE_WIDE.iter().copied().map(always));
    }
    Ok(rules)
}

/// A program that runs as another user must not come out of a sandbox.
fn setuid_bits() -> Result<Rules> {
    let mut rules = Rules::new();
    let bits = [libc::S_ISUID.cast_signed(), libc::S_ISGID.cast_signed()];
    let mut modes: Vec<(c_long, u8)> = vec![
        (libc::SYS_fchmod, 1),
        (libc::SYS_fchmodat, 2),
        (FCHMODAT2, 2),
        (libc::SYS_mknodat, 2),
    ];
    #[cfg(target_arch = "x86_64")]
    modes.extend([(libc::SYS_chmod, 1), (libc::SYS_creat, 1), (libc::SYS_mknod, 1)]);
    for (call, argument) in modes {
        let of_bits: Result<Vec<SeccompRule>> = bits.iter().map(|bit| all([has(argument, *bit)?])).collect();
        rules.insert(call, of_bits?);
    }
    // The mode counts only where a file is made; else the register holds anything.
    let mut opens: Vec<(c_long, u8)> = vec![(libc::SYS_openat, 2)];
    #[cfg(target_arch = "x86_64")]
    opens.push((libc::SYS_open, 1));
    let makes = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY];
    for (call, flags) in opens {
        let mut of_call = Vec::new();
        for make in makes {
            for bit in bits {
                of_call.push(all([has(flags, make)?, has(flags + 1, bit)?])?);
            }
        }
        rules.insert(call, of_call);
    }
    Ok(rules)
}

/// Sockets that nothing in a sandbox needs, or that the policy does not give.
fn sockets(rules: &mut Rules, policy: &Policy) -> Result<()> {
    if policy.tier != Tier::Full && policy.network != Network::Host {
        rules.insert(libc::SYS_socket, Vec::new());
        // One of a pair of datagram sockets, whose other name is raw, can send to any socket that has a path.
        let mut of_pairs = vec![all([family_is_not(libc::AF_UNIX)?])?];
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            let is_kind = SeccompCondition::new(1, Dword, SeccompCmpOp::MaskedEq(0xf), word(kind))?;
            of_pairs.push(all([is_kind])?);
        }
        rules.insert(libc::SYS_socketpair, of_pairs);
        return Ok(());
    }
    let other = all([
        family_is_not(libc::AF_UNIX)?,
        family_is_not(libc::AF_INET)?,
        family_is_not(libc::AF_INET6)?,
        family_is_not(libc::AF_NETLINK)?,
    ])?;
    // Programs read the addresses of interfaces through NETLINK_ROUTE, whose number is 0.
    let netlink = all([
        family_is(libc::AF_NETLINK)?,
        SeccompCondition::new(2, Dword, SeccompCmpOp::Ne, 0)?,
    ])?;
    let mut of_sockets = vec![other, netlink];
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut conditions = vec![family_is(family)?];
        for protocol in PROTOCOLS {
            conditions.push(SeccompCondition::new(
                2,
                Dword,
                SeccompCmpOp::Ne,
                word(*protocol),
            )?);
        }
        of_sockets.push(SeccompRule::new(conditions)?);
        // The low bits are the kind, the others flags.
        of_sockets.push(all([
            family_is(family)?,
            SeccompCondition::new(1, Dword, SeccompCmpOp::MaskedEq(0xf), word(libc::SOCK_RAW))?,
        ])?);
    }
    rules.insert(libc::SYS_socket, of_sockets);
    rules.insert(libc::SYS_socketpair, vec![all([family_is_not(libc::AF_UNIX)?])?]);
    Ok(())
}

/// Calls that make sockets to what is beyond this process' own network namespace; without one that are those to other
/// programs of the machine too.
pub(super) fn sockets_to_the_network(policy: &Policy) -> Result<Rules> {
    let rules = if policy.tier == Tier::Full {
        vec![
            all([family_is(libc::AF_INET)?])?,
            all([family_is(libc::AF_INET6)?])?,
        ]
    } else {
        Vec::new()
    };
    Ok([(libc::SYS_socket, rules)].into())
}

/// Calls that a watcher is told of: those that are refused, and those that name a path or an address.
///
/// `sendmsg` is not among them: the descriptor of the notifications is itself sent by it.
pub(super) fn watched(policy: &Policy) -> Result<Rules> {
    let mut calls = vec![
        libc::SYS_openat,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_mkdirat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_truncate,
        libc::SYS_fchmodat,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_mknodat,
        FCHMODAT2,
        libc::SYS_chdir,
        libc::SYS_bind,
        libc::SYS_connect,
        libc::SYS_sendto,
        libc::SYS_sendmmsg,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        libc::SYS_open,
        libc::SYS_creat,
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_access,
        libc::SYS_readlink,
        libc::SYS_mkdir,
        libc::SYS_rmdir,
        libc::SYS_unlink,
        libc::SYS_rename,
        libc::SYS_renameat,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mknod,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
    ]);
    let mut rules = refused(policy)?;
    rules.extend(calls.into_iter().map(always));
    Ok(rules)
}

fn always(call: c_long) -> (c_long, Vec<SeccompRule>) {
    (call, Vec::new())
}

fn all<const COUNT: usize>(conditions: [SeccompCondition; COUNT]) -> Result<SeccompRule> {
    SeccompRule::new(conditions.into())
}

/// The argument has all bits of a flag, which are in the lower half of the register.
fn has(argument: u8, flag: i32) -> Result<SeccompCondition> {
    SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(word(flag)), word(flag))
}

fn family_is(family: i32) -> Result<SeccompCondition> {
    SeccompCondition::new(0, Dword, SeccompCmpOp::Eq, word(family))
}

fn family_is_not(family: i32) -> Result<SeccompCondition> {
    SeccompCondition::new(0, Dword, SeccompCmpOp::Ne, word(family))
}

/// A number as it is in a register: 32 bits.
fn word(number: i32) -> u64 {
    u64::from(number.cast_unsigned())
}
