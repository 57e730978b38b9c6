//! What can go wrong with a native task on this side.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use wrun_process::ProcessError;
use wrun_sandbox::SandboxError;

/// A native task could not be started or watched, for a reason that is not the task's outcome.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum NativeError {
    /// The command has no words.
    #[error("the command is empty")]
    #[diagnostic(
        code("exec.native.empty-command"),
        help("name the program to run, for instance `run = [\"python\"]`")
    )]
    EmptyCommand,
    /// A folder of the search path cannot be named in `PATH`.
    #[error("the folder `{}` cannot be on the search path: {source}", folder.display())]
    #[diagnostic(
        code("exec.native.search-path"),
        help("use a folder whose path has no `:`, which separates the folders of `PATH`")
    )]
    SearchPath {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: std::env::JoinPathsError,
    },
    /// This process' own output cannot be handed to the task.
    #[error("the standard streams of this process cannot be used: {source}")]
    #[diagnostic(
        code("exec.native.streams"),
        help(
            "see that standard output and standard error are open, and that this process may start threads"
        )
    )]
    Streams {
        /// The system's reason.
        source: io::Error,
    },
    /// The task could not be put into its sandbox.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
    /// The process could not be started or watched.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}
