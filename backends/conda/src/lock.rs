//! Locks: the lock format of rattler, with what it does not hold beside it.

use std::collections::BTreeMap;

use rattler_conda_types::{RepoDataRecord, Subdir};
use rattler_lock::{CondaPackageData, DEFAULT_ENVIRONMENT_NAME, LockFile, PlatformData, PlatformName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wrun_core::backend::Inputs;
use wrun_core::id::Digest;
use wrun_core::lock::{Lock, PackageRef};
use wrun_core::problem::Problem;

use crate::CONDA;
use crate::channels::Channels;
use crate::repodata::causes;
use crate::virtual_packages::Virtual;

/// The revision of the lock's content.
const REVISION: u32 = 1;

/// What to do about a lock that is of no use.
pub(crate) const ANEW: &str =
    "a lock file is made anew with `wrun plan --lock FILE TASK`, and one that is kept with `--refresh`";

/// What a lock holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// Packages to install.
    Packages(Box<Packages>),
    /// The folder of an environment that is there.
    Existing {
        /// Its path.
        path: String,
        /// Its packages and scripts with their times: another state is activated anew.
        state: Vec<String>,
    },
}

/// Packages to install, and what to do beside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Packages {
    /// The lock file of rattler, as text.
    pub(crate) lock_file: String,
    /// Whether scripts for the time after the installation are run.
    #[serde(default)]
    pub(crate) link_scripts: bool,
    /// Variables of the environment.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    /// What pip installs afterwards.
    #[serde(default)]
    pub(crate) pip: Option<PipLock>,
}

/// What pip installs after the conda packages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PipLock {
    /// The spec, as `env.pip` has it.
    pub(crate) spec: Value,
    /// The files that the spec refers to.
    pub(crate) inputs: Vec<(wrun_core::backend::InputRequest, wrun_core::backend::Input)>,
    /// The lock that the spec came to.
    pub(crate) lock: Lock,
}

impl PipLock {
    /// The files by request.
    pub(crate) fn inputs(&self) -> Inputs {
        self.inputs.iter().cloned().collect()
    }
}

fn unreadable(why: &str) -> Problem {
    Problem::Failed {
        code: "conda.lock.syntax".to_owned(),
        message: format!("the lock cannot be read: {why}"),
        help: Some(ANEW.to_owned()),
    }
}

/// The lock file of packages, as text.
pub(crate) fn lock_file(
    channels: &Channels,
    platform: Subdir,
    virtual_packages: &Virtual,
    records: &[RepoDataRecord],
) -> Result<String, Problem> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Problem::failed(
            "conda.lock.failed",
            format!("the lock cannot be written: {}", causes(error)),
        )
    };
    let name = PlatformName::from(&platform);
    let mut builder = LockFile::builder()
        .with_platforms(vec![PlatformData {
            name: name.clone(),
            subdir: platform,
            virtual_packages: virtual_packages.0.iter().map(ToString::to_string).collect(),
        }])
        .map_err(|error| failed(&error))?
        .with_channels(
            DEFAULT_ENVIRONMENT_NAME,
            channels.all().map(|channel| channel.base_url.to_string()),
        );
    builder
        .add_environment_platform(DEFAULT_ENVIRONMENT_NAME, &name)
        .map_err(|error| failed(&error))?;
    for record in records {
        builder
            .add_conda_package(
                DEFAULT_ENVIRONMENT_NAME,
                &name,
                CondaPackageData::from(record.clone()),
            )
            .map_err(|error| failed(&error))?;
    }
    builder
        .finish()
        .render_to_string()
        .map_err(|error| failed(&error))
}

/// The lock of a content. `records` are those of its lock file.
pub(crate) fn write(content: &Content, records: &[RepoDataRecord]) -> Result<Lock, Problem> {
    let mut packages: Vec<PackageRef> = records.iter().map(reference).collect();
    if let Content::Packages(content) = content
        && let Some(pip) = &content.pip
    {
        packages.extend(pip.lock.packages.iter().cloned());
    }
    Ok(Lock {
        backend: CONDA.to_owned(),
        revision: REVISION,
        content: serde_json::to_value(content).map_err(|error| unreadable(&error.to_string()))?,
        packages,
    })
}

fn reference(record: &RepoDataRecord) -> PackageRef {
    PackageRef {
        name: record.package_record.name.as_normalized().to_owned(),
        version: record.package_record.version.to_string(),
        source: record.url.to_string(),
        digest: record
            .package_record
            .sha256
            .map(|sha256| Digest::from_bytes(sha256.into())),
    }
}

/// What a lock holds.
pub(crate) fn read(lock: &Lock) -> Result<Content, Problem> {
    if lock.revision != REVISION {
        return Err(unreadable(&format!(
            "it is of revision {}, and {REVISION} is known",
            lock.revision
        )));
    }
    serde_json::from_value(lock.content.clone()).map_err(|error| unreadable(&error.to_string()))
}

impl Packages {
    /// The packages, and the platform that they are for.
    pub(crate) fn records(&self) -> Result<(Subdir, Vec<RepoDataRecord>), Problem> {
        let file = LockFile::from_str_with_base_directory(&self.lock_file, None)
            .map_err(|error| unreadable(&causes(&error)))?;
        let environment = file
            .default_environment()
            .ok_or_else(|| unreadable("it has no environment `default`"))?;
        let platform = environment
            .platforms()
            .next()
            .ok_or_else(|| unreadable("it is for no platform"))?;
        let records = environment
            .conda_repodata_records(platform)
            .map_err(|error| unreadable(&causes(&error)))?
            .unwrap_or_default();
        Ok((platform.subdir(), records))
    }
}
