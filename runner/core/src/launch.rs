//! How a task is started inside of an environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::image::Engine;
use crate::plan::{Place, Word};

/// A change to a task's variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvEdit {
    /// Set a variable, unless the task sets it itself.
    Set(String, Word),
    /// Set what the build recorded in a file of the environment, a [`Recorded`] as JSON: variables, unless the task sets
    /// them itself, and folders that come before those of the launch on the search path.
    Recorded(Place),
}

/// What a build found out about how a task is to be started, so that no start has to find it out again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// Variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Folders, absolute.
    #[serde(default)]
    pub search_path: Vec<String>,
    /// Folders outside of the environment that it consists of, absolute; a task reads them as it reads the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
}

/// How a task is started inside of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Launch {
    /// As a process of the machine.
    Native {
        /// Variables of the environment.
        env: Vec<EnvEdit>,
        /// Folders that come first on the task's search path, all in the environment.
        search_path: Vec<Place>,
    },
    /// As a process with the files of a container image.
    Image {
        /// The file of the environment that says what the image is, a [`crate::image::Image`] as JSON.
        image: Place,
        /// Variables beside those of the image.
        env: Vec<EnvEdit>,
        /// Folders of the environment that come before the image's own on the search path.
        search_path: Vec<Place>,
        /// What runs it, where that was asked for; else it is found out when the environment is built.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engine: Option<Engine>,
    },
    /// As a WebAssembly guest with these variables.
    Wasi {
        /// Variables of the environment.
        env: Vec<EnvEdit>,
        /// The module, where it is the environment's and not the task's.
        module: Option<Place>,
    },
}

/// What kind of run a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// `run.command`.
    Command,
    /// `run.module`.
    Module,
    /// Neither: what a container image runs by itself.
    Image,
}
