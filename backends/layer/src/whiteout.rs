//! What a layer removes from those below it.
//!
//! In the archive `.wh.NAME` removes `NAME`, and `.wh..wh..opq` removes everything that those below have in the same
//! folder. In the folder that an overlay file system takes (Linux, `Documentation/filesystems/overlayfs.rst`,
//! "whiteouts and opaque directories") the first is an empty file with an attribute, in a folder with another one that
//! says to look for such files, and the second is an attribute of the folder. With the mount option `userxattr` the
//! attributes are those of users, so that they can be set without privileges.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::UnpackError;
use crate::name::RelativePath;

/// An empty file with this attribute stands for nothing.
pub(crate) const WHITEOUT: &[u8] = b"user.overlay.whiteout";
/// What a folder hides or has in it.
pub(crate) const OPAQUE: &[u8] = b"user.overlay.opaque";
/// The folder hides those of the same name below.
pub(crate) const HIDES: &[u8] = b"y";
/// The folder has files that stand for nothing.
pub(crate) const HAS_WHITEOUTS: &[u8] = b"x";

const MARK: &[u8] = b".wh.";
const MARK_OF_MARKS: &[u8] = b".wh..wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";

/// What a path of an archive means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Itself.
    Plain,
    /// This path is removed from what is below.
    Removed(RelativePath),
    /// The content of this folder is removed from what is below.
    Emptied(RelativePath),
    /// Something of the file system AUFS, which made the first layers: nothing to anybody else.
    Ignored,
}

/// What a path of an archive means.
pub(crate) fn meaning(path: &RelativePath) -> Result<Meaning, UnpackError> {
    let wrong = |reason| UnpackError::Name {
        path: path.shown(),
        reason,
    };
    let Some((folder, name)) = path.split() else {
        return Ok(Meaning::Plain);
    };
    if name == OPAQUE_MARK && !folder.names().iter().any(|name| name.starts_with(MARK)) {
        return Ok(Meaning::Emptied(folder));
    }
    if path.names().iter().any(|name| name.starts_with(MARK_OF_MARKS)) {
        return Ok(Meaning::Ignored);
    }
    if folder.names().iter().any(|name| name.starts_with(MARK)) {
        return Err(wrong("is in something that is removed"));
    }
    match name.strip_prefix(MARK) {
        None => Ok(Meaning::Plain),
        Some(b"" | b"." | b"..") => Err(wrong("removes nothing that can have a name")),
        Some(removed) => Ok(Meaning::Removed(folder.join(removed))),
    }
}

/// Whether the folder of a layer hides everything in the layers below it. The kernel heeds that for every folder but the
/// uppermost one, so whoever mounts has to leave those layers out.
///
/// # Errors
/// The folder cannot be looked at.
pub fn hides_all_below(layer: &Path) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder: OwnedFd = rustix::fs::open(layer, flags, Mode::empty())?;
    let mut value = [0; 8];
    match rustix::fs::fgetxattr(&folder, OPAQUE, &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(HIDES)),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// What no hard link may point to: it would be linked to before it means what it says.
pub(crate) fn is_mark(path: &RelativePath) -> bool {
    path.names().iter().any(|name| name.starts_with(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelativePath {
        RelativePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn marks_mean_what_the_specification_says() {
        for (text, expected) in [
            ("a/b", Meaning::Plain),
            ("a/.wh.b", Meaning::Removed(path("a/b"))),
            (".wh.b", Meaning::Removed(path("b"))),
            ("a/.wh..wh..opq", Meaning::Emptied(path("a"))),
            (".wh..wh..opq", Meaning::Emptied(RelativePath::top())),
            (".wh..wh.plnk/12.34", Meaning::Ignored),
            (".wh..wh.aufs", Meaning::Ignored),
            ("a/.wha", Meaning::Plain),
        ] {
            assert_eq!(meaning(&path(text)).unwrap(), expected, "{text}");
        }
        for text in [".wh.", "a/.wh..", "a/.wh...", ".wh.a/b", ".wh.a/.wh.b"] {
            assert_eq!(
                meaning(&path(text)).unwrap_err().code(),
                "layer.path.invalid",
                "{text}"
            );
        }
    }
}
