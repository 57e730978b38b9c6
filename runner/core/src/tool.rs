//! The tools that backends ask for by name, and what the host found.
//!
//! A backend never names a path: it asks for `uv`, and the host finds one (an explicit setting, `PATH`, else
//! fetched by digest into the store) and says which.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::canon::Canon;
use crate::id::Digest;

/// The name of a tool in requests, questions and plans, for instance `uv`; never a path.
pub type ToolId = String;

/// A request for a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRequest {
    /// The name that questions and steps use.
    pub id: ToolId,
    /// What kind of tool it is, and how it may be found.
    pub kind: ToolKind,
}

/// The kinds of tools that a host can find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ToolKind {
    /// A program of the machine.
    Program {
        /// Base names to look for, best first.
        names: Vec<String>,
        /// Folders to look in after the search path: where it is on most machines, whatever the caller's `PATH` is.
        #[serde(default)]
        folders: Vec<PathBuf>,
        /// Arguments that make it print its version.
        version_args: Vec<String>,
        /// The oldest version that will do (PEP 440 order).
        minimum: Option<String>,
        /// The project on the Python package index whose wheel carries the program, if there is none here.
        wheel: Option<String>,
    },
    /// A Python interpreter.
    Python {
        /// What was asked for: nothing, a version (`3.11`, `>=3.10,<3.13`), an implementation with one (`pypy@3.10`)
        /// or the path of an interpreter.
        request: Option<String>,
    },
    /// A pure-Python program that runs under the interpreter of another tool of the same request (`pip`).
    PythonPackage {
        /// Its project on the Python package index.
        project: String,
        /// The tool whose interpreter runs it.
        interpreter: ToolId,
        /// The oldest version that will do (PEP 440 order).
        #[serde(default)]
        minimum: Option<String>,
        /// The oldest version that is as good as any: an older one is taken only where none of these can be had.
        #[serde(default)]
        preferred: Option<String>,
    },
}

/// A tool that the host found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolFound {
    /// The name it was asked for.
    pub id: ToolId,
    /// Where it is.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// Its digest, where it was fetched by one.
    pub digest: Option<Digest>,
    /// For an interpreter: what it said of itself.
    pub python: Option<Interpreter>,
}

/// What an interpreter said of itself, and what its file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// `sys.implementation.name`: `cpython`, `pypy`.
    pub implementation: String,
    /// The full version: `3.11.7`.
    pub version: String,
    /// The `SOABI` configuration variable, or an empty string.
    pub soabi: String,
    /// The C library and its version: `glibc-2.36`, `musl-1.2`; an empty string where there is none.
    pub libc: String,
    /// `sysconfig.get_platform()`: `linux-x86_64`.
    pub platform: String,
    /// The environment markers of PEP 508, by name.
    pub markers: std::collections::BTreeMap<String, String>,
    /// `sys.base_prefix`.
    pub base_prefix: String,
    /// Whether the module `venv` can be imported.
    pub has_venv: bool,
    /// Whether the module `ensurepip` can be imported.
    pub has_ensurepip: bool,
    /// How a virtual environment on it is made; `None` where only its own module `venv` knows that.
    pub virtual_environment: Option<VirtualEnvironment>,
    /// Size of its file in bytes.
    pub size: u64,
    /// Modification time of its file in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Inode of its file.
    pub inode: u64,
}

/// What a virtual environment on an interpreter is made of (PEP 405).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualEnvironment {
    /// The interpreter that is no part of a virtual environment itself: what `bin/python` links to.
    pub base_executable: PathBuf,
    /// The folder for packages, below the environment: `lib/python3.11/site-packages`.
    pub site_packages: String,
    /// Whether `lib64` is another name of `lib`, as on 64-bit systems but macOS.
    pub has_lib64: bool,
}

impl Interpreter {
    /// Everything that a resolution may depend on: the markers. Part of a spec's key.
    #[must_use]
    pub fn markers_canon(&self) -> Canon {
        // The kernel's release and build string change with every update of the system, and no published package
        // asks for them.
        const NOT_IN_KEYS: &[&str] = &["platform_release", "platform_version"];
        Canon::map(
            self.markers
                .iter()
                .filter(|(name, _)| !NOT_IN_KEYS.contains(&name.as_str()))
                .map(|(name, value)| (name, Canon::text(value))),
        )
    }

    /// The identity of the interpreter that a tree is built on. Part of an environment's key: an interpreter that is
    /// replaced in place is another one.
    #[must_use]
    pub fn identity_canon(&self, path: &str) -> Canon {
        let Self {
            implementation,
            version,
            soabi,
            libc,
            platform,
            markers: _,
            base_prefix,
            has_venv: _,
            has_ensurepip: _,
            virtual_environment: _,
            size,
            modified_ns,
            inode,
        } = self;
        Canon::map([
            ("base_prefix", Canon::text(base_prefix)),
            ("implementation", Canon::text(implementation)),
            ("inode", Canon::text(inode.to_string())),
            ("libc", Canon::text(libc)),
            ("modified_ns", Canon::integer(*modified_ns)),
            ("path", Canon::text(path)),
            ("platform", Canon::text(platform)),
            ("size", Canon::text(size.to_string())),
            ("soabi", Canon::text(soabi)),
            ("version", Canon::text(version)),
        ])
    }
}
