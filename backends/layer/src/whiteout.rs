//! What a layer removes from those below it.
//!
//! In the archive `.wh.NAME` removes `NAME`, and `.wh..wh..opq` removes everything that those below have in the same
//! folder. In the folder that an overlay file system takes (Linux, `Documentation/filesystems/overlayfs.rst`,
//! "whiteouts and opaque directories") the first is a device node with the number 0:0, and the second is an attribute of
//! the folder. The node stands for no device, and since Linux 5.8 everybody may make it; every overlay knows it. Where it
//! cannot be made (a file system without device nodes, a container that forbids them), the first is an empty file with an
//! attribute, in a folder with another one that says to look for such files: that is known since Linux 6.7. With the
//! mount option `userxattr` the attributes are those of users, so that they can be set without privileges.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::UnpackError;
use crate::folder::{create, failed, set_attribute};
use crate::name::RelativePath;

/// An empty file with this attribute stands for nothing.
const WHITEOUT: &[u8] = b"user.overlay.whiteout";
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
    hides_below(&rustix::fs::open(layer, flags, Mode::empty())?)
}

/// Whether an open folder of a layer hides the folders of the same name in the layers below it.
///
/// # Errors
/// It cannot be looked at.
pub fn hides_below(folder: &OwnedFd) -> io::Result<bool> {
    let mut value = [0; 8];
    match rustix::fs::fgetxattr(folder, OPAQUE, &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(HIDES)),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The form in which something stands for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A device node, which speaks for itself.
    Node,
    /// An empty file with an attribute, which its folder has to tell of.
    Attribute,
}

/// Makes something in a folder that stands for nothing. `path` is the one that it takes away.
pub(crate) fn take_away(
    folder: BorrowedFd<'_>,
    name: &[u8],
    path: &RelativePath,
) -> Result<Form, UnpackError> {
    match rustix::fs::mknodat(folder, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Ok(()) => Ok(Form::Node),
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {
            // An older kernel would show the file.
            let release = rustix::system::uname();
            if !knows_attributes(&release.release().to_string_lossy()) {
                return Err(UnpackError::NoWhiteouts { path: path.shown() });
            }
            mark(folder, name, path)?;
            Ok(Form::Attribute)
        }
        Err(errno) => Err(failed("make", path)(errno)),
    }
}

/// The first kernel for which a file with an attribute stands for nothing.
const KNOWS_ATTRIBUTES: (u32, u32) = (6, 7);

/// Whether a kernel of this release knows whiteouts in the form of attributes.
fn knows_attributes(release: &str) -> bool {
    let digits = |text: &str| {
        let end = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        text.get(..end)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0)
    };
    let mut numbers = release.split('.').map(digits);
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= KNOWS_ATTRIBUTES
}

/// Makes an empty file that stands for nothing.
fn mark(folder: BorrowedFd<'_>, name: &[u8], path: &RelativePath) -> Result<(), UnpackError> {
    let file = create(folder, name).map_err(failed("make", path))?;
    set_attribute(file.as_fd(), WHITEOUT, HIDES, path)
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
    fn where_there_are_no_nodes_a_file_with_an_attribute_stands_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let open =
            rustix::fs::open(folder.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        mark(open.as_fd(), b"gone", &path("gone")).unwrap();
        let mut value = [0; 8];
        let length = rustix::fs::lgetxattr(folder.path().join("gone"), WHITEOUT, &mut value).unwrap();
        assert_eq!(&value[..length], HIDES);
        assert_eq!(folder.path().join("gone").metadata().unwrap().len(), 0);
    }

    #[test]
    fn kernels_are_told_by_their_release() {
        for (release, knows) in [
            ("6.7", true),
            ("6.7.0-arch1", true),
            ("6.12-rc1", true),
            ("7.0.1", true),
            ("6.6.99", false),
            ("6.1.0-18-amd64", false),
            ("5.15.0", false),
            ("", false),
        ] {
            assert_eq!(knows_attributes(release), knows, "{release}");
        }
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
