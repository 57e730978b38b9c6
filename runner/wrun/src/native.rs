//! A run as a process.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use wrun_core::event::Event;
use wrun_core::grants::{Access, Limits};
use wrun_core::image::{Engine, Image};
use wrun_core::launch::Launch;
use wrun_core::sandbox::{Capability, Demand, SandboxReport, State};
use wrun_core::task::Run;
use wrun_core::tool::ToolFound;
use wrun_exec::{Confinement, Gate, Happening, NativeTask, Report};
use wrun_store::Scratch;

use crate::Error;
use crate::context::Context;
use crate::denied::Refusals;
use crate::engine::{self, Wanted};
use crate::grants::native_paths;
use crate::image;
use crate::launch::{address, edited};
use crate::run::{Attempt, Entered};
use crate::signals::{CONTINUE, Signals, asks_to_end};

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
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// What an environment makes of a task.
struct Surroundings {
    /// Variables, `PATH` not among them.
    env: BTreeMap<String, String>,
    search_path: Vec<PathBuf>,
    reads: Vec<(PathBuf, Access)>,
    image: Option<Image>,
    /// The leases, which the task holds itself: they end with the last process of the task, also if this one is killed.
    leases: Vec<OwnedFd>,
}

/// One attempt at a task, with nothing of the caller's environment.
pub(crate) async fn run(
    attempt: &Attempt<'_>,
    scratch: &Scratch,
    signals: &mut Signals,
) -> Result<Report, Error> {
    let Surroundings {
        mut env,
        mut search_path,
        mut reads,
        image,
        leases,
    } = surroundings(attempt, scratch)?;
    if attempt.stdio.terminal.is_some() {
        let kind = attempt.context.inner.variables.get("TERM");
        env.insert(
            "TERM".to_owned(),
            kind.map_or(TERMINAL, String::as_str).to_owned(),
        );
    }
    env.insert("PATH".to_owned(), join(&search_path));
    env.extend(attempt.vars.clone());
    if let Some(path) = attempt.vars.get("PATH") {
        search_path = std::env::split_paths(path).collect();
    }
    let run = &attempt.task.run;
    let (command, cwd) = match (&image, run) {
        (Some(image), _) => (
            image::command(image, run)?,
            image
                .folder(run)
                .map_or_else(|| attempt.folder.to_owned(), PathBuf::from),
        ),
        (None, Run::Command(command)) => (command.clone(), attempt.folder.to_owned()),
        (None, Run::Image { .. } | Run::Module { .. }) => {
            return Err(Error::Internal(
                "a task without a command has no image".to_owned(),
            ));
        }
    };
    reads.extend(native_paths(attempt.task)?);
    if let Some(image) = image.as_ref().filter(|image| image.engine != Engine::Builtin) {
        let wanted = Wanted {
            image,
            command,
            cwd,
            env,
            paths: reads,
            leases,
        };
        return Box::pin(engine::run(attempt, wanted, scratch, signals)).await;
    }
    let refusals = Refusals::new(Arc::clone(&attempt.context.emit));
    let confinement = Confinement {
        helper: attempt.context.inner.helper.clone().map(Into::into),
        demand: attempt.context.demand,
        paths: reads,
        shared: None,
        loopback: attempt.task.allow.net.lists_every_loopback_port(),
        changes_modes: false,
        scratch: scratch.path().to_owned(),
        children_offline: false,
        gate: refusals.hear(Gate::new(attempt.task.allow.net.clone())),
        limits: attempt.task.limits.clone(),
        terminal: None,
        image: image
            .as_ref()
            .map(|image| image::root(image, search_path.clone())),
        observer: attempt.why_denied.then(|| refusals.observer(attempt.folder)),
    };
    let task = NativeTask {
        command,
        cwd,
        env,
        search_path,
        confinement,
        inherit: leases,
        grace: GRACE,
    };
    follow(attempt, task, signals, None, |happening| {
        attempt.context.emit(match happening {
            Happening::Held(report) => Event::Sandbox(report.clone()),
            Happening::Stopped => Event::Stopped,
            Happening::ProcessLost { limit } => process_lost(limit),
        });
    })
    .await
}

/// That a task went on without one of its processes, which may be why its result is not whole.
pub(crate) fn process_lost(limit: u64) -> Event {
    Event::Notice {
        code: "task.process.lost".to_owned(),
        message: format!(
            "a process of the task was ended as the task ran out of memory (the limit is {}), though the task itself ended \
             well",
            wrun_core::task::written_size(limit)
        ),
    }
}

/// Runs a process to its end, and hands signals on to it. If there is a `patience`, it is ended that long after a signal that
/// asked it to end.
pub(crate) async fn follow(
    attempt: &Attempt<'_>,
    task: NativeTask,
    signals: &mut Signals,
    patience: Option<Duration>,
    hear: impl Fn(Happening<'_>),
) -> Result<Report, Error> {
    let (forward, forwarded) = mpsc::channel(16);
    let running = wrun_exec::run_native(
        task,
        attempt.stdio.clone(),
        attempt.context.cancel.clone(),
        Some(forwarded),
        hear,
    );
    tokio::pin!(running);
    let mut deadline = None;
    loop {
        let patient = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            report = &mut running => return Ok(report?),
            Some(signal) = signals.recv() => {
                if forward.try_send(signal).is_err() {
                    attempt.context.cancel.cancel();
                } else if asks_to_end(signal) {
                    // A task that is stopped takes it when it goes on. timeout(1) sends both too.
                    let _ = forward.try_send(CONTINUE);
                }
                if let Some(patience) = patience.filter(|_| asks_to_end(signal)) {
                    deadline.get_or_insert(Instant::now() + patience);
                }
            }
            () = patient => {
                deadline = None;
                attempt.context.cancel.cancel();
            }
        }
    }
}

