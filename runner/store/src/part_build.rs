//! Making a part at its final address.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wrun_core::id::Digest;

use crate::build::{publish, write_manifest};
use crate::environment::Builder;
use crate::error::StoreError;
use crate::flight::{Flight, FlightKey};
use crate::layout;
use crate::manifest::Manifest;
use crate::part::{FORMAT, Part, PartRecord, top_names, usable};
use crate::part_id::PartId;
use crate::root::Root;
use crate::store::Store;
use crate::sync;
use crate::trash;
use crate::tree::Tree;
use crate::walk::walk;

/// A part that is being made. Nobody sees it before [`PartBuild::commit`]; dropped without, it is deleted.
#[derive(Debug)]
pub struct PartBuild {
    root: Arc<Root>,
    id: PartId,
    tree: Tree,
    committed: bool,
    /// The maker's lock: it must outlive the deletion of a part that is given up.
    _flight: OwnedFd,
}

impl Store {
    /// Begins to make a part, under its own flight. What an earlier maker left is thrown away, and so is a part that
    /// was emptied.
    ///
    /// # Errors
    /// The flight is for something else, the part is complete already, or its folder cannot be made.
    pub fn begin_part(&self, flight: &Flight, id: &PartId) -> Result<PartBuild, StoreError> {
        if !matches!(flight.key(), FlightKey::Part(held) if held == id) {
            return Err(StoreError::WrongFlight {
                what: "part",
                id: id.to_string(),
                held: flight.key().to_string(),
            });
        }
        if usable(&self.root, id)?.is_some() {
            return Err(StoreError::AlreadyBuilt {
                what: "part",
                id: id.to_string(),
            });
        }
        let held = flight
            .inheritable_fd()
            .map_err(self.root.error("hold the lock of", &layout::part(id)))?;
        trash::discard(&self.root, &layout::part(id))?;
        self.root.folder(&layout::part_tree(id))?;
        let tree = self.part_tree(id)?;
        Ok(PartBuild {
            root: Arc::clone(&self.root),
            id: id.clone(),
            tree,
            committed: false,
            _flight: held,
        })
    }

    /// The tree of a part, complete or being made.
    ///
    /// # Errors
    /// There is none.
    pub fn part_tree(&self, id: &PartId) -> Result<Tree, StoreError> {
        Tree::open(&self.root, &layout::part_tree(id))?.ok_or_else(|| StoreError::NoPart { id: id.clone() })
    }
}

impl PartBuild {
    /// The folder to make it in, absolute: the part's final address.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.tree.path()
    }

    /// The same folder as a capability.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Writes the tree through to the disk, with its modes as they are, and makes it a part. `label` is for people.
    ///
    /// # Errors
    /// The tree holds something that cannot be kept, or cannot be written through. It is deleted then.
    pub fn commit(mut self, label: &str, milliseconds: u64) -> Result<Part, StoreError> {
        let (dir, path) = (self.tree.dir(), self.tree.path());
        let entries = walk(&self.root, dir, path)?;
        let manifest = Manifest::of(&self.root, dir, path, &entries)?;
        let text = manifest.text();
        let record = PartRecord {
            format: FORMAT,
            part_id: self.id.clone(),
            label: label.to_owned(),
            created_at: jiff::Timestamp::now(),
            builder: Builder::this(),
            milliseconds,
            files: manifest.files,
            bytes: manifest.bytes,
            top_names: top_names(&self.root, &layout::part_tree(&self.id))?.unwrap_or_default(),
            manifest_digest: Digest::of(text.as_bytes()),
        };
        let manifest = layout::part_manifest(&self.id);
        write_manifest(&self.root, &manifest, &text)?;
        publish(
            &self.root,
            [&layout::part(&self.id), layout::PARTS],
            || sync::tree(&self.root, dir, path, &entries),
            &manifest,
            (&layout::part_record(&self.id), &record),
        )?;
        self.committed = true;
        Ok(Part {
            id: self.id.clone(),
            path: PathBuf::from(self.tree.path()),
            record,
        })
    }
}

impl Drop for PartBuild {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = trash::discard(&self.root, &layout::part(&self.id))
        {
            tracing::warn!(id = %self.id, %error, "a part that was given up could not be deleted");
        }
    }
}
