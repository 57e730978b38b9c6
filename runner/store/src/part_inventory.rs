//! Which parts are in the store and who names them, and taking them out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use wrun_core::id::EnvId;

use crate::error::StoreError;
use crate::flight::FlightKey;
use crate::layout;
use crate::lock_file::{self, Existing};
use crate::part::{PartRecord, committed};
use crate::part_id::PartId;
use crate::store::Store;
use crate::trash;

/// A part, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSummary {
    /// Its record.
    pub record: PartRecord,
    /// The environments that name it, sorted. A part that none names can be removed.
    pub environments: Vec<EnvId>,
    /// Whether somebody holds a lease on it now.
    pub in_use: bool,
}

/// A part that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRemoval {
    /// The part.
    pub id: PartId,
    /// Its name for people; empty if it was never complete.
    pub label: String,
    /// The files it had.
    pub files: u64,
    /// The bytes in them.
    pub bytes: u64,
}

/// What a commit record says of parts, whatever else is in it: one that a newer version wrote protects its parts too.
#[derive(Debug, Deserialize)]
struct Naming {
    #[serde(default)]
    parts: BTreeSet<PartId>,
}

impl Store {
    /// All complete parts, sorted by their ids.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn parts(&self) -> Result<Vec<PartSummary>, StoreError> {
        let mut named = self.named_parts()?;
        let mut summaries = Vec::new();
        for id in self.part_ids()? {
            let Some(record) = committed(&self.root, &id)? else {
                continue;
            };
            let in_use = matches!(
                lock_file::attempt_existing(&self.root, &layout::part_lease(&id))?,
                Existing::Held
            );
            summaries.push(PartSummary {
                record,
                environments: named.remove(&id).unwrap_or_default(),
                in_use,
            });
        }
        Ok(summaries)
    }

    /// The complete parts whose id begins with some characters, sorted.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn find_parts(&self, beginning_of_id: &str) -> Result<Vec<PartId>, StoreError> {
        let mut found = Vec::new();
        for id in self.part_ids()? {
            if id.to_string().starts_with(beginning_of_id) && committed(&self.root, &id)?.is_some() {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Every part that has a folder, complete or not, sorted.
    pub(crate) fn part_ids(&self) -> Result<BTreeSet<PartId>, StoreError> {
        let names = self.root.names(layout::PARTS)?;
        Ok(names
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect())
    }

    /// The environments that name each part.
    fn named_parts(&self) -> Result<BTreeMap<PartId, Vec<EnvId>>, StoreError> {
        let mut named = BTreeMap::<PartId, Vec<EnvId>>::new();
        let mut ids = self.ids()?;
        ids.sort();
        for id in ids {
            let naming: Option<Naming> = self.root.read_json(&layout::commit_record(&id))?;
            for part in naming.into_iter().flat_map(|naming| naming.parts) {
                named.entry(part).or_default().push(id.clone());
            }
        }
        Ok(named)
    }

    /// Removes a part that nobody uses or makes and that no environment names.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Building`], [`StoreError::PartNamed`], [`StoreError::NoPart`], or it cannot
    /// be deleted; then it is gone all the same, and the next sweep deletes the rest.
    pub fn remove_part(&self, id: &PartId) -> Result<PartRemoval, StoreError> {
        let root = &*self.root;
        let key = FlightKey::Part(id.clone());
        if !root.exists(&layout::part(id))? {
            return Err(StoreError::NoPart { id: id.clone() });
        }
        let (record, aside) = {
            let Some(_lease) = lock_file::attempt(root, &layout::part_lease(id))? else {
                return Err(StoreError::Busy {
                    what: "part",
                    id: id.to_string(),
                });
            };
            let Some(_build) = lock_file::attempt(root, &key.lock())? else {
                return Err(StoreError::Building {
                    what: "part",
                    id: id.to_string(),
                });
            };
            // Whoever builds an environment holds the leases of its parts until the record that names them is there,
            // so no environment can come to name it between here and the end.
            if let Some(environment) = self
                .named_parts()?
                .remove(id)
                .and_then(|ids| ids.into_iter().next())
            {
                return Err(StoreError::PartNamed {
                    id: id.clone(),
                    environment,
                });
            }
            let record = committed(root, id)?;
            let aside = trash::set_aside(root, &layout::part(id))?;
            // Under both locks, so that whoever waits for one of them notices that its file has lost its name.
            for rel in [layout::part_lease(id), key.lock()] {
                root.remove_file(&rel)?;
            }
            (record, aside)
        };
        let Some(aside) = aside else {
            return Err(StoreError::NoPart { id: id.clone() });
        };
        trash::delete(root, aside)?;
        let (label, files, bytes) = record.map_or_else(Default::default, |record| {
            (record.label, record.files, record.bytes)
        });
        Ok(PartRemoval {
            id: id.clone(),
            label,
            files,
            bytes,
        })
    }

    /// Removes those of some parts that nobody uses, makes or names any more.
    pub(crate) fn remove_unnamed(&self, ids: &BTreeSet<PartId>) -> Result<Vec<PartRemoval>, StoreError> {
        let mut removed = Vec::new();
        for id in ids {
            match self.remove_part(id) {
                Ok(removal) => removed.push(removal),
                Err(
                    StoreError::Busy { .. }
                    | StoreError::Building { .. }
                    | StoreError::PartNamed { .. }
                    | StoreError::NoPart { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }
}
