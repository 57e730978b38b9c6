//! A channel in a folder.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::HEXLOWER;
use rattler_digest::Md5;
use rattler_digest::digest::Digest as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::conda::{Package, SUBDIR};
use crate::files;

/// What came of adding a package.
#[derive(Debug, Clone)]
pub struct Added {
    /// Its path in the channel: `linux-64/thing-1.0-0.conda`.
    pub path: String,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// Its MD5, in hexadecimal.
    pub md5: String,
}

/// A channel in a folder of its own, removed when this is dropped.
#[derive(Debug)]
pub struct Channel {
    folder: TempDir,
    records: BTreeMap<String, Map<String, Value>>,
}

impl Channel {
    /// A channel without any package.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("wrun-channel-")
            .tempdir()
            .expect("a folder can be made");
        let records = ["noarch", SUBDIR].map(|subdir| (subdir.to_owned(), Map::new()));
        let channel = Self {
            folder,
            records: records.into(),
        };
        channel.write_repodata();
        channel
    }

    /// A channel with these packages.
    #[must_use]
    pub fn with(packages: impl IntoIterator<Item = Package>) -> Self {
        let mut channel = Self::new();
        for package in packages {
            channel.add(&package);
        }
        channel
    }

    /// Adds a package.
    #[track_caller]
    pub fn add(&mut self, package: &Package) -> Added {
        self.add_with(package, |_| {})
    }

    /// Adds a package whose record in the repodata is changed by `change`.
    #[track_caller]
    pub fn add_with(&mut self, package: &Package, change: impl FnOnce(&mut Value)) -> Added {
        let bytes = package.bytes();
        self.add_bytes(package, &bytes, change)
    }

    /// Adds these bytes as the archive of a package.
    #[track_caller]
    pub fn add_bytes(&mut self, package: &Package, bytes: &[u8], change: impl FnOnce(&mut Value)) -> Added {
        let added = Added {
            path: format!("{}/{}", package.subdir, package.file_name()),
            sha256: files::sha256(bytes),
            md5: HEXLOWER.encode(&Md5::digest(bytes)),
        };
        files::write(&self.path().join(&added.path), bytes);
        let mut record = package.index();
        record["sha256"] = json!(added.sha256);
        record["md5"] = json!(added.md5);
        record["size"] = json!(bytes.len());
        change(&mut record);
        self.records
            .entry(package.subdir.clone())
            .or_default()
            .insert(package.file_name(), record);
        self.write_repodata();
        added
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Offers the channel in parts too, one for each name: an index of digests, and a file for each digest
    /// (<https://conda.org/learn/ceps/cep-0016/>).
    pub fn write_shards(&self) {
        for (subdir, records) in &self.records {
            let mut shards: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
            for (file, record) in records {
                let name = record["name"].as_str().expect("a record has a name").to_owned();
                shards
                    .entry(name)
                    .or_default()
                    .insert(file.clone(), record.clone());
            }
            let folder = self.path().join(subdir);
            let mut index: BTreeMap<String, Bytes> = BTreeMap::new();
            for (name, records) in shards {
                let (conda, tar): (BTreeMap<_, _>, BTreeMap<_, _>) = records
                    .into_iter()
                    .map(|(file, record)| (file, record_of(record)))
                    .partition(|(file, _)| file.strip_suffix(".conda").is_some());
                let shard = compressed(&Shard {
                    packages: tar,
                    conda,
                    removed: [],
                });
                let digest = files::sha256(&shard);
                files::write(&folder.join(format!("shards/{digest}.msgpack.zst")), &shard);
                let digest = HEXLOWER.decode(digest.as_bytes()).expect("digits");
                index.insert(name, Bytes(digest));
            }
            let index = compressed(&ShardIndex {
                info: json!({ "subdir": subdir, "base_url": "./", "shards_base_url": "./shards/" }),
                shards: index,
            });
            files::write(&folder.join("repodata_shards.msgpack.zst"), index);
        }
    }

    /// The sizes of all packages, in bytes.
    #[must_use]
    pub fn sizes(&self) -> Vec<u64> {
        self.records
            .values()
            .flat_map(Map::values)
            .filter_map(|record| record["size"].as_u64())
            .collect()
    }

    /// The address as a file.
    #[must_use]
    pub fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    fn write_repodata(&self) {
        for (subdir, records) in &self.records {
            let (conda, tar): (Map<_, _>, Map<_, _>) = records
                .clone()
                .into_iter()
                .partition(|(name, _)| name.strip_suffix(".conda").is_some());
            let repodata = json!({
                "info": { "subdir": subdir },
                "packages": tar,
                "packages.conda": conda,
                "removed": [],
                "repodata_version": 1,
            });
            files::write(
                &self.path().join(subdir).join("repodata.json"),
                repodata.to_string(),
            );
        }
    }
}

/// Digests, which shards hold as bytes and not as text.
const DIGESTS: &[&str] = &["sha256", "md5"];

/// Bytes, and not a list of numbers.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Member {
    Digest(Bytes),
    Other(Value),
}

#[derive(Serialize)]
struct Shard {
    packages: BTreeMap<String, BTreeMap<String, Member>>,
    #[serde(rename = "packages.conda")]
    conda: BTreeMap<String, BTreeMap<String, Member>>,
    removed: [String; 0],
}

#[derive(Serialize)]
struct ShardIndex {
    info: Value,
    shards: BTreeMap<String, Bytes>,
}

fn record_of(record: Value) -> BTreeMap<String, Member> {
    let Value::Object(members) = record else {
        return BTreeMap::new();
    };
    let member = |(name, value): (String, Value)| {
        let digest = value.as_str().filter(|_| DIGESTS.contains(&name.as_str()));
        let digest = digest.and_then(|text| HEXLOWER.decode(text.as_bytes()).ok());
        let member = digest.map_or(Member::Other(value), |digest| Member::Digest(Bytes(digest)));
        (name, member)
    };
    members.into_iter().map(member).collect()
}

fn compressed(content: &impl Serialize) -> Vec<u8> {
    let packed = rmp_serde::to_vec_named(content).expect("it can be written");
    zstd::encode_all(packed.as_slice(), 3).expect("it can be compressed")
}

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}
