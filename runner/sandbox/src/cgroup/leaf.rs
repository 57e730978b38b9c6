//! One folder of a group.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::Pid;

use super::counters;
use super::files::Files;

/// A version of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// A hierarchy for each controller or each few of them.
    V1,
    /// One hierarchy for all.
    V2,
}

/// The folder of a group in one hierarchy; nothing is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) folder: PathBuf,
    pub(super) version: Version,
}

impl Leaf {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The processes in it that this process's namespace knows by number. None are in one that was removed.
    pub(super) fn members(&self, files: &dyn Files) -> io::Result<Vec<Pid>> {
        let text = match files.read(&self.file("cgroup.procs")) {
            Ok(text) => text,
            Err(error) if is_removed(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // A process of a namespace that is not below this one is a 0.
        Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.trim().parse().ok().filter(|number| *number > 0))
            .filter_map(Pid::from_raw)
            .collect())
    }

    /// Whether no living process is in it.
    pub(super) fn is_empty(&self, files: &dyn Files) -> io::Result<bool> {
        let name = match self.version {
            Version::V1 => "cgroup.procs",
            Version::V2 => "cgroup.events",
        };
        match files.read(&self.file(name)) {
            Ok(text) => Ok(match self.version {
                Version::V1 => text.trim_ascii().is_empty(),
                Version::V2 => counters::value(&text, "populated") == Some(0),
            }),
            Err(error) if is_removed(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Whether the kernel said that there is no such group (any more).
pub(super) fn is_removed(error: &io::Error) -> bool {
    [Errno::NOENT, Errno::NODEV]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Whether the kernel said that this process must not.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    [Errno::ACCESS, Errno::PERM, Errno::ROFS]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// The same, as a reason for people.
pub(super) fn not_writable(path: &Path, error: &io::Error) -> String {
    format!("`{}` is not writable: {error}", path.display())
}
