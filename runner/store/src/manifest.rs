//! The manifest of a tree: one line for each file, folder and symbolic link.
//!
//! A line is `mode size what path`: the mode in octal with the type bits, the size in bytes, for a file its SHA-256,
//! for a symbolic link `->` and its target, for a folder `-`, for what stands for nothing in a layer `!`, and the path. Bytes that are not printable ASCII, and
//! blanks and `%`, are written as `%` with two hexadecimal digits. Lines are sorted by path.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cap_std::fs::{Dir, File, MetadataExt as _};
use rustix::fs::{FileType, OFlags};
use sha2::{Digest as _, Sha256};
use wrun_core::id::{Digest, EnvId};

use crate::environment::committed;
use crate::error::StoreError;
use crate::layout;
use crate::part;
use crate::part_id::PartId;
use crate::root::{Root, reading};
use crate::seal;
use crate::store::Store;
use crate::tree::Tree;
use crate::walk::{Entry, each, walk};

/// Bytes read at a time.
const CHUNK: usize = 16 * 1024;

/// What a tree holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Lines by path.
    lines: BTreeMap<String, String>,
    /// Files, without folders and links.
    pub(crate) files: u64,
    /// Bytes in them.
    pub(crate) bytes: u64,
}

impl Manifest {
    /// Reads a whole tree.
    pub(crate) fn of(root: &Root, tree: &Dir, path: &Path, entries: &[Entry]) -> Result<Self, StoreError> {
        let kept = |entry: &Entry, _: Option<&File>| Ok(entry.metadata.mode());
        Self::with_modes(root, tree, path, entries, kept)
    }

    /// Makes every file and folder of a tree read-only, and reads it. Symbolic links have no mode of their own.
    pub(crate) fn sealing(
        root: &Root,
        tree: &Dir,
        path: &Path,
        entries: &[Entry],
    ) -> Result<Self, StoreError> {
        let sealed = |entry: &Entry, file: Option<&File>| match file {
            Some(file) => seal::file(entry, file),
            None if entry.metadata.is_dir() => seal::folder(tree, entry),
            None => Ok(entry.metadata.mode()),
        };
        let manifest = Self::with_modes(root, tree, path, entries, sealed)?;
        seal::top(tree).map_err(root.error_at("make read-only", path))?;
        Ok(manifest)
    }

    /// Reads a whole tree; `mode` is asked for the mode of each entry, with the open file of those that have one.
    fn with_modes(
        root: &Root,
        tree: &Dir,
        path: &Path,
        entries: &[Entry],
        mode: impl Fn(&Entry, Option<&File>) -> io::Result<u32> + Sync,
    ) -> Result<Self, StoreError> {
        let lines = each(entries, |entry| {
            let at = path.join(&entry.rel);
            // The size of a folder is a matter of the file system, not of its content.
            let (what, size, file) = if entry.metadata.is_dir() {
                ("-".to_owned(), 0, None)
            } else if entry.metadata.is_symlink() {
                let target = tree
                    .read_link_contents(&entry.rel)
                    .map_err(root.error_at("read the link", &at))?;
                let target = format!("->{}", escaped(target.as_os_str().as_bytes()));
                (target, entry.metadata.size(), None)
            } else if entry.metadata.is_file() {
                let read = || {
                    let mut file = tree.open_with(&entry.rel, &reading(OFlags::NOFOLLOW))?;
                    Ok((digest(&mut file)?.hex(), file))
                };
                let (digest, file) = read().map_err(root.error_at("read", &at))?;
                (digest, entry.metadata.size(), Some(file))
            } else if stands_for_nothing(entry) {
                ("!".to_owned(), 0, None)
            } else {
                return Err(StoreError::SpecialFile { path: at });
            };
            let mode = mode(entry, file.as_ref()).map_err(root.error_at("make read-only", &at))?;
            let name = escaped(entry.rel.as_os_str().as_bytes());
            let line = format!("{mode:o} {size} {what} {name}");
            Ok((name, line))
        })?;
        let files = entries.iter().filter(|entry| entry.metadata.is_file());
        Ok(Self {
            files: files.clone().count() as u64,
            bytes: files.map(|entry| entry.metadata.size()).sum(),
            lines: lines.into_iter().collect(),
        })
    }

