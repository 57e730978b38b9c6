//! Files that are locked with `flock(2)`.
//!
//! A lock belongs to an open file, and a name can get another file while one waits for the lock: after each lock the
//! name is looked up again, and a file that has lost its name is let go.

use std::io;

use cap_std::fs::{File, MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::error::StoreError;
use crate::root::{Root, absent};

/// How a file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Together with others.
    Shared,
    /// Alone.
    Exclusive,
}

/// Locks a file, made if it is not there, and waits as long as it takes.
pub(crate) fn wait(root: &Root, rel: &str, hold: Hold) -> Result<File, StoreError> {
    let operation = match hold {
        Hold::Shared => FlockOperation::LockShared,
        Hold::Exclusive => FlockOperation::LockExclusive,
    };
    loop {
        let file = match hold {
            Hold::Shared => open_to_share(root, rel)?,
            Hold::Exclusive => open_or_make(root, rel)?,
        };
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation))
            .map_err(|errno| refused(root, rel, errno))?;
        if has_name(root, rel, &file)? {
            return Ok(file);
        }
    }
}

/// Locks a file alone, made if it is not there; `None` if somebody else holds it.
pub(crate) fn attempt(root: &Root, rel: &str) -> Result<Option<File>, StoreError> {
    loop {
        let file = open_or_make(root, rel)?;
        if !try_lock(root, rel, &file)? {
            return Ok(None);
        }
        if has_name(root, rel, &file)? {
            return Ok(Some(file));
        }
    }
}

/// What trying to lock a file that may not be there comes to.
#[derive(Debug)]
pub(crate) enum Existing {
    /// There is no such file.
    Absent,
    /// Somebody else holds it.
    Held,
    /// It is held by the caller now.
    Mine(File),
}

/// Locks a file alone, if there is one.
pub(crate) fn attempt_existing(root: &Root, rel: &str) -> Result<Existing, StoreError> {
    let Some(file) = absent(open(root, rel, false)).map_err(root.error("open", rel))? else {
        return Ok(Existing::Absent);
    };
    if !try_lock(root, rel, &file)? {
        return Ok(Existing::Held);
    }
    Ok(if has_name(root, rel, &file)? {
        Existing::Mine(file)
    } else {
        Existing::Absent
    })
}

fn try_lock(root: &Root, rel: &str, file: &File) -> Result<bool, StoreError> {
    match rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(refused(root, rel, errno)),
    }
}

fn refused(root: &Root, rel: &str, errno: Errno) -> StoreError {
    match errno {
        Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK => StoreError::NoLocks {
            path: root.absolute(rel),
            cause: errno.into(),
        },
        _ => root.error("lock", rel)(errno.into()),
    }
}

fn open_or_make(root: &Root, rel: &str) -> Result<File, StoreError> {
    let opened = match open(root, rel, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some((folder, _)) = rel.rsplit_once('/') {
                root.folder(folder)?;
            }
            open(root, rel, true)
        }
        other => other,
    };
    opened.map_err(root.error("open", rel))
}

/// Opens a file, made if it is not there, for reading alone. A lock that is shared needs no more, also on network file systems, and
/// those who it is shared with inherit the open file: what they could write there would be read by others.
fn open_to_share(root: &Root, rel: &str) -> Result<File, StoreError> {
    loop {
        if let Some(file) = absent(root.dir().open(rel)).map_err(root.error("open", rel))? {
            return Ok(file);
        }
        // It may be removed again before it is opened anew.
        drop(open_or_make(root, rel)?);
    }
}

/// Opens for writing, which network file systems want of files that are locked, and only for reading where the store
/// cannot be written to.
fn open(root: &Root, rel: &str, make: bool) -> io::Result<File> {
    match root.dir().open_with(
        rel,
        OpenOptions::new().read(true).write(true).create(make).mode(0o600),
    ) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ) =>
        {
            root.dir().open(rel).map_err(|second| {
                if second.kind() == io::ErrorKind::NotFound && make {
                    error
                } else {
                    second
                }
            })
        }
        other => other,
    }
}

fn has_name(root: &Root, rel: &str, file: &File) -> Result<bool, StoreError> {
    let compare = || {
        let open = file.metadata()?;
        let named = absent(root.dir().symlink_metadata(rel))?;
        Ok(named.is_some_and(|named| named.ino() == open.ino() && named.dev() == open.dev()))
    };
    compare().map_err(root.error("look at", rel))
}
