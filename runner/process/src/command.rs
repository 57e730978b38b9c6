//! What to start.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

/// What a process reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdin {
    /// Nothing: the end of the file at once.
    #[default]
    Null,
    /// The standard input of this process.
    Inherit,
    /// A pipe, for [`crate::Tree::take_stdin`].
    Piped,
}

/// What a process writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Out {
    /// The same descriptor of this process.
    #[default]
    Inherit,
    /// A pipe, for [`crate::Tree::take_stdout`] and [`crate::Tree::take_stderr`].
    Piped,
    /// Nowhere.
    Null,
}

/// A program to start, with everything that it gets. Nothing else is inherited but the user, the resource limits,
/// the umask and the namespaces.
#[derive(Debug, Default)]
pub struct Command {
    /// The program; absolute. It is its own argument 0.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Its whole environment; [`crate::MARK`] is added.
    pub env: Vec<(OsString, OsString)>,
    /// The folder that it starts in; absolute.
    pub cwd: PathBuf,
    /// Its standard input.
    pub stdin: Stdin,
    /// Its standard output.
    pub stdout: Out,
    /// Its standard error.
    pub stderr: Out,
    /// A terminal that its standard streams are, in place of the three above, and that becomes its controlling one
    /// ([`crate::open_terminal`]).
    pub terminal: Option<OwnedFd>,
    /// Descriptors that it gets under the numbers they have here. They are closed in this process once it runs. All
    /// others above 2 are closed in it, as far as the kernel can (`close_range(2)`, Linux 5.11).
    pub inherit: Vec<OwnedFd>,
    /// Whether the program is killed when the *thread* that called [`crate::spawn`] ends (`PR_SET_PDEATHSIG`,
    /// `prctl(2)`), however it ends. Only the program itself, not what it started. Linux only. Call [`crate::spawn`]
    /// from a thread that lives at least as long as the run: the main thread or a worker of the runtime, not a
    /// blocking thread of it.
    pub die_with_parent: bool,
}

impl From<Stdin> for Stdio {
    fn from(stdin: Stdin) -> Self {
        match stdin {
            Stdin::Null => Self::null(),
            Stdin::Inherit => Self::inherit(),
            Stdin::Piped => Self::piped(),
        }
    }
}

impl From<Out> for Stdio {
    fn from(out: Out) -> Self {
        match out {
            Out::Inherit => Self::inherit(),
            Out::Piped => Self::piped(),
            Out::Null => Self::null(),
        }
    }
}
