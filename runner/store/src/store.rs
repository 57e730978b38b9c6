//! The store, opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::StoreError;
use crate::initial;
use crate::layout;
use crate::name;
use crate::root::Root;

/// An open store. Clones are cheap and share the handle.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) root: Arc<Root>,
    warnings: Arc<[String]>,
}

impl Store {
    /// Opens the store in a folder, and makes both if they are not there. A store that exists is only looked at.
    ///
    /// # Errors
    /// The folder cannot be used, holds something else, or was made by a newer version.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let (root, warnings) = initial::open(root)?;
        Ok(Self {
            root: Arc::new(root),
            warnings: warnings.into(),
        })
    }

    /// Its folder, absolute and free of symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What about this store may become a problem, for people.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.to_vec()
    }

    /// A folder for the downloads of one tool or purpose, made if it is not there. What is in it can be deleted at any
    /// time.
    ///
    /// # Errors
    /// The name is not 1 to 200 of `a-z`, `0-9` and `-`, or the folder cannot be made.
    pub fn downloads(&self, name: &str) -> Result<PathBuf, StoreError> {
        name::key("folder of downloads", name)?;
        let rel = layout::downloads(name);
        self.root.folder(&rel)?;
        Ok(self.root.absolute(&rel))
    }

    /// Bytes that the user can still write to the store's file system.
    ///
    /// # Errors
    /// The file system does not say.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let status = rustix::fs::fstatvfs(self.root.dir())
            .map_err(|errno| self.root.error("ask for the free space of", ".")(errno.into()))?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}
