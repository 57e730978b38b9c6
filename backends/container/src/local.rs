//! Images on this machine: OCI layout in a folder or a tar, and what `docker save` writes.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wrun_core::id::Digest;
use wrun_core::problem::Problem;

use crate::blobs::{Blobs, Span};
use crate::documents::{
    self, CONFIG_MAXIMUM, Descriptor, Document, MANIFEST_MAXIMUM, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST,
};
use crate::explain;
use crate::reference::{LocalReference, Reference, RegistryReference};
use crate::registry::Sent;

/// The name of an image in an index (OCI Image Layout Specification, "index.json").
const NAME: &str = "org.opencontainers.image.ref.name";

/// The same as containerd and docker write it.
const FULL_NAME: &str = "io.containerd.image.name";

/// An image on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// The reference, for people.
    shown: String,
    name: Option<String>,
    blobs: Blobs,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Layout,
    DockerArchive,
}

/// An image as `docker save` lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

impl Local {
    /// Opens an image; `None` if the reference is of a registry. `folder` is the task's.
    pub(crate) fn open(reference: &Reference, folder: &Path) -> Result<Option<Self>, Problem> {
        let (local, kind): (&LocalReference, _) = match reference {
            Reference::Registry(_) => return Ok(None),
            Reference::Layout(local) | Reference::LayoutArchive(local) => (local, Kind::Layout),
            Reference::DockerArchive(local) => (local, Kind::DockerArchive),
        };
        let path: PathBuf = folder.join(&local.path);
        let shown = reference.to_string();
        let blobs = match reference {
            Reference::Layout(_) => Blobs::Folder(path),
            _ => Blobs::archive(&path)
                .map_err(|error| explain::document(&format!("`{shown}`"), &error.to_string()))?,
        };
        Ok(Some(Self {
            shown,
            name: local.name.clone(),
            blobs,
            kind,
        }))
    }

    /// The archive, if it is in one.
    pub(crate) fn archive(&self) -> Option<PathBuf> {
        match &self.blobs {
            Blobs::Folder(_) => None,
            Blobs::Archive { path, .. } => Some(path.clone()),
        }
    }

    fn unusable(&self, reason: &str) -> Problem {
        explain::document(&format!("`{}`", self.shown), reason)
    }

    fn read(&self, name: &str, maximum: u64) -> Result<Vec<u8>, Problem> {
        self.blobs
            .read(name, maximum)
            .map_err(|error| self.unusable(&format!("`{name}`: {error}")))
    }

    /// A small blob.
    pub(crate) fn blob(&self, digest: Digest, maximum: u64) -> Result<Vec<u8>, Problem> {
        if self.kind == Kind::DockerArchive {
            let bytes = self.read(&self.saved()?.config, maximum)?;
            return self.checked(bytes, digest);
        }
        let bytes = self.read(&blob_name(digest), maximum)?;
        self.checked(bytes, digest)
    }

