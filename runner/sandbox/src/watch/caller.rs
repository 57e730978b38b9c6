//! The thread that made a call, looked at from the outside (`proc(5)`).
//!
//! What is read may have been changed in between by another thread: it is only ever written down, nothing is decided
//! by it. Which process it belongs to cannot change.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags, open, readlinkat};
use rustix::io::pread;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// The longest path with its final NUL (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// A thread whose call waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    thread: u32,
}

impl Caller {
    pub(super) const fn new(thread: u32) -> Self {
        Self { thread }
    }

    fn file(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.thread)
    }

    /// Bytes of its memory; fewer than asked for where it ends.
    pub(super) fn bytes(self, address: u64, length: usize) -> Option<Vec<u8>> {
        if address == 0 {
            return None;
        }
        let memory = open(self.file("mem"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut bytes = vec![0; length];
        let read = pread(&memory, bytes.as_mut_slice(), address).ok()?;
        bytes.truncate(read);
        Some(bytes)
    }

    /// A path in its memory, as it is written there.
    pub(super) fn path(self, address: u64) -> Option<PathBuf> {
        let mut bytes = self.bytes(address, LONGEST_PATH)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        bytes.truncate(end);
        (!bytes.is_empty()).then(|| OsString::from_vec(bytes).into())
    }

    /// The folder that relative paths start at: that of a descriptor, or its working folder.
    pub(super) fn folder(self, descriptor: i32) -> Option<PathBuf> {
        let link = if descriptor == libc::AT_FDCWD {
            self.file("cwd")
        } else {
            self.file(&format!("fd/{descriptor}"))
        };
        let target = readlinkat(CWD, link, Vec::new()).ok()?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        target.is_absolute().then_some(target)
    }

    /// Its root.
    pub(super) fn root(self) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(self.file("root"), flags, Mode::empty()).ok()
    }

    /// The process that it belongs to.
    pub(super) fn process(self) -> Option<Pid> {
        let status = lines(&self.file("status"))?;
        let number = status
            .iter()
            .find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())?;
        Pid::from_raw(number)
    }

    /// A descriptor of it.
    pub(super) fn descriptor(self, number: i32) -> Option<OwnedFd> {
        let process = pidfd_open(self.process()?, PidfdFlags::empty()).ok()?;
        pidfd_getfd(process.as_fd(), number, PidfdGetfdFlags::empty()).ok()
    }

    /// The lines of a table of its network (`proc_net(5)`).
    pub(super) fn network(self, table: &str) -> Vec<String> {
        lines(&self.file(&format!("net/{table}"))).unwrap_or_default()
    }
}

/// The lines of a table of this process' network.
pub(super) fn own_network(table: &str) -> Vec<String> {
    lines(&format!("/proc/self/net/{table}")).unwrap_or_default()
}

#[expect(clippy::disallowed_types, reason = "a file of the kernel")]
fn lines(path: &str) -> Option<Vec<String>> {
    const MOST: u64 = 4 * 1024 * 1024;
    let file = std::fs::File::open(path).ok()?;
    Some(
        BufReader::new(file.take(MOST))
            .lines()
            .map_while(Result::ok)
            .collect(),
    )
}