    /// The content of the manifest's file.
    pub(crate) fn text(&self) -> String {
        self.lines.values().fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        })
    }

    /// Reads the content of a manifest's file; lines only.
    fn parse(text: &str) -> BTreeMap<String, String> {
        text.lines()
            .map(|line| {
                (
                    line.rsplit_once(' ').map_or(line, |(_, name)| name).to_owned(),
                    line.to_owned(),
                )
            })
            .collect()
    }
}

/// Whether it is the device node that is no device: by it overlay file systems know what a layer takes away from those
/// below (Linux, `Documentation/filesystems/overlayfs.rst`).
fn stands_for_nothing(entry: &Entry) -> bool {
    FileType::from_raw_mode(entry.metadata.mode()) == FileType::CharacterDevice && entry.metadata.rdev() == 0
}

/// The digest of what is left to read in a file.
pub(crate) fn digest(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = [0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into())),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes bytes so that they contain no blank, no line break and nothing but ASCII.
fn escaped(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len()), |mut text, byte| {
            if byte.is_ascii_graphic() && *byte != b'%' {
                text.push(char::from(*byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(text, "%{byte:02x}");
            }
            text
        })
}

/// How a path differs from its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It is gone.
    Missing,
    /// It was not there when the environment was complete.
    Unexpected,
    /// Its content, mode or target is another.
    Changed,
}

/// A path that is not as it was when the environment or part was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The path relative to the folder of the environment or part, written as in the manifest: `prefix/...` or
    /// `tree/...`, or `manifest`.
    pub path: String,
    /// How it differs.
    pub difference: Difference,
}

impl Store {
    /// Compares an environment with its manifest, byte by byte.
    ///
    /// # Errors
    /// There is no such environment, or it cannot be read.
    pub fn check_environment(&self, id: &EnvId) -> Result<Vec<Mismatch>, StoreError> {
        let Some(record) = committed(&self.root, id)? else {
            return Err(StoreError::NoEnvironment { id: id.clone() });
        };
        self.check(&layout::manifest(id), record.manifest_digest, "prefix", || {
            self.tree(id)
        })
    }

    /// The same for a part.
    ///
    /// # Errors
    /// There is no such part, or it cannot be read.
    pub fn check_part(&self, id: &PartId) -> Result<Vec<Mismatch>, StoreError> {
        let Some(record) = part::committed(&self.root, id)? else {
            return Err(StoreError::NoPart { id: id.clone() });
        };
        self.check(&layout::part_manifest(id), record.manifest_digest, "tree", || {
            self.part_tree(id)
        })
    }

    /// Compares a tree, the folder `within`, with its manifest.
    fn check(
        &self,
        manifest: &str,
        digest: Digest,
        within: &str,
        tree: impl Fn() -> Result<Tree, StoreError>,
    ) -> Result<Vec<Mismatch>, StoreError> {
        let root = &*self.root;
        let text = root.read(manifest)?;
        let Some(text) = text.filter(|text| Digest::of(text) == digest) else {
            return Ok(vec![Mismatch {
                path: "manifest".to_owned(),
                difference: Difference::Changed,
            }]);
        };
        let expected = Manifest::parse(&String::from_utf8_lossy(&text));
        let tree = tree()?;
        let entries = walk(root, tree.dir(), tree.path())?;
        let found = Manifest::of(root, tree.dir(), tree.path(), &entries)?.lines;
        let mut mismatches = Vec::new();
        let mut note = |name: &str, difference| {
            mismatches.push(Mismatch {
                path: format!("{within}/{name}"),
                difference,
            });
        };
        for (name, line) in &expected {
            match found.get(name) {
                None => note(name, Difference::Missing),
                Some(other) if other != line => note(name, Difference::Changed),
                Some(_) => {}
            }
        }
        for name in found.keys().filter(|name| !expected.contains_key(*name)) {
            note(name, Difference::Unexpected);
        }
        Ok(mismatches)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_escaped_name_is_one_word_and_unlike_any_other(one: Vec<u8>, two: Vec<u8>) {
            prop_assert!(escaped(&one).bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(escaped(&one) == escaped(&two), one == two);
        }
    }
}
