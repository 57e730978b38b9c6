//! Images on this machine: OCI layout in a folder or a tar, and what `docker save` writes.

use std::io;
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

/// The index of a folder in OCI layout.
const LAYOUT_INDEX: &str = "index.json";

/// The list of images of what `docker save` wrote.
const SAVED_LIST: &str = "manifest.json";

/// What is read of this machine.
const WAYS: &str = "write `oci:FOLDER` for a folder in OCI layout, `oci-archive:FILE` for a tar of one, and `docker-archive:FILE` for what `docker save` or `podman save` wrote";

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

/// What the index of a folder has under a name.
enum Top {
    /// An image, or an index of images.
    Entry(Descriptor),
    /// The index itself: images of several platforms.
    Index(Vec<u8>),
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
            Reference::Layout(_) => folder_of(&path),
            _ => Blobs::archive(&path),
        };
        let local = Self {
            blobs: blobs.map_err(|error| unopened(&shown, reference, &path, &error))?,
            shown,
            name: local.name.clone(),
            kind,
        };
        local.check_kind(&path)?;
        Ok(Some(local))
    }

    /// Says of what is something else what it is.
    fn check_kind(&self, path: &Path) -> Result<(), Problem> {
        let (wanted, other) = match self.kind {
            Kind::Layout => (LAYOUT_INDEX, SAVED_LIST),
            Kind::DockerArchive => (SAVED_LIST, LAYOUT_INDEX),
        };
        if self.blobs.has(wanted) {
            return Ok(());
        }
        let what = match (&self.blobs, self.kind) {
            (Blobs::Folder(_), _) => "a folder in OCI layout",
            (Blobs::Archive { .. }, Kind::Layout) => "an archive of a folder in OCI layout",
            (Blobs::Archive { .. }, Kind::DockerArchive) => "an archive of `docker save`",
        };
        let help = match (&self.blobs, self.kind) {
            (Blobs::Archive { .. }, Kind::Layout) if self.blobs.has(other) => "write `docker-archive:FILE`",
            (Blobs::Archive { .. }, Kind::DockerArchive) if self.blobs.has(other) => {
                "write `oci-archive:FILE`"
            }
            _ => WAYS,
        };
        Err(Problem::Failed {
            code: "container.image.invalid".to_owned(),
            message: format!(
                "`{}`: `{}` is not {what}: there is no `{wanted}` in it",
                self.shown,
                path.display()
            ),
            help: Some(help.to_owned()),
        })
    }

    /// What decides the image: of a folder in OCI layout the digest that its index has for it, of what `docker save` wrote
    /// that of its configuration, which names the content of every layer. Layers are not read for it; whoever unpacks them
    /// checks that they are what is named here.
    pub(crate) fn key(&self) -> Result<Digest, Problem> {
        match self.kind {
            Kind::Layout => match self.layout_top()? {
                Top::Entry(entry) => entry.sha256().map_err(|reason| self.unusable(&reason)),
                Top::Index(bytes) => Ok(Digest::of(&bytes)),
            },
            Kind::DockerArchive => Ok(Digest::of(&self.read(&self.saved()?.config, CONFIG_MAXIMUM)?)),
        }
    }

    /// Which of several images it is.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
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
            Kind::Layout => match self.layout_top()? {
                Top::Entry(entry) => {
                    let digest = entry.sha256().map_err(|reason| self.unusable(&reason))?;
                    self.manifest(digest, &entry.media_type)
                }
                Top::Index(bytes) => Ok(Sent {
                    digest: Digest::of(&bytes),
                    bytes,
                    media_type: documents::OCI_INDEX.to_owned(),
                }),
            },
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

    fn layout_top(&self) -> Result<Top, Problem> {
        let bytes = self.read(LAYOUT_INDEX, MANIFEST_MAXIMUM)?;
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
            ([one], _) => Ok(Top::Entry((*one).clone())),
            ([], Some(name)) => Err(self.unnamed(name, &listed(entries.iter().filter_map(any_name)))),
            // Without a name, images of several platforms are one image.
            (_, None) if entries.iter().all(|entry| entry.platform.is_some()) && !entries.is_empty() => {
                Ok(Top::Index(bytes))
            }
            _ => Err(self.several(chosen.len(), &listed(entries.iter().filter_map(any_name)))),
        }
    }

    fn saved(&self) -> Result<Saved, Problem> {
        let bytes = self.read(SAVED_LIST, MANIFEST_MAXIMUM)?;
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
        let held = listed(names.map(String::as_str));
        Err(match &self.name {
            Some(name) if chosen.is_empty() => self.unnamed(name, &held),
            _ => self.several(chosen.len(), &held),
        })
    }

    /// None of the images has the name that was asked for.
    fn unnamed(&self, name: &str, held: &str) -> Problem {
        Problem::Failed {
            code: "container.image.not-found".to_owned(),
            message: format!("there is no image `{name}` in `{}`", self.shown),
            help: Some(format!("it holds: {held}")),
        }
    }

    /// There is not one image.
    fn several(&self, count: usize, held: &str) -> Problem {
        Problem::Failed {
            code: "container.image.several".to_owned(),
            message: format!("there are {count} images in `{}`", self.shown),
            help: Some(format!("add a colon and the name of one: {held}")),
        }
    }

    /// A manifest for an image that `docker save` wrote, which has none: the same for the same image.
    fn docker_manifest(&self) -> Result<Sent, Problem> {
        let saved = self.saved()?;
        let config = self.read(&saved.config, CONFIG_MAXIMUM)?;
        let diff_ids = documents::configuration(&config)
            .and_then(|configuration| configuration.diff_ids())
            .map_err(|reason| self.unusable(&reason))?;
        let mut layers = Vec::new();
        for (at, name) in saved.layers.iter().enumerate() {
            let span = self.find(name)?;
            let failed = |error: io::Error| self.unusable(&format!("`{name}`: {error}"));
            let packing = match span.start(4).map_err(failed)?.as_slice() {
                [0x1f, 0x8b, ..] => "+gzip",
                [0x28, 0xb5, 0x2f, 0xfd] => "+zstd",
                _ => "",
            };
            // A layer that is not packed is its own diff id; whoever unpacks it checks that it is.
            let digest = match diff_ids.get(at) {
                Some(diff_id) if packing.is_empty() => *diff_id,
                _ => span.digest().map_err(failed)?,
            };
            layers.push(serde_json::json!({
                "mediaType": format!("{OCI_LAYER}{packing}"),
                "digest": digest.to_string(),
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

/// A folder that is there.
fn folder_of(path: &Path) -> io::Result<Blobs> {
    if path.metadata()?.is_dir() {
        return Ok(Blobs::Folder(path.to_owned()));
    }
    Err(io::Error::from(io::ErrorKind::NotADirectory))
}

/// Why what a reference names cannot be opened.
fn unopened(shown: &str, reference: &Reference, path: &Path, error: &io::Error) -> Problem {
    let at = path.display();
    let (what, code, help) = match (error.kind(), reference) {
        (io::ErrorKind::NotFound, _) => (
            format!("`{at}` does not exist"),
            "container.image.missing",
            "paths start from the task's folder",
        ),
        (io::ErrorKind::NotADirectory, Reference::Layout(_)) => {
            (format!("`{at}` is no folder"), "container.image.invalid", WAYS)
        }
        (io::ErrorKind::IsADirectory, _) => (
            format!("`{at}` is a folder"),
            "container.image.invalid",
            "write `oci:FOLDER` for a folder in OCI layout",
        ),
        (io::ErrorKind::PermissionDenied, _) => (
            format!("`{at}` cannot be read: {error}"),
            "container.image.unreadable",
            "see to it that you may read it",
        ),
        _ => (
            format!("`{at}` cannot be read as an archive of an image: {error}"),
            "container.image.invalid",
            WAYS,
        ),
    };
    Problem::Failed {
        code: code.to_owned(),
        message: format!("`{shown}`: {what}"),
        help: Some(help.to_owned()),
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
    let names: Vec<String> = names
        .take(10)
        .map(|name| format!("`{}`", explain::foreign(name)))
        .collect();
    if names.is_empty() {
        "none of them has a name".to_owned()
    } else {
        names.join(", ")
    }
}
