//! Programs that the store keeps.

use std::io;
use std::path::PathBuf;

use crate::error::StoreError;
use crate::layout;
use crate::name;
use crate::root::absent;
use crate::store::Store;
use crate::sync;
use crate::trash;
use crate::tree::Tree;
use crate::walk::walk;

impl Store {
    /// The folder of a tool, if it is there.
    ///
    /// # Errors
    /// The name or the version cannot be a file name, or the folder cannot be looked at.
    pub fn tool(&self, name: &str, version: &str) -> Result<Option<PathBuf>, StoreError> {
        let rel = checked(name, version)?;
        let metadata =
            absent(self.root.dir().symlink_metadata(&rel)).map_err(self.root.error("look at", &rel))?;
        Ok(metadata
            .filter(cap_std::fs::Metadata::is_dir)
            .map(|_| self.root.absolute(&rel)))
    }

    /// Installs a tool, unless it is there. It is built elsewhere and moved into place as a whole, so it must not
    /// remember its path. If somebody else is faster, theirs is taken.
    ///
    /// # Errors
    /// What `build` returns, or the tool cannot be written.
    pub fn install_tool(
        &self,
        name: &str,
        version: &str,
        build: &mut dyn FnMut(&Tree) -> Result<(), StoreError>,
    ) -> Result<PathBuf, StoreError> {
        if let Some(path) = self.tool(name, version)? {
            return Ok(path);
        }
        let rel = checked(name, version)?;
        let scratch = self.scratch(&format!("tool {name} {version}"))?;
        build(scratch.tree())?;
        let entries = walk(&self.root, scratch.tree().dir(), scratch.path())?;
        sync::tree(&self.root, scratch.tree().dir(), scratch.path(), &entries)?;
        let folder = self.root.folder(&layout::tool_versions(name))?;
        match self.root.dir().rename(scratch.rel(), self.root.dir(), &rel) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) => {}
            other => other.map_err(self.root.error("move into place", &rel))?,
        }
        sync::folder(&folder).map_err(self.root.error("write through", &rel))?;
        Ok(self.root.absolute(&rel))
    }

    /// Removes a tool, for instance one that is damaged.
    ///
    /// # Errors
    /// The name or the version cannot be a file name, or the folder cannot be removed.
    pub fn remove_tool(&self, name: &str, version: &str) -> Result<(), StoreError> {
        trash::discard(&self.root, &checked(name, version)?).map(drop)
    }
}

fn checked(name: &str, version: &str) -> Result<String, StoreError> {
    name::release("tool", name)?;
    name::release("version of a tool", version)?;
    Ok(layout::tool(name, version))
}
