//! Members of a tree on Linux.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, child_subreaper, getpid, getppid, kill_process, pidfd_open,
    pidfd_send_signal, set_child_subreaper, set_parent_process_death_signal, waitpid,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use crate::group::Group;
use crate::mark::Mark;
use crate::procfs::{self, Process};

/// How often a process is looked at that cannot be waited for.
const INTERVAL: Duration = Duration::from_millis(5);

/// After how many looks that each found new members they are killed without having been stopped first.
const FREEZE_ROUNDS: usize = 64;

/// The first descriptor after the standard streams.
const FIRST_OTHER: libc::c_uint = 3;

pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

pub(crate) fn start_time(pid: Pid) -> Option<u64> {
    procfs::process(pid)
        .filter(|process| !process.ended)
        .map(|process| process.started)
}

/// Run between fork and exec: system calls only.
pub(crate) fn die_with_parent(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended before the call; no signal comes for that.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(Errno::SRCH.into())
    }
}

/// Run between fork and exec: system calls only.
#[expect(unsafe_code, reason = "there is no safe close_range(2)")]
pub(crate) fn close_others_on_exec() {
    // SAFETY: nothing is closed here; descriptors only get the flag that closes them in a successful execve. A
    // kernel that does not know the call changes nothing.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_OTHER,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

/// Tells when a child may have ended.
#[derive(Debug)]
pub(crate) enum Watch {
    /// A descriptor of the process (Linux 5.3).
    Descriptor(AsyncFd<OwnedFd>),
    /// The signal that every child's end sends.
    Signal(Signals),
}

impl Watch {
    pub(crate) fn new(child: Pid) -> io::Result<Self> {
        match pidfd_open(child, PidfdFlags::empty()) {
            Ok(descriptor) => register(descriptor).map(Self::Descriptor),
            Err(_) => signal(SignalKind::child()).map(Self::Signal),
        }
    }

    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        match self {
            Self::Descriptor(descriptor) => descriptor.ready(Interest::READABLE).await.map(drop),
            Self::Signal(signals) => {
                signals.recv().await;
                Ok(())
            }
        }
    }
}

/// The process whose end ends everything in a tree.
#[derive(Debug)]
pub(crate) struct Anchor(OwnedFd);

impl Anchor {
    pub(crate) fn new(pid: u32, leader: Pid) -> io::Result<Self> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Errno::SRCH)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        // The number may have gone to another process before it was opened; from here on it is this one's.
        match procfs::process(pid) {
            Some(process) if process.parent == Some(leader) => Ok(Self(descriptor)),
            _ => Err(Errno::SRCH.into()),
        }
    }

    pub(crate) fn kill(&self) {
        if let Err(error) = pidfd_send_signal(&self.0, Signal::KILL) {
            tracing::debug!(%error, "anchor not killed");
        }
    }
}

/// Everything that a tree's main process started, itself included.
#[derive(Debug)]
pub(crate) struct Members {
    leader: Pid,
    /// When the main process started; nothing older belongs to the tree. 0 where `/proc` cannot be read.
    started: u64,
    mark: Mark,
}

impl Members {
    /// To be made before the main process is waited for.
    pub(crate) fn new(leader: Pid, mark: Mark) -> Self {
        let started = procfs::process(leader).map_or(0, |process| process.started);
        Self {
            leader,
            started,
            mark,
        }
    }

    pub(crate) fn group(&self) -> Group {
        Group(self.leader)
    }

