//! Processes of this program's own.

use crate::call::call;
use crate::errno::Errno;

/// A process that was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child(pub(crate) i64);

/// Starts a process that does this and ends with its result as exit code.
pub(crate) fn spawn(work: impl FnOnce() -> u8) -> Result<Child, Errno> {
    #[expect(unsafe_code, reason = "std offers no other process of the same program")]
    // SAFETY: attempts have one thread when they start a process, so the copy has all that it needs.
    let number = unsafe { libc::fork() };
    match number {
        -1 => Err(Errno::last()),
        0 => end(work()),
        _ => Ok(Child(number.into())),
    }
}

/// Ends this process at once, without what `exit(3)` does.
pub(crate) fn end(code: u8) -> ! {
    #[expect(
        unsafe_code,
        reason = "a copy of a process must not flush what the original has yet to write"
    )]
    // SAFETY: the call ends the process, whatever state it is in.
    unsafe {
        libc::_exit(code.into())
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl Child {
    /// Waits for its end.
    pub(crate) fn wait(self) -> Result<End, Errno> {
        let mut status = [0_u8; 4];
        call!(libc::SYS_wait4, self.0, &mut status, 0, 0)?;
        let status = i32::from_ne_bytes(status);
        Ok(if libc::WIFSIGNALED(status) {
            End::Signal(libc::WTERMSIG(status))
        } else {
            End::Code(libc::WEXITSTATUS(status))
        })
    }

    /// Whether it has not ended. It can be waited for all the same.
    pub(crate) fn is_alive(self) -> bool {
        let mut information = [0_u8; 128];
        let found = call!(
            libc::SYS_waitid,
            libc::P_PID,
            self.0,
            &mut information,
            libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
            0
        );
        // Without an end to tell, nothing is filled in.
        found.is_ok() && information.iter().all(|byte| *byte == 0)
    }

    /// Ends it.
    pub(crate) fn kill(self) {
        // It may have ended by itself.
        let _ = call!(libc::SYS_kill, self.0, libc::SIGKILL);
    }
}

/// Sleeps until a signal ends the process.
pub(crate) fn sleep_forever() -> ! {
    loop {
        // Whatever woke it, it sleeps on.
        let _ = call!(libc::SYS_ppoll, 0, 0, 0, 0, 0);
    }
}
