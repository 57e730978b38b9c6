//! A run by a container engine.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wrun_core::denial::Observation;
use wrun_core::event::Event;
use wrun_core::grants::{Access, Limits};
use wrun_core::image::{Engine, Image, ImageConfig};
use wrun_core::net::Net;
use wrun_core::outcome::Outcome;
use wrun_core::sandbox::Demand;
use wrun_core::text::harmless_line;
use wrun_engine::{Bind, Container, EngineError, EngineProgram, Owner, new_name, report, task_user, unheld};
use wrun_exec::{Confinement, Happening, NativeTask, Report};
use wrun_store::Scratch;

use crate::Error;
use crate::error::refused;
use crate::native::{GRACE, follow, process_lost};
use crate::run::Attempt;
use crate::signals::Signals;

/// How long a container gets to end after a signal that asks it to, as `podman stop` and `docker stop` give it. Its first
/// process ignores what it does not handle (`pid_namespaces(7)`).
const STOP: Duration = Duration::from_secs(10);

/// The lowest exit code that may be the engine's own: that something went wrong with the container.
const OF_THE_ENGINE: i32 = 125;

/// What is to run, and with what.
pub(crate) struct Wanted<'a> {
    pub(crate) image: &'a Image,
    pub(crate) command: Vec<String>,
    pub(crate) cwd: PathBuf,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) paths: Vec<(PathBuf, Access)>,
    pub(crate) leases: Vec<OwnedFd>,
}

/// The engines that are there, with their versions, or why they do not work.
pub(crate) async fn found(variables: &BTreeMap<String, String>) -> Vec<(Engine, Result<String, String>)> {
    let mut found = Vec::new();
    for engine in [Engine::Podman, Engine::Docker] {
        let Ok(program) = EngineProgram::find(engine, variables) else {
            continue;
        };
        let probed = program.probe(&CancellationToken::new()).await;
        let said = probed.map(|version| format!("{version} {}", program.path.display()));
        found.push((engine, said.map_err(|error| error.to_string())));
    }
    found
}

/// One attempt at a task by the engine that keeps its image. Whatever becomes of the engine's own program, the container is
/// removed.
pub(crate) async fn run(
    attempt: &Attempt<'_>,
    wanted: Wanted<'_>,
    scratch: &Scratch,
    signals: &mut Signals,
) -> Result<Report, Error> {
    let engine = EngineProgram::find(
        wanted.image.engine,
        &attempt.context.inner.settings.engine_variables,
    )?;
    if let Some(notice) = other_user(wanted.image) {
        attempt.context.emit(notice);
    }
    let (container, leases) = container(attempt, wanted, scratch)?;
    if let Some(outcome) = refusal(attempt, &engine, &container) {
        return Ok(Report {
            outcome,
            elapsed: Duration::ZERO,
        });
    }
    let (arguments, passed) = container.arguments(&engine);
    let mut command = vec![engine.path.to_string_lossy().into_owned()];
    command.extend(arguments);
    let limits = &attempt.task.limits;
    let task = NativeTask {
        command,
        cwd: PathBuf::from("/"),
        env: engine.environment().chain(passed).collect(),
        search_path: Vec::new(),
        confinement: Confinement {
            limits: Limits {
                time: limits.time,
                output: limits.output,
                ..Limits::default()
            },
            ..Confinement::none()
        },
        inherit: leases,
        grace: GRACE,
    };
    let held = report(&engine, &container);
    let keeper = engine
        .keeper(&container.name)
        .inspect_err(|error| tracing::warn!(%error, "the container goes on if this process is killed"))
        .ok();
    let running = follow(attempt, task, signals, Some(STOP), |happening| {
        attempt.context.emit(match happening {
            Happening::Held(_) => Event::Sandbox(held.clone()),
            Happening::Stopped => Event::Stopped,
            Happening::ProcessLost { limit } => process_lost(limit),
        });
    });
    // While the task runs, so that nobody waits for it.
    let ((), ran) = tokio::join!(clear(attempt, &engine), running);
    let came_to_its_end = matches!(
        &ran,
        Ok(Report { outcome: Outcome::Exited { code }, .. }) if *code < OF_THE_ENGINE
    );
    if !came_to_its_end {
        let removed = engine.remove(&container.name).await;
        if let (Ok(_), Err(error)) = (&ran, removed) {
            return Err(error.into());
        }
    }
    if let Some(keeper) = keeper {
        keeper.dismiss().await;
    }
    if matches!(&ran, Ok(Report { outcome: Outcome::Exited { code }, .. }) if *code == OF_THE_ENGINE)
        && !engine.has(&container.image, &attempt.context.cancel).await?
    {
        return Err(EngineError::ImageGone {
            engine: engine.engine,
            image: container.image,
        }
        .into());
    }
    if attempt.why_denied {
        let engine = engine.engine.name();
        attempt
            .context
            .emit(Event::Denied(Observation::impossible(format!(
                "{engine} runs the task, and what it refuses is not told"
            ))));
    }
    ran
}

