//! A command that runs in a sandbox, and how it ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use tokio::io::unix::AsyncFd;
use tokio_util::sync::DropGuard;
use wrun_core::denial::Observation;
use wrun_core::sandbox::SandboxReport;
use wrun_process::Tree;

use crate::channel::Channel;
use crate::held::Held;
use crate::message::Message;
use crate::watch::{Observer, Watcher};

/// A command that runs.
#[derive(Debug)]
pub struct Confined {
    /// Its processes.
    pub tree: Tree,
    /// What is enforced.
    pub report: SandboxReport,
    channel: Option<AsyncFd<Channel>>,
    held: Option<Held>,
    _served: Option<DropGuard>,
    watcher: Option<Watcher>,
    observer: Option<Observer>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    /// Its status.
    pub status: ExitStatus,
    /// Why the program could not be executed (`errno(3)`), if it could not.
    pub not_executed: Option<i32>,
    /// Whether the kernel ended a process of it for want of memory under its limit.
    pub out_of_memory: bool,
    /// Whether it was refused a process under its limit.
    pub out_of_processes: bool,
    /// Whether its folders in memory were full when it ended.
    pub out_of_disk: bool,
}

impl Confined {
    pub(crate) const fn new(
        tree: Tree,
        channel: AsyncFd<Channel>,
        report: SandboxReport,
        held: Held,
        served: Option<DropGuard>,
        watcher: Option<Watcher>,
        observer: Option<Observer>,
    ) -> Self {
        Self {
            tree,
            report,
            channel: Some(channel),
            held: Some(held),
            _served: served,
            watcher,
            observer,
        }
    }

    pub(crate) const fn without(tree: Tree, report: SandboxReport, observer: Option<Observer>) -> Self {
        Self {
            tree,
            report,
            channel: None,
            held: None,
            _served: None,
            watcher: None,
            observer,
        }
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
            while let Ok(Some((message, _))) = channel.get_ref().receive() {
                match message {
                    Message::NotExecuted(errno) => conclusion.not_executed = Some(errno),
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
