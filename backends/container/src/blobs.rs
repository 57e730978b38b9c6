//! Files of an image on this machine: in a folder, or in a tar.
#![expect(
    clippy::disallowed_types,
    reason = "images on this machine are files of the user, outside of the store; they are only read"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wrun_core::id::Digest;

/// Links in an archive that are followed one after the other.
const LINKS: usize = 8;

/// The most files of an archive that are looked at: an image has a handful for each layer.
const ENTRIES: usize = 100_000;

/// The most that room is made for before anything is read, in bytes.
const ROOM: usize = 64 * 1024;

/// Bytes of a block of a tar (pax, "ustar Interchange Format").
const BLOCK: usize = 512;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its first byte.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) length: u64,
}

/// Files by their names.
#[derive(Debug, Clone)]
pub(crate) enum Blobs {
    /// Below a folder.
    Folder(PathBuf),
    /// In a tar.
    Archive {
        path: PathBuf,
        entries: BTreeMap<String, Entry>,
    },
}

/// An entry of a tar.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// A file: its first byte and its length.
    File(u64, u64),
    /// The name of another entry.
    Link(String),
}

impl Blobs {
    /// Finds out what is in a tar, of which only the headers are read.
    ///
    /// # Errors
    /// It is none, or damaged. Nothing of what is in it is told: whoever names a file by mistake may be shown to others.
    pub(crate) fn archive(path: &Path) -> io::Result<Self> {
        let mut file = regular(path)?;
        let mut start = [0; BLOCK];
        let length = fill(&mut file, &mut start)?;
        check_start(start.get(..length).unwrap_or_default())?;
        file.seek(SeekFrom::Start(0))?;
        let mut entries = BTreeMap::new();
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries_with_seek()? {
            let damaged = |error: io::Error| damaged(entries.len(), &error);
            let entry = entry.map_err(damaged)?;
            let name = normal(&entry.path().map_err(damaged)?.to_string_lossy());
            let kind = entry.header().entry_type();
            let found = if kind.is_file() || kind.is_contiguous() {
                Entry::File(entry.raw_file_position(), entry.size())
            } else if let Some(target) = entry.link_name().map_err(damaged)? {
                let target = target.to_string_lossy();
                Entry::Link(if kind.is_hard_link() {
                    normal(&target)
                } else {
                    let above = name.rsplit_once('/').map_or("", |(above, _)| above);
                    normal(&format!("{above}/{target}"))
                })
            } else {
                continue;
            };
            entries.insert(name, found);
            if entries.len() > ENTRIES {
                return Err(io::Error::other(format!("it holds more than {ENTRIES} files")));
            }
        }
        Ok(Self::Archive {
            path: path.to_owned(),
            entries,
        })
    }

    /// Whether there is a file of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Archive { entries, .. } => entries.contains_key(name),
        }
    }

    /// Where a file is.
    pub(crate) fn find(&self, name: &str) -> io::Result<Span> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                let metadata = path.metadata()?;
                if !metadata.is_file() {
                    return Err(io::Error::other("it is no file"));
                }
                Ok(Span {
                    path,
                    offset: 0,
                    length: metadata.len(),
                })
            }
            Self::Archive { path, entries } => {
                let mut name = normal(name);
                for _ in 0..LINKS {
                    match entries.get(&name) {
                        Some(Entry::File(offset, length)) => {
                            return Ok(Span {
                                path: path.clone(),
                                offset: *offset,
                                length: *length,
                            });
                        }
                        Some(Entry::Link(target)) => name.clone_from(target),
                        None => break,
                    }
                }
                Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "it is not in the archive",
                ))
            }
        }
    }

    /// Reads a small file.
    pub(crate) fn read(&self, name: &str, maximum: u64) -> io::Result<Vec<u8>> {
        let span = self.find(name)?;
        if span.length > maximum {
            return Err(io::Error::other(format!("it is larger than {maximum} bytes")));
        }
        span.read()
    }
}

impl Span {
    /// All of a file.
    pub(crate) fn whole(path: PathBuf) -> io::Result<Self> {
        let length = path.metadata()?.len();
        Ok(Self {
            path,
            offset: 0,
            length,
        })
    }

    /// Reads it.
    pub(crate) fn open(&self) -> io::Result<io::Take<File>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.length))
    }

    /// Its digest.
    pub(crate) fn digest(&self) -> io::Result<Digest> {
        let mut reader = self.open()?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(Digest::from_bytes(hasher.finalize().into())),
                count => hasher.update(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    /// All of it.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0).min(ROOM));
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Its first bytes.
    pub(crate) fn start(&self, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?.take(count).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Opens a file that is a regular one: a pipe would be waited for.
fn regular(path: &Path) -> io::Result<File> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    File::open(path)
}

/// Reads as much as there is, and gives its length.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest @ [_, ..]) = buffer.get_mut(length..) {
        match file.read(rest)? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

/// Looks at the beginning of a file that is to be a tar.
fn check_start(start: &[u8]) -> io::Result<()> {
    for (magic, program) in [
        (&b"\x1f\x8b"[..], "gzip -d"),
        (b"\x28\xb5\x2f\xfd", "zstd -d"),
        (b"\xfd7zXZ\0", "xz -d"),
        (b"BZh", "bzip2 -d"),
    ] {
        if start.starts_with(magic) {
            return Err(io::Error::other(format!(
                "it is compressed; unpack it with `{program}` first"
            )));
        }
    }
    let is_header = start.len() == BLOCK && (has_checksum(start) || start.iter().all(|byte| *byte == 0));
    if is_header {
        Ok(())
    } else {
        Err(io::Error::other("it is no tar archive"))
    }
}

/// Whether a block is a header of a tar: it holds the sum of its own bytes, with blanks in place of the sum.
fn has_checksum(block: &[u8]) -> bool {
    const PLACE: std::ops::Range<usize> = 148..156;
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| u32::from(if PLACE.contains(&at) { b' ' } else { *byte }))
        .sum();
    let digits: &[u8] = block.get(PLACE).unwrap_or_default();
    let text = String::from_utf8_lossy(digits);
    let text = text.trim_matches([' ', '\0']);
    u32::from_str_radix(text, 8) == Ok(sum)
}

/// An entry that cannot be read. The reader's own words hold the bytes that it did not expect.
fn damaged(at: usize, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("its entry {} is damaged, or cut off", at + 1),
    )
}

/// A path without `.`, `..` and empty parts.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_tar_is_told_without_what_is_in_it() {
        let told = |content: &[u8]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            io::Write::write_all(&mut file.as_file(), content).unwrap();
            match Blobs::archive(file.path()) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            }
        };
        let mut tar = tar::Builder::new(Vec::new());
        for name in ["a", "b"] {
            let mut header = tar::Header::new_ustar();
            header.set_size(600);
            tar.append_data(&mut header, name, [b'x'; 600].as_slice())
                .unwrap();
        }
        let good = tar.into_inner().unwrap();
        assert_eq!(told(&good), "");
        assert_eq!(told(&[0; 1024]), "");
        assert_eq!(told(b""), "it is no tar archive");
        let secrets = b"root:secret\nroo\n".repeat(32);
        assert_eq!(told(&secrets), "it is no tar archive");
        let (first, rest) = good.split_at(512 + 1024);
        let damaged = "its entry 2 is damaged, or cut off";
        assert_eq!(told(&[first, &secrets].concat()), damaged);
        assert_eq!(told(&[first, rest.split_at(200).0].concat()), damaged);
        assert!(told(b"\x1f\x8b\x08").contains("gzip -d"));
    }
}
