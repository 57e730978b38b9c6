//! Clearing away what killed processes left.

use std::ffi::OsStr;
use std::time::Duration;

use cap_std::fs::MetadataExt as _;
use wrun_core::id::EnvId;

use crate::artifact::{FLEETING, RESUMABLE};
use crate::environment::committed;
use crate::error::StoreError;
use crate::flight::FlightKey;
use crate::layout;
use crate::lock_file::{self, Existing};
use crate::part;
use crate::part_id::PartId;
use crate::root::absent;
use crate::store::Store;
use crate::trash;

/// How long a download waits to be resumed.
const KEEP_PARTIAL: Duration = Duration::from_hours(7 * 24);

/// What a sweep cleared away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Scratch folders without an owner.
    pub scratch: usize,
    /// Environments and parts that were never complete.
    pub unfinished: usize,
    /// Downloads that nobody resumed.
    pub downloads: usize,
    /// Things in the trash.
    pub trash: usize,
    /// What could not be cleared away, in words.
    pub problems: Vec<String>,
}

impl Swept {
    /// Counts one thing, or notes why it is still there.
    fn note(&mut self, result: Result<bool, StoreError>, count: impl Fn(&mut Self) -> &mut usize) {
        match result {
            Ok(true) => *count(self) += 1,
            Ok(false) => {}
            Err(error) => self.problems.push(error.to_string()),
        }
    }
}

impl Store {
    /// Clears away what nobody owns: scratch folders, builds and downloads of processes that are gone, and the trash.
    /// What somebody holds a lock on is left alone, so this can be called at any time.
    ///
    /// # Errors
    /// The folders cannot be listed. What cannot be removed is noted and left.
    pub fn sweep(&self) -> Result<Swept, StoreError> {
        let root = &*self.root;
        let mut swept = self.sweep_scratch()?;
        for id in self.ids()? {
            swept.note(self.sweep_unfinished(&id), |swept| &mut swept.unfinished);
        }
        for id in self.part_ids()? {
            swept.note(self.sweep_unfinished_part(&id), |swept| &mut swept.unfinished);
        }
        for name in root.names(layout::PARTIAL)? {
            swept.note(self.sweep_partial(&name), |swept| &mut swept.downloads);
        }
        for name in root.names(layout::TRASH)? {
            swept.note(trash::delete(root, name).map(|()| true), |swept| &mut swept.trash);
        }
        Ok(swept)
    }

    /// Clears away only scratch folders, of which there are few at any time.
    ///
    /// # Errors
    /// As for [`Store::sweep`].
    pub fn sweep_scratch(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for name in self.root.names(layout::TEMPORARY)? {
            swept.note(self.sweep_one_scratch(&name), |swept| &mut swept.scratch);
        }
        Ok(swept)
    }

    fn sweep_one_scratch(&self, entry: &OsStr) -> Result<bool, StoreError> {
        let root = &*self.root;
        let Some(name) = entry.to_str() else {
            return Ok(false);
        };
        let Some(owned) = name.strip_suffix(".owner") else {
            // An owner comes before its folder and goes after it.
            return if root.exists(&layout::owner(name))? {
                Ok(false)
            } else {
                trash::discard(root, &layout::temporary(name))
            };
        };
        let Existing::Mine(_alone) = lock_file::attempt_existing(root, &layout::owner(owned))? else {
            return Ok(false);
        };
        let found = trash::discard(root, &layout::temporary(owned))?;
        root.remove_file(&layout::owner(owned))?;
        Ok(found)
    }

    fn sweep_unfinished(&self, id: &EnvId) -> Result<bool, StoreError> {
        let complete = || Ok(committed(&self.root, id)?.is_some());
        self.sweep_tree(&FlightKey::Env(id.clone()), &layout::environment(id), complete)
    }

    fn sweep_unfinished_part(&self, id: &PartId) -> Result<bool, StoreError> {
        let complete = || Ok(part::committed(&self.root, id)?.is_some());
        self.sweep_tree(&FlightKey::Part(id.clone()), &layout::part(id), complete)
    }

    /// Clears away a tree that is not complete and that nobody is building.
    fn sweep_tree(
        &self,
        key: &FlightKey,
        rel: &str,
        complete: impl Fn() -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let root = &*self.root;
        if complete()? {
            return Ok(false);
        }
        let aside = {
            let Some(_alone) = lock_file::attempt(root, &key.lock())? else {
                return Ok(false);
            };
            if complete()? {
                return Ok(false);
            }
            trash::set_aside(root, rel)?
        };
        match aside {
            Some(name) => trash::delete(root, name).map(|()| true),
            None => Ok(false),
        }
    }

    fn sweep_partial(&self, entry: &OsStr) -> Result<bool, StoreError> {
        let root = &*self.root;
        let Some(name) = entry.to_str() else {
            return Ok(false);
        };
        let rel = layout::partial(name);
        let Some(metadata) =
            absent(root.dir().symlink_metadata(&rel)).map_err(root.error("look at", &rel))?
        else {
            return Ok(false);
        };
        let age = jiff::Timestamp::now()
            .as_second()
            .saturating_sub(metadata.mtime());
        let old = u64::try_from(age).is_ok_and(|seconds| seconds > KEEP_PARTIAL.as_secs());
        let worthless = name.ends_with(FLEETING) || (name.ends_with(RESUMABLE) && old);
        if !worthless {
            return Ok(false);
        }
        let Existing::Mine(_alone) = lock_file::attempt_existing(root, &rel)? else {
            return Ok(false);
        };
        root.remove_file(&rel).map(|()| true)
    }
}
