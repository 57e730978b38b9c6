//! From the entries of an archive to a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use wrun_core::id::Digest;

use crate::archive::Archive;
use crate::compression::Compression;
use crate::entry::{Content, Entry, Kind};
use crate::error::UnpackError;
use crate::folder::{self, Folder, Found, create, failed, look, set_attribute, times};
use crate::limits::Limits;
use crate::name::{RelativePath, shown};
use crate::whiteout::{Form, HAS_WHITEOUTS, HIDES, Meaning, OPAQUE, is_mark, meaning, take_away};

/// The mode of folders that an archive only implies.
const IMPLIED: u32 = 0o755;
/// What is kept of a file's mode, and what is added: the owner must be able to read it.
const FILE_MODE: (u32, u32) = (0o777, 0o400);
/// The same of a folder's mode; the sticky bit belongs to `tmp`.
const FOLDER_MODE: (u32, u32) = (0o1777, 0o500);
/// Where a container gets device nodes of its own.
const DEVICES: &[u8] = b"dev";

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// Files; those that have several names count once for each.
    pub files: u64,
    /// Bytes in them, with their holes.
    pub bytes: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// What is removed from the layers below.
    pub removals: u64,
    /// Device nodes, pipes and sockets below `dev` that were left out.
    pub left_out: u64,
}

/// Unpacks a layer into an empty folder, which has to be on the file system that it stays on. What begins like gzip or
/// zstd is decompressed, whatever it was `announced` as. Nothing is written through to the disk: that is left to
/// whoever knows when the folder is complete. On an error the folder holds a part of the layer and is of no use.
///
/// # Errors
/// The archive is not one, is too large, wants what no layer may, or is not the one with `expected` as its diff id
/// (the SHA-256 of the archive before it was compressed); or something cannot be written.
pub fn unpack<'a>(
    source: impl Read + 'a,
    announced: Option<Compression>,
    into: &Path,
    expected: &Digest,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let announce = |error| match error {
        UnpackError::NotAnArchive { reason, .. } => UnpackError::NotAnArchive { reason, announced },
        other => other,
    };
    let mut layer = Layer {
        folder: Folder::open(into)?,
        limits,
        entries: 0,
        folders: BTreeMap::new(),
        removed: BTreeSet::new(),
        emptied: BTreeSet::new(),
        unpacked: Unpacked::default(),
    };
    let mut archive = Archive::new(source, limits)?;
    while let Some(entry) = archive.next_entry().map_err(announce)? {
        layer.take(&entry, &mut archive)?;
    }
    let found = archive.finish()?;
    if found != *expected {
        return Err(UnpackError::WrongDiffId {
            expected: *expected,
            found,
        });
    }
    layer.finish()
}

/// A layer that is being unpacked.
struct Layer {
    folder: Folder,
    limits: Limits,
    entries: u64,
    /// The folders so far, and what they will be like at the end: until then the owner has to write in them.
    folders: BTreeMap<RelativePath, Properties>,
    /// What is removed from the layers below.
    removed: BTreeSet<RelativePath>,
    /// The folders whose content is removed from the layers below.
    emptied: BTreeSet<RelativePath>,
    unpacked: Unpacked,
}

/// What a folder is like.
#[derive(Default)]
struct Properties {
    mode: u32,
    /// Nothing if the archive only implies it.
    modified: Option<(i64, u32)>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it hides those below.
    hides: bool,
    /// Whether it has files that stand for nothing and are no device nodes.
    has_whiteouts: bool,
}

