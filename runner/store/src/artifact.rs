//! Downloads that are known by their digest.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::{File, Permissions, PermissionsExt as _};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use wrun_core::id::Digest;

use crate::error::StoreError;
use crate::layout;
use crate::lock_file;
use crate::manifest;
use crate::name;
use crate::root::{Root, absent, reading};
use crate::store::Store;

/// The end of the names of downloads that can be resumed.
pub(crate) const RESUMABLE: &str = ".part";
/// The end of the names of downloads that cannot.
pub(crate) const FLEETING: &str = ".once";

impl Store {
    /// The file with that digest, if it was downloaded before. It was checked then.
    ///
    /// # Errors
    /// The file cannot be looked at.
    pub fn artifact(&self, digest: &Digest) -> Result<Option<PathBuf>, StoreError> {
        let rel = layout::artifact(&digest.hex());
        let metadata =
            absent(self.root.dir().symlink_metadata(&rel)).map_err(self.root.error("look at", &rel))?;
        Ok(metadata
            .filter(cap_std::fs::Metadata::is_file)
            .map(|_| self.root.absolute(&rel)))
    }

    /// Removes the file with that digest if it is not what the digest says any more; one that is right stays.
    ///
    /// # Errors
    /// The file cannot be read or removed.
    pub fn discard_artifact(&self, digest: &Digest) -> Result<(), StoreError> {
        let rel = layout::artifact(&digest.hex());
        let file = absent(self.root.dir().open_with(&rel, &reading(OFlags::NOFOLLOW)))
            .map_err(self.root.error("read", &rel))?;
        let Some(mut file) = file else { return Ok(()) };
        // What cannot be read is of no use either.
        if manifest::digest(&mut file).is_ok_and(|found| found == *digest) {
            return Ok(());
        }
        self.root.remove_file(&rel)
    }

    /// Begins a download.
    #[must_use]
    pub fn artifact_writer(&self) -> ArtifactWriter {
        ArtifactWriter {
            root: Arc::clone(&self.root),
            state: None,
        }
    }
}

/// A download under way. Dropped before [`ArtifactWriter::finish`] it is removed, or kept for the next attempt if it
/// was made to resume.
#[derive(Debug)]
pub struct ArtifactWriter {
    root: Arc<Root>,
    state: Option<State>,
}

/// The file of a download; it stays locked as long as it is open.
#[derive(Debug)]
struct State {
    rel: String,
    file: File,
    hasher: Sha256,
    length: u64,
    kept: bool,
}

impl ArtifactWriter {
    /// Continues an earlier download of the same file, and keeps this one for a later attempt. Returns how many bytes
    /// are there already: 0 too if another process is at it. To be called before the first byte is written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn resume(&mut self, expected: &Digest) -> Result<u64, StoreError> {
        let rel = layout::partial(&format!("{}{RESUMABLE}", expected.hex()));
        let Some(file) = lock_file::attempt(&self.root, &rel)? else {
            return Ok(0);
        };
        let mut state = State {
            rel,
            file,
            hasher: Sha256::new(),
            length: 0,
            kept: true,
        };
        state.read_back().map_err(self.root.error("read", &state.rel))?;
        let length = state.length;
        self.state = Some(state);
        Ok(length)
    }

    /// Throws away what is there, for a server that starts from the beginning.
    ///
    /// # Errors
    /// The file cannot be changed.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        state.clear().map_err(self.root.error("write", &state.rel))
    }

    /// Bytes so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.length)
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        let root = Arc::clone(&self.root);
        let state = self.state()?;
        state
            .file
            .write_all(chunk)
            .map_err(root.error("write", &state.rel))?;
        state.hasher.update(chunk);
        state.length += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The digest of the bytes so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let hasher = self
            .state
            .as_ref()
            .map_or_else(Sha256::new, |state| state.hasher.clone());
        Digest::from_bytes(hasher.finalize().into())
    }

    /// Checks the digest and puts the file in place.
    ///
    /// # Errors
    /// The digest is another, then what was downloaded is removed; or the file cannot be put in place.
    pub fn finish(mut self, expected: &Digest) -> Result<PathBuf, StoreError> {
        let root = Arc::clone(&self.root);
        let state = self.state()?;
        let found = Digest::from_bytes(state.hasher.clone().finalize().into());
        if found != *expected {
            state.kept = false;
            return Err(StoreError::WrongDigest {
                expected: *expected,
                found,
            });
        }
        let rel = layout::artifact(&expected.hex());
        if let Some((folder, _)) = rel.rsplit_once('/') {
            root.folder(folder)?;
        }
        let place = || {
            state.file.sync_all()?;
            root.dir().rename(&state.rel, root.dir(), &rel)?;
            // Only now: a partial file that cannot be written to could not be resumed.
            state.file.set_permissions(Permissions::from_mode(0o444))
        };
        place().map_err(root.error("write", &rel))?;
        // The name that the download had is another's to take now.
        state.kept = true;
        Ok(root.absolute(&rel))
    }

    /// The file, begun if it is not yet.
    fn state(&mut self) -> Result<&mut State, StoreError> {
        let begun = match self.state.take() {
            Some(state) => state,
            None => State::begin(&self.root)?,
        };
        Ok(self.state.insert(begun))
    }
}

impl State {
    fn begin(root: &Root) -> Result<Self, StoreError> {
        loop {
            let name = name::random().map_err(root.error("name a file in", layout::PARTIAL))?;
            let rel = layout::partial(&format!("{name}{FLEETING}"));
            // A sweep may hold the lock of a file that was just made, to remove it.
            if let Some(file) = lock_file::attempt(root, &rel)? {
                return Ok(Self {
                    rel,
                    file,
                    hasher: Sha256::new(),
                    length: 0,
                    kept: false,
                });
            }
        }
    }

    fn read_back(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    self.hasher.update(buffer.get(..count).unwrap_or_default());
                    self.length += u64::try_from(count).unwrap_or(u64::MAX);
                }
            }
        }
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        io::Seek::rewind(&mut self.file)?;
        self.hasher = Sha256::new();
        self.length = 0;
        Ok(())
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        if let Some(state) = self.state.take()
            && !state.kept
            && let Err(error) = self.root.remove_file(&state.rel)
        {
            tracing::warn!(path = %self.root.absolute(&state.rel).display(), %error, "a download could not be removed");
        }
    }
}