/// The variables, programs and files of a task before its own.
fn surroundings(attempt: &Attempt<'_>, scratch: &Scratch) -> Result<Surroundings, Error> {
    let home = scratch.path().to_string_lossy().into_owned();
    let mut around = Surroundings {
        env: BTreeMap::from([
            ("HOME".to_owned(), home.clone()),
            ("TMPDIR".to_owned(), home),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ]),
        search_path: Vec::new(),
        reads: vec![(attempt.folder.to_owned(), Access::Read)],
        image: None,
        leases: Vec::new(),
    };
    let Some(Entered {
        base,
        leased,
        launch,
        tools,
    }) = attempt.entered
    else {
        around.search_path.extend(SYSTEM_PATH.iter().map(PathBuf::from));
        return Ok(around);
    };
    let prefix = &leased.environment.prefix;
    around.reads.push((prefix.clone(), Access::Read));
    around.image = match base {
        Some(base) => Some(base.image.clone()),
        None => image::of(launch, prefix)?,
    };
    match &around.image {
        Some(image) => around.env.extend(image::variables(image)),
        None => around.reads.extend(interpreters(tools)),
    }
    if let Launch::Native {
        env: edits,
        search_path: places,
    }
    | Launch::Image {
        image: _,
        env: edits,
        search_path: places,
        engine: _,
    } = launch
    {
        let recorded = edited(edits, prefix)?;
        around.env.extend(recorded.variables);
        around
            .reads
            .extend(recorded.reads.into_iter().map(|path| (path.into(), Access::Read)));
        around
            .search_path
            .extend(recorded.search_path.into_iter().map(PathBuf::from));
        around
            .search_path
            .extend(places.iter().map(|place| address(place, prefix)));
    }
    around.search_path.extend(match &around.image {
        Some(image) => image::search_path(image),
        None => SYSTEM_PATH.iter().map(PathBuf::from).collect(),
    });
    let used = base.iter().map(|base| &base.leased).chain([leased]);
    let leases: std::io::Result<Vec<_>> = used.map(|leased| leased.lease.inheritable_fds()).collect();
    let leases = leases.map_err(|error| Error::Internal(error.to_string()))?;
    around.leases = leases.into_iter().flatten().collect();
    Ok(around)
}

/// Sets a sandbox up with nothing in it.
pub(crate) async fn try_sandbox(
    context: &Context,
    demand: Demand,
    limits: Limits,
) -> Result<SandboxReport, Error> {
    let scratch = context.inner.store.scratch("doctor")?;
    let confinement = Confinement {
        helper: context.inner.helper.clone().map(Into::into),
        demand,
        scratch: scratch.path().to_owned(),
        limits,
        ..Confinement::none()
    };
    wrun_exec::try_sandbox(&confinement, &context.cancel)
        .await?
        .map_err(|reason| Error::NoSandbox { reason })
}

/// Tries the limits that depend on the machine out, each alone: one that cannot be held hides no other.
pub(crate) async fn try_limits(context: &Context, demand: Demand) -> Result<Vec<(Capability, State)>, Error> {
    const ROOM: u64 = 256 * 1024 * 1024;
    let each = [
        (
            Capability::Memory,
            Limits {
                memory: Some(ROOM),
                ..Limits::default()
            },
        ),
        (
            Capability::ProcessCount,
            Limits {
                processes: Some(64),
                ..Limits::default()
            },
        ),
        (
            Capability::Processor,
            Limits {
                cpu: Some(1000),
                ..Limits::default()
            },
        ),
        (
            Capability::FileSize,
            Limits {
                file_size: Some(ROOM),
                ..Limits::default()
            },
        ),
        (
            Capability::Scratch,
            Limits {
                scratch: Some(ROOM),
                ..Limits::default()
            },
        ),
    ];
    let mut found = Vec::new();
    for (capability, limits) in each {
        let state = match try_sandbox(context, demand, limits).await {
            Ok(report) => report
                .capabilities
                .into_iter()
                .find(|(reported, _)| *reported == capability)
                .map(|(_, state)| state),
            Err(Error::NoSandbox { reason }) => Some(State::not_enforced(reason)),
            Err(error) => return Err(error),
        };
        found.extend(state.map(|state| (capability, state)));
    }
    Ok(found)
}

/// The interpreters that an environment is built on, which are outside of it.
fn interpreters(tools: &[ToolFound]) -> impl Iterator<Item = (PathBuf, Access)> {
    let pythons = tools
        .iter()
        .filter_map(|tool| Some((&tool.path, tool.python.as_ref()?)));
    let paths = pythons.flat_map(|(path, python)| [path.clone(), PathBuf::from(&python.base_prefix)]);
    // An interpreter of the system is part of what every task reads.
    let outside = paths.filter(|path| path != Path::new("/usr") && path != Path::new("/"));
    outside.map(|path| (path, Access::Read))
}

fn join(folders: &[PathBuf]) -> String {
    folders
        .iter()
        .map(|folder| folder.to_string_lossy())
        .collect::<Vec<_>>()
        .join(":")
}
