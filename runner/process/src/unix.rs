//! Trees on systems without `/proc`: a tree is its process group.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use crate::group::Group;
use crate::mark::Mark;

/// How often a group is looked at while it ends.
const INTERVAL: Duration = Duration::from_millis(5);

#[expect(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(())
}

pub(crate) const fn start_time(_pid: Pid) -> Option<u64> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn die_with_parent(_parent: Pid) -> io::Result<()> {
    Ok(())
}

pub(crate) fn close_others_on_exec() {}

/// Tells when a child may have ended.
#[derive(Debug)]
pub(crate) struct Watch(Signals);

impl Watch {
    pub(crate) fn new(_child: Pid) -> io::Result<Self> {
        signal(SignalKind::child()).map(Self)
    }

    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        self.0.recv().await;
        Ok(())
    }
}

/// Everything that a tree's main process started and that stayed in its group.
#[derive(Debug)]
pub(crate) struct Members(Group);

impl Members {
    pub(crate) fn new(leader: Pid, _mark: Mark) -> Self {
        Self(Group(leader))
    }

    pub(crate) fn group(&self) -> Group {
        self.0
    }

    /// Whether nothing is left, once the main process was waited for.
    pub(crate) fn is_empty(&self) -> bool {
        !self.0.exists()
    }

    /// Sends a signal to everything.
    pub(crate) fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }

    /// Kills everything; whether there was something.
    pub(crate) fn kill(&self, _leader_alive: bool) -> bool {
        let found = self.0.exists();
        self.0.signal(Signal::KILL);
        found
    }

    /// Waits until nothing is left.
    pub(crate) async fn emptied(&self) {
        while self.0.exists() {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// The process whose end ends everything in a tree; there is no such thing on this system.
#[derive(Debug)]
pub(crate) enum Anchor {}

impl Anchor {
    pub(crate) fn new(_pid: u32, _leader: Pid) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn kill(&self) {
        match *self {}
    }
}
