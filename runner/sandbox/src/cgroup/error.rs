//! What can go wrong with a control group.

use std::io;
use std::path::PathBuf;

use super::limits::Limit;

/// A control group could not be made, used or removed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum CgroupError {
    /// A name that no group can have.
    #[error("`{name}` cannot name a control group: {reason}")]
    #[diagnostic(
        code("sandbox.cgroup.name.invalid"),
        help("use up to 128 letters, digits, `.`, `_` and `-` of ASCII")
    )]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit that no kernel takes.
    #[error("cannot limit {limit} to {value}: it has to be from {least} to {most}")]
    #[diagnostic(
        code("sandbox.cgroup.limit.invalid"),
        help("change the limit, or leave it away for none")
    )]
    Range {
        /// Which limit.
        limit: Limit,
        /// What was asked for.
        value: u64,
        /// The smallest that can be.
        least: u64,
        /// The largest that can be.
        most: u64,
    },
    /// A group of that name is there already. It is never used: who knows what its limits are, and who is in it.
    #[error("the control group `{}` exists already", path.display())]
    #[diagnostic(
        code("sandbox.cgroup.exists"),
        help("nothing was started; give each task another name, or remove the group if nobody uses it")
    )]
    Exists {
        /// Where it is.
        path: PathBuf,
    },
    /// The kernel refused something.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    #[diagnostic(
        code("sandbox.cgroup.io"),
        help("see what else manages control groups on this machine, and that the mount is not read-only")
    )]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel accepted a limit and then tells of another.
    #[error("`{}` is `{found}` after `{wanted}` was written to it", path.display())]
    #[diagnostic(
        code("sandbox.cgroup.limit.not-taken"),
        help("see what else changes control groups on this machine")
    )]
    NotTaken {
        /// The file of the limit.
        path: PathBuf,
        /// What was written.
        wanted: String,
        /// What was read afterwards.
        found: String,
    },
    /// Processes of the group do not die, as one that waits for a dead disk.
    #[error("processes in the control group `{}` do not die", path.display())]
    #[diagnostic(
        code("sandbox.cgroup.populated"),
        help("see in `ps` what they wait for; the group can be removed with `rmdir` once they are gone")
    )]
    Populated {
        /// Where it is.
        path: PathBuf,
    },
    /// There is no group, so it can do nothing to processes.
    #[error("there is no control group to {operation}: {reason}")]
    #[diagnostic(
        code("sandbox.cgroup.none"),
        help("use another means, as the end of the process namespace's first process")
    )]
    NoGroup {
        /// What was wanted of it, as a verb.
        operation: &'static str,
        /// Why there is none.
        reason: String,
    },
}
