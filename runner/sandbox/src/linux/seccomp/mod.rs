//! The filter of system calls (`seccomp(2)`).
//!
//! It is a list of what is refused: programs of any language run under it, and what a call may reach is the business of
//! the other layers. Where libraries have a way without the call they are told that it does not exist (`ENOSYS`), else
//! that it is not permitted (`EPERM`).

mod evaluate;
mod prefix;
mod rules;

use std::os::fd::{FromRawFd as _, OwnedFd};

use libc::c_long;
use rustix::thread::set_no_new_privs;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};

use crate::message::{Failure, Step};
use crate::policy::{Answered, Policy};

use super::step::{Try as _, failure};

/// The machine's calls.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// Where calls are told that somebody answers.
pub(super) enum Told {
    /// Those that are watched.
    Watched(OwnedFd),
    /// Those that make sockets.
    Sockets(OwnedFd),
}

/// Holds this process to the calls of its policy. A process can be told of by one filter only: that of a watcher, if there
/// is to be one.
pub(super) fn apply(policy: &Policy) -> Result<Option<Told>, Failure> {
    set_no_new_privs(true).or_fail(Step::Filter)?;
    let told = match policy.answered {
        Answered::Nothing => None,
        Answered::Watched => tell(rules::watched(policy))?.map(Told::Watched),
        Answered::Sockets => tell(rules::sockets_to_the_network(policy))?.map(Told::Sockets),
    };
    let refusing = match told {
        Some(Told::Watched(_)) => vec![prefix::ALLOW],
        _ => refusing(policy)?,
    };
    install_plain(&prefix::with(&rules::absent(policy), &refusing))?;
    Ok(told)
}

/// Has calls told. The kernel lets no call that is told go on by itself: while nobody answers it waits, and when nobody
/// can answer any more it fails (`ENOSYS`).
///
/// Returns `None` where the kernel tells nobody, or somebody else already.
fn tell(calls: Result<rules::Rules, seccompiler::BackendError>) -> Result<Option<OwnedFd>, Failure> {
    let mut program = compile(calls, SeccompAction::Trace(0))?;
    tell_instead_of_trace(&mut program);
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Signals that interrupt a call that waits would make some programs begin it anew for ever.
    let undisturbed = flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    match install(&program, undisturbed).or_else(|_| install(&program, flags)) {
        Ok(notifications) => Ok(Some(notifications)),
        Err(failure) if matches!(failure.errno, libc::EBUSY | libc::EINVAL | libc::ENOSYS) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn refusing(policy: &Policy) -> Result<BpfProgram, Failure> {
    let invalid = |_| failure(Step::Filter, libc::EINVAL);
    let rules = rules::refused(policy).map_err(invalid)?;
    let (always, conditional): (rules::Rules, _) = rules.into_iter().partition(|(_, rules)| rules.is_empty());
    let filter = compile(Ok(conditional), SeccompAction::Errno(number(libc::EPERM)))?;
    let always: Vec<c_long> = always.into_keys().collect();
    let mut program = vec![prefix::LOAD_NUMBER];
    program.extend(prefix::failing(&always, libc::EPERM));
    program.extend(filter);
    Ok(program)
}

/// The calls that a policy refuses, for the one who is told of them.
pub(crate) struct Refusing(BpfProgram);

impl Refusing {
    pub(crate) fn of(policy: &Policy) -> Result<Self, Failure> {
        refusing(policy).map(Self)
    }

    /// The error that a call fails with, if it is refused.
    pub(crate) fn errno(&self, call: &libc::seccomp_data) -> Option<i32> {
        let allowed = evaluate::evaluate(&self.0, call) == Some(libc::SECCOMP_RET_ALLOW);
        (!allowed).then_some(libc::EPERM)
    }
}

fn compile(
    rules: Result<rules::Rules, seccompiler::BackendError>,
    action: SeccompAction,
) -> Result<BpfProgram, Failure> {
    let invalid = |_| failure(Step::Filter, libc::EINVAL);
    let filter = SeccompFilter::new(
        rules.map_err(invalid)?,
        SeccompAction::Allow,
        action,
        ARCHITECTURE,
    );
    filter.and_then(BpfProgram::try_from).map_err(invalid)
}

/// The library has no name for the action that tells a supervisor; that of a tracer stands in for it.
fn tell_instead_of_trace(program: &mut BpfProgram) {
    let trace = u32::from(SeccompAction::Trace(0));
    for instruction in program {
        if instruction.code == prefix::RETURN && instruction.k == trace {
            instruction.k = libc::SECCOMP_RET_USER_NOTIF;
        }
    }
}

fn install_plain(program: &[sock_filter]) -> Result<(), Failure> {
    call(program, 0).map(drop)
}

/// Installs a filter with a descriptor of its notifications.
fn install(program: &[sock_filter], flags: libc::c_ulong) -> Result<OwnedFd, Failure> {
    let number = call(program, flags)?;
    let number = i32::try_from(number).map_err(|_| failure(Step::Filter, libc::EBADF))?;
    #[expect(unsafe_code, reason = "the call returns a new descriptor as a number")]
    // SAFETY: with this flag the call returns a new descriptor, which nobody else owns.
    let notifications = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(notifications)
}

fn call(program: &[sock_filter], flags: libc::c_ulong) -> Result<c_long, Failure> {
    let length = u16::try_from(program.len()).map_err(|_| failure(Step::Filter, libc::E2BIG))?;
    let description = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    #[expect(unsafe_code, reason = "there is no safe seccomp")]
    // SAFETY: the program has as many instructions as its length says, each laid out as the kernel's, and is only read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const description,
        )
    };
    if result >= 0 {
        Ok(result)
    } else {
        let errno = std::io::Error::last_os_error().raw_os_error();
        Err(failure(Step::Filter, errno.unwrap_or(libc::EINVAL)))
    }
}

fn number(errno: i32) -> u32 {
    errno.unsigned_abs()
}

#[cfg(test)]
mod tests;
