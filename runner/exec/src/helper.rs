//! The program that sets sandboxes up, and compiles guests.

use std::path::{Path, PathBuf};

use wrun_core::net::Net;
use wrun_core::sandbox::Demand;
use wrun_sandbox::HelperAhead;

use crate::wasi::COMPILE;

/// A program that can be started as the helper, which sets sandboxes up around native processes and compiles WebAssembly
/// in a process of its own: one that calls [`Helper::enter`] before anything else.
#[derive(Debug, Clone)]
pub struct Helper(wrun_sandbox::Helper);

impl Helper {
    /// To be the first call of `main`, before any thread is started. If this process was started as a helper it does what
    /// it was asked for, and this does not return; else this program can be used as one.
    #[must_use]
    pub fn enter() -> Self {
        Self(wrun_sandbox::Helper::enter_with(&[COMPILE]))
    }

    /// Another program that is known to call [`Helper::enter`]: an installed `wrun` of the same version.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self(wrun_sandbox::Helper::program(path))
    }

    /// Starts a helper for a task that is to come, so that it begins while the task's environment is looked up.
    pub fn prestart(&self, ahead: &HelperAhead, demand: Demand, net: &Net) {
        ahead.prestart(&self.0, demand, net);
    }

    /// Starts a helper for a task that is not known yet, for as long as what is returned lives. It is for a program that is
    /// about to read the task: a guess, and if it was wrong, a process more than was needed.
    #[must_use]
    pub fn begin(&self, demand: Demand) -> HelperAhead {
        HelperAhead::spare(&self.0, demand)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl From<Helper> for wrun_sandbox::Helper {
    fn from(helper: Helper) -> Self {
        helper.0
    }
}
