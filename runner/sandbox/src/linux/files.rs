//! Small files of the kernel.

use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, write};

/// Writes all of a text at once, as files of the kernel want it.
pub(super) fn write_to(folder: impl AsFd, path: &str, text: &str) -> Result<(), Errno> {
    let file = openat(folder, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let written = write(&file, text.as_bytes())?;
    if written == text.len() {
        Ok(())
    } else {
        Err(Errno::IO)
    }
}
