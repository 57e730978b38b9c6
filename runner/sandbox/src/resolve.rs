//! From a path as it is written to what is there and the links on the way.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, readlinkat, statat};

use crate::error::SandboxError;
use crate::policy::Entry;
use wrun_core::grants::Access;

/// As many links as the kernel follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// What is there, granted.
    pub target: Entry,
    /// The symbolic links that were followed, so that the path as it was written leads there too.
    pub links: Vec<Entry>,
}

/// Follows a path, as this user. `owned` is whether the process acts there for the owner.
///
/// # Errors
/// It is not absolute, not there, cannot be looked at, or leads in circles.
pub(crate) fn resolve(path: &Path, access: Access, owned: bool) -> Result<Resolved, SandboxError> {
    let failed = |errno: rustix::io::Errno| SandboxError::Grant {
        path: path.to_owned(),
        source: errno.into(),
    };
    let mut links = Vec::new();
    let mut real = PathBuf::from("/");
    // What is at `real`, as long as that was the last thing looked at.
    let mut there = None;
    let mut rest: VecDeque<OsString> = names(path);
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            (real, there) = (real.parent().map(Path::to_owned).unwrap_or(real), None);
            continue;
        }
        let here = real.join(&name);
        let found = statat(CWD, &here, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            (real, there) = (here, Some(found));
            continue;
        }
        if links.len() == MOST_LINKS {
            return Err(SandboxError::Links {
                path: path.to_owned(),
            });
        }
        let target = readlinkat(CWD, &here, Vec::new()).map_err(failed)?;
        let target = PathBuf::from(<OsString as std::os::unix::ffi::OsStringExt>::from_vec(
            target.into_bytes(),
        ));
        if target.is_absolute() {
            (real, there) = (PathBuf::from("/"), None);
        }
        for name in names(&target).into_iter().rev() {
            rest.push_front(name);
        }
        links.push(Entry::Link { at: here, target });
    }
    if real == Path::new("/") {
        return Err(SandboxError::Everything);
    }
    let found = there.map_or_else(
        || statat(CWD, &real, AtFlags::SYMLINK_NOFOLLOW).map_err(failed),
        Ok,
    )?;
    let target = Entry::Bind {
        path: real,
        access,
        folder: FileType::from_raw_mode(found.st_mode) == FileType::Directory,
        identity: (found.st_dev, found.st_ino),
        reach: true,
        owner: owned.then_some((found.st_uid, found.st_gid)),
    };
    Ok(Resolved { target, links })
}

/// The names on the way, `..` among them.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}
