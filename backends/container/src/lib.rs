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
//! | `containerfile`, `context`, `build_spec` | images that an installed builder makes |
//! | `install`, `layers`, `user` | layers as folders, and the record |
//! | `explain` | what went wrong, for people |

mod blobs;
mod build_spec;
mod canonical;
mod containerfile;
mod context;
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
use wrun_core::backend::{Assessed, Backend, Input, Inputs, Manifest, Request, Slot, SpecSchema};
use wrun_core::canon::Canon;
use wrun_core::host::Host;
use wrun_core::image::BACKEND;
use wrun_core::launch::{EnvEdit, Launch, TaskKind};
use wrun_core::lock::Lock;
use wrun_core::plan::{InstallPlan, Place};
use wrun_core::problem::Problem;

use containerfile::Build;
use lock::{ArchiveKind, Content, Locked};
use reference::{LocalReference, Reference};
use source::Origin;
pub use spec::{Builder, ContainerSpec, EngineChoice};
use understand::{Source, Understood};

/// The name of images that were built here.
const BUILT: &str = "localhost/built";

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

/// The build of a spec that wants one.
fn containerfile<'a>(host: &dyn Host, understood: &'a Understood) -> Build<'a> {
    let (file, context) = match &understood.source {
        Source::Build { file, context } => (file.as_str(), context.as_str()),
        Source::Image(_) => ("", ""),
    };
    Build {
        understood,
        file: folder(host).join(file),
        context: folder(host).join(context),
    }
}

/// Builds an image, and finds its lock.
async fn built(host: &dyn Host, understood: &Understood) -> Result<(Locked, Origin), Problem> {
    let archive = containerfile(host, understood).run(host).await?;
    let path = host.kept(&archive.digest)?.ok_or_else(|| {
        Problem::failed(
            "container.build.lost",
            "the image that was built is not in the store any more",
        )
    })?;
    let reference = archive_reference(&archive, &path);
    let origin = Origin::open(understood, &reference, folder(host)).await?;
    let mut locked = resolve::resolve(host, understood, &origin, &reference, BUILT).await?;
    locked.archive = Some(archive);
    Ok((locked, origin))
}

/// The image of a lock that was built here: as it is kept, or built once more to the same digest.
async fn again(host: &dyn Host, understood: &Understood, locked: &Locked) -> Result<Origin, Problem> {
    if let Some(archive) = &locked.archive
        && let Some(path) = host.kept(&archive.digest)?
    {
        return Origin::open(understood, &archive_reference(archive, &path), folder(host)).await;
    }
    let (rebuilt, origin) = built(host, understood).await?;
    if rebuilt.digest == locked.digest {
        return Ok(origin);
    }
    Err(Problem::Failed {
        code: "container.build.changed".to_owned(),
        message: format!(
            "`{}` is built to the image `{}` now, and the lock is of `{}`",
            understood.shown(),
            rebuilt.digest,
            locked.digest
        ),
        help: Some("lock the new one with `--refresh`".to_owned()),
    })
}

fn archive_reference(archive: &lock::Archive, path: &Path) -> Reference {
    let local = LocalReference {
        path: path.to_string_lossy().into_owned(),
        name: None,
    };
    match archive.kind {
        ArchiveKind::Oci => Reference::LayoutArchive(local),
        ArchiveKind::Docker => Reference::DockerArchive(local),
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
            schema: SpecSchema::of::<ContainerSpec>(),
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
        match &understood.source {
            Source::Build { context, .. } => {
                let request = build_spec::context_request(context);
                let digest = containerfile(host, &understood).context_digest(host).await?;
                inputs.insert(request, Input::Digest(digest));
            }
            Source::Image(reference) => {
                if let (Some(request), Some(digest)) = (
                    canonical::local_request(reference),
                    source::local_key(reference, folder(host)).await?,
                ) {
                    inputs.insert(request, Input::Digest(digest));
                }
            }
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
        let locked = match &understood.source {
            Source::Image(reference) => {
                let origin = Origin::open(&understood, reference, folder(host)).await?;
                resolve::resolve(host, &understood, &origin, reference, &name(reference)).await?
            }
            Source::Build { .. } => built(host, &understood).await?.0,
        };
        lock::write(&locked)
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
        let locked = lock::read(lock)?;
        let origin = match &understood.source {
            Source::Image(reference) => Origin::open(&understood, reference, folder(host)).await?,
            Source::Build { .. } => again(host, &understood, &locked).await?,
        };
        install::build(host, &origin, &locked, slot).await
    }

    fn enter(&self, lock: &Lock, kind: TaskKind) -> Result<Launch, Problem> {
        let unsupported = |code: &str, message: &str, help: &str| Problem::Unsupported {
            code: code.to_owned(),
            message: message.to_owned(),
            help: Some(help.to_owned()),
        };
        match (lock::read(lock)?.content, kind) {
            (Content::Files(files), TaskKind::Command | TaskKind::Image) => Ok(Launch::Image {
                image: Place::prefix(install::RECORD),
                env: Vec::new(),
                search_path: Vec::new(),
                engine: files.engine,
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
