//! Processes of the helper: forking, signals, ending.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};

use crate::message::{Failure, Step};

use super::step::{Try as _, failure};

/// Which of two processes this is.
pub(super) enum Forked {
    Parent(Pid),
    Child,
}

/// Forks this process (`fork(2)`).
pub(super) fn fork() -> Result<Forked, Failure> {
    #[expect(unsafe_code, reason = "there is no safe fork")]
    // SAFETY: the helper has one thread, so the child has no lock that another thread held, and may do what the parent
    // may.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => Ok(Forked::Child),
        _ => Some(pid)
            .filter(|pid| *pid > 0)
            .and_then(Pid::from_raw)
            .map(Forked::Parent)
            .ok_or_else(|| {
                failure(
                    Step::Fork,
                    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN),
                )
            }),
    }
}

/// Ends this process at once, without running what the program registered for its end.
pub(super) fn exit(code: i32) -> ! {
    #[expect(
        unsafe_code,
        reason = "a forked child must not run the exit handlers of its parent"
    )]
    // SAFETY: `_exit` has no preconditions.
    unsafe {
        libc::_exit(code)
    }
}

/// Has this process killed when its parent ends. `alive` is the reading end of a pipe whose only writing end the parent
/// holds: the parent may have ended before the call, and no signal comes for that.
pub(super) fn die_with_parent(alive: &OwnedFd, signal: Signal) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(signal)).or_fail(Step::ParentDeath)?;
    let mut watched = [rustix::event::PollFd::new(alive, rustix::event::PollFlags::IN)];
    let ready = rustix::event::poll(&mut watched, Some(&rustix::event::Timespec::default()))
        .or_fail(Step::ParentDeath)?;
    if ready > 0 {
        return Err(failure(Step::ParentDeath, libc::ESRCH));
    }
    Ok(())
}

/// Holds back every signal that can be held back.
pub(super) fn block_signals() {
    set_mask(libc::SIG_SETMASK, libc::sigfillset);
}

/// Lets every signal through.
pub(super) fn unblock_signals() {
    set_mask(libc::SIG_SETMASK, libc::sigemptyset);
}

#[expect(unsafe_code, reason = "there is no safe sigprocmask")]
fn set_mask(how: i32, fill: unsafe extern "C" fn(*mut libc::sigset_t) -> i32) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `fill` initialises the set that it is given, which then is only read. Neither call can fail with these
    // arguments (`sigsetops(3)`, `sigprocmask(2)`).
    unsafe {
        fill(set.as_mut_ptr());
        libc::sigprocmask(how, set.as_ptr(), ptr::null_mut());
    }
}

/// A signal that was held back, or `None` when the time is up. `None` as time waits for ever.
pub(super) fn next_signal(time: Option<libc::timespec>) -> Option<i32> {
    let mut set = MaybeUninit::uninit();
    #[expect(unsafe_code, reason = "there is no safe sigtimedwait")]
    // SAFETY: the set is initialised by the first call; information about the signal is not asked for, and the time is
    // a valid structure or absent (`sigwaitinfo(2)`).
    let number = unsafe {
        libc::sigfillset(set.as_mut_ptr());
        libc::sigtimedwait(
            set.as_ptr(),
            ptr::null_mut(),
            time.as_ref().map_or(ptr::null(), ptr::from_ref),
        )
    };
    (number > 0).then_some(number)
}

/// Lets go of the standard streams, so that they end when the program's own copies do.
pub(super) fn drop_streams() -> Result<(), Failure> {
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).or_fail(Step::Descriptors)?;
    rustix::stdio::dup2_stdin(&null).or_fail(Step::Descriptors)?;
    rustix::stdio::dup2_stdout(&null).or_fail(Step::Descriptors)?;
    rustix::stdio::dup2_stderr(&null).or_fail(Step::Descriptors)
}
