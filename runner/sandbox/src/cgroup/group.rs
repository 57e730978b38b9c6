//! A group for one task.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::Pid;

use super::counters;
use super::each::Each;
use super::error::CgroupError;
use super::files::{Files, OpenMode};
use super::hierarchies::{Hierarchies, Place};
use super::kill::{self, Means};
use super::leaf::{Leaf, Version, is_refusal, not_writable};
use super::limits::{Enforcement, Limit, Limits};
use super::owner::Owner;
use super::settings;

/// A group for one task: a folder in each hierarchy that is needed for its limits and for its end. Dropped before
/// [`Group::remove`], its processes are killed, and it is removed.
#[derive(Debug)]
#[must_use]
pub struct Group {
    files: Arc<dyn Files>,
    leaves: Vec<Leaf>,
    enforced: Each<Option<Enforcement>>,
    /// Where is counted how often a limit was met.
    counted: Each<Option<Leaf>>,
    means: Means,
}

/// What the kernel counted in a group. 0 is also what is not counted: where there is no group for it, or the kernel is
/// too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// Processes that the kernel killed for want of memory, be it for the group's limit, for that of a group above or
    /// for the whole machine. A `SIGKILL` without one came from elsewhere.
    pub oom_kills: u64,
    /// Processes and threads that were not started for the limit of them (`EAGAIN`).
    pub process_limit_hits: u64,
    /// Periods (of 100 ms; 1 s for limits of less than a hundredth of a processor) in which the group had to wait
    /// because its share of processor time was used up.
    pub cpu_throttled: u64,
    /// The most bytes of memory that were in use at one time; before Linux 5.19 version 2 does not tell.
    pub memory_peak: Option<u64>,
}

impl Group {
    /// Makes an empty group, with these limits, that is named after this process and `name`.
    ///
    /// A limit that this process may not set is passed over, and [`Group::enforced`] tells why. A group is made
    /// without limits as well, for [`Group::kill`].
    ///
    /// # Errors
    /// There is such a group, `name` or a limit is not possible, or the kernel does not do what it should. Nothing is
    /// left of the group then.
    pub fn create(hierarchies: &Hierarchies, name: &str, limits: &Limits) -> Result<Self, CgroupError> {
        limits.check()?;
        let owner = Owner::current().map_err(|source| CgroupError::Io {
            operation: "find this process in",
            path: PathBuf::from("/proc/self"),
            source,
        })?;
        let folder = owner.folder(name)?;
        let mut group = Self {
            files: Arc::clone(&hierarchies.files),
            leaves: Vec::new(),
            enforced: Each::default(),
            counted: Each::default(),
            means: Means::Signals,
        };
        // From here on what was made is removed as `group` is dropped.
        let mut asked = limits.each();
        let unified = match &hierarchies.unified {
            Ok(unified) => {
                asked = unified.bounded(asked);
                unified.hand_down(group.files.as_ref(), &asked)?;
                group.add(&unified.parent, &folder, Version::V2)?
            }
            Err(reason) => Err(reason.clone()),
        };
        for limit in Limit::ALL {
            let value = *asked.get(limit);
            let leaf = match (hierarchies.place(limit), value) {
                (Ok(Place::Unified), _) => unified.clone(),
                (Ok(Place::Legacy(parent)), Some(_)) => group.add(parent, &folder, Version::V1)?,
                (Ok(Place::Legacy(_)), None) => continue,
                (Err(reason), _) => Err(reason.to_owned()),
            };
            if let Some(value) = value {
                let enforcement = match &leaf {
                    Ok(leaf) => settings::limit(group.files.as_ref(), leaf, limit, value)?,
                    Err(reason) => Enforcement::NotEnforced {
                        reason: reason.clone(),
                    },
                };
                *group.enforced.get_mut(limit) = Some(enforcement);
            }
            *group.counted.get_mut(limit) = leaf.ok();
        }
        group.find_means(hierarchies, &folder, unified.err())?;
        Ok(group)
    }

    /// Chooses what ends the group's processes, and makes a folder with the freezer if that needs one.
    fn find_means(
        &mut self,
        hierarchies: &Hierarchies,
        folder: &str,
        reason: Option<String>,
    ) -> Result<(), CgroupError> {
        let reason = reason.unwrap_or_default();
        self.means = Means::of(self.files.as_ref(), &self.leaves, &reason);
        if !matches!(self.means, Means::Kill(_) | Means::Freeze(_))
            && let Ok(freezer) = &hierarchies.freezer
        {
            // Refused it is as if there were none, which the means tell.
            drop(self.add(freezer, folder, Version::V1)?);
            self.means = Means::of(self.files.as_ref(), &self.leaves, &reason);
        }
        Ok(())
    }

