//! A channel in a folder.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::HEXLOWER;
use rattler_digest::Md5;
use rattler_digest::digest::Digest as _;
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

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}
