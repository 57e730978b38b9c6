//! Removal of files and trees: moved to the trash first, deleted there.
//!
//! Whatever lies in the trash belongs to nobody, so a removal that was interrupted is finished by the next sweep.
//! Folders inside of a folder are moved up into the trash before they are emptied: depth then costs neither stack,
//! nor descriptors, nor long paths.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use cap_std::fs::{Dir, Permissions, PermissionsExt as _};
use rustix::fs::{Mode, OFlags};

use crate::error::StoreError;
use crate::layout;
use crate::name;
use crate::root::{Root, absent};

/// How often a folder is emptied into which somebody else still writes.
const ROUNDS: usize = 64;

/// Everything that a folder's owner needs to empty it.
const OWNER: u32 = 0o700;

/// Removes a file or a tree of the store; `false` if it is not there.
pub(crate) fn discard(root: &Root, rel: &str) -> Result<bool, StoreError> {
    match set_aside(root, rel)? {
        Some(name) => delete(root, name).map(|()| true),
        None => Ok(false),
    }
}

/// Moves a file or a tree of the store to the trash. From then on it is gone for everybody else.
pub(crate) fn set_aside(root: &Root, rel: &str) -> Result<Option<OsString>, StoreError> {
    take(root, root.dir(), OsStr::new(rel), &root.absolute(rel))
}

/// The same for something in any folder on the store's file system.
pub(crate) fn take(
    root: &Root,
    from: &Dir,
    name: &OsStr,
    path: &Path,
) -> Result<Option<OsString>, StoreError> {
    let trash = root.folder(layout::TRASH)?;
    absent(shift(from, name, &trash)).map_err(root.error_at("move to the trash", path))
}

/// Deletes something in the trash.
pub(crate) fn delete(root: &Root, name: OsString) -> Result<(), StoreError> {
    let trash = root.folder(layout::TRASH)?;
    let mut pending = vec![name];
    while let Some(name) = pending.pop() {
        let path = root.path().join(layout::TRASH).join(&name);
        delete_one(&trash, &name, &mut pending).map_err(root.error_at("delete", &path))?;
    }
    Ok(())
}

fn delete_one(trash: &Dir, name: &OsStr, pending: &mut Vec<OsString>) -> io::Result<()> {
    let Some(metadata) = absent(trash.symlink_metadata(name))? else {
        return Ok(());
    };
    if !metadata.is_dir() {
        return absent(trash.remove_file(name)).map(drop);
    }
    for _ in 0..ROUNDS {
        if gone(trash.remove_dir(name))? {
            return Ok(());
        }
        let Some(folder) = absent(open_owned(trash, name))? else {
            return Ok(());
        };
        let entries = folder.entries()?.collect::<io::Result<Vec<_>>>()?;
        for entry in entries {
            let child = entry.file_name();
            if !entry.file_type()?.is_dir() {
                absent(folder.remove_file(&child))?;
            } else if !gone(folder.remove_dir(&child))?
                && let Some(moved) = absent(shift(&folder, &child, trash))?
            {
                pending.push(moved);
            }
        }
    }
    Err(io::Error::other("somebody keeps writing into it"))
}

/// Whether a folder is gone; `false` if it is not empty.
fn gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(true),
            // POSIX lets rmdir(2) say either.
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(false),
            _ => Err(error),
        },
    }
}

/// Moves something into the trash under a new name.
fn shift(from: &Dir, name: &OsStr, trash: &Dir) -> io::Result<OsString> {
    let moved = OsString::from(name::random()?);
    match from.rename(name, trash, &moved) {
        // A folder that cannot be written to cannot get another parent.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            own(from, name)?;
            from.rename(name, trash, &moved)?;
        }
        other => other?,
    }
    Ok(moved)
}

/// Opens a folder, never through a symbolic link, so that it can be emptied.
fn open_owned(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(parent, name, flags, Mode::empty())
    };
    let descriptor = match open() {
        Err(rustix::io::Errno::ACCESS) => {
            own(parent, name)?;
            open()?
        }
        other => other?,
    };
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&descriptor)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        rustix::fs::fchmod(&descriptor, mode | Mode::RWXU)?;
    }
    Ok(Dir::from(descriptor))
}

/// Gives the owner of a folder all rights to it.
fn own(parent: &Dir, name: &OsStr) -> io::Result<()> {
    if parent.symlink_metadata(name)?.is_dir() {
        parent.set_permissions(name, Permissions::from_mode(OWNER))?;
    }
    Ok(())
}
