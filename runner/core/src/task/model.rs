//! A task that was understood.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::grants::Limits;
use crate::launch::TaskKind;
use crate::net::Net;
use crate::outcome::OutcomeClass;

/// A task. Relative paths in it are relative to [`Task::base`].
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name, for people and in events.
    pub name: String,
    /// The folder of the file it was written in, or the caller's folder.
    pub base: PathBuf,
    /// What to run.
    pub run: Run,
    /// Its folder, which it can read and is started in; relative to `base`.
    pub dir: PathBuf,
    /// The environment it needs.
    pub env: Option<EnvRequest>,
    /// Its variables.
    pub vars: BTreeMap<String, Variable>,
    /// What it may touch.
    pub allow: Allow,
    /// How much it may use.
    pub limits: Limits,
    /// When it is tried again.
    pub retry: Retry,
}

impl Task {
    /// A task of a command with nothing beside it.
    pub fn command(name: impl Into<String>, base: impl Into<PathBuf>, command: Vec<String>) -> Self {
        Self {
            name: name.into(),
            base: base.into(),
            run: Run::Command(command),
            dir: PathBuf::from("."),
            env: None,
            vars: BTreeMap::new(),
            allow: Allow::default(),
            limits: Limits::default(),
            retry: Retry::default(),
        }
    }

    /// A task of a WebAssembly module with nothing beside it.
    pub fn module(
        name: impl Into<String>,
        base: impl Into<PathBuf>,
        path: impl Into<PathBuf>,
        args: Vec<String>,
    ) -> Self {
        Self {
            run: Run::Module {
                path: path.into(),
                args,
            },
            ..Self::command(name, base, Vec::new())
        }
    }

    /// What kind of run it asks for.
    #[must_use]
    pub const fn kind(&self) -> TaskKind {
        match self.run {
            Run::Command(_) => TaskKind::Command,
            Run::Module { .. } => TaskKind::Module,
            Run::Image { .. } => TaskKind::Image,
        }
    }
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// A command, found on the environment's search path, with its arguments.
    Command(Vec<String>),
    /// A WASI 0.1 module or 0.2 component.
    Module {
        /// The file.
        path: PathBuf,
        /// Its arguments, without its own name.
        args: Vec<String>,
    },
    /// What the container image of its environment runs by itself.
    Image {
        /// Arguments in place of those that the image has for it, if any are given.
        args: Option<Vec<String>>,
    },
}

/// The environment that a task needs.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvRequest {
    /// The backend's name.
    pub backend: String,
    /// Its spec, as JSON.
    pub spec: Value,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// This text.
    Value(String),
    /// The caller's variable of that name; a secret that is never stored, hashed, logged or shown.
    FromCaller(String),
}

/// What a task may touch beside its own folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allow {
    /// Files and folders to look at.
    pub read: Vec<PathBuf>,
    /// Files and folders to look at and change.
    pub write: Vec<PathBuf>,
    /// Hosts and ports to reach.
    pub net: Net,
}

impl Allow {
    /// Whether anything is allowed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty() && matches!(self.net, Net::None)
    }
}

/// When a task is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// The outcomes after which it is tried again.
    pub on: BTreeSet<OutcomeClass>,
    /// The pause before the second attempt; it doubles each time, up to a minute.
    pub delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            on: BTreeSet::new(),
            delay: Duration::from_secs(1),
        }
    }
}
