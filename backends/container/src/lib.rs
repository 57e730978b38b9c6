//! Environments that are container images.
//!
//! An image is pulled over the registry protocol, or read from this machine, without an engine and without a daemon. A tag
//! is looked up once, for the lock, which holds the digests of the manifest, the configuration and every layer. A layer is
//! unpacked once, by the digest of what is in it, into a folder of the store that all images share. What is left for the
//! environment itself is a record of the image ([`wrun_core::image::Image`]), which says how tasks are run in it.
//!
//! | module | what it does |
//! |---|---|
//! | `spec`, `reference`, `platform`, `understand`, `canonical` | what was asked for |
//! | `documents`, `registry`, `local`, `blobs`, `source` | indexes, manifests and blobs, and where they are |
//! | `resolve`, `lock` | from a name to digests |
//! | `install`, `layers`, `user` | layers as folders, and the record |
//! | `explain` | what went wrong, for people |

mod blobs;
mod build_spec;
mod canonical;
mod documents;
mod explain;
mod files;
mod install;
mod layers;
mod local;
mod lock;
mod platform;
mod reference;
mod registry;
mod resolve;
mod source;
mod spec;
mod understand;
mod user;

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;
use wrun_core::backend::{Assessed, Backend, Inputs, Manifest, Request, Slot};
use wrun_core::canon::Canon;
use wrun_core::host::Host;
use wrun_core::image::BACKEND;
use wrun_core::launch::{EnvEdit, Launch, TaskKind};
use wrun_core::lock::Lock;
use wrun_core::plan::{InstallPlan, Place};
use wrun_core::problem::Problem;

use lock::Content;
use reference::Reference;
use source::Origin;
pub use spec::{Builder, ContainerSpec, EngineChoice};
use understand::{Source, Understood};

/// The backend of `env.container`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Container;

fn folder(host: &dyn Host) -> &Path {
    host.project().unwrap_or(Path::new("/"))
}

/// The image's name in a lock: without a tag, since the digest says which it is.
fn name(reference: &Reference) -> String {
    match reference {
        Reference::Registry(reference) => reference.name(),
        local => local.to_string(),
    }
}

#[async_trait]
impl Backend for Container {
    fn id(&self) -> &str {
        BACKEND
    }

    fn manifest(&self) -> Manifest {
        Manifest {
            id: BACKEND.to_owned(),
            summary: "container images, pulled and run without an engine".to_owned(),
            canonical_revision: canonical::REVISION,
            plan_revision: install::REVISION,
            schema: schemars::schema_for!(ContainerSpec).to_value(),
            short_form: None,
            in_images: false,
        }
    }

    async fn assess(&self, host: &dyn Host, spec: &Value) -> Result<Assessed, Problem> {
        let understood = Understood::read(spec, host.platform())?;
        let mut inputs = Inputs::new();
        for request in understood.inputs() {
            let read = host.read(&request).await?;
            inputs.insert(request, read);
        }
        let form = canonical::canonicalize(&understood, &inputs)?;
        Ok(Assessed {
            request: Request {
                spec: spec.clone(),
                inputs,
                tools: Vec::new(),
                platform: host.platform().clone(),
            },
            form,
            // All that decides is in the lock.
            materialiser: Canon::map::<&str>([]),
            warnings: understood.warnings,
        })
    }

    async fn solve(
        &self,
        host: &dyn Host,
        assessed: &Assessed,
        _previous: Option<&Lock>,
    ) -> Result<Lock, Problem> {
        let understood = Understood::read(&assessed.request.spec, &assessed.request.platform)?;
        let Source::Image(reference) = &understood.source else {
            return Err(Problem::failed(
                "container.build.unknown",
                "there is nothing to build with",
            ));
        };
        let origin = Origin::open(&understood, reference, folder(host)).await?;
        lock::write(&resolve::resolve(host, &understood, &origin, reference, &name(reference)).await?)
    }

    fn preview(&self, assessed: &Assessed, lock: &Lock) -> Result<Option<InstallPlan>, Problem> {
        let understood = Understood::read(&assessed.request.spec, &assessed.request.platform)?;
        Ok(Some(install::preview(&understood, &lock::read(lock)?)))
    }

    async fn build(
        &self,
        host: &dyn Host,
        assessed: &Assessed,
        lock: &Lock,
        slot: &Slot,
    ) -> Result<(), Problem> {
        let understood = Understood::read(&assessed.request.spec, &assessed.request.platform)?;
        let Source::Image(reference) = &understood.source else {
            return Err(Problem::failed(
                "container.build.unknown",
                "there is nothing to build with",
            ));
        };
        let origin = Origin::open(&understood, reference, folder(host)).await?;
        install::build(host, &origin, &lock::read(lock)?, slot).await
    }

    fn enter(&self, lock: &Lock, kind: TaskKind) -> Result<Launch, Problem> {
        let unsupported = |code: &str, message: &str, help: &str| Problem::Unsupported {
            code: code.to_owned(),
            message: message.to_owned(),
            help: Some(help.to_owned()),
        };
        match (lock::read(lock)?.content, kind) {
            (Content::Files(_), TaskKind::Command | TaskKind::Image) => Ok(Launch::Image {
                image: Place::prefix(install::RECORD),
                env: Vec::new(),
                search_path: Vec::new(),
            }),
            (Content::Files(_), TaskKind::Module) => Err(unsupported(
                "container.module.unsupported",
                "a WebAssembly module of the task cannot run in a container image",
                "remove the environment, or run a command of the image",
            )),
            (Content::Module { .. }, TaskKind::Image) => Ok(Launch::Wasi {
                env: Vec::<EnvEdit>::new(),
                module: Some(Place::prefix(install::MODULE)),
            }),
            (Content::Module { .. }, TaskKind::Command | TaskKind::Module) => Err(unsupported(
                "container.module.command",
                "the image is a WebAssembly module, which has no other programs in it",
                "leave `command` and `module` out of `[run]`; `args` are the module's arguments",
            )),
        }
    }
}
