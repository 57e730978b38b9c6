//! The files of `/proc` and of control groups.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};

/// What is asked of the kernel through files; another one stands in for it in tests.
pub(super) trait Files: Debug + Send + Sync {
    /// The whole of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Writes to a file that is there, in one call: a file of a control group is a message, not storage.
    fn write(&self, path: &Path, text: &str) -> io::Result<()>;

    /// A descriptor that is closed on `execve`, to read or to write.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<OwnedFd>;

    /// Makes a group.
    fn make(&self, folder: &Path) -> io::Result<()>;

    /// Removes a group without processes.
    fn remove(&self, folder: &Path) -> io::Result<()>;

    /// The groups below a group, by name.
    fn groups(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Whether there is such a file.
    fn exists(&self, path: &Path) -> bool;

    /// Whether this process may write to a file or make groups in a folder, and else why not.
    fn may_write(&self, path: &Path) -> io::Result<()>;

    /// Whether the group was handed to this user by a more privileged one: it is owned by this user, who is not
    /// root, or it has the mark that systemd puts on what it hands over (`Delegate=`, `systemd.resource-control(5)`).
    fn is_delegated(&self, folder: &Path) -> bool;
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenMode {
    Read,
    Write,
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct System;

impl Files for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "files of /proc and of control groups are not files of the store"
    )]
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let file = self.open(path, OpenMode::Write)?;
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, text.as_bytes()))?;
        if written == text.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<OwnedFd> {
        let access = match mode {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::Write => OFlags::WRONLY,
        };
        let flags = access | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(rustix::fs::open(path, flags, Mode::empty())?)
    }

    fn make(&self, folder: &Path) -> io::Result<()> {
        Ok(rustix::fs::mkdir(folder, Mode::from_raw_mode(0o755))?)
    }

    fn remove(&self, folder: &Path) -> io::Result<()> {
        Ok(rustix::fs::rmdir(folder)?)
    }

    fn groups(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push(entry.file_name());
            }
        }
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        rustix::fs::access(path, Access::EXISTS).is_ok()
    }

    fn may_write(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::accessat(
            CWD,
            path,
            Access::WRITE_OK,
            AtFlags::EACCESS,
        )?)
    }

    fn is_delegated(&self, folder: &Path) -> bool {
        let user = rustix::process::geteuid();
        let owned = || rustix::fs::stat(folder).is_ok_and(|stat| stat.st_uid == user.as_raw());
        let marked = |name| {
            let mut value = [0; 8];
            rustix::fs::getxattr(folder, name, &mut value)
                .is_ok_and(|length| value.get(..length) == Some(b"1".as_slice()))
        };
        (!user.is_root() && owned()) || marked("trusted.delegate") || marked("user.delegate")
    }
}
