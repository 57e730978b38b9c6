//! The end of all processes of a group.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::counters;
use super::error::CgroupError;
use super::files::{Files, OpenMode};
use super::leaf::{Leaf, Version, is_removed};
use super::limits::Enforcement;

/// How long to wait for processes to die, as one that waits for a dead disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for processes to stand still. One that does not yet is killed like the others, and what it
/// started meanwhile in the next round.
const FREEZE_PATIENCE: Duration = Duration::from_millis(100);

/// How often to look at what cannot be waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// How many processes are held by a descriptor at one time.
const BATCH: usize = 64;

/// By what all processes of a group are ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Means {
    /// `cgroup.kill` of this group of version 2 (Linux 5.14): at once, and nothing can be started meanwhile.
    Kill(Leaf),
    /// They are made to stand still and then killed: `cgroup.freeze` (Linux 5.2), or the freezer of version 1.
    Freeze(Leaf),
    /// They are killed one by one, until none is left.
    Signals,
    /// There is no group.
    Nothing {
        /// Why not.
        reason: String,
    },
}

impl Means {
    /// The best there is.
    pub(super) fn of(files: &dyn Files, leaves: &[Leaf], reason: &str) -> Self {
        let having = |name: &'static str| leaves.iter().find(|leaf| files.exists(&leaf.file(name))).cloned();
        if let Some(leaf) = having("cgroup.kill") {
            Self::Kill(leaf)
        } else if let Some(leaf) = having("cgroup.freeze").or_else(|| having("freezer.state")) {
            Self::Freeze(leaf)
        } else if leaves.is_empty() {
            Self::Nothing {
                reason: reason.to_owned(),
            }
        } else {
            Self::Signals
        }
    }

    pub(super) fn enforcement(&self) -> Enforcement {
        match self {
            Self::Kill(_) => Enforcement::Enforced {
                by: "cgroup.kill of cgroup v2",
            },
            Self::Freeze(leaf) => Enforcement::Enforced {
                by: match leaf.version {
                    Version::V1 => "freezer.state of cgroup v1",
                    Version::V2 => "cgroup.freeze of cgroup v2",
                },
            },
            Self::Signals => Enforcement::Partial {
                by: "SIGKILL to each process of the control group",
                missing: "processes can start others while they are killed".into(),
            },
            Self::Nothing { reason } => Enforcement::NotEnforced {
                reason: reason.clone(),
            },
        }
    }
}

