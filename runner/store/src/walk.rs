//! Walks over a tree without following a symbolic link.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, Metadata};

use crate::error::StoreError;
use crate::root::Root;

/// Something in a tree.
pub(crate) struct Entry<'walk> {
    /// The folder it is in.
    pub(crate) folder: &'walk Dir,
    /// Its name there.
    pub(crate) name: &'walk OsStr,
    /// Its path relative to the tree.
    pub(crate) rel: &'walk Path,
    /// What it is; of a symbolic link itself.
    pub(crate) metadata: Metadata,
}

/// Visits everything in a tree, a folder before what is in it. One folder is open at a time, so that depth costs no
/// descriptors.
pub(crate) fn walk(
    root: &Root,
    tree: &Dir,
    path: &Path,
    visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut pending = vec![PathBuf::new()];
    while let Some(rel) = pending.pop() {
        let here = path.join(&rel);
        let open = || {
            if rel.as_os_str().is_empty() {
                tree.open_dir(".")
            } else {
                tree.open_dir(&rel)
            }
        };
        let folder = open().map_err(root.error_at("open the folder", &here))?;
        for entry in folder.entries().map_err(root.error_at("list", &here))? {
            let entry = entry.map_err(root.error_at("list", &here))?;
            let name = entry.file_name();
            let child = rel.join(&name);
            let metadata = entry
                .metadata()
                .map_err(root.error_at("look at", &path.join(&child)))?;
            let is_folder = metadata.is_dir();
            visit(&Entry {
                folder: &folder,
                name: &name,
                rel: &child,
                metadata,
            })?;
            if is_folder {
                pending.push(child);
            }
        }
    }
    Ok(())
}