    /// Makes the folder in one hierarchy, if another controller of the same has not got it made; the inner error is
    /// why this process must not.
    fn add(
        &mut self,
        parent: &Path,
        name: &str,
        version: Version,
    ) -> Result<Result<Leaf, String>, CgroupError> {
        let folder = parent.join(name);
        if let Some(leaf) = self.leaves.iter().find(|leaf| leaf.folder == folder) {
            return Ok(Ok(leaf.clone()));
        }
        match self.files.make(&folder) {
            Ok(()) => {
                let leaf = Leaf { folder, version };
                self.leaves.push(leaf.clone());
                Ok(Ok(leaf))
            }
            Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {
                Err(CgroupError::Exists { path: folder })
            }
            Err(error) if is_refusal(&error) => Ok(Err(not_writable(parent, &error))),
            Err(source) => Err(CgroupError::Io {
                operation: "make the control group",
                path: folder,
                source,
            }),
        }
    }

    /// What came of a limit; `None` if it was not asked for.
    #[must_use]
    pub const fn enforced(&self, limit: Limit) -> Option<&Enforcement> {
        self.enforced.get(limit).as_ref()
    }

    /// By what [`Group::kill`] ends all processes of the group.
    #[must_use]
    pub fn killing(&self) -> Enforcement {
        self.means.enforcement()
    }

    /// The folders of the group.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.leaves.iter().map(|leaf| leaf.folder.as_path())
    }

    /// Descriptors, closed on `execve`, to each of which a process writes `0` to enter the group with all its threads
    /// and all that it starts from then on. None if there is no group. For use before the process enters a control
    /// group namespace or gives up its user: it is the opener's rights that count, since Linux 5.16.
    ///
    /// # Errors
    /// One cannot be opened.
    pub fn attach_files(&self) -> io::Result<Vec<OwnedFd>> {
        self.leaves
            .iter()
            .map(|leaf| self.files.open(&leaf.file("cgroup.procs"), OpenMode::Write))
            .collect()
    }

    /// Whether a process is in every folder of the group; in a group without any none is.
    ///
    /// # Errors
    /// The files of the group cannot be read.
    pub fn holds(&self, pid: Pid) -> io::Result<bool> {
        for leaf in &self.leaves {
            if !leaf.members(self.files.as_ref())?.contains(&pid) {
                return Ok(false);
            }
        }
        Ok(!self.leaves.is_empty())
    }

    /// What was counted up to now.
    #[must_use]
    pub fn events(&self) -> Events {
        let read = |leaf: &Leaf, name: &str| {
            let path = leaf.file(name);
            self.files
                .read(&path)
                .inspect_err(|error| tracing::debug!(path = %path.display(), %error, "counter not read"))
                .ok()
        };
        let count = |limit: Limit, legacy: &str, unified: &str, name: &str| {
            let leaf = self.counted.get(limit).as_ref()?;
            let file = match leaf.version {
                Version::V1 => legacy,
                Version::V2 => unified,
            };
            counters::value(&read(leaf, file)?, name)
        };
        let memory_peak = || {
            let leaf = self.counted.memory.as_ref()?;
            let text = match leaf.version {
                Version::V1 => read(leaf, "memory.max_usage_in_bytes"),
                Version::V2 => read(leaf, "memory.peak"),
            };
            std::str::from_utf8(&text?).ok()?.trim().parse().ok()
        };
        Events {
            oom_kills: count(Limit::Memory, "memory.oom_control", "memory.events", "oom_kill")
                .unwrap_or_default(),
            process_limit_hits: count(Limit::Processes, "pids.events", "pids.events", "max")
                .unwrap_or_default(),
            cpu_throttled: count(Limit::Cpu, "cpu.stat", "cpu.stat", "nr_throttled").unwrap_or_default(),
            memory_peak: memory_peak(),
        }
    }

    /// Whether no living process is in the group; one that ended and was not waited for is not living.
    ///
    /// # Errors
    /// The files of the group cannot be read.
    pub fn is_empty(&self) -> io::Result<bool> {
        for leaf in &self.leaves {
            if !leaf.is_empty(self.files.as_ref())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Kills every process of the group, also what left its session and its parent, and returns once none is left.
    /// Blocks for 5 seconds at most.
    ///
    /// # Errors
    /// There is no group, some processes do not die, or the files of the group cannot be used.
    pub fn kill(&self) -> Result<(), CgroupError> {
        kill::kill(self.files.as_ref(), &self.leaves, &self.means)
    }

    /// Kills what is in the group, and removes it. Blocks for 5 seconds at most after [`Group::kill`].
    ///
    /// # Errors
    /// As for [`Group::kill`], or the kernel refuses to remove a folder. The other folders are removed even so.
    pub fn remove(mut self) -> Result<(), CgroupError> {
        self.clear()
    }

    fn clear(&mut self) -> Result<(), CgroupError> {
        let leaves = std::mem::take(&mut self.leaves);
        let files = self.files.as_ref();
        let empty = |leaf: &Leaf| leaf.is_empty(files).unwrap_or(false);
        let mut result = if leaves.iter().all(empty) {
            Ok(())
        } else {
            kill::kill(files, &leaves, &self.means)
        };
        // One that is populated for good was waited for already.
        let deadline = if result.is_ok() {
            kill::removal_deadline()
        } else {
            std::time::Instant::now()
        };
        for leaf in leaves.iter().rev() {
            result = result.and(kill::remove(files, leaf, deadline));
        }
        result
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(%error, "control group not removed");
        }
    }
}

#[cfg(test)]
mod tests;
