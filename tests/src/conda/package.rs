//! A conda package.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use rattler_conda_types::compression_level::CompressionLevel;
use rattler_package_streaming::write::{write_conda_package, write_tar_bz2_package};
use serde_json::{Value, json};

use crate::files;

/// The platform of this machine, as channels name it.
pub const SUBDIR: &str = if cfg!(target_os = "macos") {
    if cfg!(target_arch = "aarch64") {
        "osx-arm64"
    } else {
        "osx-64"
    }
} else if cfg!(target_arch = "aarch64") {
    "linux-aarch64"
} else {
    "linux-64"
};

/// The prefix that packages are built with, as long as conda-build makes it.
pub const PLACEHOLDER: &str = "/home/builder/placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_\
placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_placehold_\
placehold_placehold_placehold_placehold_plac";

/// The format of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.conda`.
    Conda,
    /// `.tar.bz2`.
    TarBz2,
}

#[derive(Debug, Clone)]
enum Kind {
    Plain,
    WithPrefix(&'static str),
    Link(String),
}

#[derive(Debug, Clone)]
struct File {
    path: String,
    content: Vec<u8>,
    executable: bool,
    kind: Kind,
}

/// A package that is being put together.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its build string.
    pub build: String,
    /// Its platform.
    pub subdir: String,
    /// Its format.
    pub format: Format,
    depends: Vec<String>,
    constrains: Vec<String>,
    noarch: Option<&'static str>,
    files: Vec<File>,
    entry_points: Vec<String>,
    timestamp: Option<u64>,
    index: Option<Value>,
    paths: Option<Value>,
}

