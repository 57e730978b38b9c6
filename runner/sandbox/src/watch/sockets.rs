//! Keeping the network for the program's own process (`seccomp_unotify(2)`): what it starts makes no sockets.
//!
//! Each call that makes a socket to the network waits until it is known which process makes it. That is decided by
//! the caller's number and the call's registers alone, which cannot change while it waits. A socket of the program does
//! not reach others: installers have theirs closed when they execute something, taking a descriptor out of another
//! process is refused by the filter (`ptrace`, `pidfd_getfd`), and writing to its memory by Landlock.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::caller::Caller;
use super::notification::{Answer, Notifications};
use crate::error::SandboxError;

/// Answers calls that make sockets from a thread of its own. When it is dropped nobody makes one any more.
#[derive(Debug)]
pub(crate) struct SocketGuard {
    refused: Arc<AtomicBool>,
    /// The thread ends when this is closed.
    _stop: OwnedFd,
}

impl SocketGuard {
    /// Starts to answer. The first call is to be that of the process that becomes the program, before anything of the
    /// program runs.
    pub(crate) fn start(notifications: OwnedFd) -> Result<Self, SandboxError> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let refused = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&refused);
        thread::Builder::new()
            .name("wrun-sockets".to_owned())
            .spawn(move || {
                if let Err(error) = serve(&Notifications::new(notifications), &stopped, &noted) {
                    tracing::warn!(%error, "the installer gets no network any more");
                }
            })?;
        Ok(Self { refused, _stop: stop })
    }

    /// Whether another process than the program was refused a socket of the internet so far.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

fn serve(notifications: &Notifications, stopped: &OwnedFd, refused: &AtomicBool) -> io::Result<()> {
    let Some(first) = notifications.next(stopped.as_fd())? else {
        return Ok(());
    };
    let program = Program::of(first.pid)?;
    // What is looked up by a caller's number is the caller's only if it was there all the time.
    if !notifications.is_waiting(first.id) {
        return Err(io::ErrorKind::NotFound.into());
    }
    notifications.answer(first.id, Answer::Continue)?;
    while let Some(told) = notifications.next(stopped.as_fd())? {
        let answer = if program.is(told.pid)? && notifications.is_waiting(told.id) {
            Answer::Continue
        } else {
            if is_of_the_internet(&told.data) {
                refused.store(true, Ordering::Relaxed);
            }
            Answer::Fail(libc::EACCES)
        };
        notifications.answer(told.id, answer)?;
    }
    Ok(())
}

/// Whether a call asks for a socket of the internet; system libraries ask for others too, and do without.
fn is_of_the_internet(call: &libc::seccomp_data) -> bool {
    let [family, ..] = call.args;
    [libc::AF_INET, libc::AF_INET6]
        .iter()
        .any(|internet| u32::try_from(family & u64::from(u32::MAX)) == Ok(internet.cast_unsigned()))
}

/// The process of the program. Its descriptor stays that of this process, also when its number is given anew.
struct Program {
    number: Pid,
    descriptor: OwnedFd,
}

impl Program {
    /// That which a thread belongs to.
    fn of(thread: u32) -> io::Result<Self> {
        let number = Caller::new(thread).process().ok_or(io::ErrorKind::NotFound)?;
        let descriptor = pidfd_open(number, PidfdFlags::empty())?;
        Ok(Self { number, descriptor })
    }

    /// Whether a thread belongs to it.
    fn is(&self, thread: u32) -> io::Result<bool> {
        let mut ended = [PollFd::new(&self.descriptor, PollFlags::IN)];
        let has_ended = retry_on_intr(|| poll(&mut ended, Some(&Timespec::default())))? > 0;
        Ok(!has_ended && Caller::new(thread).process() == Some(self.number))
    }
}
