//! Installers inside of a container image: every program runs among the image's files, under the image's own Python.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wrun_sandbox::ImageRoot;

/// A container image that an environment is built for.
#[derive(Debug, Clone)]
pub struct Inside {
    /// Its files, and who its processes are.
    pub root: ImageRoot,
    /// What tells it from every other image: what is found out in it is remembered under this.
    pub identity: String,
    /// Its name, for messages.
    pub name: String,
    /// Its variables, `PATH` and `HOME` not among them. Installers get them but for those that steer installers.
    pub variables: BTreeMap<String, String>,
}

/// Beginnings of the names of variables by which an image would decide what is installed, from where, and by what: the
/// settings of uv, pip, Python and conda, and where settings are looked for.
const STEERING: &[&str] = &["UV_", "PIP_", "PYTHON", "CONDA_", "XDG_"];

/// The same for whole names: an environment that is active, logins, proxies, and where temporary files are.
const STEERING_NAMES: &[&str] = &[
    "VIRTUAL_ENV",
    "NETRC",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "TMPDIR",
    "TEMP",
    "TMP",
];

fn steers_installers(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    STEERING.iter().any(|beginning| name.starts_with(beginning)) || STEERING_NAMES.contains(&name.as_str())
}

impl Inside {
    /// The same without what steers installers: what is installed is for the spec alone to say, which is the key.
    pub(crate) fn unsteered(mut self) -> Self {
        self.variables.retain(|name, _| !steers_installers(name));
        self
    }

    /// The folders in which its programs are.
    pub(crate) fn search_path(&self) -> &[PathBuf] {
        &self.root.search_path
    }
}
