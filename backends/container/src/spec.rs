//! The table `env.container`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wrun_core::host::BuilderKind;
use wrun_core::image::Engine;

/// A container image: its files are the root of the task's sandbox. No engine and no daemon is needed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "env.container")]
pub struct ContainerSpec {
    /// The image: `"python:3.12-slim"`, `"registry.example/team/app@sha256:…"`, the folder of an image in OCI layout
    /// (`"oci:FOLDER"` or `"oci:FOLDER:NAME"`), an archive of one (`"oci-archive:FILE"`) or what `docker save` wrote
    /// (`"docker-archive:FILE"` or `"docker-archive:FILE:NAME"`). Paths are relative to the task's folder. A tag is looked up
    /// once, for the lock.
    pub image: Option<String>,
    /// A Containerfile, relative to the task's folder, that the image is built from: `"Containerfile"`. This runs an
    /// installed builder.
    pub build: Option<String>,
    /// The folder that the build can copy from, relative to the task's folder. Without it: the folder of the
    /// Containerfile.
    pub context: Option<String>,
    /// The stage of the Containerfile to build. Without it: the last.
    pub target: Option<String>,
    /// Values for `ARG` lines of the Containerfile.
    pub args: BTreeMap<String, String>,
    /// Names of credentials that a step of the Containerfile can read, `["corp"]` by
    /// `RUN --mount=type=secret,id=corp`: the values of the variables `WRUN_INDEX_NAME_PASSWORD`. They are in no key and in
    /// no image.
    pub secrets: Vec<String>,
    /// What builds. Without it: the first of `buildah`, `podman` and `docker` that is installed.
    pub builder: Option<Builder>,
    /// What runs the tasks.
    pub engine: EngineChoice,
    /// The platform of the image: `"linux/arm64"`, `"linux/arm/v7"`. Without it: that of this machine.
    pub platform: Option<String>,
    /// The folder of the image to start in, absolute. Without it: the task's own folder for a task with a `command`, the
    /// image's `WORKDIR` for one without.
    pub working_dir: Option<String>,
    /// What comes before the arguments of a task without a `command`, in place of the image's `ENTRYPOINT`.
    pub entrypoint: Option<Vec<String>>,
    /// Who the task's processes are, as they see it: `"1000"`, `"1000:1000"` or a name of the image's `/etc/passwd`. Without
    /// it: the image's `USER`, else root. Outside of the sandbox they are the caller, whatever this says.
    pub user: Option<String>,
    /// The name of the credential for the registry, whose value comes from the variables `WRUN_INDEX_NAME_USERNAME` and
    /// `WRUN_INDEX_NAME_PASSWORD`. Without it: what `podman login` or `docker login` kept.
    pub credentials: Option<String>,
    /// Registries that are asked before the image's own, in order: `["mirror.example", "127.0.0.1:5000/hub"]`. What they have
    /// is checked by its digest.
    pub mirrors: Vec<String>,
}

/// What runs the tasks of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// wrun itself where this machine can, else podman, else docker.
    #[default]
    Auto,
    /// wrun itself: Linux with user namespaces, or root.
    Builtin,
    /// podman.
    Podman,
    /// docker.
    Docker,
}

impl EngineChoice {
    /// The engine, if one was asked for.
    pub(crate) const fn engine(self) -> Option<Engine> {
        match self {
            Self::Auto => None,
            Self::Builtin => Some(Engine::Builtin),
            Self::Podman => Some(Engine::Podman),
            Self::Docker => Some(Engine::Docker),
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Builtin => "builtin",
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

/// What builds an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Builder {
    /// buildah, without a daemon.
    Buildah,
    /// podman.
    Podman,
    /// docker.
    Docker,
}

impl Builder {
    /// The same for the host.
    pub(crate) const fn kind(self) -> BuilderKind {
        match self {
            Self::Buildah => BuilderKind::Buildah,
            Self::Podman => BuilderKind::Podman,
            Self::Docker => BuilderKind::Docker,
        }
    }

    /// The name of its program.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

/// Every key of the table.
pub(crate) const KEYS: &[&str] = &[
    "image",
    "build",
    "context",
    "target",
    "args",
    "secrets",
    "builder",
    "engine",
    "platform",
    "working-dir",
    "entrypoint",
    "user",
    "credentials",
    "mirrors",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_known() {
        let written = serde_json::to_value(ContainerSpec::default()).unwrap();
        let mut keys: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = KEYS.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
