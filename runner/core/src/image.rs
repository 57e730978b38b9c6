//! What is known of a container image once it is in the store: where its files are and how it wants to be started.

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// What runs the tasks of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// This program: the layers are in the store and become the root of the sandbox.
    Builtin,
    /// `podman`, which keeps the image itself.
    Podman,
    /// `docker`, which keeps the image itself.
    Docker,
}

/// An image, as the build of its environment recorded it in a file of the environment, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its name with its digest, as an engine takes it: `docker.io/library/python@sha256:…`.
    pub reference: String,
    /// The digest of the manifest of its platform.
    pub digest: Digest,
    /// What runs it.
    pub engine: Engine,
    /// The folders of its unpacked layers, absolute, the lowest first. None where an engine keeps the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// How it wants to be started.
    pub config: ImageConfig,
}

/// How an image wants to be started (OCI Image Format Specification, `config.md`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Variables, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// What comes before every command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The command where the task has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The folder to start in, absolute; the root if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Who its processes are, looked up in the image's own `/etc/passwd` and `/etc/group`.
    pub user: ImageUser,
}

/// Who the processes of an image are, as they see it themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageUser {
    /// User id; 0 is not the machine's root.
    pub user: u32,
    /// Group id.
    pub group: u32,
}
