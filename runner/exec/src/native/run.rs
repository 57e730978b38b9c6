//! Running a native task.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wrun_core::event::Stream;
use wrun_core::grants::Limits;
use wrun_core::outcome::Outcome;
use wrun_core::sandbox::SandboxReport;
use wrun_process::{
    Cause, Command, InputPipe, Out, OutputPipe, ProcessError, Supervision, Terminal, signal_name, supervise,
};
use wrun_sandbox::{Conclusion, Confined, Confinement, Refusal, SandboxError, Start, start};

use super::error::NativeError;
use super::not_executed;
use super::output::{Budget, Target, forward};
use super::search::{find, not_executable, not_there};
use super::terminal::attend;
use crate::report::Report;
use crate::stdio::{Output, Stdin, Stdio};

/// The variable with the search path (POSIX.1-2017, XBD 8.3).
const PATH: &str = "PATH";

/// A command to run as a process of the machine.
#[derive(Debug)]
pub struct NativeTask {
    /// The program and its arguments. A name without `/` is looked for on `search_path`, any other is a path relative
    /// to `cwd`. In an image it is looked for there.
    pub command: Vec<String>,
    /// The folder that it starts in; absolute.
    pub cwd: PathBuf,
    /// Its whole environment. `PATH` is made of `search_path` if it is not in here, and [`wrun_process::MARK`] is
    /// added.
    pub env: BTreeMap<String, String>,
    /// The folders in which programs are looked for, in order.
    pub search_path: Vec<PathBuf>,
    /// What it is held to, limits included.
    pub confinement: Confinement,
    /// Descriptors that the task holds for as long as it lives, for instance of a lock; they keep their numbers.
    pub inherit: Vec<OwnedFd>,
    /// How long the tree gets between `SIGTERM` and `SIGKILL` when it is ended.
    pub grace: Duration,
}

/// What happens to a task beside its end.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'a> {
    /// It starts, held like this.
    Held(&'a SandboxReport),
    /// It was stopped, as Ctrl-Z on its terminal does, and waits for `SIGCONT`.
    Stopped,
    /// It ended well, but the kernel ended one of its processes as the task ran out of this many bytes of memory.
    ProcessLost {
        /// The limit.
        limit: u64,
    },
}

