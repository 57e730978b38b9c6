//! The two contracts of a package manager.
//!
//! [`PlanBackend`] is pure: it decides and the host acts. Plugins implement it, and the built-in backends that need
//! no I/O of their own. [`Backend`] is trusted Rust that may act itself; a `PlanBackend` becomes one through the
//! adapter of `wrun-provision`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canon::Canon;
use crate::diagnostic::Finding;
use crate::host::Host;
use crate::id::{Digest, EnvId};
use crate::launch::{Launch, TaskKind};
use crate::lock::Lock;
use crate::plan::{Check, InstallPlan, Place, Root};
use crate::platform::Platform;
use crate::problem::{Advice, Problem, StepFailure};
use crate::question::{Exchange, Question};
use crate::tool::{ToolFound, ToolRequest};

pub use crate::spec_schema::SpecSchema;

/// What a backend is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name, which is also the name of its table in a task file: `uv`.
    pub id: String,
    /// One sentence for help texts.
    pub summary: String,
    /// Raised whenever the same spec may get other canonical bytes.
    pub canonical_revision: u32,
    /// Raised whenever the same lock may be built into another tree.
    pub plan_revision: u32,
    /// The JSON Schema of its spec.
    pub schema: SpecSchema,
    /// The member of the spec that a plain list under `[env]` stands for: `uv = ["emoji"]` is `packages`.
    pub short_form: Option<String>,
    /// Whether its environments can be built inside of a container image, by programs that run among the image's files.
    #[serde(default)]
    pub in_images: bool,
}

/// Something outside of the spec that the host has to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InputRequest {
    /// Path relative to the task's folder, or absolute.
    pub path: String,
    /// What is wanted of it.
    pub kind: InputKind,
}

/// What is wanted of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// The text of a file that must be there.
    Text,
    /// The text of a file, if it is there.
    OptionalText,
    /// The digest of a file or of a folder's tree (names, contents and mode bits), which must be there.
    Digest,
}

/// What the host read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A file's text, with the digest of its bytes and mode bits.
    Text {
        /// The text.
        text: String,
        /// The digest of content and mode bits.
        digest: Digest,
    },
    /// A file or a folder, by digest.
    Digest(Digest),
    /// There is no such file. Where it must be there, the backend says who wants it; if it does not, the host does.
    Absent,
}

impl Input {
    /// The text, if it was asked for and is there.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The digest, if it is there.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        match self {
            Self::Text { digest, .. } | Self::Digest(digest) => Some(*digest),
            Self::Absent => None,
        }
    }
}

/// Everything that was read for a spec, by request.
pub type Inputs = BTreeMap<InputRequest, Input>;

/// What a spec needs to be understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Files and folders.
    pub inputs: Vec<InputRequest>,
    /// Tools, in the order in which they are looked for.
    pub tools: Vec<ToolRequest>,
}

/// A spec with everything that was found for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The spec as written, as JSON.
    pub spec: Value,
    /// What was read.
    pub inputs: Inputs,
    /// The tools found.
    pub tools: Vec<ToolFound>,
    /// The machine.
    pub platform: Platform,
}

impl Request {
    /// The tool of that name.
    ///
    /// # Errors
    /// It was not asked for.
    pub fn tool(&self, id: &str) -> Result<&ToolFound, Problem> {
        self.tools.iter().find(|tool| tool.id == id).ok_or_else(|| {
            Problem::failed(
                "backend.tool.unasked",
                format!("the backend uses the tool `{id}` that it did not ask for"),
            )
        })
    }
}

/// A spec in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// What is hashed. Same meaning, same value.
    pub form: Canon,
    /// Findings that do not stop the build.
    pub warnings: Vec<Finding>,
}

/// What a round of solving came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Solve {
    /// The lock.
    Done(Lock),
    /// More has to be known first.
    Ask(Vec<Question>),
}

/// A package manager that decides and does nothing: same input, same output.
pub trait PlanBackend: Send + Sync {
    /// What it is.
    fn manifest(&self) -> Manifest;

    /// What it has to know of a spec. Called again with what was read until it asks for nothing new, so that a file
    /// may name others.
    ///
    /// # Errors
    /// The spec is wrong.
    fn needs(&self, spec: &Value, known: &Inputs) -> Result<Needs, Problem>;

    /// The canonical form of a spec.
    ///
    /// # Errors
    /// The spec is wrong, or does not go on this machine.
    fn canonicalize(&self, request: &Request) -> Result<Canonical, Problem>;

    /// One round of solving. `previous` is the lock that the same spec had before, if a refresh is asked for.
    ///
    /// # Errors
    /// There is no solution, or a question failed.
    fn solve(
        &self,
        request: &Request,
        previous: Option<&Lock>,
        transcript: &[Exchange],
    ) -> Result<Solve, Problem>;