impl Layer {
    fn take(&mut self, entry: &Entry, archive: &mut Archive<'_>) -> Result<(), UnpackError> {
        self.count()?;
        let path = RelativePath::parse(&entry.path)?;
        match meaning(&path)? {
            Meaning::Plain => {}
            Meaning::Removed(path) => {
                self.removed.insert(path);
                return Ok(());
            }
            Meaning::Emptied(path) => {
                self.emptied.insert(path);
                return Ok(());
            }
            Meaning::Ignored => return Ok(()),
        }
        let Some((above, name)) = path.split() else {
            return self.take_top(entry, path);
        };
        match &entry.kind {
            Kind::Folder => self.make_folder(&above, name, &path, entry),
            Kind::Special(kind) => {
                if path.names().first().is_none_or(|name| name != DEVICES) {
                    return Err(UnpackError::SpecialFile {
                        path: path.shown(),
                        kind,
                    });
                }
                self.unpacked.left_out += 1;
                Ok(())
            }
            Kind::File(content) => {
                self.account(content.size, &path)?;
                let file = self.replace(&above, name, &path, |folder| create(folder, name))?;
                write(content, archive, &file, &path)?;
                for (attribute, value) in &entry.attributes {
                    set_attribute(file.as_fd(), attribute, value, &path)?;
                }
                rustix::fs::fchmod(&file, mode(entry.mode, FILE_MODE))
                    .map_err(failed("set the mode of", &path))?;
                rustix::fs::futimens(&file, &times(entry.modified))
                    .map_err(failed("set the time of", &path))?;
                self.unpacked.files += 1;
                Ok(())
            }
            Kind::SymbolicLink(target) => {
                if target.is_empty() || target.contains(&0) {
                    return Err(UnpackError::Name {
                        path: path.shown(),
                        reason: "is a symbolic link to nothing",
                    });
                }
                self.replace(&above, name, &path, |folder| {
                    rustix::fs::symlinkat(target.as_slice(), folder, name)?;
                    rustix::fs::utimensat(folder, name, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)
                })?;
                self.unpacked.links += 1;
                Ok(())
            }
            Kind::HardLink(target) => self.hard_link(&above, name, &path, target),
        }
    }

    /// The entry of the layer itself.
    fn take_top(&mut self, entry: &Entry, path: RelativePath) -> Result<(), UnpackError> {
        if !matches!(entry.kind, Kind::Folder) {
            return Err(UnpackError::Name {
                path: shown(&entry.path),
                reason: "stands for the whole layer and is not a folder",
            });
        }
        self.folders.insert(path, properties(entry));
        Ok(())
    }

    fn make_folder(
        &mut self,
        above: &RelativePath,
        name: &[u8],
        path: &RelativePath,
        entry: &Entry,
    ) -> Result<(), UnpackError> {
        let folder = self.enter(above, path)?;
        match folder::make_folder(folder, name) {
            Err(Errno::EXIST) if look(folder, name) == Ok(Found::Folder) => {}
            Err(Errno::EXIST) => {
                folder::remove(folder, name).map_err(failed("replace", path))?;
                folder::make_folder(folder, name).map_err(failed("make the folder", path))?;
            }
            other => other.map_err(failed("make the folder", path))?,
        }
        if self.folders.insert(path.clone(), properties(entry)).is_none() {
            self.unpacked.folders += 1;
        }
        Ok(())
    }

    /// Another name for a file of the same layer.
    fn hard_link(
        &mut self,
        above: &RelativePath,
        name: &[u8],
        path: &RelativePath,
        target: &[u8],
    ) -> Result<(), UnpackError> {
        let wrong = |reason| UnpackError::HardLink {
            path: path.shown(),
            target: shown(target),
            reason,
        };
        let linked = RelativePath::parse(target).map_err(|_| wrong("leads out of the layer"))?;
        if linked == *path {
            return Err(wrong("is the link itself"));
        }
        if is_mark(&linked) {
            return Err(wrong("stands for something that is removed"));
        }
        let Some((folder_of_target, name_of_target)) = linked.split() else {
            return Err(wrong("is the layer itself"));
        };
        let missing = || wrong("is not in the same layer");
        let from = self.folder.existing(&folder_of_target)?.ok_or_else(missing)?;
        match look(from.as_fd(), name_of_target).map_err(failed("look at", &linked))? {
            Found::Nothing => return Err(missing()),
            Found::Folder => return Err(wrong("is a folder")),
            Found::Other => {}
        }
        let linked_now = self.replace(above, name, path, |folder| {
            rustix::fs::linkat(&from, name_of_target, folder, name, AtFlags::empty())
        });
        match linked_now {
            // What was replaced had the target in it.
            Err(UnpackError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                Err(missing())
            }
            other => other,
        }?;
        self.unpacked.files += 1;
        Ok(())
    }