/// Runs a task to its end. Nothing of it is left afterwards, whatever it started.
///
/// Where the output goes to this process' own streams and has no limit, they are handed to the task as they are.
/// Otherwise each stream is moved along in order; how the two lie to each other in time is not kept. Numbers that
/// come through `signals` are sent to the task's process group. `hear` hears what is enforced, before anything else
/// is known of the run, and what happens later.
///
/// The task is killed when the thread that first polls this ends; see [`Command::die_with_parent`].
///
/// # Errors
/// The command is empty, or the system has no room for the process. A command that is missing or cannot be executed
/// is an outcome.
pub async fn run(
    task: NativeTask,
    stdio: Stdio,
    cancel: CancellationToken,
    signals: Option<mpsc::Receiver<i32>>,
    hear: impl Fn(Happening<'_>),
) -> Result<Report, NativeError> {
    let started = Instant::now();
    let report = |outcome| Report {
        outcome,
        elapsed: started.elapsed(),
    };
    if cancel.is_cancelled() {
        return Ok(report(Outcome::Cancelled));
    }
    let limits = task.confinement.limits.clone();
    let grace = task.grace;
    let image = task.confinement.image.clone();
    let (program, mut confined) = match begin(task, &stdio, &cancel).await? {
        Ok(begun) => begun,
        Err(outcome) => return Ok(report(outcome)),
    };
    hear(Happening::Held(&confined.report));
    let shown = confined.terminal.take();
    let terminal = shown
        .map(Terminal::new)
        .transpose()
        .map_err(|source| NativeError::Streams { source })?;
    let stops = confined.stops();
    let exhausted = CancellationToken::new();
    let _watched = confined
        .watch_memory(&exhausted)
        .map_err(|source| NativeError::Streams { source })?;
    let tree = &mut confined.tree;

    let ended = CancellationToken::new();
    let overflow = CancellationToken::new();
    let budget = Budget::new(limits.output);
    let input = tree.take_stdin();
    let target = |pipe: Option<OutputPipe>, stream| {
        let target = pipe
            .map(|pipe| Target::new(&stdio.output, stream).map(|target| (pipe, target)))
            .transpose();
        target.map_err(|source| NativeError::Streams { source })
    };
    let written = terminal.as_ref().map(Terminal::output);
    let stdout = target(written.or_else(|| tree.take_stdout()), Stream::Stdout)?;
    let stderr = target(tree.take_stderr(), Stream::Stderr)?;
    let streams = async {
        let output = |stream, piped: Option<(OutputPipe, Target)>| {
            let (budget, ended, overflow) = (&budget, &ended, &overflow);
            async move {
                if let Some((pipe, target)) = piped {
                    forward(pipe, target, stream, budget, ended, overflow).await;
                }
            }
        };
        tokio::join!(
            feed(input, &stdio.stdin, &ended),
            output(Stream::Stdout, stdout),
            output(Stream::Stderr, stderr),
            attend(terminal.as_ref(), &stdio, stops, &ended, || hear(
                Happening::Stopped
            )),
        );
    };
    let supervision = Supervision {
        time: limits.time,
        grace,
        cancel: &cancel,
        overflow: &overflow,
        exhausted: &exhausted,
        ended: &ended,
        signals,
    };
    let (cause, status) = supervise(tree, streams, supervision).await?;
    tracing::debug!(?cause, %status, usage = ?tree.usage(), "native task ended");
    let tier = confined.report.tier;
    let conclusion = confined.conclude(status);
    if let Some(reason) = &conclusion.not_executed {
        return Ok(report(match &image {
            Some(image) => not_executed::in_image(&program, reason, image),
            None => not_executed::on_machine(&program, reason, tier),
        }));
    }
    let outcome = outcome(cause, &conclusion, &limits);
    if let Some(limit) = limits.memory
        && conclusion.out_of_memory
        && outcome.is_success()
    {
        hear(Happening::ProcessLost { limit });
    }
    Ok(report(outcome))
}

/// Sets a sandbox up, runs nothing in it, and says what was held; or why it cannot be had.
///
/// # Errors
/// The system has no room for it.
pub async fn try_sandbox(
    confinement: &Confinement,
    cancel: &CancellationToken,
) -> Result<Result<SandboxReport, String>, NativeError> {
    let nothing = Command {
        cwd: PathBuf::from("/"),
        stdin: wrun_process::Stdin::Null,
        stdout: Out::Null,
        stderr: Out::Null,
        ..Command::default()
    };
    match start(confinement, nothing, cancel).await? {
        Start::Running(mut confined) => {
            confined.tree.end(Duration::ZERO).await?;
            Ok(Ok(confined.report))
        }
        Start::Refused(refusal) => Ok(Err(refusal.reason)),
        Start::Cancelled => Ok(Err("it was cancelled".to_owned())),
    }
}

/// Starts the task, or says how it ended without having started.
async fn begin(
    task: NativeTask,
    stdio: &Stdio,
    cancel: &CancellationToken,
) -> Result<Result<(PathBuf, Confined), Outcome>, NativeError> {
    let NativeTask {
        command,
        cwd,
        env,
        search_path,
        confinement,
        inherit,
        grace: _,
    } = task;
    let confinement = Confinement {
        terminal: stdio.terminal.as_ref().map(|size| *size.borrow()),
        ..confinement
    };
    let (name, args) = command.split_first().ok_or(NativeError::EmptyCommand)?;
    let program = match &confinement.image {
        // Where it is only the image can tell.
        Some(_) => PathBuf::from(name),
        None => match find(name, &cwd, &search_path) {
            Ok(program) => program,
            Err(outcome) => return Ok(Err(outcome)),
        },
    };
    let out = match stdio.output {
        Output::Inherit if confinement.limits.output.is_none() => Out::Inherit,
        Output::Inherit | Output::Sink(_) => Out::Piped,
    };
    let command = Command {
        program: program.clone(),
        args: args.iter().map(OsString::from).collect(),
        env: variables(env, &search_path)?,
        cwd,
        stdin: match stdio.stdin {
            Stdin::Null => wrun_process::Stdin::Null,
            Stdin::Inherit => wrun_process::Stdin::Inherit,
            Stdin::Bytes(_) => wrun_process::Stdin::Piped,
        },
        stdout: out,
        stderr: out,
        terminal: None,
        inherit,
        die_with_parent: true,
    };
    match start(&confinement, command, cancel).await {
        Ok(Start::Running(confined)) => Ok(Ok((program, *confined))),
        Ok(Start::Refused(Refusal { code, reason, .. })) => Ok(Err(Outcome::Refused {
            code: code.to_owned(),
            reason,
        })),
        Ok(Start::Cancelled) => Ok(Err(Outcome::Cancelled)),
        Err(SandboxError::Process(ProcessError::NotFound { program })) => Ok(Err(not_there(name, &program))),
        Err(SandboxError::Process(ProcessError::NotExecutable { program, reason })) => {
            Ok(Err(not_executable(&program, reason)))
        }
        Err(SandboxError::Process(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

/// The task's variables, with `PATH`.
fn variables(
    env: BTreeMap<String, String>,
    search_path: &[PathBuf],
) -> Result<Vec<(OsString, OsString)>, NativeError> {
    let path = if env.contains_key(PATH) {
        None
    } else {
        for folder in search_path {
            std::env::join_paths([folder]).map_err(|source| NativeError::SearchPath {
                folder: folder.clone(),
                source,
            })?;
        }
        std::env::join_paths(search_path)
            .ok()
            .map(|path| (OsString::from(PATH), path))
    };
    Ok(env
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .chain(path)
        .collect())
}

/// Writes the input and closes the pipe. A task that does not read it, or that is gone, is left with that.
async fn feed(pipe: Option<InputPipe>, stdin: &Stdin, ended: &CancellationToken) {
    if let (Some(mut pipe), Stdin::Bytes(bytes)) = (pipe, stdin) {
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            written = pipe.write_all(bytes) => {
                if let Err(error) = written {
                    tracing::debug!(%error, "the task does not take its input");
                }
            }
        }
    }
}

fn outcome(cause: Cause, conclusion: &Conclusion, limits: &Limits) -> Outcome {
    let &Conclusion {
        status,
        not_executed: _,
        out_of_memory,
        out_of_processes,
        out_of_disk,
    } = conclusion;
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exited { code },
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            Outcome::Signalled {
                signal,
                name: signal_name(signal),
            }
        }
    };
    match (cause, limits) {
        (
            Cause::TimedOut,
            Limits {
                time: Some(limit), ..
            },
        ) => Outcome::TimedOut { limit: *limit },
        (
            Cause::Overflowed,
            Limits {
                output: Some(limit), ..
            },
        ) => Outcome::OutputLimit { limit: *limit },
        (
            Cause::Exhausted,
            Limits {
                memory: Some(limit), ..
            },
        ) => Outcome::OutOfMemory { limit: *limit },
        (Cause::Cancelled, _) => Outcome::Cancelled,
        _ if ended.is_success() => ended,
        (
            _,
            Limits {
                memory: Some(limit), ..
            },
        ) if out_of_memory => Outcome::OutOfMemory { limit: *limit },
        (
            _,
            Limits {
                processes: Some(limit),
                ..
            },
        ) if out_of_processes => Outcome::OutOfProcesses {
            limit: *limit,
            code: ended.exit_code().into(),
        },
        (
            _,
            Limits {
                scratch: Some(limit), ..
            },
        ) if out_of_disk => Outcome::OutOfDisk {
            limit: *limit,
            code: ended.exit_code().into(),
        },
        _ => ended,
    }
}
