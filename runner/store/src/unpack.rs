//! Unpacking zip files, wheels among them.

use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::File;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::StoreError;
use crate::name;
use crate::tree::Tree;

/// Bits of a mode that say what kind of file it is (`inode(7)`).
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// How much an archive may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Files and folders.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes for each byte of the archive, above `free_bytes`.
    pub ratio: u64,
    /// Bytes that are not held against the ratio.
    pub free_bytes: u64,
}

impl Default for UnpackLimits {
    /// Far above what the largest packages of the Python package index need, and far below a full disk.
    fn default() -> Self {
        Self {
            entries: 200_000,
            bytes: 16 << 30,
            ratio: 200,
            free_bytes: 64 << 20,
        }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Tree {
    /// Unpacks a zip file into a folder of this tree, with the default limits. On an error some files may be there.
    ///
    /// # Errors
    /// The archive cannot be read, holds a name that leads out of the folder, a link or a special file, unpacks to
    /// too much, or something cannot be written.
    pub fn unpack_zip(&self, archive: &Path, to: &str) -> Result<Unpacked, StoreError> {
        self.unpack_zip_within(archive, to, &UnpackLimits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`Tree::unpack_zip`].
    pub fn unpack_zip_within(
        &self,
        archive: &Path,
        to: &str,
        limits: &UnpackLimits,
    ) -> Result<Unpacked, StoreError> {
        name::plain(to)?;
        let opened = File::open_ambient(archive, ambient_authority())
            .and_then(|file| file.metadata().map(|metadata| (file, metadata.len())));
        let (file, size) = opened.map_err(|cause| StoreError::Archive {
            archive: archive.to_path_buf(),
            reason: cause.to_string(),
        })?;
        let unpacking = Unpacking {
            tree: self,
            archive,
            to,
            limits,
            size,
        };
        unpacking.run(BufReader::new(file))
    }
}

struct Unpacking<'a> {
    tree: &'a Tree,
    archive: &'a Path,
    to: &'a str,
    limits: &'a UnpackLimits,
    size: u64,
}

impl Unpacking<'_> {
    fn run(&self, reader: impl Read + Seek) -> Result<Unpacked, StoreError> {
        let mut zip = ZipArchive::new(reader).map_err(|error| self.broken(&error))?;
        if u64::try_from(zip.len()).unwrap_or(u64::MAX) > self.limits.entries {
            return Err(self.limit(format!("more than {} entries", self.limits.entries)));
        }
        self.tree.make_dir(self.to)?;
        // Counted while reading, against the size of the whole archive: neither sizes that are stated wrong nor
        // entries that share their bytes get past that.
        let budget = self
            .size
            .saturating_mul(self.limits.ratio)
            .max(self.limits.free_bytes)
            .min(self.limits.bytes);
        let mut unpacked = Unpacked::default();
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(|error| self.broken(&error))?;
            let entry_name = entry.name().map_err(|error| self.broken(&error))?.into_owned();
            let plain = entry_name.strip_suffix('/').unwrap_or(&entry_name);
            if plain.is_empty() || name::plain(plain).is_err() {
                return Err(self.harmful(&format!(
                    "the name `{}` in it leads elsewhere",
                    entry_name.escape_debug()
                )));
            }
            let mode = entry.unix_mode().unwrap_or(REGULAR);
            if entry.is_symlink() || ![0, REGULAR, FOLDER].contains(&(mode & KIND)) {
                return Err(self.harmful(&format!("`{plain}` in it is a link or a special file")));
            }
            let rel = if self.to.is_empty() {
                plain.to_owned()
            } else {
                format!("{}/{plain}", self.to)
            };
            if entry.is_dir() {
                self.tree.make_dir(&rel)?;
                continue;
            }
            let mut file = self.tree.create(&rel, mode & 0o111 != 0)?;
            let left = budget - unpacked.bytes;
            let written =
                io::copy(&mut (&mut entry).take(left.saturating_add(1)), &mut file).map_err(|error| {
                    // The archive's reader makes its errors itself; one with a number came from the system.
                    if error.raw_os_error().is_some() {
                        self.tree.error("write", &rel)(error)
                    } else {
                        self.broken(&ZipError::Io(error))
                    }
                })?;
            if written > left {
                return Err(self.limit(format!(
                    "more than {} to unpack, for {} of archive",
                    bytesize::ByteSize(budget).display().iec(),
                    bytesize::ByteSize(self.size).display().iec()
                )));
            }
            unpacked.files += 1;
            unpacked.bytes += written;
        }
        Ok(unpacked)
    }

    fn broken(&self, error: &ZipError) -> StoreError {
        self.harmful(&error.to_string())
    }

    fn harmful(&self, reason: &str) -> StoreError {
        StoreError::Archive {
            archive: self.archive.to_path_buf(),
            reason: reason.to_owned(),
        }
    }

    fn limit(&self, reason: String) -> StoreError {
        StoreError::ArchiveLimit {
            archive: self.archive.to_path_buf(),
            reason,
        }
    }
}
