//! Small records: what requests resolved to, locks, and facts that were found out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wrun_core::id::{LockId, SpecId};
use wrun_core::lock::Lock;

use crate::error::StoreError;
use crate::layout;
use crate::name;
use crate::root::Keep;
use crate::store::Store;

/// What a request resolved to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pointer {
    /// The lock.
    pub lock_id: LockId,
    /// The canonical request, to explain differences.
    pub form: Value,
    /// When it was resolved.
    pub resolved_at: jiff::Timestamp,
    /// The versions of the tools that resolved it, by name.
    pub tools: BTreeMap<String, String>,
}

/// A fact with the whole key, of which the file name shows only the digest.
#[derive(Debug, Serialize, Deserialize)]
struct Fact {
    key: String,
    value: Value,
}

impl Store {
    /// What a request resolved to, if it was resolved before. A record that cannot be read counts as none.
    ///
    /// # Errors
    /// The file is there and cannot be opened.
    pub fn pointer(&self, id: &SpecId) -> Result<Option<Pointer>, StoreError> {
        self.root.read_json(&layout::pointer(id))
    }

    /// Remembers what a request resolved to, in place of what it resolved to before. It may be lost with the power, and is
    /// resolved again then.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_pointer(&self, id: &SpecId, pointer: &Pointer) -> Result<(), StoreError> {
        self.root.write_json(
            &layout::pointer(id),
            pointer,
            Keep {
                mode: 0o644,
                durable: false,
            },
        )
    }

    /// A lock. One whose content does not have that id counts as none.
    ///
    /// # Errors
    /// The file is there and cannot be opened.
    pub fn lock(&self, id: &LockId) -> Result<Option<Lock>, StoreError> {
        let rel = layout::lock(id);
        let Some(lock) = self.root.read_json::<Lock>(&rel)? else {
            return Ok(None);
        };
        if lock.id().is_ok_and(|found| found == *id) {
            return Ok(Some(lock));
        }
        tracing::warn!(path = %self.root.absolute(&rel).display(), "a lock was changed and is ignored");
        Ok(None)
    }

    /// Keeps a lock. One that is there already is left as it is. It may be lost with the power; what is left of it then does
    /// not have its id, and counts as none.
    ///
    /// # Errors
    /// It has no canonical form, or cannot be written.
    pub fn put_lock(&self, lock: &Lock) -> Result<LockId, StoreError> {
        let id = lock.id()?;
        if self.lock(&id)?.is_none() {
            self.root.write_json(
                &layout::lock(&id),
                lock,
                Keep {
                    mode: 0o444,
                    durable: false,
                },
            )?;
        }
        Ok(id)
    }

    /// A fact that was found out before, for instance what an interpreter said of itself. `kind` is 1 to 200 of
    /// `a-z`, `0-9` and `-`; `key` is any text.
    ///
    /// # Errors
    /// The kind is not a name, or the file is there and cannot be opened.
    pub fn fact(&self, kind: &str, key: &str) -> Result<Option<Value>, StoreError> {
        name::key("kind of fact", kind)?;
        let fact: Option<Fact> = self.root.read_json(&layout::fact(kind, &name::hashed(key)))?;
        Ok(fact.filter(|fact| fact.key == key).map(|fact| fact.value))
    }

    /// Remembers a fact. It may be lost with the power.
    ///
    /// # Errors
    /// The kind is not a name, or the file cannot be written.
    pub fn put_fact(&self, kind: &str, key: &str, value: &Value) -> Result<(), StoreError> {
        name::key("kind of fact", kind)?;
        let fact = Fact {
            key: key.to_owned(),
            value: value.clone(),
        };
        self.root.write_json(
            &layout::fact(kind, &name::hashed(key)),
            &fact,
            Keep {
                mode: 0o644,
                durable: false,
            },
        )
    }
}