    /// Makes something new in a folder, in place of what has that name there.
    fn replace<T>(
        &mut self,
        above: &RelativePath,
        name: &[u8],
        path: &RelativePath,
        make: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        let folder = self.enter(above, path)?;
        match make(folder) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(failed("make", path)),
        }
        let was_folder = look(folder, name) == Ok(Found::Folder);
        folder::remove(folder, name).map_err(failed("replace", path))?;
        let result = make(folder).map_err(failed("make", path))?;
        if was_folder {
            self.folder.forget();
            self.forget_below(path);
        }
        Ok(result)
    }

    /// Forgets a folder that is gone, and everything in it. A path is followed in order by those below it.
    fn forget_below(&mut self, path: &RelativePath) {
        while let Some((folder, _)) = self.folders.range::<RelativePath, _>(path..).next()
            && folder.is_in(path)
        {
            let folder = folder.clone();
            self.folders.remove(&folder);
        }
        for paths in [&mut self.removed, &mut self.emptied] {
            while let Some(below) = paths.range::<RelativePath, _>(path..).next()
                && below.is_in(path)
            {
                let below = below.clone();
                paths.remove(&below);
            }
        }
    }

    /// Opens a folder for something in it, and makes what is missing on the way.
    fn enter(&mut self, path: &RelativePath, wanted: &RelativePath) -> Result<BorrowedFd<'_>, UnpackError> {
        let (entries, limits, folders) = (&mut self.entries, &self.limits, &mut self.folders);
        let count = &mut self.unpacked.folders;
        self.folder.enter(path, wanted, &mut |made| {
            add_entry(entries, limits)?;
            *count += 1;
            folders.insert(made, implied());
            Ok(())
        })
    }

    fn count(&mut self) -> Result<(), UnpackError> {
        add_entry(&mut self.entries, &self.limits)
    }

    /// Counts the bytes of a file, also those of its holes: who reads it reads them.
    fn account(&mut self, size: u64, path: &RelativePath) -> Result<(), UnpackError> {
        self.unpacked.bytes = self.unpacked.bytes.saturating_add(size);
        if self.unpacked.bytes > self.limits.bytes {
            return Err(UnpackError::Limit {
                what: format!(
                    "more than {} bytes of files with `{}`",
                    self.limits.bytes,
                    path.shown()
                ),
            });
        }
        Ok(())
    }

    /// Does what has to wait until everything is there: removals, and what folders are like.
    fn finish(mut self) -> Result<Unpacked, UnpackError> {
        for path in std::mem::take(&mut self.emptied) {
            self.enter(&path, &path)?;
            self.folders.entry(path).or_insert_with(implied).hides = true;
            self.unpacked.removals += 1;
        }
        for path in std::mem::take(&mut self.removed) {
            self.remove_below(&path)?;
        }
        self.folders.entry(RelativePath::top()).or_insert_with(implied);
        self.folder.forget();
        // What is in a folder changes its time, and its mode may close it: from below.
        for (path, properties) in self.folders.iter().rev() {
            let folder = self
                .folder
                .existing(path)?
                .ok_or_else(|| UnpackError::ThroughFile {
                    path: path.shown(),
                    file: path.shown(),
                })?;
            apply(&folder, properties, path)?;
        }
        Ok(self.unpacked)
    }

    /// Makes something of the layers below not be there, unless this layer has something of that name itself.
    fn remove_below(&mut self, path: &RelativePath) -> Result<(), UnpackError> {
        let Some((above, name)) = path.split() else {
            return Ok(());
        };
        if self.folders.get(&above).is_some_and(|folder| folder.hides) {
            return Ok(());
        }
        self.unpacked.removals += 1;
        let folder = self.enter(&above, path)?;
        match look(folder, name).map_err(failed("look at", path))? {
            Found::Folder => {
                self.folders.entry(path.clone()).or_insert_with(implied).hides = true;
            }
            Found::Other => {}
            Found::Nothing => {
                let form = take_away(folder, name, path)?;
                self.count()?;
                if form == Form::Attribute {
                    self.folders.entry(above).or_insert_with(implied).has_whiteouts = true;
                }
            }
        }
        Ok(())
    }
}

