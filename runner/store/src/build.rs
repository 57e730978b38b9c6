//! Building an environment at its final address.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use wrun_core::id::{Digest, EnvId, LockId, SpecId};
use wrun_core::lock::PackageRef;

use crate::environment::{Builder, CommitRecord, Environment, FORMAT, usable};
use crate::error::StoreError;
use crate::flight::{Flight, FlightKey};
use crate::layout;
use crate::manifest::Manifest;
use crate::part_id::PartId;
use crate::root::{Keep, Root};
use crate::store::Store;
use crate::sync;
use crate::trash;
use crate::tree::Tree;
use crate::walk::{Entry, walk};

/// The builder's part of a commit record.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitInfo {
    /// The lock that was built.
    pub lock_id: LockId,
    /// The request that it was built for.
    pub spec_id: SpecId,
    /// The backend.
    pub backend: String,
    /// A name for people.
    pub label: String,
    /// How and with what it was built.
    pub materialiser: Value,
    /// How long the build took.
    pub milliseconds: u64,
    /// The packages.
    pub packages: Vec<PackageRef>,
    /// Paths in the tree without which it is of no use: if one is gone, the environment is built again.
    pub required: Vec<String>,
    /// The parts of the store that it is of no use without. The caller holds their leases until it has committed.
    pub parts: Vec<PartId>,
}

/// An environment that is being built. Nobody sees it before [`Build::commit`]; dropped without, it is deleted.
#[derive(Debug)]
pub struct Build {
    root: Arc<Root>,
    id: EnvId,
    tree: Tree,
    committed: bool,
    /// The builder's lock: it must outlive the deletion of a build that is given up.
    _flight: OwnedFd,
}

impl Store {
    /// Begins to build an environment, under its own flight. What an earlier builder left is thrown away, and so is an
    /// environment that lacks what it needs.
    ///
    /// # Errors
    /// The flight is for something else, the environment is complete already, or its folder cannot be made.
    pub fn begin(&self, flight: &Flight, id: &EnvId) -> Result<Build, StoreError> {
        if !matches!(flight.key(), FlightKey::Env(held) if held == id) {
            return Err(StoreError::WrongFlight {
                what: "environment",
                id: id.to_string(),
                held: flight.key().to_string(),
            });
        }
        if usable(&self.root, id)?.is_some() {
            return Err(StoreError::AlreadyBuilt {
                what: "environment",
                id: id.to_string(),
            });
        }
        let held = flight
            .inheritable_fd()
            .map_err(self.root.error("hold the lock of", &layout::environment(id)))?;
        trash::discard(&self.root, &layout::environment(id))?;
        self.root.folder(&layout::prefix(id))?;
        let tree = self.tree(id)?;
        Ok(Build {
            root: Arc::clone(&self.root),
            id: id.clone(),
            tree,
            committed: false,
            _flight: held,
        })
    }
}

impl Build {
    /// The environment.
    #[must_use]
    pub const fn id(&self) -> &EnvId {
        &self.id
    }

    /// The folder to build into, absolute: the environment's final address.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        self.tree.path()
    }

    /// The same folder as a capability.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Makes the tree read-only, writes it through to the disk and makes it an environment.
    ///
    /// # Errors
    /// The tree holds something that cannot be kept, or cannot be written through. It is deleted then.
    pub fn commit(self, info: CommitInfo) -> Result<Environment, StoreError> {
        let mut sealed = self.seal(info)?;
        sealed.commit()?;
        Ok(sealed.environment)
    }

    /// Makes the tree read-only, after which its builder can use it.
    ///
    /// # Errors
    /// The tree holds something that cannot be kept, or the disk has no room for what is noted of it. It is deleted then.
    pub fn seal(self, info: CommitInfo) -> Result<Sealed, StoreError> {
        let CommitInfo {
            lock_id,
            spec_id,
            backend,
            label,
            materialiser,
            milliseconds,
            packages,
            required,
            parts,
        } = info;
        let (dir, path) = (self.tree.dir(), self.tree.path());
        let entries = walk(&self.root, dir, path)?;
        let manifest = Manifest::sealing(&self.root, dir, path, &entries)?;
        let text = manifest.text();
        let record = CommitRecord {
            format: FORMAT,
            env_id: self.id.clone(),
            lock_id,
            spec_id,
            backend,
            label,
            created_at: jiff::Timestamp::now(),
            builder: Builder::this(),
            materialiser,
            milliseconds,
            files: manifest.files,
            bytes: manifest.bytes,
            manifest_digest: Digest::of(text.as_bytes()),
            packages,
            required,
            parts,
        };
        write_manifest(&self.root, &layout::manifest(&self.id), &text)?;
        let environment = Environment {
            id: self.id.clone(),
            prefix: PathBuf::from(self.tree.path()),
            record,
        };
        Ok(Sealed {
            build: self,
            entries,
            environment,
        })
    }
}

/// An environment that does not change any more, and that nobody but its builder sees before [`Sealed::commit`]; dropped
/// without, it is deleted.
#[derive(Debug)]
pub struct Sealed {
    build: Build,
    entries: Vec<Entry>,
    environment: Environment,
}

impl Sealed {
    /// The environment, as it will be.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Writes everything through to the disk and makes it an environment for everybody, under the builder's flight.
    ///
    /// # Errors
    /// It cannot be written through.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let Build { root, id, tree, .. } = &self.build;
        publish(
            root,
            [&layout::environment(id), layout::ENVIRONMENTS],
            || sync::tree(root, tree.dir(), tree.path(), &self.entries),
            &layout::manifest(id),
            (&layout::commit_record(id), &self.environment.record),
        )?;
        self.build.committed = true;
        Ok(())
    }
}

/// Writes the manifest of a tree, which is nothing without the record.
pub(crate) fn write_manifest(root: &Root, rel: &str, text: &str) -> Result<(), StoreError> {
    let keep = Keep {
        mode: 0o444,
        durable: false,
    };
    root.write(rel, text.as_bytes(), keep)
}

/// Writes the record of a tree with its path, when all that it speaks of is on the disk. `folders` are that of the tree with
/// its manifest, and that of all trees of its kind; `tree` writes the tree through, and says whether everything else was
/// written through with it.
pub(crate) fn publish(
    root: &Root,
    folders: [&str; 2],
    tree: impl FnOnce() -> Result<bool, StoreError>,
    manifest: &str,
    record: (&str, &impl Serialize),
) -> Result<(), StoreError> {
    // The record must not outlive what it speaks of: the tree, the manifest, and the names of the folders they are in.
    if !tree()? {
        root.write_through(manifest)?;
        for rel in folders {
            let folder = root.folder(rel)?;
            sync::folder(&folder).map_err(root.error("write through", rel))?;
        }
    }
    let keep = Keep {
        mode: 0o444,
        durable: true,
    };
    root.write_json(record.0, record.1, keep)
}

impl Drop for Build {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = trash::discard(&self.root, &layout::environment(&self.id))
        {
            tracing::warn!(id = %self.id, %error, "a build that was given up could not be deleted");
        }
    }
}
