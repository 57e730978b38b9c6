//! What builds keep in the storage of a builder, and how it is found when nobody waits for them any more.
//!
//! Every build has a name. The image that it makes has it until it is in the store, and the containers that its steps run in
//! keep it as the parent of their control groups. Both outlive a builder that is killed, and podman leaves them also when it
//! is asked to end.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use wrun_core::host::{BuilderKind, ImageBuild, ImageBuilder};
use wrun_core::problem::Problem;
use wrun_core::text::harmless_output;
use wrun_engine::{Owner, new_name};
use wrun_process::{CaptureLimits, Command, run_captured};

use crate::cleaning::Cleaning;
use crate::error::ProvisionError;
use crate::files;
use crate::host::TaskHost;
use crate::spawn::written;
use crate::steps::shown_output;

/// What the names of all builds begin with. It is a name of an image that no registry has.
const PREFIX: &str = "localhost/wrun-build/";

/// Stands for an owner that is not known.
const UNKNOWN: &str = "unknown";

/// How long a builder may take to list or to remove something.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that is kept of what it says, in bytes.
const MOST: usize = 16 * 1024 * 1024;

/// The name of a build: whose it is, as the tag of an image that no other build makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildName {
    unique: String,
    /// The process that waits for it, if the system says enough of it.
    owner: Option<Owner>,
}

impl fmt::Display for BuildName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}{}:", self.unique)?;
        match &self.owner {
            Some(owner) => write!(formatter, "{owner}"),
            None => write!(formatter, "{UNKNOWN}"),
        }
    }
}

impl FromStr for BuildName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (unique, owner) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(())?;
        Ok(Self {
            unique: unique.to_owned(),
            owner: match owner {
                UNKNOWN => None,
                owner => Some(owner.parse().map_err(|_| ())?),
            },
        })
    }
}

/// Where a builder keeps containers: what `buildah info` and `podman info` say of it.
#[derive(Debug, Deserialize)]
struct Info {
    store: Storage,
}

#[derive(Debug, Deserialize)]
struct Storage {
    #[serde(alias = "GraphRoot", rename = "graphRoot")]
    root: PathBuf,
    #[serde(alias = "GraphDriverName", rename = "graphDriverName")]
    driver: String,
}

/// What a build keeps of a container that its steps run in.
#[derive(Debug, Deserialize)]
struct Kept {
    #[serde(rename = "CommonBuildOpts")]
    options: Option<KeptOptions>,
    /// The image that it was made from; empty if from none.
    #[serde(rename = "image-id", default)]
    image: String,
}

#[derive(Debug, Deserialize)]
struct KeptOptions {
    #[serde(rename = "CgroupParent", default)]
    cgroup_parent: String,
}

/// A container of a build.
struct StepContainer {
    id: String,
    image: String,
}

/// An image in the list of a builder.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(alias = "Id")]
    id: String,
    #[serde(alias = "Names")]
    names: Option<Vec<String>>,
    /// In seconds since 1970.
    #[serde(alias = "Created")]
    created: i64,
}

/// A build that was begun.
pub(crate) struct Begun {
    name: String,
    storage: BuilderStorage,
    cleaning: Cleaning,
    is_finished: bool,
}

impl ImageBuild for Begun {
    fn name(&self) -> &str {
        &self.name
    }

    fn finish(mut self: Box<Self>) {
        self.is_finished = true;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let (storage, name) = (self.storage.clone(), std::mem::take(&mut self.name));
        self.cleaning.begin(async move {
            storage.clear(&|build| build.to_string() == name).await;
        });
    }
}

impl TaskHost {
    /// Begins a build, and removes what builds of processes that are gone have left.
    pub(crate) async fn begin_image_build(&self, builder: &ImageBuilder) -> Result<Begun, Problem> {
        let storage = BuilderStorage {
            builder: builder.clone(),
            variables: self.builder_variables(),
        };
        let is_left = |build: &BuildName| build.owner.as_ref().is_some_and(Owner::is_gone);
        storage.clear(&is_left).await;
        let unique = new_name().map_err(|error| {
            Problem::failed("provision.build.name", format!("a build has no name: {error}"))
        })?;
        let name = BuildName {
            unique,
            owner: Owner::this(),
        };
        Ok(Begun {
            name: name.to_string(),
            storage,
            cleaning: self.cleaning.clone(),
            is_finished: false,
        })
    }
}

/// Which builds are meant.
type Meant<'a> = &'a (dyn Fn(&BuildName) -> bool + Sync);

/// Where a builder keeps things.
#[derive(Debug, Clone)]
struct BuilderStorage {
    builder: ImageBuilder,
    /// The variables of the caller that say where.
    variables: Vec<(OsString, OsString)>,
}

impl BuilderStorage {
    /// Removes what is left of builds. What cannot be removed stays, as it does no harm.
    async fn clear(&self, is_meant: Meant<'_>) {
        let cleared = match self.builder.kind {
            BuilderKind::Docker => self.clear_images_of_docker(is_meant).await,
            BuilderKind::Buildah | BuilderKind::Podman => self.clear_containers_and_images(is_meant).await,
        };
        if let Err(error) = cleared {
            let builder = self.builder.program.display();
            tracing::warn!(%error, %builder, "what builds have left is not removed");
        }
    }

