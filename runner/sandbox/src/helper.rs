//! The program that sets a sandbox up around itself.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::job::{self, Job};
use crate::platform;

/// The first argument of a helper.
pub(crate) const ARGUMENT: &str = "__wrun-sandbox";

/// A program that can be started as the helper: one that calls [`Helper::enter`] before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper(PathBuf);

impl Helper {
    /// To be the first call of `main`, before any thread is started. If this process was started as a helper it becomes
    /// the process that it was asked for, and this does not return; else this program can be used as one.
    #[must_use]
    pub fn enter() -> Self {
        Self::enter_with(&[])
    }

    /// As [`Helper::enter`], for a program whose helper does jobs of its own too ([`crate::start_job`]).
    #[must_use]
    pub fn enter_with(jobs: &'static [Job]) -> Self {
        job::offer(jobs);
        let mut arguments = std::env::args_os().skip(1);
        let first = arguments.next();
        if first.as_deref() == Some(OsStr::new(ARGUMENT)) {
            platform::become_process(&arguments.collect::<Vec<OsString>>());
        }
        if first.as_deref() == Some(OsStr::new(job::ARGUMENT)) {
            let code = job::work_alone(arguments);
            #[expect(
                clippy::disallowed_methods,
                reason = "this process was started for the job alone, and nothing of the program has run yet"
            )]
            std::process::exit(code);
        }
        // The path by which the program was started may lead elsewhere by now; this always leads to it.
        Self(PathBuf::from("/proc/self/exe"))
    }

    /// Another program that is known to call [`Helper::enter`]: an installed `wrun`.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}
