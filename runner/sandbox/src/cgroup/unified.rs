//! Where a group of version 2 may be made (the kernel's `cgroup-v2.rst`).
//!
//! A group with processes of its own cannot hand controllers to groups below it ("no internal processes"), with the
//! exception of the root. This process is in its own group, and neither it nor its caller is moved from there. So a
//! limit of version 2 can be had below its own group if that is the root, and else beside it: in a parent that was
//! handed to this user. A group beside one's own is outside of the limits of one's own; it is not made where there
//! are such limits, other than on the number of processes, which is carried over.

use std::io;
use std::path::{Path, PathBuf};

use super::each::Each;
use super::error::CgroupError;
use super::files::Files;
use super::leaf::{is_removed, not_writable};
use super::limits::Limit;

const TYPE: &str = "cgroup.type";
const CONTROLLERS: &str = "cgroup.controllers";
const SUBTREE: &str = "cgroup.subtree_control";
const PROCESSES: &str = "cgroup.procs";

/// What would not hold any more in a group beside one's own.
const LIMITS: [&str; 6] = [
    "memory.max",
    "memory.high",
    "memory.swap.max",
    "cpu.max",
    "cpuset.cpus",
    "io.max",
];

/// Where a group of version 2 can be made, and what it can limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unified {
    /// The group above it.
    pub(super) parent: PathBuf,
    offers: Each<Result<Offer, String>>,
    /// The most processes that there may be in this process's own group, if the new one is not below that.
    processes_above: Option<u64>,
}

/// How a controller is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// Every group below the parent has it.
    HandedDown,
    /// The parent can be told to hand it down.
    OnDemand,
}

impl Unified {
    /// From the folder of this process's own group and the mount point above it; else why not, for people.
    pub(super) fn find(files: &dyn Files, own: &Path, point: &Path) -> Result<Self, String> {
        let below = Self::below(files, own);
        let beside = match own.parent() {
            Some(parent) if own != point => Some(Self::beside(files, own, parent, point)),
            Some(_) | None => None,
        };
        match (below, beside) {
            (below, None) => below,
            (Ok(below), Some(Ok(beside))) if beside.offered() <= below.offered() => Ok(below),
            (_, Some(Ok(beside))) => Ok(beside),
            (Ok(mut below), Some(Err(reason))) => {
                for limit in Limit::ALL {
                    if let Err(first) = below.offers.get_mut(limit) {
                        *first = format!("{first}; {reason}");
                    }
                }
                Ok(below)
            }
            (Err(first), Some(Err(second))) => Err(format!("{first}; {second}")),
        }
    }

    fn below(files: &dyn Files, own: &Path) -> Result<Self, String> {
        let may_hand_down = if is_root(files, own) {
            may_write(files, &own.join(SUBTREE))
        } else {
            Err(format!(
                "`{}` has processes, so it cannot hand controllers to groups below it",
                own.display()
            ))
        };
        Self::new(files, own, &may_hand_down)
    }

    fn beside(files: &dyn Files, own: &Path, parent: &Path, point: &Path) -> Result<Self, String> {
        // What is at the top of this namespace, or of what a container was given, was handed to whoever is inside.
        let top = parent == point && !is_root(files, parent);
        if !top && !files.is_delegated(parent) {
            return Err(format!("`{}` was not handed to this user", parent.display()));
        }
        if let Some(limit) = LIMITS.iter().find(|name| is_limit(files, &own.join(name))) {
            return Err(format!(
                "a group beside `{}` would escape its `{limit}`",
                own.display()
            ));
        }
        let may_hand_down = if is_root(files, parent) || is_blank(files, &parent.join(PROCESSES)) {
            may_write(files, &parent.join(SUBTREE))
        } else {
            Err(format!(
                "`{}` has processes, so it cannot hand controllers to groups below it",
                parent.display()
            ))
        };
        let mut place = Self::new(files, parent, &may_hand_down)?;
        place.processes_above = words(files, &own.join("pids.max"))
            .ok()
            .and_then(|words| words.first()?.parse().ok());
        match &place.offers.processes {
            Err(reason) if place.processes_above.is_some() => Err(reason.clone()),
            Ok(_) | Err(_) => Ok(place),
        }
    }

