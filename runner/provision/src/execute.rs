//! Carries out install plans: fetches side by side, everything else one after the other in the order of the plan.

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio_util::sync::CancellationToken;
use wrun_core::backend::{Request, Slot};
use wrun_core::event::Phase;
use wrun_core::plan::{Action, Check, InstallPlan, Step};
use wrun_core::problem::{Advice, Problem, StepFailure};

use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::places::Places;
use crate::progress::StepProgress;
use crate::spawn::tail;
use crate::steps::{Done, shown_output};
use crate::validate::validate;

/// What a failure means, as the backend says.
pub(crate) type Explain<'a> = &'a (dyn for<'failure> Fn(&'failure StepFailure) -> Advice + Sync);

/// Attempts in all at a step that its backend says may work when tried again.
const ATTEMPTS: u32 = 3;

/// The end of a program's output that a problem carries, in lines.
pub(crate) const TAIL_LINES: usize = 40;

/// Carries out a plan in a slot.
pub(crate) async fn execute(
    host: &TaskHost,
    request: &Request,
    plan: &InstallPlan,
    slot: &Slot,
    explain: Explain<'_>,
) -> Result<(), Problem> {
    validate(request, plan)?;
    check_space(host, plan, slot)?;
    let tree = host.store.tree(&slot.id).map_err(ProvisionError::from)?;
    let prefix = Some((slot.prefix.as_path(), tree));
    let places = Places::new(
        &host.store,
        &format!("build of {}", slot.id),
        prefix,
        &host.project,
        request,
        host.settings.timing.idle,
    )?
    .reading(&plan.reads);
    let building = Building {
        host,
        plan,
        places: &places,
        explain,
        cancel: host.cancel.child_token(),
    };
    building.steps().await?;
    building.checks().await
}

/// A full disk is told before the first step, where the plan knows how much it needs.
fn check_space(host: &TaskHost, plan: &InstallPlan, slot: &Slot) -> Result<(), ProvisionError> {
    let Some(needed) = plan.estimated_bytes else {
        return Ok(());
    };
    let free = host.store.free_bytes()?;
    if free >= needed {
        return Ok(());
    }
    Err(ProvisionError::DiskFull {
        what: "building the environment".to_owned(),
        path: slot.prefix.clone(),
        detail: format!(": {needed} bytes are needed and {free} are free"),
    })
}

/// A plan that is being carried out.
struct Building<'a> {
    host: &'a TaskHost,
    plan: &'a InstallPlan,
    places: &'a Places<'a>,
    explain: Explain<'a>,
    /// Ends the other steps when one has failed.
    cancel: CancellationToken,
}

/// Where a step is on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
}

/// What ends when a step ends.
struct Ended {
    index: usize,
    is_fetch: bool,
    result: Result<(), Problem>,
}

impl Building<'_> {
    /// All steps, each as soon as those that it waits for are done.
    async fn steps(&self) -> Result<(), Problem> {
        let mut states = vec![State::Waiting; self.plan.steps.len()];
        let mut running: FuturesUnordered<BoxFuture<'_, Ended>> = FuturesUnordered::new();
        let (mut fetching, mut working) = (0, false);
        let mut first_problem = None;
        loop {
            for (index, step) in self.plan.steps.iter().enumerate() {
                let is_fetch = matches!(step.action, Action::Fetch(_));
                let free = if is_fetch {
                    fetching < self.host.settings.concurrency.max(1)
                } else {
                    !working
                };
                if first_problem.is_none() && free && is_ready(&states, index, step) {
                    if let Some(state) = states.get_mut(index) {
                        *state = State::Running;
                    }
                    if is_fetch {
                        fetching += 1;
                    } else {
                        working = true;
                    }
                    running.push(Box::pin(async move {
                        Ended {
                            index,
                            is_fetch,
                            result: self.step(index, step).await,
                        }
                    }));
                }
            }
            // Every step waits only for earlier ones, so that nothing runs means that nothing is left.
            let Some(ended) = running.next().await else { break };
            if ended.is_fetch {
                fetching -= 1;
            } else {
                working = false;
            }
            match ended.result {
                Ok(()) => {
                    if let Some(state) = states.get_mut(ended.index) {
                        *state = State::Done;
                    }
                }
                Err(problem) => {
                    // The others end with their process trees; what they say of it is a consequence.
                    self.cancel.cancel();
                    first_problem.get_or_insert(problem);
                }
            }
        }
        match first_problem {
            Some(_) if self.host.cancel.is_cancelled() => Err(Problem::Cancelled),
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    async fn step(&self, index: usize, step: &Step) -> Result<(), Problem> {
        let of = self.plan.steps.len();
        let progress = StepProgress::begin(&self.host.events, Phase::Build, index, of, step.label.clone());
        let mut attempt = 1;
        loop {
            let working = self.host.act(step, self.places, &progress, &self.cancel);
            // Programs end by themselves when cancelled, with their trees; the rest is dropped here.
            let done = match &step.action {
                Action::Run(_) => working.await?,
                _ => self
                    .cancel
                    .run_until_cancelled(working)
                    .await
                    .ok_or(Problem::Cancelled)??,
            };
            let Done::Failed(failure) = done else {
                progress.finish();
                return Ok(());
            };
            let advice = (self.explain)(&failure);
            if !advice.retry || attempt == ATTEMPTS {
                return Err(problem(advice, &failure));
            }
            attempt += 1;
            progress.retried(attempt, &advice.message);
            let pause = self
                .host
                .settings
                .timing
                .backoff
                .saturating_mul(1 << (attempt - 2));
            self.cancel
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .ok_or(Problem::Cancelled)?;
        }
    }

    /// What must hold after the last step.
    async fn checks(&self) -> Result<(), Problem> {
        for check in &self.plan.checks {
            match check {
                Check::Exists(place) => {
                    let path = self.places.path(place)?;
                    // A link may lead to what only the image has.
                    let is_there = path.exists() || self.host.inside.is_some() && path.is_symlink();
                    if !is_there {
                        return Err(ProvisionError::CheckFailed {
                            label: format!("there is no `{}`", path.display()),
                            output: String::new(),
                        }
                        .into());
                    }
                }
                Check::Succeeds { label, run } => {
                    let ran = self.host.run(label, run, self.places, &self.cancel).await?;
                    if ran.timed_out {
                        return Err(ProvisionError::StepTimedOut {
                            label: label.clone(),
                            limit: run.timeout,
                            output: shown_output(&ran.output),
                        }
                        .into());
                    }
                    if ran.exit != Some(0) {
                        let output = shown_output(&ran.output);
                        return Err(ProvisionError::CheckFailed {
                            label: label.clone(),
                            output,
                        }
                        .into());
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_ready(states: &[State], index: usize, step: &Step) -> bool {
    states.get(index) == Some(&State::Waiting)
        && step
            .after
            .iter()
            .all(|after| states.get(*after) == Some(&State::Done))
}

/// A failed step in its backend's words, with the end of what the program wrote.
fn problem(advice: Advice, failure: &StepFailure) -> Problem {
    let Advice {
        code,
        mut message,
        help,
        retry: _,
    } = advice;
    let output = tail(&failure.output, TAIL_LINES);
    if !output.is_empty() && !message.contains(&output) {
        message.push_str(&shown_output(&output));
    }
    Problem::Failed { code, message, help }
}
