//! The table `env.pip`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wrun_backend_python::index::IndexEntry;
use wrun_backend_python::spec::{Files, NoBuild, Prerelease};

/// Python packages, resolved and installed by pip.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "env.pip")]
pub struct PipSpec {
    /// Requirements (PEP 508), or paths of folders and archives: `["emoji>=2", "requests[socks]", "./lib"]`. An empty
    /// list is an environment with Python only.
    pub packages: Option<Vec<String>>,
    /// Requirements files, relative to the task's folder: `"requirements.txt"` or `["base.txt", "more.txt"]`.
    pub requirements: Option<Files>,
    /// Files of constraints, which limit versions and install nothing: `"constraints.txt"`.
    pub constraints: Option<Files>,
    /// The interpreter: `"3.11"`, `">=3.10,<3.13"`, `"pypy@3.10"`, or an absolute path.
    pub python: Option<String>,
    /// Package indexes: `["https://download.pytorch.org/whl/cpu"]`, or tables such as
    /// `{ name = "corp", url = "https://pypi.corp.example/simple", credentials = "corp", default = true }`. pip takes
    /// the best version of all of them, whichever comes first.
    pub indexes: Vec<IndexEntry>,
    /// Addresses of pages, or folders, with loose wheels and archives: `["wheels"]`.
    pub find_links: Vec<String>,
    /// Nothing that was uploaded later is looked at: `"2024-01-31"` (the end of that day, UTC) or
    /// `"2024-01-31T12:00:00Z"`. Needs pip 26.
    pub exclude_newer: Option<String>,
    /// `true` to install wheels only, or the names of packages that are not built from source.
    pub no_build: Option<NoBuild>,
    /// Whether what is built from source has the network while it is built, and with it the hosts of the indexes: `true`.
    /// pip itself downloads what a build requires, so most builds need none. Builds of a pip before 26.0 have it anyway.
    pub build_network: bool,
    /// `"allow"` to take versions before a release. Without it they are taken where a requirement names one, or where
    /// there is no other.
    pub prerelease: Option<Prerelease>,
    /// Whether each requirement has to say one version and its digests, which are checked: `true`. One digest anywhere
    /// means the same.
    pub require_hashes: bool,
    /// Variables that builds and requirements files see: `{ CFLAGS = "-O2" }`.
    pub variables: BTreeMap<String, String>,
}

/// Every key of the table.
pub(crate) const KEYS: &[&str] = &[
    "packages",
    "requirements",
    "constraints",
    "python",
    "indexes",
    "find-links",
    "exclude-newer",
    "no-build",
    "build-network",
    "prerelease",
    "require-hashes",
    "variables",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_known() {
        let written = serde_json::to_value(PipSpec::default()).unwrap();
        let mut keys: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = KEYS.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