    fn checked(&self, bytes: Vec<u8>, digest: Digest) -> Result<Vec<u8>, Problem> {
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(explain::wrong_digest(
                &format!("a blob of `{}`", self.shown),
                &digest,
                &found,
            ));
        }
        Ok(bytes)
    }

    /// The index of the image, or its manifest.
    pub(crate) fn top(&self) -> Result<Sent, Problem> {
        match self.kind {
            Kind::Layout => self.layout_top(),
            Kind::DockerArchive => self.docker_manifest(),
        }
    }

    /// The document of a digest.
    pub(crate) fn manifest(&self, digest: Digest, media_type: &str) -> Result<Sent, Problem> {
        if self.kind == Kind::DockerArchive {
            return self.docker_manifest();
        }
        let bytes = self.read(&blob_name(digest), MANIFEST_MAXIMUM)?;
        Ok(Sent {
            bytes: self.checked(bytes, digest)?,
            media_type: media_type.to_owned(),
            digest,
        })
    }

    fn layout_top(&self) -> Result<Sent, Problem> {
        let bytes = self.read("index.json", MANIFEST_MAXIMUM)?;
        let document =
            documents::read(&bytes, documents::OCI_INDEX).map_err(|reason| self.unusable(&reason))?;
        let Document::Index(entries) = document else {
            return Err(self.unusable("`index.json` is no index"));
        };
        let chosen: Vec<&Descriptor> = match &self.name {
            None => entries.iter().collect(),
            Some(name) => entries.iter().filter(|entry| is_named(entry, name)).collect(),
        };
        match (chosen.as_slice(), &self.name) {
            ([one], _) => {
                let digest = one.sha256().map_err(|reason| self.unusable(&reason))?;
                self.manifest(digest, &one.media_type)
            }
            ([], Some(name)) => Err(Problem::Failed {
                code: "container.image.not-found".to_owned(),
                message: format!("there is no image `{name}` in `{}`", self.shown),
                help: Some(format!(
                    "it holds: {}",
                    listed(entries.iter().filter_map(any_name))
                )),
            }),
            // Without a name, images of several platforms are one image.
            (_, None) if entries.iter().all(|entry| entry.platform.is_some()) && !entries.is_empty() => {
                Ok(Sent {
                    digest: Digest::of(&bytes),
                    bytes,
                    media_type: documents::OCI_INDEX.to_owned(),
                })
            }
            _ => Err(Problem::Failed {
                code: "container.image.several".to_owned(),
                message: format!("there are {} images in `{}`", chosen.len(), self.shown),
                help: Some(format!(
                    "add a colon and the name of one: {}",
                    listed(entries.iter().filter_map(any_name))
                )),
            }),
        }
    }

    fn saved(&self) -> Result<Saved, Problem> {
        let bytes = self.read("manifest.json", MANIFEST_MAXIMUM)?;
        let all: Vec<Saved> = documents::json(&bytes).map_err(|reason| self.unusable(&reason))?;
        let chosen: Vec<&Saved> = match &self.name {
            None => all.iter().collect(),
            Some(name) => all
                .iter()
                .filter(|saved| {
                    let tags = saved.repo_tags.as_deref().unwrap_or_default();
                    tags.iter().any(|tag| is_same_name(tag, name))
                })
                .collect(),
        };
        if let [one] = chosen.as_slice() {
            return Ok((*one).clone());
        }
        let names = all
            .iter()
            .filter_map(|saved| saved.repo_tags.as_deref())
            .flatten();
        Err(Problem::Failed {
            code: if chosen.is_empty() {
                "container.image.not-found"
            } else {
                "container.image.several"
            }
            .to_owned(),
            message: format!("there are {} such images in `{}`", chosen.len(), self.shown),
            help: Some(format!(
                "add a colon and the name of one: {}",
                listed(names.map(String::as_str))
            )),
        })
    }

    /// A manifest for an image that `docker save` wrote, which has none: the same for the same image.
    fn docker_manifest(&self) -> Result<Sent, Problem> {
        let saved = self.saved()?;
        let config = self.read(&saved.config, CONFIG_MAXIMUM)?;
        let mut layers = Vec::new();
        for name in &saved.layers {
            let span = self.find(name)?;
            let failed = |error: std::io::Error| self.unusable(&format!("`{name}`: {error}"));
            let packing = match span.start(4).map_err(failed)?.as_slice() {
                [0x1f, 0x8b, ..] => "+gzip",
                [0x28, 0xb5, 0x2f, 0xfd] => "+zstd",
                _ => "",
            };
            layers.push(serde_json::json!({
                "mediaType": format!("{OCI_LAYER}{packing}"),
                "digest": span.digest().map_err(failed)?.to_string(),
                "size": span.length,
            }));
        }
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": OCI_CONFIG,
                "digest": Digest::of(&config).to_string(),
                "size": config.len(),
            },
            "layers": layers,
        });
        let bytes = manifest.to_string().into_bytes();
        Ok(Sent {
            digest: Digest::of(&bytes),
            bytes,
            media_type: OCI_MANIFEST.to_owned(),
        })
    }

    fn find(&self, name: &str) -> Result<Span, Problem> {
        self.blobs
            .find(name)
            .map_err(|error| self.unusable(&format!("`{name}`: {error}")))
    }

    /// Where a layer is, by its digest and by its place among the layers.
    pub(crate) fn layer(&self, at: usize, digest: Digest) -> Result<Span, Problem> {
        match self.kind {
            Kind::Layout => self.find(&blob_name(digest)),
            Kind::DockerArchive => {
                let saved = self.saved()?;
                let name = saved
                    .layers
                    .get(at)
                    .ok_or_else(|| self.unusable("it has fewer layers than when it was looked at"))?;
                self.find(name)
            }
        }
    }
}

fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn any_name(entry: &Descriptor) -> Option<&str> {
    entry.annotation(FULL_NAME).or_else(|| entry.annotation(NAME))
}

fn is_named(entry: &Descriptor, name: &str) -> bool {
    [NAME, FULL_NAME]
        .iter()
        .filter_map(|annotation| entry.annotation(annotation))
        .any(|written| is_same_name(written, name))
}

/// Whether two names mean one image: `app` is `docker.io/library/app:latest`.
fn is_same_name(one: &str, other: &str) -> bool {
    let full = |name: &str| RegistryReference::parse(name).map(|reference| reference.to_string());
    one == other || matches!((full(one), full(other)), (Ok(one), Ok(other)) if one == other)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.take(10).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "none of them has a name".to_owned()
    } else {
        names.join(", ")
    }
}
