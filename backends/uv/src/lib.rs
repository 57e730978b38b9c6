//! Environments made by uv.
//!
//! uv is a program, not a library: it is asked for a lock (PEP 751) and installs one. What is hashed is what a spec
//! means, read here; the tool only ever gets that meaning, in a scratch folder, and never the task's own folder.

mod canonical;
mod command;
mod lock;
mod plan;
mod project;
mod repository;
mod script;
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

pub use spec::UvSpec;

/// The backend's name, and that of its tool.
pub(crate) const UV: &str = "uv";

/// The backend of `env.uv`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uv;

impl PlanBackend for Uv {
    fn manifest(&self) -> Manifest {
        Manifest {
            id: UV.to_owned(),
            summary: "Python packages, resolved and installed by uv".to_owned(),
            canonical_revision: canonical::REVISION,
            plan_revision: plan::REVISION,
            schema: SpecSchema::of::<UvSpec>(),
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
        solve::solve(request, transcript)
    }

    fn plan(&self, request: &Request, lock: &Lock) -> Result<InstallPlan, Problem> {
        plan::plan(request, lock)
    }

    fn enter(&self, _lock: &Lock, kind: TaskKind) -> Result<Launch, Problem> {
        environment::enter(UV, kind)
    }

    fn explain(&self, failure: &StepFailure) -> Advice {
        failure::advice(UV, failure)
    }
}
