//! Install plans: what has to be done to build an environment, as data.
//!
//! A backend makes one without touching anything; the host checks it and carries it out. So every backend gets
//! parallel fetches, retries, digests, progress and clean-up once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::CredentialId;
use crate::id::Digest;
use crate::tool::ToolId;

/// The folders that a plan can speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// The environment that is being built, at its final address.
    Prefix,
    /// A fresh folder that is removed afterwards.
    Scratch,
    /// The task's own folder; read-only.
    Project,
    /// Files that fetch steps brought; read-only.
    Artifact,
    /// Download caches, shared by all builds and safe to delete: the first part of the path is the cache's name.
    Downloads,
}

/// A path below a root. `rel` has no `..`, no leading `/` and no NUL; an empty one is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The folder.
    pub root: Root,
    /// The path below it, with `/` between parts.
    pub rel: String,
}

impl Place {
    /// A path below a root.
    pub fn new(root: Root, rel: impl Into<String>) -> Self {
        Self {
            root,
            rel: rel.into(),
        }
    }

    /// A path in the environment.
    pub fn prefix(rel: impl Into<String>) -> Self {
        Self::new(Root::Prefix, rel)
    }

    /// A path in the scratch folder.
    pub fn scratch(rel: impl Into<String>) -> Self {
        Self::new(Root::Scratch, rel)
    }

    /// A path in a download cache; the first part is the cache's name.
    pub fn downloads(rel: impl Into<String>) -> Self {
        Self::new(Root::Downloads, rel)
    }

    /// A path in the task's folder.
    pub fn project(rel: impl Into<String>) -> Self {
        Self::new(Root::Project, rel)
    }

    /// Whether `rel` is a plain relative path: no empty part, no `.`, no `..`, no leading `/`, no NUL.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.rel.is_empty()
            || self
                .rel
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\0'))
    }
}

/// A piece of an argument or of a variable's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// The absolute path of a place.
    Place(Place),
    /// The absolute path of a tool.
    Tool(ToolId),
    /// How long a server may take for the next bytes of an answer on this machine, in whole seconds, of which it is at least
    /// one. Nothing is fetched when a task starts: of a launch it is empty.
    Patience,
}

/// An argument or a value, put together from pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Word(pub Vec<Piece>);

impl Word {
    /// Text and then the path of a place, as in `--prefix=PATH`.
    pub fn text_place(text: impl Into<String>, place: Place) -> Self {
        Self(vec![Piece::Text(text.into()), Piece::Place(place)])
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(vec![Piece::Text(text)])
    }
}

impl From<Place> for Word {
    fn from(place: Place) -> Self {
        Self(vec![Piece::Place(place)])
    }
}

/// A file that the host fetches; its digest is always checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Where from; without credentials.
    pub url: String,
    /// What it must be.
    pub digest: Digest,
    /// Its size in bytes, if known.
    pub size: Option<u64>,
    /// The credential to use, by name.
    pub credential: Option<CredentialId>,
    /// Its name under [`Root::Artifact`].
    pub save_as: String,
}

/// Archive formats that the host unpacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archive {
    /// A zip file; wheels are.
    Zip,
}

/// What runs a program of a plan or a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// A tool that was asked for.
    Tool(ToolId),
    /// A program inside of the environment being built, for instance its own interpreter.
    Place(Place),
}

/// A server that a run is logged in to: its requests get the credential on their way, and the program does not learn it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The address (`https` or `http`) that the credential is for. It is sent with all requests to the same host and port.
    pub url: String,
    /// The credential.
    pub credential: CredentialId,
}

/// Who of a run needs the network. With `--offline` a run that needs it must be able to do without, or it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkUse {
    /// Nobody.
    None,
    /// The process of the program itself. What it starts, the build of a package for instance, has none.
    Program,
    /// The program and what it starts.
    Everyone,
}

/// What the output of a run ends with if it failed and something that the program started was refused the network
/// ([`NetworkUse::Program`]). A backend says what to do.
pub const CHILDREN_OFFLINE: &str = "what the installer starts has no network, and asked for it";

/// What a line in the output of a run that failed begins with, for each host and port that it asked for and may not reach. These
/// follow in back quotes. A backend says what to do.
pub const NOT_GRANTED: &str = "the installer is not let through to";

/// A run of a program, for a step of a plan or for a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<Word>,
    /// Its variables; there are no others but `PATH`, `HOME` and `TMPDIR` (in the scratch folder), certificates and, if it
    /// needs the network, proxies.
    pub env: Vec<(String, Word)>,
    /// The servers that it is logged in to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<Login>,
    /// Its working folder.
    pub cwd: Place,
    /// Who of it needs the network.
    pub network: NetworkUse,
    /// How it does without the network with what it downloaded before, if it can. With `--offline` a run that needs the
    /// network and cannot is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<Box<Offline>>,
    /// How long it may take.
    pub timeout: Duration,
}

/// How a program does with what it downloaded before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offline {
    /// The variable that tells it to, set to `1`.
    pub variable: String,
    /// The name of the cache that it downloads into, as in a place below [`Root::Downloads`].
    pub cache: String,
    /// What a step downloads, if that is known before: a digest for each thing that stays the same as long as its bytes do.
    /// If all of it was downloaded before, the step is first tried without the network: what a lock names has its digest, so
    /// there is no need to ask whether it is still right.
    pub downloads: BTreeSet<Digest>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Fetch a file.
    Fetch(Fetch),
    /// Unpack a fetched file.
    Unpack {
        /// Its name under [`Root::Artifact`].
        artifact: String,
        /// Its format.
        format: Archive,
        /// Where to.
        to: Place,
    },
    /// Write a file.
    Write {
        /// Where.
        to: Place,
        /// Its bytes, as text.
        content: String,
        /// Whether it can be executed.
        executable: bool,
    },
    /// Make a folder and those above it.
    MakeDir(Place),
    /// Make a symbolic link.
    Symlink {
        /// Where.
        at: Place,
        /// What it points to.
        target: Word,
    },
    /// Make a virtual environment without pip (PEP 405) in the prefix, on an interpreter that was asked for and whose
    /// [`Interpreter::virtual_environment`](crate::tool::Interpreter::virtual_environment) is known.
    VirtualEnvironment(ToolId),
    /// Remove a file or a folder, if it is there.
    Remove(Place),
    /// Run a program.
    Run(Run),
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is being done, for people: `install 12 packages`.
    pub label: String,
    /// Its share of the progress bar.
    pub weight: u16,
    /// Steps, by index, that must be done first; all of them come earlier in the list.
    pub after: Vec<usize>,
    /// What to do.
    pub action: Action,
}

/// What must hold after the last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The place exists.
    Exists(Place),
    /// The program exits with 0; its output is shown if not.
    Succeeds {
        /// What is being checked, for people.
        label: String,
        /// The program.
        run: Run,
    },
}

/// All that has to be done to build an environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InstallPlan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What must hold afterwards.
    pub checks: Vec<Check>,
    /// Folders of the machine that its programs read, absolute, beside their tools and what the spec refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<PathBuf>,
    /// Bytes that the tree will take, if known; a full disk is then told before the first step.
    pub estimated_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_places() {
        for good in ["", "bin", "bin/python", "lib/..data"] {
            assert!(Place::prefix(good).is_plain(), "{good}");
        }
        for bad in ["/etc", "..", "a/../b", "a//b", "./a", "a/", "a\0b"] {
            assert!(!Place::prefix(bad).is_plain(), "{bad}");
        }
    }
}
