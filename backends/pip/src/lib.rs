//! Environments made by pip.
//!
//! pip is never in an environment: it is a tool that runs under the environment's own interpreter. So an interpreter
//! without pip and `ensurepip` will do, and environments hold what was asked for and nothing else.

mod beside;
mod canonical;
mod command;
mod explain;
mod line;
mod lock;
mod plan;
mod solve;
mod spec;
mod understand;

use serde_json::Value;
use wrun_backend_python::{environment, failure};
use wrun_core::backend::{Canonical, Inputs, Manifest, Needs, PlanBackend, Request, Solve, SpecSchema};
use wrun_core::launch::{Launch, TaskKind};
use wrun_core::lock::Lock;
use wrun_core::plan::InstallPlan;
use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::question::Exchange;

use crate::understand::Understood;

pub use spec::PipSpec;

/// The backend's name, and that of its tool. The tool's path is the folder that holds the package `pip`.
pub(crate) const PIP: &str = "pip";

/// The backend of `env.pip`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pip;

impl Pip {
    /// The steps that install a lock into an environment that is there already, with its interpreter at `bin/python`.
    ///
    /// What is built has the network: it may change that interpreter, which the network cannot be kept for then.
    ///
    /// # Errors
    /// As for [`PlanBackend::plan`].
    pub fn plan_into(&self, request: &Request, lock: &Lock) -> Result<InstallPlan, Problem> {
        plan::plan_into(request, lock)
    }

    /// One round of solving for [`Pip::plan_into`], with the network for what is built.
    ///
    /// # Errors
    /// As for [`PlanBackend::solve`].
    pub fn solve_into(&self, request: &Request, transcript: &[Exchange]) -> Result<Solve, Problem> {
        solve::solve(request, &Understood::of(request)?.within(), transcript)
    }
}

impl PlanBackend for Pip {
    fn manifest(&self) -> Manifest {
        Manifest {
            id: PIP.to_owned(),
            summary: "Python packages, resolved and installed by pip".to_owned(),
            canonical_revision: canonical::REVISION,
            plan_revision: plan::REVISION,
            schema: SpecSchema::of::<PipSpec>(),
            short_form: Some("packages".to_owned()),
            in_images: true,
        }
    }

    fn needs(&self, spec: &Value, known: &Inputs) -> Result<Needs, Problem> {
        understand::needs(spec, known)
    }

    fn canonicalize(&self, request: &Request) -> Result<Canonical, Problem> {
        canonical::canonicalize(request)
    }

    fn solve(
        &self,
        request: &Request,
        _previous: Option<&Lock>,
        transcript: &[Exchange],
    ) -> Result<Solve, Problem> {
        solve::solve(request, &Understood::of(request)?, transcript)
    }

    fn plan(&self, request: &Request, lock: &Lock) -> Result<InstallPlan, Problem> {
        plan::plan(request, lock)
    }

    fn enter(&self, _lock: &Lock, kind: TaskKind) -> Result<Launch, Problem> {
        environment::enter(PIP, kind)
    }

    fn explain(&self, failure: &StepFailure) -> Advice {
        failure::advice(PIP, failure)
    }
}
