//! How a task is started inside of an environment.

use serde::{Deserialize, Serialize};

use crate::plan::{Place, Word};

/// A change to a task's variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvEdit {
    /// Set a variable, unless the task sets it itself.
    Set(String, Word),
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
    /// As a WebAssembly guest with these variables.
    Wasi {
        /// Variables of the environment.
        env: Vec<EnvEdit>,
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
}
