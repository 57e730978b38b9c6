//! Writing through to the disk.

use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};

use crate::error::StoreError;
use crate::root::Root;
use crate::walk::Entry;

/// Up to this many files and folders are written through one by one; `syncfs` also waits for what every other program
/// wrote to the same file system, and pays off only for more.
const FEW: usize = 32;

/// Writes a folder's entries through.
pub(crate) fn folder(dir: &Dir) -> io::Result<()> {
    // A `Dir` may be an `O_PATH` descriptor, which `fsync` refuses.
    let readable = rustix::fs::openat(
        dir,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    Ok(rustix::fs::fsync(readable)?)
}

/// Writes a whole tree through: data, names and modes. Says whether everything else on its file system was written
/// through with it.
pub(crate) fn tree(root: &Root, tree: &Dir, path: &Path, entries: &[Entry]) -> Result<bool, StoreError> {
    if entries.len() > FEW && whole_file_system(tree).map_err(root.error_at("write through", path))? {
        return Ok(true);
    }
    for entry in entries {
        let write = || {
            if entry.metadata.is_dir() {
                folder(&tree.open_dir(&entry.rel)?)
            } else if entry.metadata.is_file() {
                tree.open(&entry.rel)?.sync_all()
            } else {
                Ok(())
            }
        };
        write().map_err(root.error_at("write through", &path.join(&entry.rel)))?;
    }
    folder(tree).map_err(root.error_at("write through", path))?;
    Ok(false)
}

/// Writes everything on the tree's file system through; `false` where there is no such call.
#[cfg(target_os = "linux")]
fn whole_file_system(tree: &Dir) -> io::Result<bool> {
    let readable = rustix::fs::openat(
        tree,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    rustix::fs::syncfs(readable)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn whole_file_system(_tree: &Dir) -> io::Result<bool> {
    Ok(false)
}
