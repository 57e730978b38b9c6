//! What installers downloaded into a cache before, so that they are not made to look for it where it cannot be.
//!
//! The list lies in the cache and goes with it. Installers can write there, so it is a hint: it decides what is tried first,
//! never what is right.

use std::collections::BTreeSet;
use std::io::{self, Read as _};

use rustix::fs::OFlags;
use wrun_core::id::Digest;

use crate::error::StoreError;
use crate::layout;
use crate::name;
use crate::root::{Keep, reading};
use crate::store::Store;

/// The list's name in the cache: a digest on each line.
const NAME: &str = "wrun-downloaded.txt";

/// A longer list is started anew: about 200,000 packages.
const MAXIMUM: u64 = 16 << 20;

/// The list of a cache.
#[derive(Debug)]
pub struct Downloaded {
    store: Store,
    cache: String,
    known: BTreeSet<String>,
}

impl Store {
    /// What was downloaded into the cache of that name.
    ///
    /// # Errors
    /// The name is not 1 to 200 of `a-z`, `0-9` and `-`.
    pub fn downloaded(&self, cache: &str) -> Result<Downloaded, StoreError> {
        name::key("folder of downloads", cache)?;
        let cache = layout::downloads(cache);
        let known = self.list(&format!("{cache}/{NAME}")).unwrap_or_default();
        Ok(Downloaded {
            store: self.clone(),
            cache,
            known: known.lines().map(str::to_owned).collect(),
        })
    }

    fn list(&self, rel: &str) -> io::Result<String> {
        // Whatever an installer put there is not followed, and not waited for.
        let file = self.root.dir().open_with(rel, &reading(OFlags::NOFOLLOW))?;
        let mut text = String::new();
        if file.metadata()?.is_file() {
            file.take(MAXIMUM).read_to_string(&mut text)?;
        }
        Ok(text)
    }
}

impl Downloaded {
    /// Whether all of these were.
    #[must_use]
    pub fn has(&self, digests: &BTreeSet<Digest>) -> bool {
        digests
            .iter()
            .all(|digest| self.known.contains(&digest.to_string()))
    }

    /// Notes that all of these were. Two who note at once may lose the other's: that costs time, later.
    ///
    /// # Errors
    /// The list cannot be written.
    pub fn note(mut self, digests: &BTreeSet<Digest>) -> Result<(), StoreError> {
        self.known.extend(digests.iter().map(Digest::to_string));
        let lines: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let text = lines.join("\n");
        let keep = Keep {
            mode: 0o644,
            durable: false,
        };
        self.store
            .root
            .write(&format!("{}/{NAME}", self.cache), text.as_bytes(), keep)
    }
}
