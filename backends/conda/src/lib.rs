//! Environments of conda packages.
//!
//! The libraries of rattler read channels, solve, unpack and link; this crate says what for and with what. Everything
//! that touches a socket or starts a program is done by the host: requests of the libraries are handed to it
//! (`web`), packages are fetched by it, and what runs code of packages (pip, scripts, activation) is one install plan.
//! What is left is work on files: unpacking packages into a cache (`packages`) and linking them (`link`).

mod activation;
mod archive;
mod beside;
mod blocked;
mod builds;
mod canonical;
mod channels;
mod compile;
mod condition;
mod conflict;
mod cut_off;
mod environment_file;
mod existing;
mod explain;
mod explicit;
mod facts;
mod fetch;
mod files;
mod inflated;
mod install;
mod link;
mod lock;
mod match_spec;
mod narrow;
mod overlap;
mod packages;
mod pip;
mod repodata;
mod shell;
mod solve;
mod spec;
mod together;
mod understand;
mod virtual_packages;
mod web;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rattler_conda_types::package::CondaArchiveType;
use serde_json::Value;
use wrun_core::backend::{Assessed, Backend, Inputs, Manifest, Request, Slot, SpecSchema};
use wrun_core::canon::Canon;
use wrun_core::host::Host;
use wrun_core::launch::{EnvEdit, Launch, TaskKind};
use wrun_core::lock::{Lock, PackageRef};
use wrun_core::plan::{InstallPlan, Place};
use wrun_core::problem::Problem;

use existing::Existing;
use explicit::ExplicitPackage;
use lock::Content;
use repodata::Freshness;
pub use spec::{ChannelEntry, ChannelTable, CondaSpec, Priority, VirtualPackage};
use understand::{Source, Understood};
use virtual_packages::Virtual;

/// The backend's name.
pub(crate) const CONDA: &str = "conda";

/// Files of exact addresses that are looked at side by side.
const CONCURRENT: usize = 8;

/// The backend of `env.conda`.
#[derive(Debug, Clone, Copy)]
pub struct Conda {
    activation_time: Duration,
}

impl Default for Conda {
    fn default() -> Self {
        Self {
            activation_time: activation::TIME,
        }
    }
}

impl Conda {
    /// The same with another limit for how long all activation scripts of an environment together may take when it is built.
    /// Default: a minute.
    #[must_use]
    pub const fn activation_time(mut self, time: Duration) -> Self {
        self.activation_time = time;
        self
    }
}

fn folder(host: &dyn Host) -> &Path {
    host.project().unwrap_or(Path::new("/"))
}

/// What a solve may see of the machine; nothing where nothing is solved.
async fn virtual_packages(host: &dyn Host, understood: &Understood) -> Result<Virtual, Problem> {
    match understood.source {
        Source::Solved(_) => {
            virtual_packages::find(host, understood.platform, &understood.spec.virtual_packages).await
        }
        Source::Explicit(_) | Source::Existing(_) => Ok(Virtual::default()),
    }
}

#[async_trait]
impl Backend for Conda {
    fn id(&self) -> &str {
        CONDA
    }

    fn manifest(&self) -> Manifest {
        Manifest {
            id: CONDA.to_owned(),
            summary: "conda packages, solved and installed without conda".to_owned(),
            canonical_revision: canonical::REVISION,
            plan_revision: install::REVISION,
            schema: SpecSchema::of::<CondaSpec>(),
            short_form: Some("packages".to_owned()),
            in_images: false,
        }
    }

    async fn assess(&self, host: &dyn Host, spec: &Value) -> Result<Assessed, Problem> {
        let mut inputs = Inputs::new();
        let mut understood = Understood::read(spec, &inputs, folder(host))?;
        if !understood.needs.is_empty() {
            for request in std::mem::take(&mut understood.needs) {
                let read = host.read(&request).await?;
                inputs.insert(request, read);
            }
            understood = Understood::read(spec, &inputs, folder(host))?;
        }
        let existing = match &understood.source {
            Source::Existing(text) => Some(Existing::find(host, text)?),
            Source::Solved(_) | Source::Explicit(_) => None,
        };
        let virtual_packages = virtual_packages(host, &understood).await?;
        let pip_inputs = pip::inputs(host, &understood).await?;
        let form = canonical::canonicalize(&understood, &virtual_packages, existing.as_ref(), &pip_inputs)?;
        Ok(Assessed {
            request: Request {
                spec: spec.clone(),
                inputs,
                tools: Vec::new(),
                platform: host.platform().clone(),
            },
            form,
            // Whether files are links or copies changes nothing that a task could see, and the rest is in the lock.
            materialiser: Canon::map::<&str>([]),
            warnings: understood.warnings,
        })
    }

