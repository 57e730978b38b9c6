//! The archive as a stream of bytes: hashed, counted and held to its limits while it is read.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use wrun_core::id::Digest;

use crate::compression::decompressed;
use crate::error::UnpackError;
use crate::limits::Limits;

/// Bytes that are decompressed at a time.
const CHUNK: usize = 256 * 1024;

/// The archive, not compressed any more.
pub(crate) struct Stream<'a> {
    source: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// The part of the buffer that was not given out yet.
    rest: std::ops::Range<usize>,
    hasher: Sha256,
    limits: Limits,
    /// Bytes so far.
    total: u64,
    /// Bytes of the compressed archive so far.
    compressed: Rc<Cell<u64>>,
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

impl<'a> Stream<'a> {
    pub(crate) fn new(source: impl Read + 'a, limits: Limits) -> Result<Self, UnpackError> {
        let compressed = Rc::new(Cell::new(0));
        let counted = Counted {
            source,
            count: Rc::clone(&compressed),
        };
        Ok(Self {
            source: decompressed(counted)?,
            buffer: vec![0; CHUNK],
            rest: 0..0,
            hasher: Sha256::new(),
            limits,
            total: 0,
            compressed,
        })
    }

    /// What comes next, at most `maximum` bytes; empty at the end.
    pub(crate) fn next(&mut self, maximum: u64) -> Result<&[u8], UnpackError> {
        if self.rest.is_empty() {
            self.fill()?;
        }
        let length = (self.rest.len() as u64).min(maximum);
        let start = self.rest.start;
        self.rest.start += usize::try_from(length).unwrap_or(self.rest.len());
        Ok(self.buffer.get(start..self.rest.start).unwrap_or_default())
    }

    fn fill(&mut self) -> Result<(), UnpackError> {
        let count = loop {
            match self.source.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(UnpackError::Read)?,
            }
        };
        self.rest = 0..count;
        self.hasher.update(self.buffer.get(..count).unwrap_or_default());
        self.total = self.total.saturating_add(count as u64);
        if self.total > self.limits.bytes {
            return Err(UnpackError::Limit {
                what: format!("more than {} bytes", self.limits.bytes),
            });
        }
        let earned = self.compressed.get().saturating_mul(self.limits.ratio);
        if self.total > self.limits.free_bytes.saturating_add(earned) {
            return Err(UnpackError::Limit {
                what: format!(
                    "more than {} bytes for each byte of the compressed archive",
                    self.limits.ratio
                ),
            });
        }
        Ok(())
    }

    /// Fills a buffer; `false` if the archive ends before its first byte. `path` is what it belongs to.
    pub(crate) fn exactly(&mut self, buffer: &mut [u8], path: &str) -> Result<bool, UnpackError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let next = self.next(rest.len() as u64)?;
            if next.is_empty() {
                if filled == 0 {
                    return Ok(false);
                }
                return Err(UnpackError::Truncated {
                    path: path.to_owned(),
                });
            }
            filled += next.len();
            if let Some(part) = rest.get_mut(..next.len()) {
                part.copy_from_slice(next);
            }
        }
        Ok(true)
    }

    /// Reads over some bytes.
    pub(crate) fn skip(&mut self, mut length: u64, path: &str) -> Result<(), UnpackError> {
        while length > 0 {
            let next = self.next(length)?;
            if next.is_empty() {
                return Err(UnpackError::Truncated {
                    path: path.to_owned(),
                });
            }
            length -= next.len() as u64;
        }
        Ok(())
    }

    /// Reads to the end and gives the digest of everything.
    pub(crate) fn finish(mut self) -> Result<Digest, UnpackError> {
        while !self.next(u64::MAX)?.is_empty() {}
        Ok(Digest::from_bytes(self.hasher.finalize().into()))
    }
}
