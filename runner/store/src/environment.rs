//! Environments that are complete.

use std::path::PathBuf;
use std::time::Duration;

use cap_std::fs::{MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wrun_core::id::{Digest, EnvId, LockId, SpecId};
use wrun_core::lock::PackageRef;

use crate::error::StoreError;
use crate::holder::host_name;
use crate::layout;
use crate::part;
use crate::part_id::PartId;
use crate::root::{Root, absent};
use crate::store::Store;

/// The format of commit records.
pub(crate) const FORMAT: u32 = 1;

/// How exact the time of the last use is; a use sooner after the one noted writes nothing.
const USE_PRECISION: Duration = Duration::from_mins(5);

/// Who built an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// The machine's name.
    pub host: String,
    /// The user's number.
    pub uid: u32,
    /// The version of `wrun`.
    pub version: String,
}

impl Builder {
    /// This process.
    pub(crate) fn this() -> Self {
        Self {
            host: host_name(),
            uid: rustix::process::geteuid().as_raw(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// What makes a tree an environment: written when everything else is in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// The format of this record.
    pub format: u32,
    /// The environment.
    pub env_id: EnvId,
    /// The lock it was built from.
    pub lock_id: LockId,
    /// The request that it was built for first.
    pub spec_id: SpecId,
    /// The backend that built it.
    pub backend: String,
    /// A name for people.
    pub label: String,
    /// When it was complete.
    pub created_at: jiff::Timestamp,
    /// Who built it.
    pub builder: Builder,
    /// How and with what it was built.
    pub materialiser: Value,
    /// How long the build took.
    pub milliseconds: u64,
    /// Files in the tree, without folders and symbolic links.
    pub files: u64,
    /// Bytes in these files.
    pub bytes: u64,
    /// The digest of the manifest.
    pub manifest_digest: Digest,
    /// The packages.
    pub packages: Vec<PackageRef>,
    /// Paths in the tree without which it is of no use.
    #[serde(default)]
    pub required: Vec<String>,
    /// The parts of the store that it is of no use without.
    #[serde(default)]
    pub parts: Vec<PartId>,
}

/// An environment that is complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its id.
    pub id: EnvId,
    /// Its tree; absolute.
    pub prefix: PathBuf,
    /// Its record.
    pub record: CommitRecord,
}

/// The commit record of an environment, if it is complete.
pub(crate) fn committed(root: &Root, id: &EnvId) -> Result<Option<CommitRecord>, StoreError> {
    let record: Option<CommitRecord> = root.read_json(&layout::commit_record(id))?;
    Ok(record.filter(|record| record.format == FORMAT && record.env_id == *id))
}

/// The same, if the tree and its parts are what they should be too. One that was emptied by somebody counts as not built.
pub(crate) fn usable(root: &Root, id: &EnvId) -> Result<Option<CommitRecord>, StoreError> {
    match committed(root, id)? {
        Some(record) if intact(root, &record)? => Ok(Some(record)),
        _ => Ok(None),
    }
}

/// Whether the tree and the parts of a complete environment are what they should be.
pub(crate) fn intact(root: &Root, record: &CommitRecord) -> Result<bool, StoreError> {
    let id = &record.env_id;
    let prefix = layout::prefix(id);
    let required = record.required.iter().map(|rel| format!("{prefix}/{rel}"));
    for path in std::iter::once(prefix.clone()).chain(required) {
        if !root.exists(&path)? {
            tracing::warn!(path = %root.absolute(&path).display(), "an environment is damaged and is built again");
            return Ok(false);
        }
    }
    for part in &record.parts {
        if part::usable(root, part)?.is_none() {
            tracing::warn!(%id, %part, "an environment lacks a part and is built again");
            return Ok(false);
        }
    }
    Ok(true)
}

impl Store {
    /// Notes that an environment was used now. A note of the last five minutes stands. What goes wrong here does not
    /// matter to a run and is ignored.
    pub fn touch(&self, id: &EnvId) {
        if let Err(error) = touch(&self.root, id) {
            tracing::debug!(%id, %error, "the time of last use was not noted");
        }
    }
}

/// When an environment was last used, if that was noted.
pub(crate) fn last_use(root: &Root, id: &EnvId) -> Result<Option<jiff::Timestamp>, StoreError> {
    let rel = layout::last_use(id);
    let metadata = absent(root.dir().metadata(&rel)).map_err(root.error("look at", &rel))?;
    Ok(metadata.and_then(|metadata| jiff::Timestamp::from_second(metadata.mtime()).ok()))
}

fn touch(root: &Root, id: &EnvId) -> Result<(), StoreError> {
    if let Some(noted) = last_use(root, id)? {
        // A clock that was set back gives a negative age: the note is then from the future and worth nothing.
        let age = jiff::Timestamp::now().duration_since(noted);
        if !age.is_negative() && age.unsigned_abs() < USE_PRECISION {
            return Ok(());
        }
    }
    let rel = layout::last_use(id);
    let touch = || {
        let file = root
            .dir()
            .open_with(&rel, OpenOptions::new().write(true).create(true).mode(0o600))?;
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        rustix::fs::futimens(
            &file,
            &Timestamps {
                last_access: now,
                last_modification: now,
            },
        )?;
        Ok(())
    };
    touch().map_err(root.error("touch", &rel))
}