impl Package {
    /// An empty package for this machine.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            build: "0".to_owned(),
            subdir: SUBDIR.to_owned(),
            format: Format::Conda,
            depends: Vec::new(),
            constrains: Vec::new(),
            noarch: None,
            files: Vec::new(),
            entry_points: Vec::new(),
            timestamp: None,
            index: None,
            paths: None,
        }
    }

    /// A package with a program of its name that prints a line.
    #[must_use]
    pub fn saying(name: &str, version: &str, line: &str) -> Self {
        Self::new(name, version).program(&format!("bin/{name}"), &format!("#!/bin/sh\necho '{line}'\n"))
    }

    /// The same in another format.
    #[must_use]
    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The same for another platform.
    #[must_use]
    pub fn subdir(mut self, subdir: &str) -> Self {
        subdir.clone_into(&mut self.subdir);
        self
    }

    /// The same with a dependency.
    #[must_use]
    pub fn depends(mut self, spec: &str) -> Self {
        self.depends.push(spec.to_owned());
        self
    }

    /// The same that goes only with this, if that is there at all.
    #[must_use]
    pub fn constrains(mut self, spec: &str) -> Self {
        self.constrains.push(spec.to_owned());
        self
    }

    /// The same for every platform: `python` or `generic`.
    #[must_use]
    pub fn noarch(mut self, kind: &'static str) -> Self {
        self.noarch = Some(kind);
        "noarch".clone_into(&mut self.subdir);
        self
    }

    /// The same, uploaded at this time: milliseconds since 1970.
    #[must_use]
    pub const fn uploaded(mut self, milliseconds: u64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }

    /// The same with a file.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(path, content.as_ref(), false, Kind::Plain)
    }

    /// The same with a program.
    #[must_use]
    pub fn program(self, path: &str, content: &str) -> Self {
        self.with(path, content.as_bytes(), true, Kind::Plain)
    }

    /// The same with a program that is copied as it is.
    #[must_use]
    pub fn binary(self, path: &str, content: &[u8]) -> Self {
        self.with(path, content, true, Kind::Plain)
    }

    /// The same with a program in which `PREFIX` is the prefix of the environment.
    #[must_use]
    pub fn text_with_prefix(self, path: &str, content: &str) -> Self {
        let content = content.replace("PREFIX", PLACEHOLDER);
        self.with(path, content.as_bytes(), true, Kind::WithPrefix("text"))
    }

    /// The same with a binary file in which `PREFIX` is the prefix of the environment, ended by a NUL.
    #[must_use]
    pub fn binary_with_prefix(self, path: &str, before: &[u8], rest: &str, after: &[u8]) -> Self {
        let content = [before, PLACEHOLDER.as_bytes(), rest.as_bytes(), &[0], after].concat();
        self.with(path, &content, false, Kind::WithPrefix("binary"))
    }

    /// The same with a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.with(path, &[], false, Kind::Link(target.to_owned()))
    }

    /// The same with an entry point of a Python package: `command = module:function`.
    #[must_use]
    pub fn entry_point(mut self, entry_point: &str) -> Self {
        self.entry_points.push(entry_point.to_owned());
        self
    }

    /// The same with another `info/index.json` than the right one.
    #[must_use]
    pub fn claiming(mut self, index: Value) -> Self {
        self.index = Some(index);
        self
    }

    /// The same with another `info/paths.json` than the right one.
    #[must_use]
    pub fn with_paths(mut self, paths: Value) -> Self {
        self.paths = Some(paths);
        self
    }

    fn with(mut self, path: &str, content: &[u8], executable: bool, kind: Kind) -> Self {
        self.files.push(File {
            path: path.to_owned(),
            content: content.to_vec(),
            executable,
            kind,
        });
        self
    }

    /// `name-version-build`.
    #[must_use]
    pub fn stem(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.build)
    }

    /// The archive's name.
    #[must_use]
    pub fn file_name(&self) -> String {
        let ending = match self.format {
            Format::Conda => "conda",
            Format::TarBz2 => "tar.bz2",
        };
        format!("{}.{ending}", self.stem())
    }

    /// What it says of itself.
    #[must_use]
    pub fn index(&self) -> Value {
        let mut index = json!({
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "depends": self.depends,
            "constrains": self.constrains,
            "subdir": self.subdir,
        });
        if let Some(members) = index.as_object_mut() {
            if let Some(kind) = self.noarch {
                members.insert("noarch".to_owned(), json!(kind));
            }
            if let Some(timestamp) = self.timestamp {
                members.insert("timestamp".to_owned(), json!(timestamp));
            }
        }
        index
    }

    /// The archive.
    #[must_use]
    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path();
        let mut paths: Vec<PathBuf> = Vec::new();
        let mut entries = Vec::new();
        for file in &self.files {
            let path = root.join(&file.path);
            let mut entry = json!({ "_path": file.path, "path_type": "hardlink" });
            if let Kind::Link(target) = &file.kind {
                files::folder(path.parent().unwrap_or(root));
                std::os::unix::fs::symlink(target, &path).expect("a link can be made");
                entry["path_type"] = json!("softlink");
            } else {
                files::write(&path, &file.content);
                if file.executable {
                    files::set_mode(&path, 0o755);
                }
                entry["sha256"] = json!(files::sha256(&file.content));
                entry["size_in_bytes"] = json!(file.content.len());
            }
            if let Kind::WithPrefix(mode) = file.kind {
                entry["prefix_placeholder"] = json!(PLACEHOLDER);
                entry["file_mode"] = json!(mode);
            }
            entries.push(entry);
            paths.push(path);
        }
        let mut info = |name: &str, content: &Value| {
            let path = root.join("info").join(name);
            files::write(&path, content.to_string());
            paths.push(path);
        };
        info("index.json", &self.index.clone().unwrap_or_else(|| self.index()));
        info(
            "paths.json",
            &self
                .paths
                .clone()
                .unwrap_or_else(|| json!({ "paths": entries, "paths_version": 1 })),
        );
        if self.noarch == Some("python") {
            info(
                "link.json",
                &json!({
                    "noarch": { "type": "python", "entry_points": self.entry_points },
                    "package_metadata_version": 1,
                }),
            );
        }
        self.archive(root, &paths)
    }

    fn archive(&self, root: &Path, paths: &[PathBuf]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let level = CompressionLevel::Lowest;
        match self.format {
            Format::Conda => {
                write_conda_package(&mut bytes, root, paths, level, Some(1), &self.stem(), None, None)
            }
            Format::TarBz2 => write_tar_bz2_package(&mut bytes, root, paths, level, None, None),
        }
        .expect("a package can be written");
        bytes.into_inner()
    }
}
