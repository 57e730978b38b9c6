//! A terminal of the process' own.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Gid, Uid, fchown};
use rustix::process::{getpid, ioctl_tiocsctty, setpgid, setsid};
use rustix::termios::tcsetpgrp;
use wrun_process::{TerminalSize, open_terminal};

use crate::channel::Channel;
use crate::message::{Failure, Message, Step};
use crate::policy::Policy;

use super::step::Try as _;

/// Puts this process, which leads a session without a terminal, on a new one if the policy wants that: its standard
/// streams are that terminal then, and the side that shows it is handed over. What is returned is the terminal: while it
/// is open, a program that closes its own streams and opens `/dev/tty` again does not end the output.
///
/// The program is to be a group of this session, not its leader: a program whose parent is in another session cannot be
/// stopped from the keyboard (`setpgid(2)`, on orphaned process groups).
pub(super) fn take(policy: &Policy, channel: &Channel) -> Result<Option<OwnedFd>, Failure> {
    let Some((rows, columns)) = policy.terminal else {
        return Ok(None);
    };
    let (shown, terminal) = open_terminal(TerminalSize { rows, columns }).or_fail(Step::Terminal)?;
    if let Some((user, group)) = policy.identity.becomes {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        fchown(&terminal, Some(user), Some(group)).or_fail(Step::Terminal)?;
    }
    ioctl_tiocsctty(&terminal).or_fail(Step::Terminal)?;
    rustix::stdio::dup2_stdin(&terminal).or_fail(Step::Terminal)?;
    rustix::stdio::dup2_stdout(&terminal).or_fail(Step::Terminal)?;
    rustix::stdio::dup2_stderr(&terminal).or_fail(Step::Terminal)?;
    channel
        .send(&Message::Terminal, Some(shown.as_fd()))
        .or_fail(Step::Channel)?;
    Ok(Some(terminal))
}

/// Makes the process that becomes the program the foreground of its terminal, or the leader of a session where it has
/// none.
pub(super) fn lead(policy: &Policy) -> Result<(), Failure> {
    if policy.terminal.is_none() {
        return setsid().map(drop).or_fail(Step::Terminal);
    }
    setpgid(None, None).or_fail(Step::Terminal)?;
    // From the background it takes that the signal for it is held back (`tcsetpgrp(3)`), as all are here.
    tcsetpgrp(rustix::stdio::stdin(), getpid()).or_fail(Step::Terminal)
}