/// Kills every process of the group, and returns once none is left.
///
/// # Errors
/// Some do not die, or the files of the group cannot be used.
pub(super) fn kill(files: &dyn Files, leaves: &[Leaf], means: &Means) -> Result<(), CgroupError> {
    let deadline = Instant::now() + PATIENCE;
    match means {
        Means::Kill(leaf) => {
            let path = leaf.file("cgroup.kill");
            match files.write(&path, "1") {
                Ok(()) => drop(wait_empty(files, leaf, deadline)?),
                Err(error) if is_removed(&error) => {}
                Err(source) => {
                    return Err(CgroupError::Io {
                        operation: "kill the processes by",
                        path,
                        source,
                    });
                }
            }
        }
        Means::Freeze(_) | Means::Signals => {}
        Means::Nothing { reason } => {
            return Err(CgroupError::NoGroup {
                operation: "kill",
                reason: reason.clone(),
            });
        }
    }
    // What is in some folders of the group only, and all of it where there is no `cgroup.kill`.
    while let Some(leaf) = populated(files, leaves)? {
        if Instant::now() >= deadline {
            return Err(CgroupError::Populated {
                path: leaf.folder.clone(),
            });
        }
        if let Means::Freeze(freezer) = means {
            freeze(files, freezer);
        }
        let dying = signal_members(files, leaves);
        if let Means::Freeze(freezer) = means {
            thaw(files, freezer);
        }
        for process in dying? {
            wait_until(&process, PollFlags::IN, deadline);
        }
        if populated(files, leaves)?.is_some() {
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
    Ok(())
}

/// Waits until there is no living process in the folder, and tells whether that came true in time.
pub(super) fn wait_empty(files: &dyn Files, leaf: &Leaf, deadline: Instant) -> Result<bool, CgroupError> {
    let events = match leaf.version {
        Version::V1 => None,
        Version::V2 => match files.open(&leaf.file("cgroup.events"), OpenMode::Read) {
            Ok(events) => Some(events),
            Err(error) if is_removed(&error) => return Ok(true),
            Err(source) => return Err(io_error("watch", &leaf.folder, source)),
        },
    };
    loop {
        let empty = match &events {
            Some(events) => is_unpopulated(events),
            None => leaf.is_empty(files),
        };
        if empty.map_err(|source| io_error("watch", &leaf.folder, source))? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        match &events {
            // The kernel tells of a change since the last reading.
            Some(events) => wait_until(events, PollFlags::PRI, deadline),
            None => std::thread::sleep(LOOK_INTERVAL),
        }
    }
}

/// How long the removal of a group may take.
pub(super) fn removal_deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// Removes the folder of a group. The kernel refuses for a moment after the last process died.
pub(super) fn remove(files: &dyn Files, leaf: &Leaf, deadline: Instant) -> Result<(), CgroupError> {
    loop {
        match files.remove(&leaf.folder) {
            Ok(()) => return Ok(()),
            Err(error) if is_removed(&error) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                if Instant::now() >= deadline {
                    return Err(CgroupError::Populated {
                        path: leaf.folder.clone(),
                    });
                }
                if wait_empty(files, leaf, deadline)? {
                    std::thread::sleep(LOOK_INTERVAL);
                }
            }
            Err(source) => return Err(io_error("remove", &leaf.folder, source)),
        }
    }
}

fn is_unpopulated(events: &OwnedFd) -> io::Result<bool> {
    let mut text = [0; 256];
    match rustix::io::pread(events, &mut text, 0) {
        Ok(length) => {
            let text = text.get(..length).unwrap_or_default();
            Ok(counters::value(text, "populated") == Some(0))
        }
        Err(Errno::NODEV) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn populated<'a>(files: &dyn Files, leaves: &'a [Leaf]) -> Result<Option<&'a Leaf>, CgroupError> {
    for leaf in leaves {
        let empty = leaf
            .is_empty(files)
            .map_err(|source| io_error("read the processes of", &leaf.folder, source))?;
        if !empty {
            return Ok(Some(leaf));
        }
    }
    Ok(None)
}

fn members(files: &dyn Files, leaves: &[Leaf]) -> Result<HashSet<Pid>, CgroupError> {
    let mut members = HashSet::new();
    for leaf in leaves {
        let of_leaf = leaf.members(files);
        members.extend(of_leaf.map_err(|source| io_error("read the processes of", &leaf.folder, source))?);
    }
    Ok(members)
}

/// Sends `SIGKILL` to each, and returns descriptors of the last of them to wait for.
fn signal_members(files: &dyn Files, leaves: &[Leaf]) -> Result<Vec<OwnedFd>, CgroupError> {
    let all: Vec<_> = members(files, leaves)?.into_iter().collect();
    let mut last = Vec::new();
    for batch in all.chunks(BATCH) {
        let opened: Vec<_> = batch
            .iter()
            .map(|pid| (*pid, pidfd_open(*pid, PidfdFlags::empty())))
            .collect();
        // A number can be another process's since it was read. One that is in the group still, after the descriptor
        // was opened, was in it when the descriptor was opened.
        let still = members(files, leaves)?;
        last.clear();
        for (pid, process) in opened {
            if !still.contains(&pid) {
                continue;
            }
            let sent = match &process {
                Ok(process) => pidfd_send_signal(process, Signal::KILL),
                Err(Errno::SRCH) => Ok(()),
                Err(_) => kill_process(pid, Signal::KILL),
            };
            match sent {
                Ok(()) | Err(Errno::SRCH) => last.extend(process.ok()),
                Err(error) => tracing::warn!(pid = pid.as_raw_pid(), %error, "process not killed"),
            }
        }
    }
    Ok(last)
}

fn freeze(files: &dyn Files, leaf: &Leaf) {
    let frozen = || match leaf.version {
        Version::V1 => files
            .read(&leaf.file("freezer.state"))
            .is_ok_and(|text| text.trim_ascii() == b"FROZEN"),
        Version::V2 => files
            .read(&leaf.file("cgroup.events"))
            .is_ok_and(|text| counters::value(&text, "frozen") == Some(1)),
    };
    write_freezer(files, leaf, "FROZEN", "1");
    let deadline = Instant::now() + FREEZE_PATIENCE;
    while !frozen() && Instant::now() < deadline {
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn thaw(files: &dyn Files, leaf: &Leaf) {
    write_freezer(files, leaf, "THAWED", "0");
}

/// Without it processes are killed as well, if not all in one round.
fn write_freezer(files: &dyn Files, leaf: &Leaf, legacy: &str, unified: &str) {
    let written = match leaf.version {
        Version::V1 => files.write(&leaf.file("freezer.state"), legacy),
        Version::V2 => files.write(&leaf.file("cgroup.freeze"), unified),
    };
    if let Err(error) = written {
        tracing::debug!(group = %leaf.folder.display(), %error, "state of the freezer not changed");
    }
}

/// Waits for an event of a descriptor, at most until the deadline. What came of it is for the caller to look at.
fn wait_until(descriptor: &OwnedFd, event: PollFlags, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).unwrap_or_default();
    match poll(&mut [PollFd::new(descriptor, event)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => {
            tracing::debug!(%error, "descriptor not watched");
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> CgroupError {
    CgroupError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}
