//! Images, made of lists of files: the same files give the same digests.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::files;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Tar,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// A document or a blob with its digest.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub media_type: String,
}

impl Document {
    /// JSON.
    #[must_use]
    pub fn json(media_type: &str, value: &Value) -> Self {
        Self {
            bytes: value.to_string().into_bytes(),
            media_type: media_type.to_owned(),
        }
    }

    /// `sha256:…`
    #[must_use]
    pub fn digest(&self) -> String {
        format!("sha256:{}", files::sha256(&self.bytes))
    }

    /// How an index or a manifest names it.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len()})
    }
}

/// An image that is being put together.
#[derive(Debug, Clone)]
pub struct Image {
    layers: Vec<Vec<u8>>,
    packing: Packing,
    config: Value,
    platform: (String, Option<String>),
    diff_ids: Option<Vec<String>>,
    media_types: [String; 3],
    layer_size: Option<u64>,
    module: Option<Vec<u8>>,
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    /// An image of this machine's platform without layers.
    #[must_use]
    pub fn new() -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            layers: Vec::new(),
            packing: Packing::Gzip,
            config: json!({}),
            platform: (arch.to_owned(), None),
            diff_ids: None,
            media_types: [MANIFEST, CONFIG, LAYER].map(str::to_owned),
            layer_size: None,
            module: None,
        }
    }

    /// A WebAssembly module in place of layers.
    #[must_use]
    pub fn module(bytes: Vec<u8>) -> Self {
        Self {
            module: Some(bytes),
            ..Self::new()
        }
    }

    /// The same with a layer of these files; a path that ends with `/` is a folder.
    #[must_use]
    pub fn layer(self, entries: &[(&str, &[u8])]) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_ustar();
            let is_folder = path.ends_with('/');
            header.set_entry_type(if is_folder {
                tar::EntryType::Directory
            } else {
                tar::EntryType::Regular
            });
            header.set_mode(0o755);
            header.set_size(content.len() as u64);
            header.set_mtime(0);
            tar.append_data(&mut header, path, *content)
                .expect("memory can be written");
        }
        self.raw_layer(tar.into_inner().expect("memory can be written"))
    }

    /// The same with a layer of all that is in a folder.
    #[must_use]
    pub fn folder_layer(self, folder: &Path) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        tar.follow_symlinks(false);
        tar.append_dir_all(".", folder).expect("memory can be written");
        self.raw_layer(tar.into_inner().expect("memory can be written"))
    }

    /// The same with a layer of these bytes.
    #[must_use]
    pub fn raw_layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(tar);
        self
    }

    /// The same with layers packed like this.
    #[must_use]
    pub const fn packed(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// The same with a configuration: `{"Env": […], "Cmd": […]}`.
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// The same with a manifest that says of each layer that it has so many bytes.
    #[must_use]
    pub fn layer_size(mut self, bytes: u64) -> Self {
        self.layer_size = Some(bytes);
        self
    }

    /// The same for another platform.
    #[must_use]
    pub fn platform(mut self, arch: &str, variant: Option<&str>) -> Self {
        self.platform = (arch.to_owned(), variant.map(str::to_owned));
        self
    }

    /// The same with these diff ids in its configuration.
    #[must_use]
    pub fn diff_ids(mut self, ids: &[String]) -> Self {
        self.diff_ids = Some(ids.to_vec());
        self
    }

    /// The same in docker's media types.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.media_types = [
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar",
        ]
        .map(str::to_owned);
        self
    }

    /// Its layers, packed.
    #[must_use]
    pub fn layer_blobs(&self) -> Vec<Document> {
        if let Some(module) = &self.module {
            return vec![Document {
                bytes: module.clone(),
                media_type: "application/wasm".to_owned(),
            }];
        }
        let is_docker = self
            .media_types
            .last()
            .is_some_and(|kind| kind.contains("docker"));
        let join = if is_docker { "." } else { "+" };
        self.layers
            .iter()
            .map(|tar| {
                let (bytes, ending) = match self.packing {
                    Packing::Tar => (tar.clone(), None),
                    Packing::Gzip => (gzip(tar), Some("gzip")),
                    Packing::Zstd => (
                        zstd::encode_all(tar.as_slice(), 3).expect("memory can be written"),
                        Some("zstd"),
                    ),
                };
                let base = self.media_types.last().cloned().unwrap_or_default();
                Document {
                    bytes,
                    media_type: ending.map_or_else(|| base.clone(), |ending| format!("{base}{join}{ending}")),
                }
            })
            .collect()
    }

    /// The digests of its layers as they are unpacked.
    #[must_use]
    pub fn diff_id_list(&self) -> Vec<String> {
        self.layers
            .iter()
            .map(|tar| format!("sha256:{}", files::sha256(tar)))
            .collect()
    }

    /// Its configuration.
    #[must_use]
    pub fn config_blob(&self) -> Document {
        let [_, kind, _] = &self.media_types;
        if self.module.is_some() {
            return Document::json(
                "application/vnd.wasm.config.v0+json",
                &json!({"os": "wasip1", "architecture": "wasm"}),
            );
        }
        let (arch, variant) = &self.platform;
        let ids = self.diff_ids.clone().unwrap_or_else(|| self.diff_id_list());
        let mut config = json!({
            "os": "linux",
            "architecture": arch,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": ids},
            "history": vec![json!({"created_by": "by hand"}); self.layers.len()],
        });
        if let Some(variant) = variant {
            set(&mut config, "variant", json!(variant));
        }
        Document::json(kind, &config)
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> Document {
        let mut layers: Vec<Value> = self.layer_blobs().iter().map(Document::descriptor).collect();
        if let Some(size) = self.layer_size {
            for layer in &mut layers {
                set(layer, "size", json!(size));
            }
        }
        let [kind, _, _] = &self.media_types;
        Document::json(
            kind,
            &json!({
                "schemaVersion": 2,
                "mediaType": kind,
                "config": self.config_blob().descriptor(),
                "layers": layers,
            }),
        )
    }

    /// How an index names it.
    #[must_use]
    pub fn entry(&self) -> Value {
        let mut entry = self.manifest().descriptor();
        let (arch, variant) = &self.platform;
        let mut platform = json!({"os": "linux", "architecture": arch});
        if let Some(variant) = variant {
            set(&mut platform, "variant", json!(variant));
        }
        set(&mut entry, "platform", platform);
        entry
    }

    /// Everything that a registry keeps of it beside its manifest.
    #[must_use]
    pub fn blobs(&self) -> Vec<Document> {
        let mut blobs = self.layer_blobs();
        blobs.push(self.config_blob());
        blobs
    }

    /// Writes it to a folder in OCI layout, under a name.
    pub fn write_layout(&self, folder: &Path, name: &str) {
        for (path, bytes) in self.layout(name) {
            files::write(&folder.join(path), bytes);
        }
    }

    /// Writes a tar of its OCI layout.
    pub fn write_layout_archive(&self, file: &Path, name: &str) {
        files::write(file, tar_of(&self.layout(name)));
    }

    /// Writes what `docker save` writes.
    pub fn write_docker_archive(&self, file: &Path, tag: &str) {
        let config = self.config_blob();
        let config_name = format!("{}.json", files::sha256(&config.bytes));
        let mut entries = vec![(config_name.clone(), config.bytes)];
        let mut layers = Vec::new();
        for tar in &self.layers {
            let name = format!("{}/layer.tar", files::sha256(tar));
            entries.push((name.clone(), tar.clone()));
            layers.push(name);
        }
        let manifest = json!([{"Config": config_name, "RepoTags": [tag], "Layers": layers}]);
        entries.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
        files::write(file, tar_of(&entries));
    }

    fn layout(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let manifest = self.manifest();
        let mut entry = manifest.descriptor();
        let named = json!({"org.opencontainers.image.ref.name": name});
        set(&mut entry, "annotations", named);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let mut entries = vec![
            (
                "oci-layout".to_owned(),
                br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec(),
            ),
            ("index.json".to_owned(), index.to_string().into_bytes()),
        ];
        for blob in self.blobs().into_iter().chain([manifest]) {
            entries.push((format!("blobs/sha256/{}", files::sha256(&blob.bytes)), blob.bytes));
        }
        entries
    }
}

/// An index of images.
#[must_use]
pub fn index(entries: &[Value]) -> Document {
    Document::json(
        INDEX,
        &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}),
    )
}

fn tar_of(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content.as_slice())
            .expect("memory can be written");
    }
    tar.into_inner().expect("memory can be written")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Sets a member of an object.
fn set(object: &mut Value, member: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(member.to_owned(), value);
    }
}
