//! Parts: trees that several environments share, such as the layers of container images.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::File;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd as _, OwnedFd};
use wrun_core::id::Digest;

use crate::environment::Builder;
use crate::error::StoreError;
use crate::layout;
use crate::lease::inheritable;
use crate::lock_file::{self, Hold};
use crate::part_id::PartId;
use crate::root::{Root, absent};
use crate::store::Store;

/// The format of the records of parts.
pub(crate) const FORMAT: u32 = 1;

/// What makes a tree a part: written when everything else is in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The format of this record.
    pub format: u32,
    /// The part.
    pub part_id: PartId,
    /// A name for people.
    pub label: String,
    /// When it was complete.
    pub created_at: jiff::Timestamp,
    /// Who made it.
    pub builder: Builder,
    /// How long that took.
    pub milliseconds: u64,
    /// Files in the tree, without folders and symbolic links.
    pub files: u64,
    /// Bytes in these files.
    pub bytes: u64,
    /// Names in the top folder of the tree. With fewer it was emptied by somebody.
    pub top_names: u64,
    /// The digest of the manifest.
    pub manifest_digest: Digest,
}

/// A part that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its id.
    pub id: PartId,
    /// Its tree; absolute.
    pub path: PathBuf,
    /// Its record.
    pub record: PartRecord,
}

/// The right to use a part, as a [`Lease`](crate::Lease) is the right to use an environment: a shared `flock(2)` that
/// ends with the last process that inherited it.
#[derive(Debug)]
pub struct PartLease {
    root: Arc<Root>,
    id: PartId,
    file: File,
}

impl PartLease {
    /// Takes the lease of a part, whether there is one or not.
    pub(crate) fn take(root: &Arc<Root>, id: &PartId) -> Result<Self, StoreError> {
        let file = lock_file::wait(root, &layout::part_lease(id), Hold::Shared)?;
        Ok(Self {
            root: Arc::clone(root),
            id: id.clone(),
            file,
        })
    }

    /// The part it is for.
    #[must_use]
    pub const fn id(&self) -> &PartId {
        &self.id
    }

    /// The part, if it is complete and nobody emptied it.
    ///
    /// # Errors
    /// Its record is there and cannot be opened.
    pub fn part(&self) -> Result<Option<Part>, StoreError> {
        Ok(usable(&self.root, &self.id)?.map(|record| Part {
            id: self.id.clone(),
            path: self.root.absolute(&layout::part_tree(&self.id)),
            record,
        }))
    }

    /// Another descriptor of the same lock, for a child. It is closed on `execve(2)`; whoever starts the child clears
    /// that flag in the child.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn inheritable_fd(&self) -> io::Result<OwnedFd> {
        inheritable(self.file.as_fd())
    }
}

impl Store {
    /// Takes the lease of a part, whether it exists or not. Take it before the part is looked up or made, and keep it
    /// at least until an environment that names the part is complete, so that no removal falls between.
    ///
    /// # Errors
    /// The lock cannot be taken.
    pub fn part_lease(&self, id: &PartId) -> Result<PartLease, StoreError> {
        PartLease::take(&self.root, id)
    }
}

/// The record of a part, if it is complete.
pub(crate) fn committed(root: &Root, id: &PartId) -> Result<Option<PartRecord>, StoreError> {
    let record: Option<PartRecord> = root.read_json(&layout::part_record(id))?;
    Ok(record.filter(|record| record.format == FORMAT && record.part_id == *id))
}

/// The same, if the tree still has its top folder's names too.
pub(crate) fn usable(root: &Root, id: &PartId) -> Result<Option<PartRecord>, StoreError> {
    let Some(record) = committed(root, id)? else {
        return Ok(None);
    };
    let tree = layout::part_tree(id);
    if top_names(root, &tree)? == Some(record.top_names) {
        return Ok(Some(record));
    }
    tracing::warn!(path = %root.absolute(&tree).display(), "a part is damaged and is made again");
    Ok(None)
}

/// How many names a folder of the store has, if it is there.
pub(crate) fn top_names(root: &Root, rel: &str) -> Result<Option<u64>, StoreError> {
    let count = || root.dir().read_dir(rel).map(|entries| entries.count() as u64);
    absent(count()).map_err(root.error("list", rel))
}
