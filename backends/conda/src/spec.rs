//! The table `env.conda`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wrun_backend_python::index::IndexEntry;

/// conda packages, solved and installed by wrun itself: neither conda nor Python is needed on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "env.conda")]
pub struct CondaSpec {
    /// Match specs: `["python=3.12", "numpy>=2", "conda-forge::zlib"]`.
    pub packages: Option<Vec<String>>,
    /// An environment file, relative to the task's folder: `"environment.yml"`. Its `pip:` block is installed after the
    /// conda packages, under their interpreter; its `variables:` are set for the task.
    pub file: Option<String>,
    /// A file of exact addresses as `conda list --explicit` writes it (`@EXPLICIT`), relative to the task's folder. What
    /// is listed with a digest (`#md5` or `#sha256:…`, as `conda list --explicit --sha256` writes it) is that file and no
    /// other. What is listed without one is known by its address alone: the lock holds the SHA-256 that the file had when it
    /// was first fetched, every later build from that lock is held to it, and another machine that has no lock yet takes
    /// whatever is there. An address that is listed twice counts once.
    pub explicit: Option<String>,
    /// An environment that is there already, by its name or path. Tasks run in it; it is never changed.
    pub existing: Option<String>,
    /// Channels, the most important first: names on `conda.anaconda.org`, addresses, folders (`"./channel"`), or tables
    /// such as `{ url = "https://conda.corp.example/main", credentials = "corp" }`. They come before those of `file`.
    /// Without any: `conda-forge`.
    pub channels: Vec<ChannelEntry>,
    /// How the order of channels counts.
    pub channel_priority: Priority,
    /// Nothing that was uploaded later is looked at, by pip neither: `"2024-01-31"` (the end of that day, UTC) or
    /// `"2024-01-31T12:00:00Z"`. The times are those of the channel's repodata (`indexed_timestamp`, else `timestamp`); a
    /// package that has none is not looked at either.
    pub exclude_newer: Option<String>,
    /// The platform to solve for, as channels name it: `"linux-64"`. Without it: that of this machine.
    pub platform: Option<String>,
    /// Virtual packages in place of those that are found on this machine: `{ cuda = "12.4", glibc = "2.28" }`; `false`
    /// hides one.
    pub virtual_packages: BTreeMap<String, VirtualPackage>,
    /// Whether scripts that packages bring for the time after their installation are run: `true`. They are programs of
    /// whoever made the package.
    pub link_scripts: bool,
    /// Python packages that pip installs after the conda packages, as in the `pip:` block of an environment file:
    /// `["emoji>=2"]`.
    pub pip: Vec<String>,
    /// Package indexes for `pip`, as in `env.pip`.
    pub indexes: Vec<IndexEntry>,
}

/// A channel as a spec writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected the name, address or folder of a channel, or a table of `url` and, if needed, `credentials`"
)]
pub enum ChannelEntry {
    /// Its name, address or folder: `"conda-forge"`.
    Name(String),
    /// All of it.
    Table(ChannelTable),
}

/// A channel that wants a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelTable {
    /// Its name, address or folder. Never with a user name, password or token in it.
    pub url: String,
    /// The name of the credential to use, whose value comes from the variables `WRUN_INDEX_NAME_USERNAME` and
    /// `WRUN_INDEX_NAME_PASSWORD`.
    pub credentials: Option<String>,
}

/// How the order of channels counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// A package comes from the first channel that has it, whatever the others have.
    #[default]
    Strict,
    /// The first channel is exhausted before the next is looked at.
    Flexible,
    /// The best version of all channels is taken.
    Disabled,
}

impl Priority {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Flexible => "flexible",
            Self::Disabled => "disabled",
        }
    }
}

/// A virtual package in place of the one that is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a version, or false")]
pub enum VirtualPackage {
    /// Its version: `"12.4"`.
    Version(String),
    /// `false`: there is none.
    Shown(bool),
}

/// Every key of the table.
pub(crate) const KEYS: &[&str] = &[
    "packages",
    "file",
    "explicit",
    "existing",
    "channels",
    "channel-priority",
    "exclude-newer",
    "platform",
    "virtual-packages",
    "link-scripts",
    "pip",
    "indexes",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_known() {
        let written = serde_json::to_value(CondaSpec::default()).unwrap();
        let mut keys: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = KEYS.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
