//! The one stream of progress: what happens between a submit and its outcome.
//!
//! `--format json` prints one event per line in the form of [`Record`]; a field is never removed or renamed without
//! a new [`VERSION`].

use serde::{Deserialize, Serialize};

use crate::denial::{Denial, Observation};
use crate::id::{EnvId, LockId, SpecId};
use crate::outcome::Outcome;
use crate::sandbox::SandboxReport;

/// The version of the event schema.
pub const VERSION: u32 = 1;

/// The JSON Schema of a [`Record`].
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Record).to_value()
}

/// An event with its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// The version of the schema.
    pub v: u32,
    /// The task's name.
    pub task: String,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// An event of a task, at the current version.
    pub fn new(task: impl Into<String>, event: Event) -> Self {
        Self {
            v: VERSION,
            task: task.into(),
            event,
        }
    }
}

/// A phase of making an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Finding tools.
    Tools,
    /// Finding the lock.
    Solve,
    /// Building the tree.
    Build,
    /// Compiling WebAssembly.
    Compile,
}

/// Something that is wrong with a task file, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Mistake {
    /// Stable code.
    pub code: String,
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Where bytes of a task come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The request has its key.
    Keyed {
        /// What was asked for.
        spec_id: SpecId,
    },
    /// The lock is known.
    Locked {
        /// What it resolved to.
        lock_id: LockId,
        /// Whether it was known before.
        hit: bool,
        /// How many packages it has.
        packages: usize,
    },
    /// Another run makes what this one needs.
    Waiting {
        /// What it is doing.
        phase: Phase,
        /// Who it is, for instance `process 4711 of this machine`.
        holder: String,
    },
    /// A step waits for answers, or for the rest of them.
    StillWaiting {
        /// What the step does, for people.
        what: String,
        /// The hosts that are waited for, with their ports.
        hosts: Vec<String>,
        /// How long the step has taken so far, in milliseconds.
        milliseconds: u64,
    },
    /// A step began.
    StepStarted {
        /// Its phase.
        phase: Phase,
        /// Its number within the phase, from 0.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it does, for people.
        label: String,
    },
    /// A step is part of the way.
    StepProgress {
        /// Its phase.
        phase: Phase,
        /// Its number.
        step: usize,
        /// How much is done.
        done: u64,
        /// Of how much, if known.
        total: Option<u64>,
    },
    /// A step is tried again.
    StepRetried {
        /// Its phase.
        phase: Phase,
        /// Its number.
        step: usize,
        /// The attempt that follows, from 2.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// A step ended well.
    StepFinished {
        /// Its phase.
        phase: Phase,
        /// Its number.
        step: usize,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// The environment can be used.
    EnvironmentReady {
        /// Its id.
        env_id: EnvId,
        /// Whether this run built it.
        built: bool,
        /// Time since the submit, in milliseconds.
        milliseconds: u64,
    },
    /// Something that a person should know.
    Notice {
        /// Stable code.
        code: String,
        /// The words.
        message: String,
    },
    /// A native task is held, and starts to run.
    Sandbox(SandboxReport),
    /// The task asked for a host through the proxy and was refused it. Said once for each, as it happens.
    ConnectionRefused(Denial),
    /// What the task was refused, once it ended. Only for a caller that asked for it.
    Denied(Observation),
    /// A task on a terminal of its own was stopped, as Ctrl-Z does, and waits for SIGCONT.
    Stopped,
    /// An attempt at the task began.
    Started {
        /// Which, from 1.
        attempt: u32,
    },
    /// The task wrote something. Only on the stream of a caller that asked for output as events.
    Output {
        /// Where.
        stream: Stream,
        /// What, with bytes that are not UTF-8 replaced.
        text: String,
    },
    /// The task is tried again.
    Retrying {
        /// How the attempt ended.
        #[serde(flatten)]
        outcome: Outcome,
        /// The attempt that follows.
        attempt: u32,
        /// Of how many.
        of: u32,
        /// After how many milliseconds.
        delay_milliseconds: u64,
    },
    /// The run ended.
    Finished {
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// What the process returns for it.
        exit_code: u8,
        /// Attempts taken.
        attempts: u32,
        /// Time that the last attempt ran, in milliseconds.
        milliseconds: u64,
    },
    /// `wrun` failed before the task started.
    Failed {
        /// Stable code.
        code: String,
        /// What happened.
        message: String,
        /// What to do.
        help: Option<String>,
        /// What the process returns for it.
        exit_code: u8,
        /// Each mistake of a task file, if it is that.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        problems: Vec<Mistake>,
    },
}
