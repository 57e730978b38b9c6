//! What a host does for a backend.

use async_trait::async_trait;

use crate::backend::{Input, InputRequest, Request, Slot};
use crate::plan::InstallPlan;
use crate::platform::Platform;
use crate::problem::{Advice, Problem, StepFailure};
use crate::question::{Answer, Question};
use crate::tool::{ToolFound, ToolRequest};

/// The acting half: reads, finds, asks and builds under the grants of the task at hand. `wrun-provision` implements
/// it.
#[async_trait]
pub trait Host: Send + Sync {
    /// The machine.
    fn platform(&self) -> &Platform;

    /// Whether the network must not be touched.
    fn offline(&self) -> bool;

    /// Reads a file or the digest of a tree.
    ///
    /// # Errors
    /// It is not there, not text, or cannot be read.
    async fn read(&self, request: &InputRequest) -> Result<Input, Problem>;

    /// Finds a tool. `found` are those found before for the same spec.
    ///
    /// # Errors
    /// There is none, with what was looked at and what to do.
    async fn find_tool(&self, request: &ToolRequest, found: &[ToolFound]) -> Result<ToolFound, Problem>;

    /// Answers questions, side by side.
    ///
    /// # Errors
    /// The user ended it, or the host itself failed. What a server or tool said is an answer, not an error.
    async fn ask(&self, request: &Request, questions: &[Question]) -> Result<Vec<Answer>, Problem>;

    /// Carries out a plan in a slot. `explain` says what a failure means and whether to try again.
    ///
    /// # Errors
    /// A step or a check failed.
    async fn execute(
        &self,
        request: &Request,
        plan: &InstallPlan,
        slot: &Slot,
        explain: &(dyn for<'failure> Fn(&'failure StepFailure) -> Advice + Sync),
    ) -> Result<(), Problem>;

    /// Says what is being done, for backends that build by themselves.
    fn progress(&self, label: &str);
}