    fn new(files: &dyn Files, parent: &Path, may_hand_down: &Result<(), String>) -> Result<Self, String> {
        let unreadable = |name: &str, error: &io::Error| {
            format!("`{}` is not readable: {error}", parent.join(name).display())
        };
        if !is_root(files, parent) {
            let kind = words(files, &parent.join(TYPE)).map_err(|error| unreadable(TYPE, &error))?;
            if kind != ["domain"] {
                let kind = kind.join(" ");
                return Err(format!(
                    "`{}` is a `{kind}` group, below which none can have processes and limits",
                    parent.display()
                ));
            }
        }
        may_write(files, parent)?;
        // A process is moved only by who may write to this file of the group above both its groups.
        may_write(files, &parent.join(PROCESSES))?;
        let has = words(files, &parent.join(CONTROLLERS)).map_err(|error| unreadable(CONTROLLERS, &error))?;
        let hands_down = words(files, &parent.join(SUBTREE)).map_err(|error| unreadable(SUBTREE, &error))?;
        let offer = |limit: Limit| {
            let controller = limit.controller();
            if hands_down.iter().any(|name| name == controller) {
                Ok(Offer::HandedDown)
            } else if has.iter().any(|name| name == controller) {
                may_hand_down.clone().map(|()| Offer::OnDemand)
            } else {
                Err(format!(
                    "`{}` does not have the controller `{controller}`",
                    parent.display()
                ))
            }
        };
        Ok(Self {
            parent: parent.to_owned(),
            offers: Each::new(offer),
            processes_above: None,
        })
    }

    fn offered(&self) -> usize {
        Limit::ALL
            .into_iter()
            .filter(|limit| self.offers.get(*limit).is_ok())
            .count()
    }

    /// Whether a limit can be had, and else why not.
    pub(super) fn offers(&self, limit: Limit) -> Result<(), &str> {
        match self.offers.get(limit) {
            Ok(_) => Ok(()),
            Err(reason) => Err(reason),
        }
    }

    /// What is to be limited if these limits are asked for.
    pub(super) fn bounded(&self, mut limits: Each<Option<u64>>) -> Each<Option<u64>> {
        if let Some(above) = self.processes_above {
            limits.processes = Some(limits.processes.map_or(above, |asked| asked.min(above)));
        }
        limits
    }

    /// Has the parent hand down what these limits need. That is not undone: others may rely on it by then.
    pub(super) fn hand_down(&self, files: &dyn Files, limits: &Each<Option<u64>>) -> Result<(), CgroupError> {
        for limit in Limit::ALL {
            if limits.get(limit).is_some() && matches!(self.offers.get(limit), Ok(Offer::OnDemand)) {
                let path = self.parent.join(SUBTREE);
                files
                    .write(&path, &format!("+{}", limit.controller()))
                    .map_err(|source| CgroupError::Io {
                        operation: "hand a controller down in",
                        path,
                        source,
                    })?;
            }
        }
        Ok(())
    }
}

/// Whether it is the root of the whole hierarchy, not only of this namespace: that has no type.
fn is_root(files: &dyn Files, folder: &Path) -> bool {
    !files.exists(&folder.join(TYPE))
}

fn is_blank(files: &dyn Files, path: &Path) -> bool {
    files.read(path).is_ok_and(|text| text.trim_ascii().is_empty())
}

/// Whether a file of a limit is there and says other than that there is none.
fn is_limit(files: &dyn Files, path: &Path) -> bool {
    match words(files, path) {
        Ok(words) => words.first().is_some_and(|first| first != "max"),
        Err(error) => !is_removed(&error),
    }
}

fn words(files: &dyn Files, path: &Path) -> io::Result<Vec<String>> {
    let text = files.read(path)?;
    Ok(String::from_utf8_lossy(&text)
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect())
}

fn may_write(files: &dyn Files, path: &Path) -> Result<(), String> {
    files.may_write(path).map_err(|error| not_writable(path, &error))
}

#[cfg(test)]
mod tests;