/// That the task is not the user that was asked for, if it is not.
fn other_user(image: &Image) -> Option<Event> {
    let ImageConfig {
        user,
        user_as_written,
        ..
    } = &image.config;
    let (is, written) = (task_user(image.engine, user), user_as_written.as_ref()?);
    let is_root_by_name = is.user == 0 && matches!(written.as_str(), "root" | "root:root");
    let is_meant = is == *user && written.starts_with(|letter: char| letter.is_ascii_digit());
    (image.engine != Engine::Builtin && !is_meant && !is_root_by_name).then(|| Event::Notice {
        code: "container.user".to_owned(),
        message: format!(
            "{} runs the task as the caller ({}:{}) and not as `{}`, so that what it writes in granted folders is the caller's",
            image.engine.name(),
            is.user,
            is.group,
            harmless_line(written)
        ),
    })
}

/// Removes what runs that were killed have left in the engine.
async fn clear(attempt: &Attempt<'_>, engine: &EngineProgram) {
    match engine.remove_leftovers(&attempt.context.cancel).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "containers of runs that were killed are removed"),
        Err(error) => tracing::warn!(%error, "containers of runs that were killed are not looked for"),
    }
}

/// Why the engine cannot hold the task to what it may do, if it cannot.
fn refusal(attempt: &Attempt<'_>, engine: &EngineProgram, container: &Container) -> Option<Outcome> {
    let name = engine.engine.name();
    if matches!(attempt.task.allow.net, Net::Listed(_)) {
        return Some(refused(
            "engine.network",
            format!(
                "{name} cannot hold the task to the hosts of `allow.net`: it gives the whole network or none; \
                 use `engine = \"builtin\"`, or `net = true`"
            ),
        ));
    }
    if attempt.context.demand == Demand::BestEffort {
        return None;
    }
    let (capability, gap) = unheld(engine, container)?;
    Some(refused(
        "exec.sandbox.limit",
        format!(
            "`limits.{capability}` cannot be held by {name}: {gap}; take the limit out of the task, or pass \
             `--sandbox best-effort` to run it without"
        ),
    ))
}

/// The container, and the leases that its engine's program holds.
fn container(
    attempt: &Attempt<'_>,
    wanted: Wanted<'_>,
    scratch: &Scratch,
) -> Result<(Container, Vec<OwnedFd>), Error> {
    let limits = attempt.task.limits.clone();
    let mut paths = wanted.paths;
    if limits.scratch.is_none() {
        paths.push((scratch.path().to_owned(), Access::Write));
    }
    let mut binds: BTreeMap<PathBuf, Bind> = BTreeMap::new();
    for (at, access) in paths {
        let source = at.canonicalize().map_err(|error| Error::Path {
            what: "a path of the task",
            path: at.clone(),
            reason: error.to_string(),
        })?;
        let bind = binds.entry(at.clone()).or_insert(Bind { source, at, access });
        bind.access = bind.access.max(access);
    }
    let container = Container {
        name: new_name().map_err(|error| Error::Internal(error.to_string()))?,
        owner: Owner::this(),
        image: wanted.image.reference.clone(),
        command: wanted.command,
        cwd: wanted.cwd,
        env: wanted.env,
        binds: binds.into_values().collect(),
        scratch: scratch.path().to_owned(),
        has_network: matches!(attempt.task.allow.net, Net::All),
        limits,
        user: wanted.image.config.user.clone(),
        terminal: attempt.stdio.terminal.is_some(),
    };
    Ok((container, wanted.leases))
}
