//! The entries of a tar archive, one after the other.

use std::io::Read;

use tar::{EntryType, GnuExtSparseHeader, Header};
use wrun_core::id::Digest;

use crate::entry::{Content, Entry, Kind};
use crate::error::UnpackError;
use crate::extended::Extended;
use crate::limits::{LONGEST_HEADER, Limits};
use crate::name::shown;
use crate::sparse::{Map, decimal};
use crate::stream::Stream;

/// Bytes of a block; headers are one, contents are filled up to whole ones.
const BLOCK: u64 = 512;
/// The most parts of a file between holes.
const MOST_PARTS: usize = 65_536;
/// Where a header has its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A tar archive that is being read.
pub(crate) struct Archive<'a> {
    stream: Stream<'a>,
    /// Bytes of the current entry that were not read.
    rest: u64,
    /// Bytes that fill the current entry up to a whole block.
    padding: u64,
    /// The current path, for people.
    path: String,
    /// Whether a header was read.
    begun: bool,
}

impl<'a> Archive<'a> {
    pub(crate) fn new(source: impl Read + 'a, limits: Limits) -> Result<Self, UnpackError> {
        Ok(Self {
            stream: Stream::new(source, limits)?,
            rest: 0,
            padding: 0,
            path: String::new(),
            begun: false,
        })
    }

