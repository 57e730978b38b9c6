//! Locks: an image by the digests of everything in it.

use serde::{Deserialize, Serialize};
use wrun_core::id::Digest;
use wrun_core::image::{BACKEND, Engine};
use wrun_core::lock::{Lock, PackageRef};
use wrun_core::problem::Problem;

use crate::documents::Packing;

/// The revision of the lock's content.
const REVISION: u32 = 1;

/// What a lock holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Locked {
    /// The image's name without a tag: `docker.io/library/python`, or what was written.
    pub(crate) name: String,
    /// The digest of the manifest of the platform.
    pub(crate) digest: Digest,
    /// The digest of the index that the manifest was found in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<Digest>,
    /// The platform.
    pub(crate) platform: String,
    /// The digest of the configuration.
    pub(crate) config: Digest,
    /// The archive of an image that was built here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) archive: Option<Archive>,
    /// What is run, and how.
    pub(crate) content: Content,
}

/// An image as a builder gave it, kept as a file of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Archive {
    /// Its format.
    pub(crate) kind: ArchiveKind,
    /// Its digest.
    pub(crate) digest: Digest,
}

/// The format of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ArchiveKind {
    /// OCI layout.
    Oci,
    /// What `docker save` writes.
    Docker,
}

/// What an image holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// Files in layers.
    Files(Box<Files>),
    /// A WebAssembly module.
    Module {
        /// Its digest.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
}

/// Files in layers, and how they are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Files {
    /// The layers, the lowest first.
    pub(crate) layers: Vec<Layer>,
    /// Variables, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<(String, String)>,
    /// What comes before every command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entrypoint: Vec<String>,
    /// The command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    /// The folder of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) working_dir: Option<String>,
    /// The folder that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_in: Option<String>,
    /// The user as written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    /// What runs it, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) engine: Option<Engine>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Layer {
    /// The digest of the file.
    pub(crate) digest: Digest,
    /// The size of the file in bytes.
    pub(crate) size: u64,
    /// How it is packed.
    pub(crate) packing: Packing,
    /// The digest of what is in it.
    pub(crate) diff_id: Digest,
}

fn unreadable(why: &str) -> Problem {
    Problem::Failed {
        code: "container.lock.syntax".to_owned(),
        message: format!("the lock cannot be read: {why}"),
        help: Some("solve again with `--refresh`".to_owned()),
    }
}

/// The lock of an image.
pub(crate) fn write(locked: &Locked) -> Result<Lock, Problem> {
    let source = format!("{}@{}", locked.name, locked.digest);
    let part = |name: &str, digest: Digest| PackageRef {
        name: name.to_owned(),
        version: digest.to_string(),
        source: source.clone(),
        digest: Some(digest),
    };
    let packages = match &locked.content {
        Content::Files(files) => files
            .layers
            .iter()
            .map(|layer| part("layer", layer.digest))
            .collect(),
        Content::Module { digest, .. } => vec![part("module", *digest)],
    };
    Ok(Lock {
        backend: BACKEND.to_owned(),
        revision: REVISION,
        content: serde_json::to_value(locked).map_err(|error| unreadable(&error.to_string()))?,
        packages,
    })
}

/// What a lock holds.
pub(crate) fn read(lock: &Lock) -> Result<Locked, Problem> {
    if lock.revision != REVISION {
        return Err(unreadable(&format!(
            "it is of revision {}, and {REVISION} is known",
            lock.revision
        )));
    }
    serde_json::from_value(lock.content.clone()).map_err(|error| unreadable(&error.to_string()))
}
