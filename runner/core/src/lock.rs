//! What a request resolved to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canon::{Canon, CanonError};
use crate::id::{Digest, LockId};

/// A package of a lock, for people, audits and bills of material.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageRef {
    /// Its name.
    pub name: String,
    /// Its version; for a source folder what it says, or an empty string.
    pub version: String,
    /// Where it comes from, without credentials.
    pub source: String,
    /// Its digest, where there is one file.
    pub digest: Option<Digest>,
}

/// What a request resolved to: everything that a build needs, with digests. Immutable once stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The backend that made it and reads it.
    pub backend: String,
    /// The revision of the backend's lock format.
    pub revision: u32,
    /// The backend's own content; no numbers with a fraction.
    pub content: Value,
    /// The packages.
    pub packages: Vec<PackageRef>,
}

impl Lock {
    /// The id of this lock.
    ///
    /// # Errors
    /// The content holds a number with a fraction.
    pub fn id(&self) -> Result<LockId, CanonError> {
        let Self {
            backend,
            revision,
            content,
            packages: _,
        } = self;
        Ok(LockId::of(&Canon::map([
            ("backend", Canon::text(backend)),
            ("content", Canon::from_json(content)?),
            ("revision", Canon::integer(i64::from(*revision))),
        ])))
    }
}
