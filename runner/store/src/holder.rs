//! Who holds a lock, for those who wait for it.

use std::io;

use cap_std::fs::{File, FileExt as _};
use serde::{Deserialize, Serialize};

use crate::root::Root;

/// Characters of a phase that are shown.
const LONGEST_PHASE: usize = 200;

/// The text is filled up to this length, so that a shorter one covers a longer one in a single write.
const TEXT_LENGTH: usize = 1024;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The number of its process.
    pub pid: u32,
    /// The name of its machine.
    pub host: String,
    /// What it is doing.
    pub what: String,
    /// Since when it holds the lock.
    pub since: jiff::Timestamp,
}

impl Holder {
    /// This process, from now on.
    pub(crate) fn this(what: &str) -> Self {
        Self {
            pid: std::process::id(),
            host: host_name(),
            what: shortened(what),
            since: jiff::Timestamp::now(),
        }
    }

    pub(crate) fn with_phase(&self, phase: &str) -> Self {
        Self {
            what: shortened(phase),
            ..self.clone()
        }
    }

    /// Writes the holder into the file that it locked.
    pub(crate) fn write(&self, file: &File) -> io::Result<()> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.push(b'\n');
        if text.len() < TEXT_LENGTH {
            text.resize(TEXT_LENGTH, b' ');
        }
        file.write_all_at(&text, 0)
    }

    /// Reads the holder of a lock. The text is for people and may be half-written, so what cannot be read is no error.
    pub(crate) fn read(root: &Root, rel: &str) -> Option<Self> {
        let content = root.read(rel).ok()??;
        serde_json::Deserializer::from_slice(&content)
            .into_iter()
            .next()?
            .ok()
    }
}

fn shortened(phase: &str) -> String {
    phase.chars().take(LONGEST_PHASE).collect()
}

/// The name of this machine.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
