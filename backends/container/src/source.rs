//! Where an image comes from, in one form.

use std::path::Path;

use wrun_core::host::Host;
use wrun_core::id::Digest;
use wrun_core::problem::Problem;

use crate::blobs::Span;
use crate::local::Local;
use crate::lock::Layer;
use crate::reference::{Reference, Which};
use crate::registry::{Registry, Sent};
use crate::understand::Understood;

/// Where an image comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A registry and its mirrors.
    Registry(Registry),
    /// This machine.
    Local(Local),
}

/// What decides an image of this machine; `None` if it is one of a registry. `folder` is the task's.
pub(crate) async fn local_key(reference: &Reference, folder: &Path) -> Result<Option<Digest>, Problem> {
    if matches!(reference, Reference::Registry(_)) {
        return Ok(None);
    }
    let (reference, folder) = (reference.clone(), folder.to_owned());
    blocking(move || {
        let opened = Local::open(&reference, &folder)?;
        opened.map(|local| local.key()).transpose()
    })
    .await?
}

impl Origin {
    /// The origin of an image that is named. `folder` is the task's.
    pub(crate) async fn open(
        understood: &Understood,
        reference: &Reference,
        folder: &Path,
    ) -> Result<Self, Problem> {
        if let Reference::Registry(reference) = reference {
            return Ok(Self::Registry(Registry::new(understood, reference)));
        }
        let (reference, folder) = (reference.clone(), folder.to_owned());
        let opened = blocking(move || Local::open(&reference, &folder)).await??;
        opened
            .map(Self::Local)
            .ok_or_else(|| Problem::failed("container.image.syntax", "the image is not on this machine"))
    }

    /// The document that the name leads to.
    pub(crate) async fn top(&self, host: &dyn Host, reference: &Reference) -> Result<Sent, Problem> {
        match (self, reference) {
            (Self::Registry(registry), Reference::Registry(reference)) => {
                registry.manifest(host, &reference.which).await
            }
            (Self::Local(local), _) => {
                let local = local.clone();
                blocking(move || local.top()).await?
            }
            (Self::Registry(_), _) => Err(Problem::failed(
                "container.image.syntax",
                "the image is not one of a registry",
            )),
        }
    }

    /// The manifest of a digest.
    pub(crate) async fn manifest(
        &self,
        host: &dyn Host,
        digest: Digest,
        media_type: &str,
    ) -> Result<Sent, Problem> {
        match self {
            Self::Registry(registry) => registry.manifest(host, &Which::Digest(digest)).await,
            Self::Local(local) => local.manifest(digest, media_type),
        }
    }

    /// A small blob.
    pub(crate) async fn blob(
        &self,
        host: &dyn Host,
        digest: Digest,
        maximum: u64,
    ) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Registry(registry) => registry.blob(host, digest, maximum).await,
            Self::Local(local) => local.blob(digest, maximum),
        }
    }

    /// A layer as a file, fetched if it is not here. `at` is its place among `count`.
    pub(crate) async fn layer(
        &self,
        host: &dyn Host,
        layer: &Layer,
        at: usize,
        count: usize,
    ) -> Result<Span, Problem> {
        match self {
            Self::Registry(registry) => {
                let label = label(at, count);
                let path = registry.file(host, &label, layer.digest, layer.size).await?;
                Span::whole(path).map_err(|error| {
                    Problem::failed("container.layer.unreadable", format!("{label}: {error}"))
                })
            }
            Self::Local(local) => {
                let (local, digest) = (local.clone(), layer.digest);
                blocking(move || local.layer(at, digest)).await?
            }
        }
    }
}

/// A layer, for people.
pub(crate) fn label(at: usize, count: usize) -> String {
    format!("fetch layer {} of {count}", at + 1)
}

/// Does what blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::failed("container.host.failed", format!("a thread ended early: {error}")))
}
