//! What can go wrong before a helper is started.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::message::Failure;

/// Why no sandbox can be prepared.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum SandboxError {
    /// A granted path is not there or cannot be looked at.
    #[error("cannot grant `{}`: {source}", path.display())]
    #[diagnostic(
        code("sandbox.grant.missing"),
        help("check the path, or take it out of `[allow]`")
    )]
    Grant {
        /// The path as it was listed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The whole machine was granted.
    #[error("cannot grant `/`: that is everything on this machine")]
    #[diagnostic(
        code("sandbox.grant.everything"),
        help("list the folders that the task needs, or run it with `--sandbox off`")
    )]
    Everything,
    /// A path goes round in circles.
    #[error("cannot grant `{}`: it leads through too many symbolic links", path.display())]
    #[diagnostic(code("sandbox.grant.links"), help("name the folder that the links lead to"))]
    Links {
        /// The path as it was listed.
        path: PathBuf,
    },
    /// Memory or descriptors ran out.
    #[error("cannot prepare the sandbox: {source}")]
    #[diagnostic(
        code("sandbox.prepare"),
        help("the machine may have run out of memory or of file descriptors")
    )]
    Prepare {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// A grant could not be given, though it could be looked at.
    #[error("{failure}")]
    #[diagnostic(
        code("sandbox.grant.failed"),
        help("the path may have been replaced or taken away while the task was started; run it again")
    )]
    SetUp {
        /// The step that failed.
        failure: Failure,
    },
    /// The helper ended without saying what happened.
    #[error("the sandbox helper ended before the task was started")]
    #[diagnostic(
        code("sandbox.helper.ended"),
        help("something else ended it, or it is a program that cannot be one: see `Helper`")
    )]
    HelperEnded,
    /// The helper cannot be started.
    #[error("cannot start the sandbox helper: {source}")]
    #[diagnostic(
        code("sandbox.helper.start"),
        help(
            "it is this program itself, started anew; something around it refuses that, for instance a security module"
        )
    )]
    Helper {
        /// Why.
        source: wrun_process::ProcessError,
    },
    /// A process cannot be started or watched.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] wrun_process::ProcessError),
    /// Control groups failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cgroup(#[from] crate::cgroup::CgroupError),
    /// The system has no sandbox that this crate knows.
    #[error("there is no sandbox for native tasks on this system")]
    #[diagnostic(
        code("sandbox.unsupported"),
        help("run the task as a WebAssembly module, or with `--sandbox off`")
    )]
    Unsupported,
}
