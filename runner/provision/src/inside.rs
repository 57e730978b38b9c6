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
    /// Its variables, `PATH` and `HOME` not among them.
    pub variables: BTreeMap<String, String>,
}

impl Inside {
    /// The folders in which its programs are.
    pub(crate) fn search_path(&self) -> &[PathBuf] {
        &self.root.search_path
    }
}
