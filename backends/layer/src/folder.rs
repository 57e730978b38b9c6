//! The folder that a layer is unpacked into, as a capability.
//!
//! Every step is one name in an open folder, never through a symbolic link: there is no path that could lead out.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags};
use rustix::io::Errno;

use crate::error::UnpackError;
use crate::name::RelativePath;

/// Folders while they are filled: the layer's own mode may keep even the owner out.
const OPEN_FOLDER: Mode = Mode::RWXU;
/// Files while they are written.
const OPEN_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const AS_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The folder of a layer.
pub(crate) struct Folder {
    top: OwnedFd,
    /// The folder that was used last: most entries follow others of the same folder.
    last: Option<(RelativePath, OwnedFd)>,
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Folder,
    Other,
}

/// What a folder above something came to.
enum Step {
    Folder(OwnedFd),
    Missing,
}

impl Folder {
    /// Opens an empty folder.
    pub(crate) fn open(path: &Path) -> Result<Self, UnpackError> {
        let wrong = |errno: Errno| UnpackError::Folder {
            path: path.to_path_buf(),
            cause: errno.into(),
        };
        let top = rustix::fs::open(path, AS_FOLDER, Mode::empty()).map_err(wrong)?;
        let mut names = Dir::read_from(&top).map_err(wrong)?;
        if names.any(|name| !name.is_ok_and(|name| is_dots(name.file_name().to_bytes()))) {
            return Err(UnpackError::NotEmpty {
                path: path.to_path_buf(),
            });
        }
        Ok(Self { top, last: None })
    }

    /// An open folder, for something in it that errors speak of; folders that are missing on the way are made, and
    /// `made` is told of each.
    pub(crate) fn enter(
        &mut self,
        path: &RelativePath,
        wanted: &RelativePath,
        made: &mut dyn FnMut(RelativePath) -> Result<(), UnpackError>,
    ) -> Result<BorrowedFd<'_>, UnpackError> {
        if !matches!(&self.last, Some((last, _)) if last == path) {
            let mut folder = self.duplicate(path)?;
            let mut here = RelativePath::top();
            for name in path.names() {
                here = here.join(name);
                folder = match step(&folder, name, wanted, &here)? {
                    Step::Folder(folder) => folder,
                    Step::Missing => {
                        made(here.clone())?;
                        rustix::fs::mkdirat(&folder, name.as_slice(), OPEN_FOLDER)
                            .map_err(failed("make the folder", &here))?;
                        open(&folder, name).map_err(failed("open the folder", &here))?
                    }
                };
            }
            self.last = Some((path.clone(), folder));
        }
        let (_, folder) = self.last.as_ref().ok_or_else(|| UnpackError::Io {
            operation: "open the folder",
            path: path.shown(),
            cause: io::ErrorKind::NotFound.into(),
        })?;
        Ok(folder.as_fd())
    }

    /// An open folder, if it and all above it are there and are folders.
    pub(crate) fn existing(&self, path: &RelativePath) -> Result<Option<OwnedFd>, UnpackError> {
        let mut folder = self.duplicate(path)?;
        let mut here = RelativePath::top();
        for name in path.names() {
            here = here.join(name);
            folder = match step(&folder, name, path, &here) {
                Ok(Step::Folder(folder)) => folder,
                Ok(Step::Missing)
                | Err(UnpackError::ThroughLink { .. } | UnpackError::ThroughFile { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        Ok(Some(folder))
    }

    fn duplicate(&self, path: &RelativePath) -> Result<OwnedFd, UnpackError> {
        rustix::io::fcntl_dupfd_cloexec(&self.top, 3).map_err(failed("open the folder of", path))
    }

    /// Forgets the folder that was used last, since it may be gone.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }
}

/// Opens the next folder on a path.
fn step(
    folder: &OwnedFd,
    name: &[u8],
    path: &RelativePath,
    here: &RelativePath,
) -> Result<Step, UnpackError> {
    match open(folder, name) {
        Ok(folder) => Ok(Step::Folder(folder)),
        Err(Errno::NOENT) => Ok(Step::Missing),
        Err(errno @ (Errno::NOTDIR | Errno::LOOP)) => {
            let what = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map(|stat| FileType::from_raw_mode(stat.st_mode));
            Err(match what {
                Ok(FileType::Symlink) => UnpackError::ThroughLink {
                    path: path.shown(),
                    link: here.shown(),
                },
                Ok(_) => UnpackError::ThroughFile {
                    path: path.shown(),
                    file: here.shown(),
                },
                Err(_) => failed("open the folder", here)(errno),
            })
        }
        Err(errno) => Err(failed("open the folder", here)(errno)),
    }
}

fn open(folder: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, AS_FOLDER, Mode::empty())
}

fn is_dots(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

/// Puts an operation and a path to an error of the system.
pub(crate) fn failed(
    operation: &'static str,
    path: &RelativePath,
) -> impl FnOnce(Errno) -> UnpackError + use<> {
    let path = path.shown();
    move |errno| UnpackError::Io {
        operation,
        path,
        cause: errno.into(),
    }
}

/// What has a name in a folder.
pub(crate) fn look(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Found, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Ok(Found::Folder),
        Ok(_) => Ok(Found::Other),
        Err(Errno::NOENT) => Ok(Found::Nothing),
        Err(errno) => Err(errno),
    }
}

/// Makes a new file, never one that is there.
pub(crate) fn create(folder: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, OPEN_FILE)
}

/// Makes a folder.
pub(crate) fn make_folder(folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::mkdirat(folder, name, OPEN_FOLDER)
}

/// Removes whatever has a name, with everything in it. The depth of paths is limited, and so is that of this.
pub(crate) fn remove(folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match look(folder, name)? {
        Found::Nothing => Ok(()),
        Found::Other => rustix::fs::unlinkat(folder, name, AtFlags::empty()),
        Found::Folder => {
            let inner = rustix::fs::openat(folder, name, AS_FOLDER, Mode::empty())?;
            let names = Dir::read_from(&inner)?
                .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
                .collect::<Result<Vec<_>, _>>()?;
            for name in names {
                if !is_dots(name.to_bytes()) {
                    remove(inner.as_fd(), name.to_bytes())?;
                }
            }
            rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
        }
    }
}

/// Sets an attribute of an open file or folder.
pub(crate) fn set_attribute(
    file: BorrowedFd<'_>,
    name: &[u8],
    value: &[u8],
    path: &RelativePath,
) -> Result<(), UnpackError> {
    match rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) => Err(UnpackError::NoAttributes { path: path.shown() }),
        other => other.map_err(failed("set an attribute of", path)),
    }
}

/// When something was last modified; the time of its last use stays.
pub(crate) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.into(),
        },
    }
}
