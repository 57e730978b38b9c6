//! Code of packages that runs while an environment is built and only reads it.
//!
//! The files of an environment are commonly those of the package cache under another name. Whoever may write the
//! environment could change a package for every other environment that has it, so such code writes into a folder of its
//! own, and what it made is taken from there.

use std::path::Path;

use wrun_core::backend::{Request, Slot};
use wrun_core::host::Host;
use wrun_core::plan::{InstallPlan, Step};
use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::tool::ToolFound;

/// Code of packages that reads an environment.
pub(crate) struct Beside<'a> {
    /// The environment that it reads.
    pub(crate) environment: &'a Path,
    /// The folder that it writes into, its prefix.
    pub(crate) made: &'a Path,
    /// What it is run with.
    pub(crate) tool: ToolFound,
    /// What is run.
    pub(crate) step: Step,
}

impl Beside<'_> {
    /// Runs it.
    pub(crate) async fn run(
        self,
        host: &dyn Host,
        request: &Request,
        slot: &Slot,
        explain: &(dyn for<'failure> Fn(&'failure StepFailure) -> Advice + Sync),
    ) -> Result<(), Problem> {
        let mut request = request.clone();
        request.tools.push(self.tool);
        let plan = InstallPlan {
            steps: vec![self.step],
            reads: vec![self.environment.to_path_buf()],
            ..InstallPlan::default()
        };
        let apart = Slot {
            id: slot.id.clone(),
            prefix: self.made.to_path_buf(),
        };
        host.execute(&request, &plan, &apart, explain).await
    }
}
