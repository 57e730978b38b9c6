//! What runs a script.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// The interpreter that the first line of a script names (`execve(2)`).
#[expect(
    clippy::disallowed_types,
    reason = "the task's programs lie outside of the store"
)]
pub(super) fn of_script(path: &Path) -> Option<PathBuf> {
    /// As many bytes the kernel looks at (`BINPRM_BUF_SIZE`).
    const LONGEST: u64 = 256;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).ok()?;
    if FileType::from_raw_mode(fstat(&file).ok()?.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut start = Vec::new();
    std::fs::File::from(file)
        .take(LONGEST)
        .read_to_end(&mut start)
        .ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .find(|word| !word.is_empty())?;
    let path = PathBuf::from(OsStr::from_bytes(name));
    path.is_absolute().then_some(path)
}
