//! The JSON documents of images: indexes, manifests and configurations, of OCI and of docker.
//!
//! Only what is used is read, and what is not known is passed over: images of many years and makers have to be read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wrun_core::id::Digest;

use crate::explain::foreign;
use crate::platform::ImagePlatform;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_SCHEMA_1: &[&str] = &[
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
const WASM_CONFIGS: &[&str] = &[
    "application/vnd.wasm.config.v0+json",
    "application/vnd.wasm.config.v1+json",
    "application/vnd.module.wasm.config.v1+json",
];
const WASM_LAYERS: &[&str] = &[
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

/// The largest index or manifest that is taken, in bytes; what registries take too.
pub(crate) const MANIFEST_MAXIMUM: u64 = 4 * 1024 * 1024;

/// The largest configuration that is taken, in bytes.
pub(crate) const CONFIG_MAXIMUM: u64 = 8 * 1024 * 1024;

/// What a registry is told of what is understood.
pub(crate) fn accepted() -> String {
    [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ")
}

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Packing {
    /// Not at all.
    Tar,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Packing {
    /// What a media type says.
    fn of(media_type: &str) -> Option<Self> {
        let kind = media_type
            .strip_prefix("application/vnd.oci.image.layer.v1.tar")
            .or_else(|| media_type.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.tar"))
            .or_else(|| media_type.strip_prefix("application/vnd.docker.image.rootfs.diff.tar"))
            .or_else(|| media_type.strip_prefix("application/vnd.docker.image.rootfs.foreign.diff.tar"))?;
        match kind {
            "" => Some(Self::Tar),
            "+gzip" | ".gzip" => Some(Self::Gzip),
            "+zstd" | ".zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// A blob, as a manifest or an index names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Descriptor {
    #[serde(rename = "mediaType", default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) platform: Option<ImagePlatform>,
    #[serde(default)]
    pub(crate) annotations: Option<std::collections::BTreeMap<String, String>>,
}

impl Descriptor {
    /// Its digest.
    ///
    /// # Errors
    /// It is of another kind than SHA-256.
    pub(crate) fn sha256(&self) -> Result<Digest, String> {
        self.digest.parse().map_err(|_| {
            format!(
                "it names a blob by `{}`, and only digests of the kind `sha256` are known",
                foreign(&self.digest)
            )
        })
    }

    /// What the layer holds, and how it is packed.
    ///
    /// # Errors
    /// Nothing that is known.
    pub(crate) fn packing(&self) -> Result<Packing, String> {
        Packing::of(&self.media_type).ok_or_else(|| {
            format!(
                "a layer of it has the media type `{}`, which is not known",
                foreign(&self.media_type)
            )
        })
    }

    /// Whether it is a WebAssembly module.
    pub(crate) fn is_module(&self) -> bool {
        WASM_LAYERS.contains(&self.media_type.as_str())
    }

    /// An annotation.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// What a name of an image leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    /// Images of several platforms.
    Index(Vec<Descriptor>),
    /// An image.
    Manifest(Manifest),
}

/// An image: its configuration and its layers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
}

impl Manifest {
    /// Whether it is a WebAssembly module and no file system.
    pub(crate) fn is_module(&self) -> bool {
        WASM_CONFIGS.contains(&self.config.media_type.as_str())
            || self.layers.iter().any(Descriptor::is_module)
    }

    /// Checks that it is of files: a registry keeps other things in the same form, such as charts and signatures.
    ///
    /// # Errors
    /// It is of something else.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        // Old images have `application/octet-stream`.
        match self.config.media_type.as_str() {
            "" | OCI_CONFIG | DOCKER_CONFIG | "application/octet-stream" => Ok(()),
            other => Err(format!(
                "it is no container image: its configuration has the media type `{}`, and `{OCI_CONFIG}` or `{DOCKER_CONFIG}` is that of one",
                foreign(other)
            )),
        }
    }
}

#[derive(Deserialize)]
struct Any {
    #[serde(rename = "schemaVersion", default)]
    schema_version: Option<u32>,
    #[serde(rename = "mediaType", default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
}

/// Reads what a name leads to. `said` is the media type that the server says it has.
///
/// # Errors
/// It is nothing that is known.
pub(crate) fn read(bytes: &[u8], said: &str) -> Result<Document, String> {
    let any: Any = json(bytes)?;
    let inside = any.media_type.as_deref().unwrap_or_default();
    // The same bytes must not be an index to one reader and a manifest to another.
    if !inside.is_empty() && is_known(said) && inside != said {
        return Err(format!(
            "it says that it is `{}`, and was sent as `{said}`",
            foreign(inside)
        ));
    }
    let media_type = if inside.is_empty() { said } else { inside };
    if DOCKER_SCHEMA_1.contains(&media_type) || any.schema_version == Some(1) {
        return Err("it is in the old format of docker (schema 1), which is not read any more".to_owned());
    }
    // What has no type of its own may have been sent as anything (`text/plain`), but not as what is something else.
    if !is_known(media_type) && (!inside.is_empty() || said.starts_with("application/vnd.")) {
        return Err(unknown_type(media_type));
    }
    match (media_type, any.manifests, any.config) {
        (_, Some(_), Some(_)) => Err("it is an index and a manifest at once".to_owned()),
        (OCI_MANIFEST | DOCKER_MANIFEST, Some(_), _) | (OCI_INDEX | DOCKER_LIST, _, Some(_)) => {
            Err(format!("it is not what its media type `{media_type}` says"))
        }
        (_, Some(manifests), None) => Ok(Document::Index(manifests)),
        (_, None, Some(config)) => Ok(Document::Manifest(Manifest {
            config,
            layers: any.layers.unwrap_or_default(),
        })),
        (_, None, None) => Err("it is neither an index nor a manifest of an image".to_owned()),
    }
}

fn unknown_type(media_type: &str) -> String {
    format!(
        "it has the media type `{}`, which is not known; images of OCI (`{OCI_INDEX}`, `{OCI_MANIFEST}`) and of docker (`{DOCKER_LIST}`, `{DOCKER_MANIFEST}`) are",
        foreign(media_type)
    )
}

fn is_known(media_type: &str) -> bool {
    matches!(
        media_type,
        OCI_INDEX | OCI_MANIFEST | DOCKER_LIST | DOCKER_MANIFEST
    )
}

/// The configuration of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Configuration {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    config: Option<Start>,
    #[serde(default)]
    rootfs: Option<RootFs>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<String>>,
}

/// How an image wants to be started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Start {
    pub(crate) env: Option<Vec<String>>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) cmd: Option<Vec<String>>,
    pub(crate) working_dir: Option<String>,
    pub(crate) user: Option<String>,
}

impl Configuration {
    /// The platform, if it says one.
    pub(crate) fn platform(&self) -> Option<ImagePlatform> {
        let platform = ImagePlatform {
            os: self.os.clone(),
            arch: self.architecture.clone(),
            variant: self.variant.clone().filter(|variant| !variant.is_empty()),
        };
        (!platform.os.is_empty() && !platform.arch.is_empty()).then_some(platform)
    }

    /// The digests of the layers as they are unpacked.
    ///
    /// # Errors
    /// One of them is not known.
    pub(crate) fn diff_ids(&self) -> Result<Vec<Digest>, String> {
        let ids = self.rootfs.as_ref().and_then(|rootfs| rootfs.diff_ids.as_deref());
        ids.unwrap_or_default()
            .iter()
            .map(|id| {
                id.parse()
                    .map_err(|_| format!("`{}` is not a diff id that is known", foreign(id)))
            })
            .collect()
    }

    /// How it is started.
    pub(crate) fn start(&self) -> Start {
        self.config.clone().unwrap_or_default()
    }
}

/// Reads a configuration.
///
/// # Errors
/// It is none.
pub(crate) fn configuration(bytes: &[u8]) -> Result<Configuration, String> {
    json(bytes)
}

/// Reads JSON.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("it is not the JSON that is expected: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, said: &str) -> String {
        match read(text.as_bytes(), said) {
            Ok(Document::Index(entries)) => format!("index of {}", entries.len()),
            Ok(Document::Manifest(manifest)) => format!("manifest of {}", manifest.layers.len()),
            Err(error) => error,
        }
    }

    #[test]
    fn documents_are_what_they_hold() {
        let index = r#"{"schemaVersion": 2, "manifests": []}"#;
        let manifest = r#"{"schemaVersion": 2, "config": {"digest": "sha256:00", "size": 2}, "layers": []}"#;
        assert_eq!(told(index, OCI_INDEX), "index of 0");
        assert_eq!(told(index, "text/plain"), "index of 0");
        assert_eq!(told(manifest, DOCKER_MANIFEST), "manifest of 0");
        assert!(told(index, OCI_MANIFEST).contains("not what its media type"));
        assert!(told(manifest, OCI_INDEX).contains("not what its media type"));
        assert!(told(r#"{"schemaVersion": 1}"#, "").contains("schema 1"));
        assert!(told("{}", "").contains("neither"));
        let chart = told(manifest, "application/vnd.example.thing.v1+json");
        assert!(
            chart.contains("`application/vnd.example.thing.v1+json`") && chart.contains(OCI_MANIFEST),
            "{chart}"
        );
        let odd = r#"{"mediaType": "text/odd", "config": {"digest": "sha256:00", "size": 2}}"#;
        assert!(told(odd, OCI_MANIFEST).contains("was sent as"));
        assert!(told(odd, "").contains("the media type `text/odd`"));
        assert!(told("<html>", "text/html").contains("JSON"));
        let both = r#"{"manifests": [], "config": {"digest": "sha256:00", "size": 2}}"#;
        assert!(told(both, OCI_INDEX).contains("at once"));
        let lies = format!(r#"{{"mediaType": "{OCI_MANIFEST}", "manifests": []}}"#);
        assert!(told(&lies, OCI_INDEX).contains("was sent as"));
    }

    #[test]
    fn layers_are_packed_as_their_media_type_says() {
        for (media_type, packing) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(Packing::Tar)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(Packing::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some(Packing::Zstd)),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Some(Packing::Gzip),
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.zstd",
                Some(Packing::Zstd),
            ),
            ("application/vnd.oci.image.layer.v1.tar+xz", None),
            ("application/wasm", None),
        ] {
            assert_eq!(Packing::of(media_type), packing, "{media_type}");
        }
    }

    #[test]
    fn what_is_no_image_of_files_is_told() {
        let of = |config: &str| {
            let text =
                format!(r#"{{"config": {{"mediaType": "{config}", "digest": "sha256:00", "size": 2}}}}"#);
            match read(text.as_bytes(), OCI_MANIFEST) {
                Ok(Document::Manifest(manifest)) => manifest.check_files(),
                other => panic!("{other:?}"),
            }
        };
        for known in ["", OCI_CONFIG, DOCKER_CONFIG] {
            assert_eq!(of(known), Ok(()));
        }
        let chart = of("application/vnd.cncf.helm.config.v1+json").unwrap_err();
        assert!(chart.contains("helm") && chart.contains(OCI_CONFIG), "{chart}");
    }

    #[test]
    fn a_configuration_with_nulls_is_read() {
        let text = r#"{"os": "linux", "architecture": "amd64", "config": {"Env": null, "Entrypoint": null, "Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}}, "rootfs": {"type": "layers", "diff_ids": null}}"#;
        let read = configuration(text.as_bytes()).unwrap();
        assert_eq!(read.start().cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(read.diff_ids().unwrap(), Vec::new());
        assert_eq!(read.platform().unwrap().to_string(), "linux/amd64");
    }
}
