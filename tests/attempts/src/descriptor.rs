//! Descriptors, and files by plain calls.

use std::ffi::CStr;
use std::os::fd::{FromRawFd as _, OwnedFd};

use crate::call::{HERE, call};
use crate::errno::Errno;

/// The descriptor that a call has given.
pub(crate) fn owned(number: i64) -> Result<OwnedFd, Errno> {
    let number = i32::try_from(number).map_err(|_| Errno(libc::EBADF))?;
    #[expect(unsafe_code, reason = "a descriptor that the kernel gave is a number")]
    // SAFETY: the kernel has just made this descriptor for this program, and nothing else knows of it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(descriptor)
}

/// Opens a file (`openat(2)`).
pub(crate) fn open(path: &CStr, flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
    call!(libc::SYS_openat, HERE, path, flags | libc::O_CLOEXEC, mode).and_then(owned)
}

/// What there is to read, up to a megabyte.
pub(crate) fn read_all(descriptor: &OwnedFd) -> Result<Vec<u8>, Errno> {
    const MOST: usize = 1 << 20;
    let (mut content, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    while content.len() < MOST {
        let length = call!(libc::SYS_read, descriptor, buffer.as_mut_slice(), 16 * 1024)?;
        let Some(part) = usize::try_from(length)
            .ok()
            .filter(|length| *length > 0)
            .and_then(|length| buffer.get(..length))
        else {
            break;
        };
        content.extend_from_slice(part);
    }
    Ok(content)
}

/// What a file holds, up to a megabyte.
pub(crate) fn read_file(path: &CStr) -> Result<Vec<u8>, Errno> {
    read_all(&open(path, libc::O_RDONLY, 0)?)
}

/// Writes bytes.
pub(crate) fn write(descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let written = call!(libc::SYS_write, descriptor, bytes, bytes.len())?;
    usize::try_from(written).map_err(|_| Errno(libc::EIO))
}

/// Makes a new file, readable and writable for its owner.
pub(crate) fn create(path: &CStr) -> Result<OwnedFd, Errno> {
    open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600)
}

/// Removes a file of this program.
pub(crate) fn remove(path: &CStr) {
    // It may not have come to be.
    let _ = call!(libc::SYS_unlinkat, HERE, path, 0);
}

/// Removes an empty folder of this program.
pub(crate) fn remove_folder(path: &CStr) {
    // It may not have come to be.
    let _ = call!(libc::SYS_unlinkat, HERE, path, libc::AT_REMOVEDIR);
}

/// Mode, owner, group and size of a file (`statx(2)`); links are followed.
pub(crate) fn look_at(path: &CStr) -> Result<Look, Errno> {
    const BASIC: u32 = 0x7ff;
    let mut buffer = [0_u8; 256];
    call!(libc::SYS_statx, HERE, path, 0, BASIC, &mut buffer)?;
    let word = |at: usize, length: usize| {
        let bytes = buffer.get(at..at + length).unwrap_or_default();
        bytes
            .iter()
            .enumerate()
            .fold(0_u64, |sum, (index, byte)| sum | u64::from(*byte) << (8 * index))
    };
    Ok(Look {
        mode: u32::try_from(word(28, 2)).unwrap_or_default(),
        user: u32::try_from(word(20, 4)).unwrap_or_default(),
        group: u32::try_from(word(24, 4)).unwrap_or_default(),
        size: word(40, 8).cast_signed(),
    })
}

/// What `statx(2)` says of a file.
pub(crate) struct Look {
    /// Kind and permissions.
    pub(crate) mode: u32,
    /// Its owner.
    pub(crate) user: u32,
    /// Its group.
    pub(crate) group: u32,
    /// Its length in bytes.
    pub(crate) size: i64,
}