    async fn solve(
        &self,
        host: &dyn Host,
        assessed: &Assessed,
        previous: Option<&Lock>,
    ) -> Result<Lock, Problem> {
        let request = &assessed.request;
        let understood = Understood::read(&request.spec, &request.inputs, folder(host))?;
        let virtual_packages = virtual_packages(host, &understood).await?;
        let records = match &understood.source {
            Source::Existing(text) => {
                let Existing { path, state } = Existing::find(host, text)?;
                let path = path.to_string_lossy().into_owned();
                return lock::write(&Content::Existing { path, state }, &[]);
            }
            Source::Explicit(file) => {
                let looked_at = file
                    .packages
                    .iter()
                    .map(|package| explicit_record(host, &understood, package));
                let looked_at: Vec<_> = looked_at.collect();
                stream::iter(looked_at).buffered(CONCURRENT).try_collect().await?
            }
            Source::Solved(specs) => {
                // A lock that was known is passed only where it is not to be trusted any more.
                let freshness = if previous.is_some() {
                    Freshness::Refreshed
                } else {
                    Freshness::AsKept
                };
                solve::solve(host, &understood, specs, &virtual_packages, freshness).await?
            }
        };
        let pip = if understood.pip.is_empty() {
            None
        } else {
            Some(pip::solve(host, request, &understood, &records).await?)
        };
        let content = Content::Packages(Box::new(lock::Packages {
            lock_file: lock::lock_file(
                &understood.channels,
                understood.platform,
                &virtual_packages,
                &records,
            )?,
            link_scripts: understood.spec.link_scripts,
            variables: understood.variables,
            pip,
        }));
        lock::write(&content, &records)
    }

    fn preview(&self, assessed: &Assessed, lock: &Lock) -> Result<Option<InstallPlan>, Problem> {
        let Assessed { request, .. } = assessed;
        match lock::read(lock)? {
            Content::Existing { .. } => Ok(Some(InstallPlan::default())),
            Content::Packages(locked) => {
                let understood = Understood::read(&request.spec, &request.inputs, Path::new("/"))?;
                install::preview(&understood, &locked).map(Some)
            }
        }
    }

    fn required(&self, _: &Assessed, lock: &Lock) -> Vec<String> {
        let is_python = |package: &PackageRef| package.name == "python" && is_conda_package(&package.source);
        let python = lock
            .packages
            .iter()
            .any(is_python)
            .then(|| "bin/python".to_owned());
        python
            .into_iter()
            .chain([activation::RECORD.to_owned()])
            .collect()
    }

    async fn build(
        &self,
        host: &dyn Host,
        assessed: &Assessed,
        lock: &Lock,
        slot: &Slot,
    ) -> Result<(), Problem> {
        let request = &assessed.request;
        let understood = Understood::read(&request.spec, &request.inputs, folder(host))?;
        let build = install::Build {
            host,
            request,
            slot,
            activation_time: self.activation_time,
        };
        build.make(&understood, &lock::read(lock)?).await
    }

    fn enter(&self, lock: &Lock, kind: TaskKind) -> Result<Launch, Problem> {
        if kind != TaskKind::Command {
            return Err(Problem::Unsupported {
                code: "conda.module.unsupported".to_owned(),
                message: "a WebAssembly module cannot use a conda environment".to_owned(),
                help: Some(
                    "a conda environment goes with `command`: remove the environment or run a command"
                        .to_owned(),
                ),
            });
        }
        let recorded = EnvEdit::Recorded(Place::prefix(activation::RECORD));
        let shell_level = EnvEdit::Set("CONDA_SHLVL".to_owned(), "1".into());
        Ok(match lock::read(lock)? {
            Content::Existing { .. } => Launch::Native {
                env: vec![shell_level, recorded],
                search_path: Vec::new(),
            },
            Content::Packages(_) => Launch::Native {
                env: vec![
                    EnvEdit::Set("CONDA_PREFIX".to_owned(), Place::prefix("").into()),
                    EnvEdit::Set("CONDA_DEFAULT_ENV".to_owned(), Place::prefix("").into()),
                    shell_level,
                    recorded,
                ],
                search_path: vec![Place::prefix("bin")],
            },
        })
    }
}

/// Whether an address is that of a conda package, and not of one that pip installs.
fn is_conda_package(url: &str) -> bool {
    CondaArchiveType::try_from(url).is_some()
}

/// The record of a package that is named by its address.
async fn explicit_record(
    host: &dyn Host,
    understood: &Understood,
    package: &ExplicitPackage,
) -> Result<rattler_conda_types::RepoDataRecord, Problem> {
    let (path, digest) = fetch::unknown(host, understood.origin(), &package.url).await?;
    archive::check(&path, &package.url, digest, &package.hash)?;
    archive::record(&path, &package.url, digest)
}
