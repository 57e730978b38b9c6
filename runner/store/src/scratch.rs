//! Folders that are removed after use.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_std::fs::File;

use crate::error::StoreError;
use crate::holder::Holder;
use crate::layout;
use crate::lock_file;
use crate::name;
use crate::root::Root;
use crate::store::Store;
use crate::trash;
use crate::tree::Tree;

/// A fresh folder, removed with everything in it when this is dropped, or by the next sweep if this process is killed.
#[derive(Debug)]
pub struct Scratch {
    root: Arc<Root>,
    name: String,
    tree: Tree,
    /// Locked as long as the folder is in use.
    _owner: File,
}

impl Store {
    /// Makes a fresh folder. `purpose` is for people who look into the store.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn scratch(&self, purpose: &str) -> Result<Scratch, StoreError> {
        let root = &self.root;
        loop {
            let name = name::random().map_err(root.error("name a folder in", layout::TEMPORARY))?;
            // The lock comes before the folder: a folder that has no locked owner is free to be swept. A sweep that
            // comes between the owner's file and its lock holds that lock, and another name is taken.
            let Some(owner) = lock_file::attempt(root, &layout::owner(&name))? else {
                continue;
            };
            if let Err(error) = Holder::this(purpose).write(&owner) {
                tracing::debug!(%error, "the owner of a scratch folder was not noted");
            }
            let rel = layout::temporary(&name);
            root.folder(&rel)?;
            let tree = Tree::open(root, &rel)?
                .ok_or_else(|| root.error("open the folder", &rel)(io::ErrorKind::NotFound.into()))?;
            return Ok(Scratch {
                root: Arc::clone(root),
                name,
                tree,
                _owner: owner,
            });
        }
    }
}

impl Scratch {
    /// Its path, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.tree.path()
    }

    /// The folder as a capability.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Its path relative to the store.
    pub(crate) fn rel(&self) -> String {
        layout::temporary(&self.name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = trash::discard(&self.root, &self.rel())
            .and_then(|_| self.root.remove_file(&layout::owner(&self.name)));
        if let Err(error) = removed {
            tracing::warn!(path = %self.path().display(), %error, "a scratch folder could not be removed");
        }
    }
}
