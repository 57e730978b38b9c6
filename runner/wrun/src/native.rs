//! A run as a process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use wrun_core::event::Event;
use wrun_core::grants::Access;
use wrun_core::launch::Launch;
use wrun_core::sandbox::{Demand, SandboxReport};
use wrun_exec::{Confinement, Gate, Happening, NativeTask, Report};
use wrun_store::Scratch;

use crate::Error;
use crate::context::Context;
use crate::denied::Refusals;
use crate::grants::native_paths;
use crate::launch::{address, edited};
use crate::run::{Attempt, Entered};
use crate::signals::Signals;

/// Where a task without an environment finds its command, and what comes after an environment's own folders.
const SYSTEM_PATH: &[&str] = &[
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The kind of terminal that a task is told to have where the caller says nothing of his own (`term(7)`).
const TERMINAL: &str = "xterm";

/// How long a task has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(5);

/// One attempt at a task, with nothing of the caller's environment.
pub(crate) async fn run(
    attempt: &Attempt<'_>,
    command: &[String],
    scratch: &Scratch,
    signals: &mut Signals,
) -> Result<Report, Error> {
    let home = scratch.path().to_string_lossy().into_owned();
    let mut env = BTreeMap::from([
        ("HOME".to_owned(), home.clone()),
        ("TMPDIR".to_owned(), home),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    let mut search_path: Vec<PathBuf> = Vec::new();
    let mut inherit = Vec::new();
    let mut paths = readable(attempt);
    if let Some(Entered { leased, launch, .. }) = attempt.entered {
        let prefix = &leased.environment.prefix;
        if let Launch::Native {
            env: edits,
            search_path: places,
        } = launch
        {
            let recorded = edited(edits, prefix)?;
            env.extend(recorded.variables);
            paths.extend(recorded.reads.into_iter().map(|path| (path.into(), Access::Read)));
            search_path.extend(recorded.search_path.into_iter().map(PathBuf::from));
            search_path.extend(places.iter().map(|place| address(place, prefix)));
        }
        // The task holds the lease itself: it ends with the last process of the task, also if this one is killed.
        let lease = leased
            .lease
            .inheritable_fd()
            .map_err(|error| Error::Internal(error.to_string()))?;
        inherit.push(lease);
    }
    if attempt.stdio.terminal.is_some() {
        let kind = attempt.context.inner.variables.get("TERM");
        env.insert(
            "TERM".to_owned(),
            kind.map_or(TERMINAL, String::as_str).to_owned(),
        );
    }
    search_path.extend(SYSTEM_PATH.iter().map(PathBuf::from));
    env.insert("PATH".to_owned(), join(&search_path));
    env.extend(attempt.vars.clone());
    if let Some(path) = attempt.vars.get("PATH") {
        search_path = std::env::split_paths(path).collect();
    }
    let grants = native_paths(attempt.task)?;
    paths.extend(grants);
    let refusals = Refusals::new(Arc::clone(&attempt.context.emit));
    let confinement = Confinement {
        helper: attempt.context.inner.helper.clone().map(Into::into),
        demand: attempt.context.demand,
        paths,
        shared: None,
        loopback: attempt.task.allow.net.lists_every_loopback_port(),
        changes_modes: false,
        scratch: scratch.path().to_owned(),
        gate: refusals.hear(Gate::new(attempt.task.allow.net.clone())),
        limits: attempt.task.limits.clone(),
        terminal: None,
        observer: attempt.why_denied.then(|| refusals.observer(attempt.folder)),
    };
    let task = NativeTask {
        command: command.to_vec(),
        cwd: attempt.folder.to_owned(),
        env,
        search_path,
        confinement,
        inherit,
        grace: GRACE,
    };
    let (forward, forwarded) = mpsc::channel(16);
    let running = wrun_exec::run_native(
        task,
        attempt.stdio.clone(),
        attempt.context.cancel.clone(),
        Some(forwarded),
        |happening| {
            attempt.context.emit(match happening {
                Happening::Held(report) => Event::Sandbox(report.clone()),
                Happening::Stopped => Event::Stopped,
            });
        },
    );
    tokio::pin!(running);
    loop {
        tokio::select! {
            report = &mut running => return Ok(report?),
            Some(signal) = signals.recv() => {
                if forward.try_send(signal).is_err() {
                    attempt.context.cancel.cancel();
                }
            }
        }
    }
}

/// Sets a sandbox up with nothing in it.
pub(crate) async fn try_sandbox(context: &Context, demand: Demand) -> Result<SandboxReport, Error> {
    let scratch = context.inner.store.scratch("doctor")?;
    let confinement = Confinement {
        helper: context.inner.helper.clone().map(Into::into),
        demand,
        scratch: scratch.path().to_owned(),
        ..Confinement::none()
    };
    wrun_exec::try_sandbox(&confinement, &context.cancel)
        .await?
        .map_err(|reason| Error::NoSandbox { reason })
}

/// What the task may read without asking: its folder, its environment, and the interpreter that this is built on.
fn readable(attempt: &Attempt<'_>) -> Vec<(PathBuf, Access)> {
    let mut paths = vec![attempt.folder.to_owned()];
    if let Some(Entered {
        leased,
        launch: _,
        tools,
    }) = attempt.entered
    {
        paths.push(leased.environment.prefix.clone());
        for tool in tools {
            if let Some(python) = &tool.python {
                paths.push(tool.path.clone());
                paths.push(PathBuf::from(&python.base_prefix));
            }
        }
    }
    // An interpreter of the system is part of what every task reads.
    paths.retain(|path| path != Path::new("/usr") && path != Path::new("/"));
    paths.into_iter().map(|path| (path, Access::Read)).collect()
}

fn join(folders: &[PathBuf]) -> String {
    folders
        .iter()
        .map(|folder| folder.to_string_lossy())
        .collect::<Vec<_>>()
        .join(":")
}