fn add_entry(entries: &mut u64, limits: &Limits) -> Result<(), UnpackError> {
    *entries += 1;
    if *entries > limits.entries {
        return Err(UnpackError::Limit {
            what: format!("more than {} entries", limits.entries),
        });
    }
    Ok(())
}

fn implied() -> Properties {
    Properties {
        mode: IMPLIED,
        ..Properties::default()
    }
}

fn properties(entry: &Entry) -> Properties {
    Properties {
        mode: entry.mode,
        modified: Some(entry.modified),
        attributes: entry.attributes.clone(),
        ..Properties::default()
    }
}

fn mode(mode: u32, (kept, added): (u32, u32)) -> Mode {
    Mode::from_raw_mode(mode & kept | added)
}

/// Gives a folder its attributes, mode and time.
fn apply(folder: &OwnedFd, properties: &Properties, path: &RelativePath) -> Result<(), UnpackError> {
    for (name, value) in &properties.attributes {
        set_attribute(folder.as_fd(), name, value, path)?;
    }
    if properties.hides {
        set_attribute(folder.as_fd(), OPAQUE, HIDES, path)?;
    } else if properties.has_whiteouts {
        set_attribute(folder.as_fd(), OPAQUE, HAS_WHITEOUTS, path)?;
    }
    rustix::fs::fchmod(folder, mode(properties.mode, FOLDER_MODE))
        .map_err(failed("set the mode of", path))?;
    if let Some(modified) = properties.modified {
        rustix::fs::futimens(folder, &times(modified)).map_err(failed("set the time of", path))?;
    }
    Ok(())
}

/// Writes the content of a file.
fn write(
    content: &Content,
    archive: &mut Archive<'_>,
    file: &OwnedFd,
    path: &RelativePath,
) -> Result<(), UnpackError> {
    let Some(map) = &content.map else {
        loop {
            let part = archive.content()?;
            if part.is_empty() {
                return Ok(());
            }
            write_at(file, part, None, path)?;
        }
    };
    let parts = map
        .checked(content.size, content.stored)
        .ok_or_else(|| UnpackError::NotAnArchive {
            reason: format!("the holes of `{}` make no sense", path.shown()),
            announced: None,
        })?;
    for (offset, length) in parts {
        let (mut at, end) = (*offset, offset + length);
        while at < end {
            let part = archive.content_up_to(end - at)?;
            write_at(file, part, Some(at), path)?;
            at += part.len() as u64;
        }
    }
    rustix::fs::ftruncate(file, content.size).map_err(failed("write", path))
}

/// Writes all of some bytes, at an offset or after those before.
fn write_at(
    file: &OwnedFd,
    mut bytes: &[u8],
    mut offset: Option<u64>,
    path: &RelativePath,
) -> Result<(), UnpackError> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| match offset {
            Some(offset) => rustix::io::pwrite(file, bytes, offset),
            None => rustix::io::write(file, bytes),
        })
        .map_err(failed("write", path))?;
        bytes = bytes.get(written..).unwrap_or_default();
        offset = offset.map(|offset| offset + written as u64);
    }
    Ok(())
}
