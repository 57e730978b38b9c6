//! Taking the right to write away from a finished tree.
//!
//! A tree may share its files with a tool's downloads by hard links, so this also protects those from a program that
//! writes into its own environment.

use std::io;
use std::path::Path;

use cap_std::fs::{Dir, MetadataExt as _, Permissions, PermissionsExt as _};
use rustix::fs::OFlags;

use crate::error::StoreError;
use crate::root::{Root, reading};
use crate::walk::walk;

/// Reading and executing, and nothing of set-user-ID and the like.
const KEPT: u32 = 0o555;

/// Makes every file and folder of a tree read-only. Symbolic links have no mode of their own.
pub(crate) fn seal(root: &Root, tree: &Dir, path: &Path) -> Result<(), StoreError> {
    let user = rustix::process::geteuid().as_raw();
    walk(root, tree, path, &mut |entry| {
        let sealed = entry.metadata.mode() & KEPT;
        let permissions = Permissions::from_mode(sealed);
        let change = || {
            if entry.metadata.is_dir() {
                entry.folder.set_permissions(entry.name, permissions)
            } else {
                entry
                    .folder
                    .open_with(entry.name, &reading(OFlags::NOFOLLOW))?
                    .set_permissions(permissions)
            }
        };
        if entry.metadata.is_symlink() || entry.metadata.mode() & 0o7777 == sealed {
            return Ok(());
        }
        if !entry.metadata.is_dir() && !entry.metadata.is_file() {
            return Err(StoreError::SpecialFile {
                path: path.join(entry.rel),
            });
        }
        match change() {
            // A hard link to somebody else's file: they decide over its mode.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && entry.metadata.uid() != user => {
                Ok(())
            }
            other => other.map_err(root.error_at("make read-only", &path.join(entry.rel))),
        }
    })?;
    tree.set_permissions(".", Permissions::from_mode(KEPT))
        .map_err(root.error_at("make read-only", path))
}
