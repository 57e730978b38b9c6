//! Leases: the right to use an environment.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::File;
use wrun_core::id::EnvId;

use crate::environment::{CommitRecord, Environment, committed, intact};
use crate::error::StoreError;
use crate::layout;
use crate::lock_file::{self, Hold};
use crate::part::PartLease;
use crate::root::Root;
use crate::store::Store;

/// The right to use an environment. While anybody holds one, the environment is not removed.
///
/// It is a shared `flock(2)`, which belongs to the open file and not to a process: it ends when the last descriptor
/// is closed, so a task that inherits [`Lease::inheritable_fds`] keeps its environment also when its parent is killed.
/// Take it before the environment is looked up or built, so that no removal falls between.
#[derive(Debug)]
pub struct Lease {
    root: Arc<Root>,
    id: EnvId,
    file: File,
    /// The leases of its parts, since it was found to be complete.
    parts: Mutex<Vec<PartLease>>,
}

impl Lease {
    /// The environment it is for.
    #[must_use]
    pub const fn id(&self) -> &EnvId {
        &self.id
    }

    /// The environment, if it is complete and has what it needs. From then on this lease holds those of its parts too.
    ///
    /// # Errors
    /// Its record is there and cannot be opened.
    pub fn environment(&self) -> Result<Option<Environment>, StoreError> {
        // The leases of the parts come before the look at them, so that no removal falls between.
        let Some(record) = committed(&self.root, &self.id)? else {
            return Ok(None);
        };
        let parts = self.part_leases(&record)?;
        let unchanged =
            parts.is_empty() || committed(&self.root, &self.id)?.is_some_and(|again| again == record);
        if !unchanged || !intact(&self.root, &record)? {
            return Ok(None);
        }
        self.keep(parts);
        Ok(Some(Environment {
            id: self.id.clone(),
            prefix: self.root.absolute(&layout::prefix(&self.id)),
            record,
        }))
    }

    /// Takes the leases of the parts of the environment, which was committed under this lease just now.
    ///
    /// # Errors
    /// A lock cannot be taken.
    pub fn hold_parts(&self, environment: &Environment) -> Result<(), StoreError> {
        self.keep(self.part_leases(&environment.record)?);
        Ok(())
    }

    fn part_leases(&self, record: &CommitRecord) -> Result<Vec<PartLease>, StoreError> {
        let take = |part| PartLease::take(&self.root, part);
        record.parts.iter().map(take).collect()
    }

    fn keep(&self, parts: Vec<PartLease>) {
        *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = parts;
    }

    /// Other descriptors of the same locks, the environment's and those of its parts, for a child. They are closed on
    /// `execve(2)`; whoever starts the child clears that flag in the child, so that no other child gets them.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn inheritable_fds(&self) -> io::Result<Vec<OwnedFd>> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(inheritable(self.file.as_fd()))
            .chain(parts.iter().map(PartLease::inheritable_fd))
            .collect()
    }
}

impl AsFd for Lease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A second descriptor of an open file, above those of standard input, output and error.
pub(crate) fn inheritable(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const ABOVE_STANDARD_STREAMS: i32 = 3;
    Ok(rustix::io::fcntl_dupfd_cloexec(file, ABOVE_STANDARD_STREAMS)?)
}

impl Store {
    /// Takes a lease, whether the environment exists or not. A removal that is under way is waited for; that is the
    /// time of one rename.
    ///
    /// # Errors
    /// The lock cannot be taken.
    pub fn lease(&self, id: &EnvId) -> Result<Lease, StoreError> {
        let file = lock_file::wait(&self.root, &layout::lease(id), Hold::Shared)?;
        Ok(Lease {
            root: Arc::clone(&self.root),
            id: id.clone(),
            file,
            parts: Mutex::default(),
        })
    }
}