    /// Whether nothing is left, once the main process was waited for. Cheap; may say no where nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        // Whatever left the group and lost its parents is a child of this process now, if orphans come here at all.
        !self.group().exists()
            && (getpid() == Pid::INIT || matches!(child_subreaper(), Ok(Some(_))))
            && procfs::own_children().is_some_and(|children| {
                !children
                    .into_iter()
                    .filter_map(procfs::process)
                    .any(|child| self.is_root(&child))
            })
    }

    /// Sends a signal to everything.
    pub(crate) fn signal(&self, signal: Signal) {
        for process in self.living() {
            send(&process, signal);
        }
    }

    /// Kills everything; whether there was something.
    ///
    /// Members are stopped until a look finds no new one: what is stopped does not start others, so none slips
    /// away between the look and the kill.
    pub(crate) fn kill(&self, leader_alive: bool) -> bool {
        let mut stopped = HashSet::new();
        for round in 0.. {
            let living = self.living();
            let fresh: Vec<&Process> = living
                .iter()
                .filter(|process| !stopped.contains(&(process.pid, process.started)))
                .collect();
            if fresh.is_empty() || round == FREEZE_ROUNDS {
                for process in &living {
                    send(process, Signal::KILL);
                }
                if leader_alive {
                    self.group().signal(Signal::KILL);
                }
                return !living.is_empty();
            }
            for process in fresh {
                send(process, Signal::STOP);
                stopped.insert((process.pid, process.started));
            }
        }
        false
    }

    /// Waits until nothing is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let living = self.living();
            if living.is_empty() {
                return;
            }
            for process in living {
                ended(&process).await;
            }
        }
    }

    /// Every member that did not end yet. Those that ended and are children of this process are reaped, but for the
    /// main process.
    fn living(&self) -> Vec<Process> {
        let own = getpid();
        let mut others = procfs::processes();
        others.retain(|process| process.pid != own && process.started >= self.started);
        let (mut members, mut others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|process| self.is_root(process));
        let mut numbers: HashSet<Pid> = members.iter().map(|process| process.pid).collect();
        loop {
            let (found, rest): (Vec<_>, Vec<_>) = others
                .into_iter()
                .partition(|process| process.parent.is_some_and(|parent| numbers.contains(&parent)));
            if found.is_empty() {
                break;
            }
            numbers.extend(found.iter().map(|process| process.pid));
            members.extend(found);
            others = rest;
        }
        members.retain(|process| {
            if process.ended && process.parent == Some(own) && process.pid != self.leader {
                reap(process.pid);
            }
            !process.ended
        });
        members
    }

    /// Whether a process is known as a member without looking at its ancestors.
    fn is_root(&self, process: &Process) -> bool {
        if process.pid == self.leader {
            return process.started == self.started;
        }
        process.started >= self.started
            && (process.session == Some(self.leader) || procfs::has_mark(process.pid, &self.mark))
    }
}

/// Sends a signal to exactly this process, not to another that got its number.
fn send(process: &Process, signal: Signal) {
    let sent = match pidfd_open(process.pid, PidfdFlags::empty()) {
        Ok(descriptor) => match procfs::process(process.pid) {
            Some(found) if found.is(process) => pidfd_send_signal(descriptor, signal),
            _ => return,
        },
        Err(Errno::SRCH) => return,
        Err(_) => kill_process(process.pid, signal),
    };
    if let Err(error) = sent {
        tracing::debug!(pid = process.pid.as_raw_pid(), ?signal, %error, "process not signalled");
    }
}

#[expect(
    unsafe_code,
    reason = "registering a descriptor with the runtime asks for a promise about it"
)]
fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open and the same until it is dropped, which the registration does last.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

/// Waits until a process ended, whosever child it is.
async fn ended(process: &Process) {
    let is_there = || procfs::process(process.pid).is_some_and(|found| found.is(process) && !found.ended);
    let watch = match pidfd_open(process.pid, PidfdFlags::empty()) {
        Ok(descriptor) => register(descriptor).ok(),
        Err(_) => None,
    };
    while is_there() {
        let ready = match &watch {
            Some(watch) => watch
                .ready(Interest::READABLE)
                .await
                .map(|guard| guard.ready())
                .ok(),
            None => None,
        };
        // A process that a debugger holds is reported as ended before it is.
        if ready.is_none_or(Ready::is_readable) && is_there() {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

fn reap(child: Pid) {
    if let Err(error) = waitpid(Some(child), WaitOptions::NOHANG) {
        tracing::debug!(pid = child.as_raw_pid(), %error, "orphan not reaped");
    }
}
