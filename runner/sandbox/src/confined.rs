//! A command that runs in a sandbox, and how it ended.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::unix::AsyncFd;
use tokio_util::sync::{CancellationToken, DropGuard};
use wrun_core::denial::Observation;
use wrun_core::sandbox::SandboxReport;
use wrun_process::Tree;

use crate::channel::Channel;
use crate::held::Held;
use crate::memory::{self, MemoryWatch};
use crate::message::{Message, NotExecuted};
use crate::watch::{Observer, SocketGuard, Watcher};

/// A command that runs.
#[derive(Debug)]
pub struct Confined {
    /// Its processes.
    pub tree: Tree,
    /// What is enforced.
    pub report: SandboxReport,
    /// The side that shows its terminal, if it was given one; for [`wrun_process::Terminal`].
    pub terminal: Option<OwnedFd>,
    /// Whether what the program starts is kept off the network that the program has.
    pub children_offline: bool,
    pub(crate) channel: Option<Arc<AsyncFd<Channel>>>,
    /// What was said already.
    pub(crate) heard: Arc<Mutex<Vec<Message>>>,
    pub(crate) held: Option<Held>,
    pub(crate) _served: Vec<DropGuard>,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) sockets: Option<SocketGuard>,
    pub(crate) observer: Option<Observer>,
    /// Its terminal, where no helper keeps that open.
    pub(crate) _open: Option<OwnedFd>,
}

/// Tells when a command on a terminal was stopped, as Ctrl-Z does, and waits for `SIGCONT`.
#[derive(Debug)]
pub struct Stops {
    channel: Option<Arc<AsyncFd<Channel>>>,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Stops {
    /// Waits for the next time; never done if there is none. May be dropped and called again.
    pub async fn next(&mut self) {
        if let Some(channel) = &self.channel {
            while let Ok(Some((message, _))) = receive(channel).await {
                if message == Message::Stopped {
                    return;
                }
                self.heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(message);
            }
        }
        std::future::pending::<()>().await;
    }
}

/// The next message of a helper with what came along; nothing once all of it is gone.
pub(crate) async fn receive(channel: &AsyncFd<Channel>) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
    loop {
        let mut ready = channel.readable().await?;
        match ready.try_io(|channel| channel.get_ref().receive()) {
            Ok(received) => return received,
            Err(_would_block) => {}
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// Its status.
    pub status: ExitStatus,
    /// Why the program could not be executed, if it could not.
    pub not_executed: Option<NotExecuted>,
    /// Whether the kernel ended a process of it for want of memory under its limit.
    pub out_of_memory: bool,
    /// Whether it was refused a process under its limit.
    pub out_of_processes: bool,
    /// Whether its folders in memory were full when it ended.
    pub out_of_disk: bool,
}

impl Confined {
    /// When it is stopped. For one that has no terminal that never happens.
    #[must_use]
    pub fn stops(&self) -> Stops {
        Stops {
            channel: self.channel.clone(),
            heard: Arc::clone(&self.heard),
        }
    }

    /// Looks at its memory from outside, where that is how a limit of it is held, and cancels `exceeded` once it has more.
    /// To be kept for as long as it runs.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn watch_memory(&self, exceeded: &CancellationToken) -> io::Result<Option<MemoryWatch>> {
        let watched = self.held.as_ref().and_then(|held| Some((held, held.watched?)));
        watched
            .map(|(held, limit)| {
                let noted = Arc::clone(&held.seen_over);
                memory::watch(self.tree.memory(), limit, noted, exceeded.clone())
            })
            .transpose()
    }

    /// Whether something that the program started was refused the network that the program has.
    #[must_use]
    pub fn has_refused_children(&self) -> bool {
        self.sockets.as_ref().is_some_and(SocketGuard::has_refused)
    }

    /// How it ended, once its tree did. `status` is that of the tree's main process.
    #[must_use]
    pub fn conclude(self, status: ExitStatus) -> Conclusion {
        let mut conclusion = Conclusion {
            status,
            not_executed: None,
            out_of_memory: false,
            out_of_processes: false,
            out_of_disk: false,
        };
        if let Some(channel) = &self.channel {
            // A helper that was ended from outside says nothing, and its command was killed with it.
            conclusion.status = ExitStatus::from_raw(libc::SIGKILL);
            let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
            let rest = std::iter::from_fn(|| channel.get_ref().receive().ok().flatten());
            for message in heard.into_iter().chain(rest.map(|(message, _)| message)) {
                match message {
                    Message::NotExecuted(reason) => conclusion.not_executed = Some(reason),
                    Message::Ended { status, full } => {
                        conclusion.status = ExitStatus::from_raw(status);
                        conclusion.out_of_disk = full;
                    }
                    _ => {}
                }
            }
        }
        if let Some(observer) = &self.observer {
            observer.tell(match self.watcher {
                Some(watcher) => watcher.finish(),
                None if self.channel.is_none() => {
                    Observation::impossible("the task runs without a sandbox, which refuses it nothing")
                }
                None => Observation::impossible(
                    "this kernel tells nobody of refused calls, or tells another program that watches this one",
                ),
            });
        }
        if let Some(held) = self.held {
            (conclusion.out_of_memory, conclusion.out_of_processes) = held.exceeded();
        }
        conclusion
    }
}
