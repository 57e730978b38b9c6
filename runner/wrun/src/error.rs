//! What can go wrong before a task starts.

use std::path::PathBuf;

use miette::Diagnostic;
use wrun_core::event::{Event, Mistake};
use wrun_core::exit_code;
use wrun_core::outcome::Outcome;
use wrun_core::problem::Problem;
use wrun_core::task::{TaskError, TaskErrors};
use wrun_engine::EngineError;
use wrun_exec::{NativeError, WasiError};
use wrun_store::StoreError;

/// Why a task did not come to run. What a task itself came to is an [`Outcome`], not an error.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// The task file is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Task(#[from] Box<TaskErrors>),

    /// The task file cannot be read.
    #[error("cannot read the task file `{}`: {reason}", path.display())]
    #[diagnostic(
        code("task.file.unreadable"),
        help("check the path; `-` reads the task from standard input")
    )]
    TaskFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },

    /// The task names a backend that this runner does not have.
    #[error("there is no backend `{name}`")]
    #[diagnostic(code("env.backend.unknown"), help("this runner has: {known}"))]
    UnknownBackend {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },

    /// A variable that steers the runner has a value that means nothing.
    #[error("the variable `{name}` cannot be used: {reason}")]
    #[diagnostic(
        code("setting.invalid"),
        help("write a value such as the reference page of variables shows, or leave it out")
    )]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },

    /// The environment cannot be made.
    #[error("{problem}")]
    Environment {
        /// The backend at work.
        backend: String,
        /// Why.
        problem: Problem,
    },

    /// Another run was making the same environment and failed.
    #[error("{message}")]
    SharedFailure {
        /// The stable code of its failure.
        code: String,
        /// What it said.
        message: String,
        /// What to do.
        help: Option<String>,
    },

    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),

    /// A WebAssembly guest cannot be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wasi(#[from] WasiError),

    /// A process cannot be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Native(#[from] NativeError),

    /// A variable that the task takes from its caller is not set.
    #[error("the variable `{variable}` is taken from the caller's `{name}`, which is not set")]
    #[diagnostic(
        code("task.variable.unset"),
        help(
            "set `{name}` before the run, or give the variable a value: in `[vars]`, or on the command line with `-e {variable}=VALUE`"
        )
    )]
    VariableUnset {
        /// The task's variable.
        variable: String,
        /// The caller's.
        name: String,
    },

    /// A variable that the task takes from its caller is no text.
    #[error("the variable `{variable}` is taken from the caller's `{name}`, which is not UTF-8 text")]
    #[diagnostic(
        code("task.variable.not-text"),
        help("set `{name}` to UTF-8 text, or give the variable a value in `[vars]`")
    )]
    VariableNotText {
        /// The task's variable.
        variable: String,
        /// The caller's.
        name: String,
    },

    /// A WebAssembly program cannot be read.
    #[error("cannot read the program `{}`: {reason}", path.display())]
    #[diagnostic(
        code("exec.module.unreadable"),
        help("check the path of the WebAssembly file")
    )]
    Module {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },

    /// A WebAssembly program is none that can be run.
    #[error("`{}`: {cause}", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: WasiError,
    },

    /// A path of the task is not there or is not what it should be.
    #[error("{what} `{}`: {reason}", path.display())]
    #[diagnostic(code("task.path.missing"), help("{}", crate::grants::PATH_HELP))]
    Path {
        /// What the path is for: `the task's folder`.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },

    /// No cache folder can be found.
    #[error("no folder for the store: neither `WRUN_CACHE_DIR`, `XDG_CACHE_HOME` nor `HOME` is set")]
    #[diagnostic(code("store.root.unknown"), help("set one of them, or pass `--cache-dir`"))]
    NoCacheDir,

    /// The sandbox that was asked for cannot be had.
    #[error("{reason}")]
    #[diagnostic(code("exec.sandbox.unavailable"))]
    NoSandbox {
        /// Why, and what to do.
        reason: String,
    },

    /// A lock does not belong to the task.
    #[error("the lock is one of the backend `{found}`, and the task asks for `{wanted}`")]
    #[diagnostic(
        code("env.lock.backend"),
        help("make the lock anew from this task: `wrun plan TASK --lock FILE`")
    )]
    LockOfOther {
        /// The lock's backend.
        found: String,
        /// The task's backend.
        wanted: String,
    },

    /// A lock was made for another request.
    #[error("the lock was made for another request than this task's: {differences}")]
    #[diagnostic(
        code("env.lock.request"),
        help("make the lock anew from this task: `wrun plan TASK --lock FILE`")
    )]
    LockOfOtherRequest {
        /// What is different.
        differences: String,
    },

    /// A lock is given for a task that has no environment.
    #[error("a lock is given, and the task has no `[env]` that it could be of")]
    #[diagnostic(
        code("env.lock.unused"),
        help("leave `--locked` out, or say in `[env]` what the task needs")
    )]
    LockUnused,

    /// A container engine does not do what it is asked for.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Engine(#[from] EngineError),

    /// A task leaves to its image what to run, and that has nothing.
    #[error("the image `{image}` has neither an entrypoint nor a command of its own")]
    #[diagnostic(
        code("image.command.missing"),
        help("say what to run: `command = [\"program\", \"argument\"]` in `[run]`, or after `--`")
    )]
    NothingToRun {
        /// The image.
        image: String,
    },

    /// A task starts where its image says, and that is a file.
    #[error("the image `{image}` says to start in `{folder}`, and has a file there")]
    #[diagnostic(
        code("image.working-dir.file"),
        help(
            "name a folder to start in with `working-dir` under `[env.container]`; one that is not there is made"
        )
    )]
    StartsInFile {
        /// The image.
        image: String,
        /// Where it says to start.
        folder: String,
    },

    /// The caller ended the run before the task started.
    #[error("cancelled")]
    #[diagnostic(code("cancelled"))]
    Cancelled,

    /// A part of this program ended unexpectedly.
    #[error("the run ended unexpectedly: {0}")]
    #[diagnostic(
        code("internal"),
        help("this is a defect of wrun; please report it with the output of `WRUN_LOG=debug`")
    )]
    Internal(String),
}

