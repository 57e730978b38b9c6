//! The policy in memory that nobody can change any more.
#![expect(
    clippy::disallowed_types,
    reason = "it is memory, not a file of any file system"
)]

use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The most bytes that a policy may have.
const MAXIMUM: u64 = 16 * 1024 * 1024;

/// Puts bytes into sealed memory (`memfd_create(2)`).
pub(crate) fn seal(bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = memfd_create("wrun-policy", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(bytes)?;
    file.rewind()?;
    let memory = OwnedFd::from(file);
    fcntl_add_seals(
        &memory,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(memory)
}

/// Reads what [`seal`] put there.
pub(crate) fn read(memory: OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::from(memory)
        .take(MAXIMUM)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
