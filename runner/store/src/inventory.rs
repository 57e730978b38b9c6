//! What is in the store, and taking it out.

use wrun_core::id::EnvId;

use crate::environment::{CommitRecord, committed, last_use};
use crate::error::StoreError;
use crate::flight::FlightKey;
use crate::layout;
use crate::lock_file::{self, Existing};
use crate::part_inventory::PartRemoval;
use crate::store::Store;
use crate::trash;

/// An environment, for lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its record.
    pub record: CommitRecord,
    /// When it was last used, to five minutes; when it was built if it never was.
    pub last_used: jiff::Timestamp,
    /// Whether somebody holds a lease on it now.
    pub in_use: bool,
}

/// An environment that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The environment.
    pub id: EnvId,
    /// Its name for people; empty if it was never complete.
    pub label: String,
    /// The files it had.
    pub files: u64,
    /// The bytes in them. Some may be shared with downloads by hard links and are not free now.
    pub bytes: u64,
    /// Its parts that no other environment names and nobody uses; they were removed with it.
    pub parts: Vec<PartRemoval>,
}

impl Store {
    /// All complete environments, in no order.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn environments(&self) -> Result<Vec<Summary>, StoreError> {
        let mut summaries = Vec::new();
        for id in self.ids()? {
            let Some(record) = committed(&self.root, &id)? else {
                continue;
            };
            let last_used = last_use(&self.root, &id)?.unwrap_or(record.created_at);
            let in_use = matches!(
                lock_file::attempt_existing(&self.root, &layout::lease(&id))?,
                Existing::Held
            );
            summaries.push(Summary {
                record,
                last_used,
                in_use,
            });
        }
        Ok(summaries)
    }

    /// The complete environments whose id begins with some characters, sorted.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn find(&self, prefix_of_id: &str) -> Result<Vec<EnvId>, StoreError> {
        let mut found = Vec::new();
        for id in self.ids()? {
            if id.as_str().starts_with(prefix_of_id) && committed(&self.root, &id)?.is_some() {
                found.push(id);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Every id that has a folder, complete or not.
    pub(crate) fn ids(&self) -> Result<Vec<EnvId>, StoreError> {
        let names = self.root.names(layout::ENVIRONMENTS)?;
        Ok(names
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect())
    }

    /// Removes an environment that nobody uses or builds, and those of its parts that nobody names or uses any more.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Building`], [`StoreError::NoEnvironment`], or it cannot be deleted; then it
    /// is gone all the same, and the next sweep deletes the rest.
    pub fn remove(&self, id: &EnvId) -> Result<Removal, StoreError> {
        let root = &*self.root;
        let key = FlightKey::Env(id.clone());
        if !root.exists(&layout::environment(id))? {
            return Err(StoreError::NoEnvironment { id: id.clone() });
        }
        let (record, aside) = {
            let Some(_lease) = lock_file::attempt(root, &layout::lease(id))? else {
                return Err(StoreError::Busy {
                    what: "environment",
                    id: id.to_string(),
                });
            };
            let Some(_build) = lock_file::attempt(root, &key.lock())? else {
                return Err(StoreError::Building {
                    what: "environment",
                    id: id.to_string(),
                });
            };
            let record = committed(root, id)?;
            let aside = trash::set_aside(root, &layout::environment(id))?;
            // Under both locks, so that whoever waits for one of them notices that its file has lost its name.
            for rel in [layout::last_use(id), layout::lease(id), key.lock()] {
                root.remove_file(&rel)?;
            }
            (record, aside)
        };
        let Some(aside) = aside else {
            return Err(StoreError::NoEnvironment { id: id.clone() });
        };
        trash::delete(root, aside)?;
        let (label, files, bytes, parts) = record.map_or_else(Default::default, |record| {
            (record.label, record.files, record.bytes, record.parts)
        });
        let parts = self.remove_unnamed(&parts.into_iter().collect())?;
        Ok(Removal {
            id: id.clone(),
            label,
            files,
            bytes,
            parts,
        })
    }
}