impl Error {
    /// The stable code.
    #[must_use]
    pub fn code_text(&self) -> String {
        match self {
            Self::Environment { problem, .. } => problem.code().to_owned(),
            Self::SharedFailure { code, .. } => code.clone(),
            Self::Program { cause, .. } => code_of(cause),
            other => code_of(other),
        }
    }

    /// The event that says so.
    #[must_use]
    pub fn event(&self) -> Event {
        let problems = match self {
            Self::Task(errors) => errors.errors().iter().map(mistake).collect(),
            _ => Vec::new(),
        };
        Event::Failed {
            code: self.code_text(),
            message: self.to_string(),
            help: self.help_text(),
            exit_code: self.exit_code(),
            problems,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help_text(&self) -> Option<String> {
        match self {
            Self::Environment { problem, .. } => problem.help().map(str::to_owned),
            Self::SharedFailure { help, .. } => help.clone(),
            Self::Program { cause, .. } => cause.help().map(|help| help.to_string()),
            other => other.help().map(|help| help.to_string()),
        }
    }

    /// The exit code of a process that ends with this error; see [`exit_code`].
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Cancelled
            | Self::Environment {
                problem: Problem::Cancelled,
                ..
            } => exit_code::CANCELLED,
            _ => exit_code::FAILED,
        }
    }
}

fn mistake(error: &TaskError) -> Mistake {
    Mistake {
        code: error.code.clone(),
        file: error.file.clone(),
        line: error.line,
        column: error.column,
        message: error.message.clone(),
        help: error.help.clone(),
    }
}

fn code_of(diagnostic: &dyn Diagnostic) -> String {
    diagnostic
        .code()
        .map_or_else(|| "failed".to_owned(), |code| code.to_string())
}

/// The outcome of a task that asks for what nothing here can enforce.
pub(crate) fn refused(code: &str, reason: String) -> Outcome {
    Outcome::Refused {
        code: code.to_owned(),
        reason,
    }
}