    /// The next entry; its content is read with [`Archive::content`], as much of it as the caller wants.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, UnpackError> {
        let mut extended = Extended::default();
        loop {
            self.finish_entry()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let kind = header.entry_type();
            let stored = header.entry_size().map_err(|_| wrong("a size makes no sense"))?;
            match kind {
                EntryType::XHeader => extended.read(&self.text(stored)?)?,
                // What holds for all entries is ignored, as engines do; git writes a comment there.
                EntryType::XGlobalHeader => drop(self.text(stored)?),
                EntryType::GNULongName => extended.path = Some(self.long_name(stored)?),
                EntryType::GNULongLink => extended.link = Some(self.long_name(stored)?),
                _ => return self.entry(&header, stored, extended).map(Some),
            }
        }
    }

    /// The next bytes of the current entry; empty at its end.
    pub(crate) fn content(&mut self) -> Result<&[u8], UnpackError> {
        if self.rest == 0 {
            return Ok(&[]);
        }
        let next = self.stream.next(self.rest)?;
        if next.is_empty() {
            return Err(UnpackError::Truncated {
                path: self.path.clone(),
            });
        }
        self.rest -= next.len() as u64;
        Ok(next)
    }

    /// At most `maximum` bytes of the same.
    pub(crate) fn content_up_to(&mut self, maximum: u64) -> Result<&[u8], UnpackError> {
        let next = self.stream.next(self.rest.min(maximum))?;
        if next.is_empty() {
            return Err(UnpackError::Truncated {
                path: self.path.clone(),
            });
        }
        self.rest -= next.len() as u64;
        Ok(next)
    }

    /// Reads to the end and gives the digest of the whole archive.
    pub(crate) fn finish(self) -> Result<Digest, UnpackError> {
        self.stream.finish()
    }

    /// Goes to the end of the current entry.
    fn finish_entry(&mut self) -> Result<(), UnpackError> {
        let length = self.rest.saturating_add(self.padding);
        (self.rest, self.padding) = (0, 0);
        self.stream.skip(length, &self.path)
    }

    /// Begins the content of an entry.
    fn begin(&mut self, stored: u64) {
        self.rest = stored;
        self.padding = (BLOCK - stored % BLOCK) % BLOCK;
    }

    /// The next header; nothing at the end, which is two blocks of zeros or the end of the stream.
    fn header(&mut self) -> Result<Option<Header>, UnpackError> {
        let mut header = Header::new_old();
        if !self.stream.exactly(header.as_mut_bytes(), "")? {
            return if self.begun {
                Ok(None)
            } else {
                Err(wrong("it is empty"))
            };
        }
        self.begun = true;
        if is_zero(&header) {
            let again = self.stream.exactly(header.as_mut_bytes(), "")?;
            return if !again || is_zero(&header) {
                Ok(None)
            } else {
                Err(wrong("there is something after its end"))
            };
        }
        if header.cksum().ok() == Some(checksum(&header)) {
            Ok(Some(header))
        } else {
            Err(wrong("a header has a wrong checksum"))
        }
    }

    /// The content of a header that is text.
    fn text(&mut self, stored: u64) -> Result<Vec<u8>, UnpackError> {
        if stored > LONGEST_HEADER {
            return Err(UnpackError::Limit {
                what: format!("a header of more than {LONGEST_HEADER} bytes"),
            });
        }
        self.begin(stored);
        let mut text = Vec::new();
        loop {
            let next = self.content()?;
            if next.is_empty() {
                return Ok(text);
            }
            text.extend_from_slice(next);
        }
    }

    /// A name of GNU tar, which ends with a zero byte.
    fn long_name(&mut self, stored: u64) -> Result<Vec<u8>, UnpackError> {
        let mut name = self.text(stored)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn entry(&mut self, header: &Header, stored: u64, extended: Extended) -> Result<Entry, UnpackError> {
        let path = extended
            .sparse
            .path
            .clone()
            .or_else(|| extended.path.clone())
            .unwrap_or_else(|| header.path_bytes().into_owned());
        self.path = shown(&path);
        let stored = extended.size.unwrap_or(stored);
        let link = || {
            extended
                .link
                .clone()
                .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
                .unwrap_or_default()
        };
        let modified = extended
            .modified
            .or_else(|| Some((i64::try_from(header.mtime().ok()?).ok()?, 0)))
            .unwrap_or_default();
        let mut content = Content {
            size: stored,
            stored,
            map: None,
        };
        let has_content = matches!(
            header.entry_type(),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
        );
        let kind = match header.entry_type() {
            // Before POSIX a folder was told by its name.
            EntryType::Regular if path.ends_with(b"/") => Kind::Folder,
            EntryType::GNUSparse => {
                self.old_map(header, &mut content)?;
                Kind::File(content)
            }
            EntryType::Regular | EntryType::Continuous => Kind::File(content),
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::SymbolicLink(link()),
            EntryType::Link => Kind::HardLink(link()),
            EntryType::Char | EntryType::Block => Kind::Special("a device node"),
            EntryType::Fifo => Kind::Special("a pipe"),
            other => {
                return Err(UnpackError::UnknownKind {
                    path: self.path.clone(),
                    kind: shown(&[other.as_byte()]),
                });
            }
        };
        // Only files have content, whatever the size says; also those that are taken for folders.
        self.begin(if has_content { stored } else { 0 });
        let mut entry = Entry {
            path,
            kind,
            mode: header.mode().map_err(|_| wrong("a mode makes no sense"))?,
            modified,
            attributes: extended.attributes,
        };
        if let Kind::File(content) = &mut entry.kind {
            let sparse = extended.sparse;
            if sparse.map_in_front {
                content.map = Some(self.map_in_front()?);
                content.stored = self.rest;
            } else if sparse.has_map {
                content.map = Some(sparse.map);
            }
            if content.map.is_some() {
                content.size = sparse.size.unwrap_or(content.size);
            }
        }
        Ok(entry)
    }

    /// The map of a file with holes in the old form of GNU tar: four parts in the header, more in blocks after it.
    fn old_map(&mut self, header: &Header, content: &mut Content) -> Result<(), UnpackError> {
        let no_map = |_| wrong("a map of holes makes no sense");
        let gnu = header
            .as_gnu()
            .ok_or_else(|| wrong("a map of holes has no place"))?;
        let mut map = Map::default();
        let mut take = |parts: &[tar::GnuSparseHeader]| {
            for part in parts.iter().filter(|part| !part.is_empty()) {
                map.push(part.offset().map_err(no_map)?, part.length().map_err(no_map)?);
            }
            if map.len() > MOST_PARTS {
                return Err(too_many_parts());
            }
            Ok(())
        };
        take(&gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            let mut block = GnuExtSparseHeader::new();
            if !self.stream.exactly(block.as_mut_bytes(), &self.path)? {
                return Err(UnpackError::Truncated {
                    path: self.path.clone(),
                });
            }
            take(block.sparse())?;
            more = block.is_extended();
        }
        content.size = gnu.real_size().map_err(no_map)?;
        content.map = Some(map);
        Ok(())
    }

    /// The map of a file with holes that is in front of its content: numbers in lines of their own, filled up to a
    /// whole block.
    fn map_in_front(&mut self) -> Result<Map, UnpackError> {
        let before = self.rest;
        let count = self.line()?;
        if count > MOST_PARTS as u64 {
            return Err(too_many_parts());
        }
        let mut map = Map::default();
        for _ in 0..count {
            let offset = self.line()?;
            map.push(offset, self.line()?);
        }
        let mut filling = (BLOCK - (before - self.rest) % BLOCK) % BLOCK;
        while filling > 0 {
            filling -= self.content_up_to(filling)?.len() as u64;
        }
        Ok(map)
    }

    /// A number in a line of its own.
    fn line(&mut self) -> Result<u64, UnpackError> {
        const LONGEST: usize = 20;
        let mut digits = Vec::new();
        loop {
            match *self.content_up_to(1)? {
                [b'\n'] => break,
                [digit] if digits.len() < LONGEST => digits.push(digit),
                _ => return Err(wrong("a map of holes makes no sense")),
            }
        }
        decimal(&digits).ok_or_else(|| wrong("a map of holes makes no sense"))
    }
}

fn too_many_parts() -> UnpackError {
    UnpackError::Limit {
        what: format!("a file of more than {MOST_PARTS} parts with holes between them"),
    }
}

fn wrong(reason: &str) -> UnpackError {
    UnpackError::NotAnArchive {
        reason: reason.to_owned(),
        announced: None,
    }
}

fn is_zero(header: &Header) -> bool {
    header.as_bytes().iter().all(|byte| *byte == 0)
}

/// The sum of all bytes of a header, with blanks in place of the sum itself.
fn checksum(header: &Header) -> u32 {
    let bytes = header.as_bytes().iter().enumerate();
    bytes
        .map(|(index, byte)| {
            if CHECKSUM.contains(&index) {
                u32::from(b' ')
            } else {
                u32::from(*byte)
            }
        })
        .sum()
}
