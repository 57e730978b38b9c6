//! One submitted run, from the request to the outcome.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wrun_core::denial::Observation;
use wrun_core::diagnostic::{Finding, pointer_token};
use wrun_core::event::{Event, Stream};
use wrun_core::launch::Launch;
use wrun_core::outcome::Outcome;
use wrun_core::problem::Problem;
use wrun_core::task::{Run, Task, Variable};
use wrun_core::tool::ToolFound;
use wrun_exec::{Output, OutputSink, Report, Stdio};

use crate::context::{Context, Emit};
use crate::environment::{self, Leased, LockPolicy};
use crate::error::refused;
use crate::grants::{missing_paths, refused_guest, task_folder};
use crate::handle::Finished;
use crate::image::Base;
use crate::launch::address;
use crate::signals::Signals;
use crate::{Error, GuestRun, Submission, guest, native};

/// The longest pause between two attempts.
const LONGEST_DELAY: Duration = Duration::from_mins(1);

/// Why a guest is not watched.
const OF_A_GUEST: &str = "the task is a WebAssembly guest, which makes no system calls; it sees its grants and nothing beside them";

/// An environment that the run holds, and how to enter it.
pub(crate) struct Entered {
    /// The container image that it is inside of, if it is in one.
    pub(crate) base: Option<Arc<Base>>,
    pub(crate) leased: Leased,
    pub(crate) launch: Launch,
    /// The tools that it was built with.
    pub(crate) tools: Vec<ToolFound>,
}

/// What all attempts at a task share.
pub(crate) struct Attempt<'a> {
    pub(crate) context: &'a Context,
    pub(crate) task: &'a Task,
    pub(crate) folder: &'a Path,
    pub(crate) vars: &'a BTreeMap<String, String>,
    pub(crate) entered: Option<&'a Entered>,
    pub(crate) stdio: Stdio,
    /// Whether it is watched for what it is refused.
    pub(crate) why_denied: bool,
}

/// Runs a task.
pub(crate) async fn submit(
    context: Context,
    submission: Submission,
    mut signals: Signals,
) -> Result<Finished, Error> {
    let finished = attempts(&context, &submission, &mut signals).await;
    context.cleaning.done().await;
    context.settling.done(&context).await;
    conclude(&context, finished)
}

/// Runs a guest with exactly what it is given.
pub(crate) async fn exec(context: Context, guest: GuestRun, mut signals: Signals) -> Result<Finished, Error> {
    context.emit(Event::Started { attempt: 1 });
    let guest = GuestRun {
        stdio: stdio(&context, &guest.stdio, guest.output_events),
        ..guest
    };
    let finished = guest::run(&context, guest, &mut signals)
        .await
        .map(|report| Finished {
            outcome: report.outcome,
            attempts: 1,
            elapsed: report.elapsed,
        });
    conclude(&context, finished)
}

/// Says how the run ended.
fn conclude(context: &Context, finished: Result<Finished, Error>) -> Result<Finished, Error> {
    context.emit(match &finished {
        Ok(finished) => Event::Finished {
            outcome: finished.outcome.clone(),
            exit_code: finished.exit_code(),
            attempts: finished.attempts,
            milliseconds: u64::try_from(finished.elapsed.as_millis()).unwrap_or(u64::MAX),
        },
        Err(error) => error.event(),
    });
    finished
}

