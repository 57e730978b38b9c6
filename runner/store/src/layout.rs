//! Where things are, relative to the root of the store.

use wrun_core::id::{EnvId, LockId, SpecId};

use crate::part_id::PartId;

/// The description of the store.
pub(crate) const DESCRIPTION: &str = "store.json";
/// Locked while a store is being made.
pub(crate) const CREATION_LOCK: &str = "store.lock";
/// All environments.
pub(crate) const ENVIRONMENTS: &str = "v1/env";
/// All parts of environments.
pub(crate) const PARTS: &str = "v1/part";
/// All locks of builders.
pub(crate) const BUILDS: &str = "v1/build";
/// What is being made.
pub(crate) const TEMPORARY: &str = "tmp";
/// What is being deleted.
pub(crate) const TRASH: &str = "trash";
/// All downloads.
pub(crate) const DOWNLOADS: &str = "pkgs";
/// All compiled code.
pub(crate) const CODE: &str = "code";
/// All tools.
pub(crate) const TOOLS: &str = "tools";
/// Downloads that were checked.
pub(crate) const ARTIFACTS: &str = "pkgs/http";
/// Downloads that are not complete.
pub(crate) const PARTIAL: &str = "pkgs/http/partial";

/// The folders that a new store starts with.
pub(crate) const FOLDERS: &[&str] = &[
    "v1/spec",
    "v1/lock",
    ENVIRONMENTS,
    PARTS,
    "v1/lease",
    BUILDS,
    "v1/use",
    "v1/fact",
    "v1/pin",
    DOWNLOADS,
    CODE,
    TOOLS,
    TEMPORARY,
    TRASH,
];

/// Spreads many small files over folders by the first two characters of their names.
fn fan_out(name: &str) -> &str {
    name.get(..2).unwrap_or(name)
}

pub(crate) fn pointer(id: &SpecId) -> String {
    format!("v1/spec/{}/{id}.json", fan_out(id.as_str()))
}

pub(crate) fn lock(id: &LockId) -> String {
    format!("v1/lock/{}/{id}.json", fan_out(id.as_str()))
}

pub(crate) fn fact(kind: &str, name: &str) -> String {
    format!("v1/fact/{kind}/{name}.json")
}

pub(crate) fn environment(id: &EnvId) -> String {
    format!("{ENVIRONMENTS}/{id}")
}

pub(crate) fn prefix(id: &EnvId) -> String {
    format!("{ENVIRONMENTS}/{id}/prefix")
}

pub(crate) fn manifest(id: &EnvId) -> String {
    format!("{ENVIRONMENTS}/{id}/manifest")
}

pub(crate) fn commit_record(id: &EnvId) -> String {
    format!("{ENVIRONMENTS}/{id}/meta.json")
}

pub(crate) fn lease(id: &EnvId) -> String {
    format!("v1/lease/{id}")
}

pub(crate) fn last_use(id: &EnvId) -> String {
    format!("v1/use/{id}")
}

pub(crate) fn part(id: &PartId) -> String {
    format!("{PARTS}/{id}")
}

pub(crate) fn part_tree(id: &PartId) -> String {
    format!("{PARTS}/{id}/tree")
}

pub(crate) fn part_manifest(id: &PartId) -> String {
    format!("{PARTS}/{id}/manifest")
}

pub(crate) fn part_record(id: &PartId) -> String {
    format!("{PARTS}/{id}/meta.json")
}

pub(crate) fn part_lease(id: &PartId) -> String {
    format!("v1/lease/{id}")
}

pub(crate) fn build_lock(stem: &str) -> String {
    format!("{BUILDS}/{stem}.lock")
}

pub(crate) fn build_failure(stem: &str) -> String {
    format!("{BUILDS}/{stem}.failed")
}

pub(crate) fn downloads(name: &str) -> String {
    format!("pkgs/{name}")
}

pub(crate) fn artifact(hex: &str) -> String {
    format!("{ARTIFACTS}/{}/{hex}", fan_out(hex))
}

pub(crate) fn partial(name: &str) -> String {
    format!("{PARTIAL}/{name}")
}

pub(crate) fn tool_versions(name: &str) -> String {
    format!("tools/{name}")
}

pub(crate) fn tool(name: &str, version: &str) -> String {
    format!("tools/{name}/{version}")
}

pub(crate) fn code(key: &str) -> String {
    format!("code/{key}.cwasm")
}

pub(crate) fn temporary(name: &str) -> String {
    format!("{TEMPORARY}/{name}")
}

pub(crate) fn owner(name: &str) -> String {
    format!("{TEMPORARY}/{name}.owner")
}