    /// The steps that build a lock.
    ///
    /// # Errors
    /// The lock is of another revision or cannot be built here.
    fn plan(&self, request: &Request, lock: &Lock) -> Result<InstallPlan, Problem>;

    /// How a task is started in an environment.
    ///
    /// # Errors
    /// This kind of task cannot be started in one.
    fn enter(&self, lock: &Lock, kind: TaskKind) -> Result<Launch, Problem>;

    /// What a failed step means.
    fn explain(&self, failure: &StepFailure) -> Advice;
}

/// What was found out about a spec before anything is solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessed {
    /// The request.
    pub request: Request,
    /// The canonical spec; part of the spec's key.
    pub form: Canon,
    /// How and with what a lock is built; part of the environment's key.
    pub materialiser: Canon,
    /// Findings that do not stop the build.
    pub warnings: Vec<Finding>,
}

/// Where an environment is built: its final address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its id.
    pub id: EnvId,
    /// The folder that becomes the environment; it exists and is empty.
    pub prefix: PathBuf,
}

/// A package manager that may act itself.
///
/// Only [`Backend::id`] and [`Backend::build`] have to be written; the rest fits a backend whose spec says exactly
/// what is to be built.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Its name, which is also the name of its table in a task file.
    fn id(&self) -> &str;

    /// What it is; by default a backend of any spec at revision 1.
    fn manifest(&self) -> Manifest {
        Manifest {
            id: self.id().to_owned(),
            summary: String::new(),
            canonical_revision: 1,
            plan_revision: 1,
            schema: serde_json::json!({ "type": "object" }).into(),
            short_form: None,
            in_images: false,
        }
    }

    /// What is wrong with a spec by itself, as far as that can be said without reading or finding anything.
    fn check(&self, _spec: &Value) -> Vec<Finding> {
        Vec::new()
    }

    /// Reads what the spec refers to, finds the tools and gives the canonical form; by default the spec itself.
    ///
    /// # Errors
    /// The spec is wrong, or does not go on this machine.
    async fn assess(&self, host: &dyn Host, spec: &Value) -> Result<Assessed, Problem> {
        let form = Canon::from_json(spec)
            .map_err(|error| Problem::invalid(Finding::error("env.spec.number", "", error.to_string())))?;
        let request = Request {
            spec: spec.clone(),
            inputs: Inputs::new(),
            tools: Vec::new(),
            platform: host.platform().clone(),
        };
        Ok(Assessed {
            request,
            form,
            materialiser: Canon::map::<&str>([]),
            warnings: Vec::new(),
        })
    }

    /// Finds the lock; by default the canonical spec is the lock.
    ///
    /// # Errors
    /// There is no solution, or something outside failed.
    async fn solve(
        &self,
        _host: &dyn Host,
        assessed: &Assessed,
        _previous: Option<&Lock>,
    ) -> Result<Lock, Problem> {
        Ok(Lock {
            backend: self.id().to_owned(),
            revision: 1,
            content: assessed.form.to_json(),
            packages: Vec::new(),
        })
    }

    /// The steps that [`Backend::build`] will take, for people to read before; `None` if it cannot say.
    ///
    /// # Errors
    /// The lock cannot be built here.
    fn preview(&self, _assessed: &Assessed, _lock: &Lock) -> Result<Option<InstallPlan>, Problem> {
        Ok(None)
    }

    /// What has to be in the tree for as long as the environment is used, as paths relative to it: if one is gone, the
    /// environment is built again. By default what the plan of [`Backend::preview`] checks after a build.
    fn required(&self, assessed: &Assessed, lock: &Lock) -> Vec<String> {
        let plan = self.preview(assessed, lock).ok().flatten();
        plan.into_iter()
            .flat_map(|plan| plan.checks)
            .filter_map(|check| match check {
                Check::Exists(Place {
                    root: Root::Prefix,
                    rel,
                }) => Some(rel),
                _ => None,
            })
            .collect()
    }

    /// Builds the lock into the slot. On an error the host throws the slot away.
    ///
    /// # Errors
    /// Something outside failed.
    async fn build(
        &self,
        host: &dyn Host,
        assessed: &Assessed,
        lock: &Lock,
        slot: &Slot,
    ) -> Result<(), Problem>;

    /// How a task is started in the environment; by default with its `bin` first on the search path.
    ///
    /// # Errors
    /// This kind of task cannot be started in one.
    fn enter(&self, _lock: &Lock, kind: TaskKind) -> Result<Launch, Problem> {
        Ok(match kind {
            TaskKind::Command | TaskKind::Image => Launch::Native {
                env: Vec::new(),
                search_path: vec![Place::prefix("bin")],
            },
            TaskKind::Module => Launch::Wasi {
                env: Vec::new(),
                module: None,
            },
        })
    }
}
