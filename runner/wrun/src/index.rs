//! The package index that a machine is set up with.

use serde_json::{Value, json};
use wrun_core::backend::Manifest;
use wrun_core::problem::Problem;
use wrun_provision::Settings;

/// What the machine's own index and its credential are called.
pub(crate) const NAME: &str = "default";

/// The spec with the machine's own default index, if the backend takes indexes, the machine has one configured and
/// the spec names no default itself. So the index is part of the key like one that is written down.
///
/// # Errors
/// The machine's index is needed, and what it is set to is no address.
pub(crate) fn with_default_index(
    spec: &Value,
    manifest: &Manifest,
    settings: &Settings,
) -> Result<Value, Problem> {
    let Value::Object(members) = spec else {
        return Ok(spec.clone());
    };
    let mut indexes = match members.get("indexes") {
        None => Vec::new(),
        Some(Value::Array(indexes)) => indexes.clone(),
        // A mistake, which the backend names.
        Some(_) => return Ok(spec.clone()),
    };
    let has_default = indexes
        .iter()
        .any(|index| index.get("default") == Some(&Value::Bool(true)));
    if has_default {
        return Ok(spec.clone());
    }
    let configured = settings.check_indexes().map(|()| settings.default_index());
    if matches!(configured, Ok(None)) || manifest.schema.pointer("/properties/indexes").is_none() {
        return Ok(spec.clone());
    }
    let Some(url) = configured? else {
        return Ok(spec.clone());
    };
    let mut index = json!({ "name": NAME, "url": url, "default": true });
    let has_credential = settings
        .package_index
        .as_ref()
        .is_some_and(|index| index.credential.is_some());
    if let (true, Some(members)) = (has_credential, index.as_object_mut()) {
        members.insert("credentials".to_owned(), json!(NAME));
    }
    indexes.push(index);
    let mut members = members.clone();
    members.insert("indexes".to_owned(), Value::Array(indexes));
    Ok(Value::Object(members))
}