    async fn clear_containers_and_images(&self, is_meant: Meant<'_>) -> Result<(), ProvisionError> {
        let (info, list, remove): (&[&str], &[&str], &[&str]) = match self.builder.kind {
            BuilderKind::Buildah => (&["info"], &["images", "--all", "--no-trunc", "--json"], &["rm"]),
            _ => (
                &["info", "--format", "json"],
                &["images", "--all", "--no-trunc", "--format", "json"],
                &["rm", "--force"],
            ),
        };
        let Info { store } = self.read(&self.call(info).await?)?;
        let folder = store.root.join(format!("{}-containers", store.driver));
        let containers = step_containers(&folder, is_meant);
        if !containers.is_empty() {
            let ids = containers.iter().map(|container| container.id.as_str());
            self.call(&remove.iter().copied().chain(ids).collect::<Vec<_>>())
                .await?;
        }
        let listed: Option<Vec<Listed>> = self.read(&self.call(list).await?)?;
        let listed = listed.unwrap_or_default();
        let names = listed.iter().flat_map(|image| image.names.iter().flatten());
        self.remove_named(names.map(String::as_str), is_meant).await?;
        // Images of stages that others begin with: they have no name, and the time that builds are told.
        let mut stages: Vec<&str> = listed
            .iter()
            .filter(|image| image.created == 0 && image.names.as_ref().is_none_or(Vec::is_empty))
            .map(|image| image.id.trim_start_matches("sha256:"))
            .filter(|id| containers.iter().any(|container| container.image.starts_with(id)))
            .collect();
        // One that another was made from goes after that, or with it.
        loop {
            let before = stages.len();
            let mut left = Vec::new();
            for id in stages {
                if self.call(&["rmi", id]).await.is_err() {
                    left.push(id);
                }
            }
            if left.len() == before {
                return Ok(());
            }
            stages = left;
        }
    }

    async fn clear_images_of_docker(&self, is_meant: Meant<'_>) -> Result<(), ProvisionError> {
        let filter = format!("reference={PREFIX}*");
        let format = "{{.Repository}}:{{.Tag}}";
        let listed = self
            .call(&["images", "--filter", &filter, "--format", format])
            .await?;
        self.remove_named(listed.lines().map(str::trim), is_meant).await
    }

    async fn remove_named(
        &self,
        names: impl Iterator<Item = &str>,
        is_meant: Meant<'_>,
    ) -> Result<(), ProvisionError> {
        for name in names {
            if name.parse().is_ok_and(|build| is_meant(&build)) {
                self.call(&["rmi", name]).await?;
            }
        }
        Ok(())
    }

    /// Calls the builder for what it says. What ends the run does not end it.
    async fn call(&self, args: &[&str]) -> Result<String, ProvisionError> {
        let command = Command {
            program: self.builder.program.clone(),
            args: args.iter().map(Into::into).collect(),
            env: self.variables.clone(),
            cwd: PathBuf::from("/"),
            die_with_parent: true,
            ..Command::default()
        };
        let limits = CaptureLimits {
            stdout_max: MOST,
            stderr_tail_max: MOST,
            timeout: PATIENCE,
        };
        let said = run_captured(command, limits, &CancellationToken::new(), &mut |_, _| {}).await?;
        if said.is_success() {
            return Ok(said.stdout_text());
        }
        let output = shown_output(&harmless_output(&written(&said)));
        Err(self.failed(&args.join(" "), said.status.to_string(), output))
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, ProvisionError> {
        serde_json::from_str(text)
            .map_err(|error| self.failed("say what it keeps", error.to_string(), String::new()))
    }

    fn failed(&self, label: &str, reason: String, output: String) -> ProvisionError {
        ProvisionError::Builder {
            label: label.to_owned(),
            program: self.builder.program.clone(),
            reason,
            output,
        }
    }
}

/// The containers of the builds that are meant.
fn step_containers(folder: &Path, is_meant: Meant<'_>) -> Vec<StepContainer> {
    let kept = |id: OsString| {
        let id = id.into_string().ok()?;
        let text = files::read_small_text(&folder.join(&id).join("userdata/buildah.json"))?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        let build: BuildName = kept.options?.cgroup_parent.parse().ok()?;
        is_meant(&build).then_some(StepContainer {
            id,
            image: kept.image,
        })
    };
    files::names(folder).into_iter().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told_by_its_name() {
        let [name, unknown] = [Owner::this(), None].map(|owner| BuildName {
            unique: "wrun-0123".to_owned(),
            owner,
        });
        assert_eq!(unknown.to_string().parse(), Ok(unknown));
        let text = name.to_string();
        assert_eq!(text.parse(), Ok(name));
        for other in [
            "",
            "docker.io/library/shell:1",
            "localhost/wrun-build/x:latest",
            "localhost/wrun-build/x",
        ] {
            assert_eq!(other.parse::<BuildName>(), Err(()), "{other}");
        }
        // Both are parts of a name of an image (OCI Distribution Specification 1.1, "Pulling manifests").
        let (_, tag) = text.rsplit_once(':').unwrap();
        assert!(tag.len() <= 128, "{tag}");
    }
}
