//! Watching what a process is refused (`seccomp_unotify(2)`).
//!
//! Each call that names a path or an address waits until it was looked at, and then goes on: whether it is done the
//! other layers say, as they do without a watcher. Calls that the filter refuses are answered with the filter's own
//! error. Nothing is decided by what pointers point to, and when the watcher ends early every watched call fails.

mod address;
mod asked;
mod call;
mod caller;
mod interpreter;
mod judge;
mod notification;
mod operations;
mod sockets;
mod suggest;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::pipe::{PipeFlags, pipe_with};
use wrun_core::denial::{Denial, Observation};
use wrun_core::grants::Access;
use wrun_core::sandbox::Tier;

use crate::error::SandboxError;
use crate::platform::Refusing;
use crate::policy::{Network, Policy};

use asked::Asked;
use call::{Need, Place};
use caller::Caller;
use judge::{Judge, Refused};
use notification::{Answer, Notifications};
#[cfg(test)]
pub(crate) use operations::is_named;
pub(crate) use sockets::SocketGuard;

/// As many refusals are kept; more are only counted.
const MOST: usize = 4096;

/// As many paths are remembered as looked at before.
const REMEMBERED: usize = 64 * 1024;

/// Hears, once a command ended, what it was refused.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Observation) + Send + Sync>);

impl Observer {
    /// One that is called once for each command that ran.
    pub fn new(observer: impl Fn(Observation) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observer))
    }

    pub(crate) fn tell(&self, observation: Observation) {
        (self.0)(observation);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Observer").finish_non_exhaustive()
    }
}

/// Watches a command from a thread of its own. When it is dropped the watching ends, and watched calls fail.
#[derive(Debug)]
pub(crate) struct Watcher {
    thread: JoinHandle<Observation>,
    /// The thread ends when this is closed.
    stop: OwnedFd,
}

impl Watcher {
    /// Starts to answer notifications.
    pub(crate) fn start(notifications: OwnedFd, policy: &Policy) -> Result<Self, SandboxError> {
        let mut watch = Watch::new(policy).map_err(|failure| SandboxError::SetUp { failure })?;
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let thread = thread::Builder::new()
            .name("wrun-watch".to_owned())
            .spawn(move || {
                let notifications = Notifications::new(notifications);
                if let Err(error) = watch.serve(&notifications, &stopped) {
                    tracing::warn!(%error, "the task is watched no longer");
                    watch.broken = Some(error.to_string());
                }
                watch.into_observation()
            })?;
        Ok(Self { thread, stop })
    }

    /// What was seen. To be called once nothing is left of the command.
    pub(crate) fn finish(self) -> Observation {
        drop(self.stop);
        self.thread
            .join()
            .unwrap_or_else(|_| Observation::impossible("the watcher failed"))
    }
}

/// What is known of a command that is watched.
struct Watch {
    refusing: Refusing,
    judge: Judge,
    tier: Tier,
    keeps_modes: bool,
    network: Network,
    looked_at: HashSet<Place>,
    paths: Vec<Refused>,
    /// Where in `paths` something is: a task may be refused as much as it likes.
    numbers: HashMap<(PathBuf, Access), usize>,
    others: Vec<Denial>,
    known: HashSet<Denial>,
    unlisted: usize,
    broken: Option<String>,
}

impl Watch {
    fn new(policy: &Policy) -> Result<Self, crate::Failure> {
        Ok(Self {
            refusing: Refusing::of(policy)?,
            judge: Judge::new(policy),
            tier: policy.tier,
            keeps_modes: policy.keeps_modes,
            network: policy.network,
            looked_at: HashSet::new(),
            paths: Vec::new(),
            numbers: HashMap::new(),
            others: Vec::new(),
            known: HashSet::new(),
            unlisted: 0,
            broken: None,
        })
    }

    fn serve(&mut self, notifications: &Notifications, stopped: &OwnedFd) -> io::Result<()> {
        while let Some(told) = notifications.next(stopped.as_fd())? {
            if let Some(errno) = self.refusing.errno(&told.data) {
                self.add(operations::operation(&told.data, self.tier, self.keeps_modes));
                notifications.answer(told.id, Answer::Fail(errno))?;
                continue;
            }
            let caller = Caller::new(told.pid);
            let asked = Asked::of(caller, &told.data, self.network);
            if notifications.is_waiting(told.id) {
                self.look(caller, asked);
            }
            notifications.answer(told.id, Answer::Continue)?;
        }
        Ok(())
    }

    fn look(&mut self, caller: Caller, asked: Asked) {
        for place in asked.places {
            if self.looked_at.len() >= REMEMBERED {
                self.looked_at.clear();
            }
            if !self.looked_at.insert(place.clone()) {
                continue;
            }
            match self.judge.judge(caller, &place) {
                Some(refused) => self.add_path(refused),
                None => self.look_at_interpreter(caller, &place),
            }
        }
        asked.denial.into_iter().for_each(|denial| self.add(denial));
    }

    /// A script needs what runs it.
    fn look_at_interpreter(&mut self, caller: Caller, script: &Place) {
        if script.need != Need::Execute {
            return;
        }
        let Some(path) = interpreter::of_script(&script.path) else {
            return;
        };
        let interpreter = Place {
            path,
            need: Need::Execute,
            follow: true,
        };
        if let Some(refused) = self.judge.judge(caller, &interpreter) {
            self.add_path(refused);
        }
    }

    fn add_path(&mut self, refused: Refused) {
        let key = (refused.asked.clone(), refused.access);
        let number = self.numbers.get(&key).copied();
        if let Some(known) = number.and_then(|number| self.paths.get_mut(number)) {
            known.glance &= refused.glance;
        } else if self.paths.len() < MOST {
            self.numbers.insert(key, self.paths.len());
            self.paths.push(refused);
        } else {
            self.unlisted += 1;
        }
    }

    fn add(&mut self, denial: Denial) {
        if self.known.contains(&denial) {
            return;
        }
        if self.others.len() < MOST {
            self.known.insert(denial.clone());
            self.others.push(denial);
        } else {
            self.unlisted += 1;
        }
    }

    fn into_observation(self) -> Observation {
        let mut denials = suggest::denials(&self.paths);
        denials.extend(self.others);
        denials.sort_by_key(|denial| denial.kind);
        Observation {
            denials,
            unlisted: self.unlisted,
            unobserved: self.broken,
        }
    }
}
