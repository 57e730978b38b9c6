//! A running program with everything that it started.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ProcessError;
use crate::leader::{Leader, Usage};
use crate::pipe::{InputPipe, OutputPipe};
use crate::platform::{Anchor, Members};
use crate::streams::Streams;

/// How long to go on killing what does not die, as a process that waits for a dead disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often, and how many times, [`Tree::kill_now`] looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
const LOOKS: usize = 1000;

/// A running program with everything that it started. Dropped before [`Tree::end`], it is killed.
#[derive(Debug)]
pub struct Tree {
    leader: Leader,
    members: Members,
    stdin: Option<InputPipe>,
    stdout: Option<OutputPipe>,
    stderr: Option<OutputPipe>,
    /// Whether the main process passes `SIGTERM` and `SIGCONT` on to everything that it starts, so that only its own process
    /// group is sent them.
    relays: bool,
    anchor: Option<Anchor>,
    gone: bool,
}

impl Tree {
    pub(crate) const fn new(leader: Leader, members: Members, relays: bool) -> Self {
        Self {
            leader,
            members,
            relays,
            anchor: None,
            stdin: None,
            stdout: None,
            stderr: None,
            gone: false,
        }
    }

    /// Sets this process' ends of the pipes that are the standard streams of the main process ([`crate::streams`]).
    ///
    /// # Errors
    /// They are no pipes, or the runtime has no room for them.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with I/O, if there is one.
    pub fn set_pipes(&mut self, [stdin, stdout, stderr]: Streams) -> Result<(), ProcessError> {
        let receiver = |pipe: OwnedFd| Receiver::from_owned_fd(pipe).map(OutputPipe::new);
        let pipes = (|| {
            Ok((
                stdin.map(Sender::from_owned_fd).transpose()?,
                stdout.map(receiver).transpose()?,
                stderr.map(receiver).transpose()?,
            ))
        })();
        (self.stdin, self.stdout, self.stderr) =
            pipes.map_err(|source| self.watch_error("open the pipes of", source))?;
        Ok(())
    }

    /// The number of the main process, which is also that of its session and its process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.leader.pid().as_raw_pid().unsigned_abs()
    }

    /// The writing end of standard input, once, if it is a pipe.
    pub const fn take_stdin(&mut self) -> Option<InputPipe> {
        self.stdin.take()
    }

    /// The reading end of standard output, once, if it is a pipe.
    pub const fn take_stdout(&mut self) -> Option<OutputPipe> {
        self.stdout.take()
    }

    /// The reading end of standard error, once, if it is a pipe.
    pub const fn take_stderr(&mut self) -> Option<OutputPipe> {
        self.stderr.take()
    }

    /// What the main process used; `None` before it was waited for.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.leader.usage()
    }

    /// Names the process whose end ends everything that the main process started, and which the main process waits for:
    /// the first one of a process namespace. The tree is then ended through it, without looking at each member.
    ///
    /// # Errors
    /// There is no such process among the children of the main process.
    pub fn set_anchor(&mut self, pid: u32) -> io::Result<()> {
        self.anchor = Some(Anchor::new(pid, self.leader.pid())?);
        Ok(())
    }

    /// What looks at the memory of the main process and of what it started, for as long as it is not waited for.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub const fn memory(&self) -> crate::MemoryMeter {
        crate::MemoryMeter::new(self.leader.pid())
    }

    /// Waits for the main process to end. What it started may live on until [`Tree::end`]. May be dropped and called
    /// again.
    ///
    /// # Errors
    /// Something else waited for the process, or it cannot be watched.
    pub async fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        self.leader
            .wait()
            .await
            .map_err(|source| self.watch_error("wait for", source))
    }

    /// Sends a signal to the process group of the main process, as a terminal does.
    pub fn signal(&self, signal: Signal) {
        if self.leader.is_alive() || self.members.group().exists() {
            self.members.group().signal(signal);
        }
    }

    /// Ends everything: `SIGTERM` (and `SIGCONT`) to every member, `grace` to end by themselves, `SIGKILL` to what
    /// is left, until nothing is. Cheap if the main process was waited for and left nothing behind.
    ///
    /// # Errors
    /// The main process cannot be waited for, or does not die. Members that do not die within 5 seconds, or that
    /// this user must not signal, are left with a warning in the log.
    pub async fn end(&mut self, grace: Duration) -> Result<ExitStatus, ProcessError> {
        if self.leader.is_alive() || !self.members.is_empty() {
            for signal in [Signal::TERM, Signal::CONT] {
                if self.relays {
                    self.signal(signal);
                } else {
                    self.members.signal(signal);
                }
            }
            // Whether all ended in time is seen by the look that follows, and so is an error of the wait.
            drop(timeout(grace, self.emptied()).await);
            self.kill().await;
        }
        let status = match timeout(PATIENCE, self.leader.wait()).await {
            Ok(status) => status,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        };
        self.gone = true;
        status.map_err(|source| self.watch_error("end", source))
    }

    async fn kill(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        if let Some(anchor) = &self.anchor {
            anchor.kill();
            // What is left then is left to the look at each member.
            drop(timeout_at(deadline, self.leader.wait()).await);
        }
        while self.members.kill(self.leader.is_alive()) {
            if timeout_at(deadline, self.emptied()).await.is_err() {
                tracing::warn!(pid = self.pid(), "members of the process tree do not die");
                return;
            }
        }
    }

    async fn emptied(&mut self) {
        if self.anchor.is_some() {
            if let Err(error) = self.leader.wait().await {
                tracing::debug!(pid = self.leader.pid().as_raw_pid(), %error, "main process not waited for");
            }
            return;
        }
        let (status, ()) = tokio::join!(self.leader.wait(), self.members.emptied());
        if let Err(error) = status {
            tracing::debug!(pid = self.leader.pid().as_raw_pid(), %error, "main process not waited for");
        }
    }

    /// Kills everything at once, and blocks the thread until it is dead, for a second at most. For where nothing can
    /// be awaited; else [`Tree::end`].
    pub fn kill_now(&mut self) {
        if let Some(anchor) = &self.anchor {
            anchor.kill();
        }
        for _ in 0..LOOKS {
            let alive = self.leader.is_alive() && !matches!(self.leader.poll(), Ok(Some(_)) | Err(_));
            if !alive && self.members.is_empty() {
                break;
            }
            if !self.members.kill(alive) && !alive {
                break;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        self.gone = true;
    }

    fn watch_error(&self, action: &'static str, source: io::Error) -> ProcessError {
        ProcessError::Watch {
            action,
            pid: self.pid(),
            source,
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.gone {
            self.kill_now();
        }
    }
}
