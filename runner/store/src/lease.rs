//! Leases: the right to use an environment.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cap_std::fs::File;
use wrun_core::id::EnvId;

use crate::environment::{Environment, usable};
use crate::error::StoreError;
use crate::layout;
use crate::lock_file::{self, Hold};
use crate::root::Root;
use crate::store::Store;

/// The right to use an environment. While anybody holds one, the environment is not removed.
///
/// It is a shared `flock(2)`, which belongs to the open file and not to a process: it ends when the last descriptor
/// is closed, so a task that inherits [`Lease::inheritable_fd`] keeps its environment also when its parent is killed.
/// Take it before the environment is looked up or built, so that no removal falls between.
#[derive(Debug)]
pub struct Lease {
    root: Arc<Root>,
    id: EnvId,
    file: File,
}

impl Lease {
    /// The environment it is for.
    #[must_use]
    pub const fn id(&self) -> &EnvId {
        &self.id
    }

    /// The environment, if it is complete and has what it needs.
    ///
    /// # Errors
    /// Its record is there and cannot be opened.
    pub fn environment(&self) -> Result<Option<Environment>, StoreError> {
        Ok(usable(&self.root, &self.id)?.map(|record| Environment {
            id: self.id.clone(),
            prefix: self.root.absolute(&layout::prefix(&self.id)),
            record,
        }))
    }

    /// Another descriptor of the same lock, for a child. It is closed on `execve(2)`; whoever starts the child clears
    /// that flag in the child, so that no other child gets it.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn inheritable_fd(&self) -> io::Result<OwnedFd> {
        inheritable(self.file.as_fd())
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
        })
    }
}
