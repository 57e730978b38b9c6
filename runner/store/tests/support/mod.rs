//! What the tests of the store share.

use serde_json::json;
use tempfile::TempDir;
use wrun_core::canon::Canon;
use wrun_core::id::{Digest, EnvId, LockId, SpecId};
use wrun_store::{CommitInfo, Environment, Flight, FlightKey, Part, PartId, Store, StoreError};

/// A store in a folder that is removed afterwards.
pub(crate) fn fresh() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

pub(crate) fn spec_id(name: &str) -> SpecId {
    SpecId::of(&Canon::text(name))
}

pub(crate) fn lock_id(name: &str) -> LockId {
    LockId::of(&Canon::text(name))
}

pub(crate) fn env_id(name: &str) -> EnvId {
    EnvId::of(&lock_id(name), &Canon::text("test"))
}

pub(crate) fn info(name: &str) -> CommitInfo {
    CommitInfo {
        lock_id: lock_id(name),
        spec_id: spec_id(name),
        backend: "test".to_owned(),
        label: name.to_owned(),
        materialiser: json!({"revision": 1}),
        milliseconds: 12,
        packages: Vec::new(),
        required: Vec::new(),
        parts: Vec::new(),
    }
}

/// A flight that need not wait long.
pub(crate) fn flight(store: &Store, key: &FlightKey) -> Result<Flight, StoreError> {
    store.flight(key, &|| false, &mut |_| {})
}

pub(crate) fn part_id(name: &str) -> PartId {
    PartId::new("layer", Digest::of(name.as_bytes())).unwrap()
}

/// Makes a small part.
pub(crate) fn make_part(store: &Store, name: &str) -> Part {
    let id = part_id(name);
    let flight = flight(store, &FlightKey::Part(id.clone())).unwrap();
    let build = store.begin_part(&flight, &id).unwrap();
    build.tree().write("bin/tool", b"#!/bin/sh\n", true).unwrap();
    build.tree().write("data", b"data", false).unwrap();
    build.tree().symlink("/usr/bin/env", "bin/env").unwrap();
    build.commit(name, 1).unwrap()
}

/// Builds an environment that needs parts.
pub(crate) fn build_with(store: &Store, name: &str, parts: &[&PartId]) -> Environment {
    let id = env_id(name);
    let flight = flight(store, &FlightKey::Env(id.clone())).unwrap();
    let build = store.begin(&flight, &id).unwrap();
    build.tree().write("image.json", b"{}", false).unwrap();
    let parts = parts.iter().map(|part| (*part).clone()).collect();
    build.commit(CommitInfo { parts, ..info(name) }).unwrap()
}

/// Builds a small environment.
pub(crate) fn build(store: &Store, name: &str) -> Environment {
    let id = env_id(name);
    let flight = flight(store, &FlightKey::Env(id.clone())).unwrap();
    let build = store.begin(&flight, &id).unwrap();
    build.tree().write("bin/tool", b"#!/bin/sh\n", true).unwrap();
    build.tree().write("lib/data file", b"data", false).unwrap();
    build.tree().symlink("/usr/bin/env", "bin/env").unwrap();
    build.tree().symlink("lib", "lib64").unwrap();
    build.tree().make_dir("empty").unwrap();
    build.commit(info(name)).unwrap()
}
