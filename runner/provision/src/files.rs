//! Files of the machine outside of the store: interpreters, tools, inputs, configuration.
//!
//! All reading from outside goes through here; nothing here writes.
#![expect(
    clippy::disallowed_types,
    reason = "the one place of this crate that reads files outside of the store"
)]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wrun_core::id::Digest;

/// Bytes that are read at once while hashing.
const CHUNK: usize = 64 * 1024;

/// Which file a path leads to, and in which state: what a fact about a program is remembered under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    /// The path without symbolic links.
    pub(crate) canonical: PathBuf,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Modification time in nanoseconds since 1970.
    pub(crate) modified_ns: i64,
    /// Inode.
    pub(crate) inode: u64,
}

impl FileIdentity {
    /// Looks at the file behind a path, through symbolic links.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let canonical = path.canonicalize()?;
        let metadata = canonical.metadata()?;
        Ok(Self {
            size: metadata.size(),
            modified_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            inode: metadata.ino(),
            canonical,
        })
    }

    /// The name under which a fact of this file is stored; `about` tells facts of one file apart.
    pub(crate) fn key(&self, about: &str) -> String {
        let Self {
            canonical,
            size,
            modified_ns,
            inode,
        } = self;
        let mut bytes = canonical.as_os_str().as_bytes().to_vec();
        bytes.extend_from_slice(format!("\0{size}\0{modified_ns}\0{inode}\0{about}").as_bytes());
        Digest::of(&bytes).hex()
    }
}

/// Whether a path leads to a regular file that someone may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
}

/// The names in a folder in byte order; none if it cannot be listed.
pub(crate) fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = folder
        .read_dir()
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.file_name()))
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

/// Whether a file begins with `#!`.
pub(crate) fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok()
        && &start == b"#!"
}

/// What reading a bounded file came to.
pub(crate) enum Bounded {
    /// All of it.
    Whole(Vec<u8>),
    /// There is more than was allowed.
    TooLarge,
}

/// Reads a regular file of at most `maximum` bytes.
pub(crate) fn read(path: &Path, maximum: u64) -> io::Result<Bounded> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(maximum.saturating_add(1)).read_to_end(&mut bytes)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok(if length > maximum {
        Bounded::TooLarge
    } else {
        Bounded::Whole(bytes)
    })
}

/// Reads a small text file; `None` if it is not there, too large or not UTF-8.
pub(crate) fn read_small_text(path: &Path) -> Option<String> {
    const SMALL: u64 = 1024 * 1024;
    match read(path, SMALL) {
        Ok(Bounded::Whole(bytes)) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Hands a regular file's content to a hasher.
pub(crate) fn hash_into(path: &Path, hasher: &mut Sha256) -> io::Result<()> {
    read_in_chunks(path, |bytes| {
        hasher.update(bytes);
        true
    })
}

/// Hands over a regular file's content piece by piece, until `take` wants no more.
pub(crate) fn read_in_chunks(path: &Path, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut file = open_regular(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        match chunk.get(..read) {
            Some([]) | None => return Ok(()),
            Some(bytes) => {
                if !take(bytes) {
                    return Ok(());
                }
            }
        }
    }
}

/// Opens a file that is a regular one: opening a named pipe would wait for a writer, and a device may have no end.
///
/// # Errors
/// It cannot be opened, or is something else.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}
