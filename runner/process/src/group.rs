//! The process group of a tree.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// The process group that a tree's main process leads. Its number stays taken for as long as it has a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group(pub(crate) Pid);

impl Group {
    /// Whether it has a member that can be signalled; a process that ended and was not waited for is one.
    pub(crate) fn exists(self) -> bool {
        test_kill_process_group(self.0).is_ok()
    }

    /// Sends a signal to every member. One that is gone, or that this user must not signal, is passed over.
    pub(crate) fn signal(self, signal: Signal) {
        if let Err(error) = kill_process_group(self.0, signal) {
            tracing::debug!(group = self.0.as_raw_pid(), ?signal, %error, "group not signalled");
        }
    }
}
