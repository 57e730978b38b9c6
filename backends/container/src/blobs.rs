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
    /// Finds out what is in a tar.
    pub(crate) fn archive(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut magic = [0; 6];
        let length = file.read(&mut magic)?;
        let magic = magic.get(..length).unwrap_or_default();
        for (start, program) in [
            (&b"\x1f\x8b"[..], "gzip -d"),
            (b"\x28\xb5\x2f\xfd", "zstd -d"),
            (b"\xfd7zXZ\0", "xz -d"),
            (b"BZh", "bzip2 -d"),
        ] {
            if magic.starts_with(start) {
                return Err(io::Error::other(format!(
                    "it is compressed; unpack it with `{program}` first"
                )));
            }
        }
        file.seek(SeekFrom::Start(0))?;
        let mut entries = BTreeMap::new();
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = normal(&entry.path()?.to_string_lossy());
            let kind = entry.header().entry_type();
            let found = if kind.is_file() || kind.is_contiguous() {
                Entry::File(entry.raw_file_position(), entry.size())
            } else if let Some(target) = entry.link_name()? {
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
        let mut bytes = Vec::new();
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