async fn attempts(
    context: &Context,
    submission: &Submission,
    signals: &mut Signals,
) -> Result<Finished, Error> {
    let task = &submission.task;
    let refused = |outcome| Finished {
        outcome,
        attempts: 0,
        elapsed: Duration::ZERO,
    };
    if let Some(outcome) = refusal(submission, matches!(task.run, Run::Module { .. })) {
        return Ok(refused(outcome));
    }
    check(context, submission, unset_variables(context, task))?;
    let folder = task_folder(task)?;
    prestart(context, task);
    let vars = variables(context, task)?;
    // A signal that comes before the task runs ends the run.
    let entered = tokio::select! {
        entered = enter(context, submission, &folder) => entered?,
        Some(_) = signals.recv() => {
            context.cancel.cancel();
            return Err(Error::Cancelled);
        }
    };
    let is_guest = matches!(
        &entered,
        Some(Entered {
            launch: Launch::Wasi { .. },
            ..
        })
    );
    if let Some(outcome) = refusal(submission, is_guest) {
        return Ok(refused(outcome));
    }
    let attempt_parts = Attempt {
        context,
        task,
        folder: &folder,
        vars: &vars,
        entered: entered.as_ref(),
        stdio: stdio(context, &submission.stdio, submission.output_events),
        why_denied: submission.why_denied,
    };
    let mut delay = task.retry.delay;
    let mut attempt = 1;
    loop {
        context.emit(Event::Started { attempt });
        let report = once(&attempt_parts, signals).await?;
        // A task that was asked to end has not failed by itself.
        let again = attempt < task.retry.attempts
            && !signals.asked_to_end()
            && report
                .outcome
                .class()
                .is_some_and(|class| task.retry.on.contains(&class));
        if !again {
            return Ok(Finished {
                outcome: report.outcome,
                attempts: attempt,
                elapsed: report.elapsed,
            });
        }
        attempt += 1;
        context.emit(Event::Retrying {
            outcome: report.outcome.clone(),
            attempt,
            of: task.retry.attempts,
            delay_milliseconds: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        });
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = context.cancel.cancelled() => {
                return Ok(Finished { outcome: Outcome::Cancelled, attempts: attempt - 1, elapsed: report.elapsed });
            }
            () = signals.end() => {
                return Ok(Finished { outcome: Outcome::Cancelled, attempts: attempt - 1, elapsed: report.elapsed });
            }
        }
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Refuses what nothing here can enforce, as soon as it is known: before anything is built, unless that tells whether the
/// task is a guest.
fn refusal(submission: &Submission, is_guest: bool) -> Option<Outcome> {
    if !is_guest {
        return None;
    }
    if submission.stdio.terminal.is_some() {
        return Some(refused(
            "exec.wasi.terminal",
            "a WebAssembly guest has no terminal; run it without one".to_owned(),
        ));
    }
    refused_guest(&submission.task).map(|(code, reason)| refused(code, reason))
}

/// Begins to start a process that will be held to its grants, while its environment is looked up.
fn prestart(context: &Context, task: &Task) {
    let is_process = !matches!(task.run, Run::Module { .. });
    if let Some(helper) = context.inner.helper.as_ref().filter(|_| is_process) {
        helper.prestart(&context.helper_ahead, context.demand, &task.allow.net);
    }
}

/// The values of the task's variables.
fn variables(context: &Context, task: &Task) -> Result<BTreeMap<String, String>, Error> {
    task.vars
        .iter()
        .map(|(variable, value)| {
            let value = match value {
                Variable::Value(value) => value.clone(),
                Variable::FromCaller(name) => from_caller(context, variable, name)?,
            };
            Ok((variable.clone(), value))
        })
        .collect()
}

/// The variables that the caller was to give and did not.
fn unset_variables(context: &Context, task: &Task) -> Vec<Finding> {
    let unset = |(variable, value): (&String, &Variable)| {
        let Variable::FromCaller(name) = value else {
            return None;
        };
        let error = from_caller(context, variable, name).err()?;
        let at = format!("/vars/{}", pointer_token(variable));
        let finding = Finding::error(error.code_text(), at, error.to_string());
        Some(match error.help_text() {
            Some(help) => finding.with_help(help),
            None => finding,
        })
    };
    task.vars.iter().filter_map(unset).collect()
}

/// The value of a variable of the caller.
fn from_caller(context: &Context, variable: &str, name: &str) -> Result<String, Error> {
    let (variable, name) = (variable.to_owned(), name.to_owned());
    match context.inner.variables.get(&name) {
        Some(value) => Ok(value.clone()),
        None if context.inner.not_text.contains(OsStr::new(&name)) => {
            Err(Error::VariableNotText { variable, name })
        }
        None => Err(Error::VariableUnset { variable, name }),
    }
}

/// Makes the task's environment, if it asks for one, and says how to start in it.
async fn enter(context: &Context, submission: &Submission, folder: &Path) -> Result<Option<Entered>, Error> {
    let task = &submission.task;
    let Some(request) = &task.env else {
        return match submission.policy {
            LockPolicy::Given(_) => Err(Error::LockUnused),
            _ => Ok(None),
        };
    };
    let in_file = |error| placed(context, submission, error);
    let keyed = environment::key(context, request, folder, &submission.policy, &task.name)
        .await
        .map_err(in_file)?;
    let locked = environment::lock(context, &keyed, &submission.policy).await?;
    let launch = keyed
        .backend
        .enter(&locked.lock, keyed.kind(task))
        .map_err(|problem| Error::Environment {
            backend: request.backend.clone(),
            problem,
        })?;
    // Some of what a spec says can be looked at only once there are files.
    let leased = environment::lease(context, &keyed, &locked, &task.name)
        .await
        .map_err(in_file)?;
    Ok(Some(Entered {
        base: keyed.base,
        leased,
        launch,
        tools: keyed.assessed.request.tools,
    }))
}

/// Sees to it that the paths which the task names are there, if its text is known.
pub(crate) fn check_paths(context: &Context, submission: &Submission) -> Result<(), Error> {
    check(context, submission, Vec::new())
}

/// Tells what was found and the paths that are not there, at their places in the task's text, if that is known, and with
/// it what is wrong with the spec of its environment.
fn check(context: &Context, submission: &Submission, found: Vec<Finding>) -> Result<(), Error> {
    let Some(source) = &submission.source else {
        return Ok(());
    };
    let mut findings = missing_paths(&submission.task);
    findings.extend(found);
    if findings.is_empty() {
        return Ok(());
    }
    let of_spec = submission.task.env.as_ref().and_then(|request| {
        let backend = context.inner.backend(&request.backend).ok()?;
        Some((backend.manifest(), backend.check(&request.spec)))
    });
    Err(source.place_all(&findings, of_spec))
}

/// Gives what a backend finds wrong with a spec its place in the task file, if there is one.
pub(crate) fn placed(context: &Context, submission: &Submission, error: Error) -> Error {
    match (&error, &submission.source) {
        (
            Error::Environment {
                backend,
                problem: Problem::Invalid(findings),
            },
            Some(source),
        ) => match context.inner.backend(backend) {
            Ok(backend) => source.place(&backend.manifest(), findings),
            Err(unknown) => unknown,
        },
        _ => error,
    }
}

/// The streams of a run, of which the output may be events.
fn stdio(context: &Context, streams: &Stdio, output_events: bool) -> Stdio {
    let mut stdio = streams.clone();
    if output_events {
        stdio.output = Output::Sink(Arc::new(EventSink(Arc::clone(&context.emit))));
    }
    stdio
}

/// Turns a task's output into events.
struct EventSink(Emit);

impl OutputSink for EventSink {
    fn write(&self, stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
        (self.0)(Event::Output {
            stream,
            text: String::from_utf8_lossy(bytes).into_owned(),
        });
        Ok(())
    }
}

/// One attempt, in a scratch folder of its own.
#[tracing::instrument(name = "run", skip_all, fields(task = attempt.task.name))]
async fn once(attempt: &Attempt<'_>, signals: &mut Signals) -> Result<Report, Error> {
    let scratch = attempt.context.inner.store.scratch("run")?;
    let of_environment = attempt.entered.and_then(|entered| match &entered.launch {
        Launch::Wasi {
            module: Some(place), ..
        } => Some(address(place, &entered.leased.environment.prefix)),
        _ => None,
    });
    let (module, args) = match (&attempt.task.run, of_environment) {
        (Run::Module { path, args }, _) => (path.clone(), args.as_slice()),
        (Run::Image { args }, Some(module)) => (module, args.as_deref().unwrap_or_default()),
        _ => return native::run(attempt, &scratch, signals).await,
    };
    let report = guest::run_task(attempt, &module, args, &scratch, signals).await;
    if attempt.why_denied {
        attempt
            .context
            .emit(Event::Denied(Observation::impossible(OF_A_GUEST)));
    }
    report
}
