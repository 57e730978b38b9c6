//! The few files of an environment.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "everything here is below a folder that the host gave"
)]

use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

/// Writes a file.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    std::fs::write(path, content)
}

/// The largest `/etc/passwd` that is read, in bytes.
const SMALL: u64 = 4 * 1024 * 1024;

/// A small text beneath a folder; links are followed as if the folder were the root. `None` if there is none; a layer
/// that takes the file away says so with a whiteout, which is an empty file.
pub(crate) fn small_text_beneath(folder: &Path, path: &str) -> Option<String> {
    let root = rustix::fs::open(
        folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    let file = openat2(
        &root,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
    .ok()?;
    let file = std::fs::File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(SMALL).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A small text that a program wrote.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}
