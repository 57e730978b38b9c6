//! Makes a backend that acts out of one that decides.

use async_trait::async_trait;
use serde_json::Value;
use wrun_core::backend::{
    Assessed, Backend, Canonical, Input, Inputs, Manifest, PlanBackend, Request, Slot, Solve,
};
use wrun_core::canon::Canon;
use wrun_core::diagnostic::Finding;
use wrun_core::host::Host;
use wrun_core::launch::{Launch, TaskKind};
use wrun_core::lock::Lock;
use wrun_core::plan::InstallPlan;
use wrun_core::problem::Problem;
use wrun_core::question::{Exchange, MAXIMUM_ROUNDS};
use wrun_core::tool::ToolFound;

use crate::error::INPUT_MISSING;

/// Rounds in which what was read may ask for more to be read.
const MAXIMUM_READS: usize = 8;

/// A backend that acts through a host as a [`PlanBackend`] decides.
pub struct PlanAdapter<P> {
    backend: P,
    manifest: Manifest,
}

impl<P: PlanBackend> PlanAdapter<P> {
    /// Wraps a backend.
    pub fn new(backend: P) -> Self {
        let manifest = backend.manifest();
        Self { backend, manifest }
    }

    fn endless(&self, code: &str, what: &str) -> Problem {
        Problem::Failed {
            code: code.to_owned(),
            message: format!("the backend `{}` {what}", self.manifest.id),
            help: Some("this is an error in the backend, not in the task".to_owned()),
        }
    }

    /// Reads what the spec refers to, and what those files refer to in turn, and finds the tools.
    async fn request(&self, host: &dyn Host, spec: &Value) -> Result<Request, Problem> {
        let mut inputs = Inputs::new();
        let mut missing = None;
        for _ in 0..MAXIMUM_READS {
            let needs = self.backend.needs(spec, &inputs)?;
            let new: Vec<_> = needs
                .inputs
                .into_iter()
                .filter(|input| !inputs.contains_key(input))
                .collect();
            if new.is_empty() {
                if let Some(problem) = missing {
                    return Err(problem);
                }
                let mut tools: Vec<ToolFound> = Vec::new();
                for tool in &needs.tools {
                    tools.push(host.find_tool(tool, &tools).await?);
                }
                return Ok(Request {
                    spec: spec.clone(),
                    inputs,
                    tools,
                    platform: host.platform().clone(),
                });
            }
            for input in new {
                let read = match host.read(&input).await {
                    // The backend knows who asks for it, and says so.
                    Err(problem) if problem.code() == INPUT_MISSING => {
                        missing.get_or_insert(problem);
                        Input::Absent
                    }
                    read => read?,
                };
                inputs.insert(input, read);
            }
        }
        Err(self.endless(
            "backend.inputs.endless",
            &format!("asks for more files after {MAXIMUM_READS} rounds; do files include each other?"),
        ))
    }

    /// How and with what a lock is built: the backend's revision and the interpreters. The versions of other tools
    /// are left out, so that an upgrade of one does not build everything again.
    fn materialiser(&self, tools: &[ToolFound]) -> Canon {
        let interpreters = tools.iter().filter_map(|tool| {
            let path = tool.path.to_string_lossy();
            Some((tool.id.as_str(), tool.python.as_ref()?.identity_canon(&path)))
        });
        let interpreters = Canon::map(interpreters);
        Canon::fields([
            ("interpreters", Some(interpreters)),
            (
                "plan_revision",
                Some(Canon::integer(i64::from(self.manifest.plan_revision))),
            ),
        ])
    }
}

#[async_trait]
impl<P: PlanBackend> Backend for PlanAdapter<P> {
    fn id(&self) -> &str {
        &self.manifest.id
    }

    fn manifest(&self) -> Manifest {
        self.manifest.clone()
    }

    fn check(&self, spec: &Value) -> Vec<Finding> {
        match self.backend.needs(spec, &Inputs::new()) {
            Err(Problem::Invalid(findings)) => findings,
            _ => Vec::new(),
        }
    }

    async fn assess(&self, host: &dyn Host, spec: &Value) -> Result<Assessed, Problem> {
        let request = self.request(host, spec).await?;
        let Canonical { form, warnings } = self.backend.canonicalize(&request)?;
        let materialiser = self.materialiser(&request.tools);
        Ok(Assessed {
            request,
            form,
            materialiser,
            warnings,
        })
    }

    async fn solve(
        &self,
        host: &dyn Host,
        assessed: &Assessed,
        previous: Option<&Lock>,
    ) -> Result<Lock, Problem> {
        let request = &assessed.request;
        let mut transcript: Vec<Exchange> = Vec::new();
        for _ in 0..MAXIMUM_ROUNDS {
            let questions = match self.backend.solve(request, previous, &transcript)? {
                Solve::Done(lock) => return Ok(lock),
                Solve::Ask(questions) if questions.is_empty() => {
                    return Err(self.endless("backend.solve.silent", "has no lock and asks nothing"));
                }
                Solve::Ask(questions) => questions,
            };
            let answers = host.ask(request, &questions).await?;
            let exchanges = questions.into_iter().zip(answers);
            transcript.extend(exchanges.map(|(question, answer)| Exchange { question, answer }));
        }
        // The last answers may have been all that was missing.
        match self.backend.solve(request, previous, &transcript)? {
            Solve::Done(lock) => Ok(lock),
            Solve::Ask(_) => Err(self.endless(
                "backend.solve.endless",
                &format!("has no lock after {MAXIMUM_ROUNDS} rounds of questions"),
            )),
        }
    }

    fn preview(&self, assessed: &Assessed, lock: &Lock) -> Result<Option<InstallPlan>, Problem> {
        self.backend.plan(&assessed.request, lock).map(Some)
    }

    async fn build(
        &self,
        host: &dyn Host,
        assessed: &Assessed,
        lock: &Lock,
        slot: &Slot,
    ) -> Result<(), Problem> {
        let plan = self.backend.plan(&assessed.request, lock)?;
        host.execute(&assessed.request, &plan, slot, &|failure| {
            self.backend.explain(failure)
        })
        .await
    }

    fn enter(&self, lock: &Lock, kind: TaskKind) -> Result<Launch, Problem> {
        self.backend.enter(lock, kind)
    }
}
