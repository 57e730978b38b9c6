//! Taking the right to write away from a finished tree.
//!
//! A tree may share its files with a tool's downloads by hard links, so this also protects those from a program that
//! writes into its own environment.

use std::io;

use cap_std::fs::{Dir, File, MetadataExt as _, Permissions, PermissionsExt as _};

use crate::walk::Entry;

/// Reading and executing, and nothing of set-user-ID and the like.
const KEPT: u32 = 0o555;

/// Makes an open file read-only, and gives its mode, with the bits of its type, as it is then.
pub(crate) fn file(entry: &Entry, file: &File) -> io::Result<u32> {
    let (mode, sealed) = modes(entry);
    if mode == sealed {
        return Ok(mode);
    }
    match file.set_permissions(Permissions::from_mode(sealed & 0o7777)) {
        Ok(()) => Ok(sealed),
        // A hard link to somebody else's file: they decide over its mode.
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && entry.metadata.uid() != rustix::process::geteuid().as_raw() =>
        {
            Ok(mode)
        }
        Err(error) => Err(error),
    }
}

/// Makes a folder read-only, and gives its mode, with the bits of its type, as it is then.
pub(crate) fn folder(tree: &Dir, entry: &Entry) -> io::Result<u32> {
    let (mode, sealed) = modes(entry);
    if mode != sealed {
        tree.set_permissions(&entry.rel, Permissions::from_mode(sealed & 0o7777))?;
    }
    Ok(sealed)
}

/// Makes the folder of the whole tree read-only.
pub(crate) fn top(tree: &Dir) -> io::Result<()> {
    tree.set_permissions(".", Permissions::from_mode(KEPT))
}

/// The mode of an entry, and the one without the right to write.
fn modes(entry: &Entry) -> (u32, u32) {
    let mode = entry.metadata.mode();
    (mode, mode & !0o7777 | mode & KEPT)
}
