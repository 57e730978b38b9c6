//! What can go wrong with a process.

use std::io;
use std::path::PathBuf;

/// A process could not be started or watched.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ProcessError {
    /// There is no such program.
    #[error("there is no program `{}`", program.display())]
    #[diagnostic(
        code("process.program.not-found"),
        help("check the path, or install the program")
    )]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// The program is there and the system does not execute it.
    #[error("cannot execute `{}`: {reason}", program.display())]
    #[diagnostic(
        code("process.program.not-executable"),
        help("make the file executable, and see that its interpreter is installed")
    )]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The folder to start in cannot be entered.
    #[error("cannot start in the folder `{}`: {reason}", cwd.display())]
    #[diagnostic(
        code("process.cwd.unusable"),
        help("make the folder, or start in another one")
    )]
    WorkingFolder {
        /// The folder.
        cwd: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An argument or a variable that no process can have.
    #[error("cannot pass `{text}` to `{}`: {reason}", program.display())]
    #[diagnostic(
        code("process.text.invalid"),
        help("a NUL byte cannot be in an argument or a variable, nor `=` in a variable's name")
    )]
    InvalidText {
        /// The program.
        program: PathBuf,
        /// The argument or the variable's name.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// The system could not start it, for instance for want of processes or memory.
    #[error("cannot start `{}`: {source}", program.display())]
    #[diagnostic(
        code("process.start.failed"),
        help("look at the system's limits on processes, memory, open files and the length of arguments")
    )]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The process was not ready for the program: a step before it failed.
    #[error("cannot start `{}`: cannot {step}: {source}", program.display())]
    #[diagnostic(
        code("process.start.step"),
        help(
            "something around this program refuses the step, for instance a container or a security module"
        )
    )]
    Prepare {
        /// The program.
        program: PathBuf,
        /// The step, for instance `begin a session`.
        step: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The process runs and cannot be waited for or read from.
    #[error("cannot {action} process {pid}: {source}")]
    #[diagnostic(
        code("process.watch.failed"),
        help(
            "see that nothing else in this program waits for all children, and that it may open more files"
        )
    )]
    Watch {
        /// What was tried, for instance `wait for`.
        action: &'static str,
        /// The process.
        pid: u32,
        /// The system's reason.
        source: io::Error,
    },
}
