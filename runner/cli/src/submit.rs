//! `wrun submit`.

use std::collections::VecDeque;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;
use wrun::core::task::MAXIMUM_BYTES;
use wrun::{LoadedTask, LockFile, Runner, Stdin, Submission, asks_to_end};

use crate::args::{How, Submit};
use crate::denied::Place;
use crate::drive::{Signals, follow};
use crate::failure::Failure;
use crate::lines::WholeLines;
use crate::speak::Speaker;
use crate::terminal::Terminal;

/// Runs the tasks of the files, side by side, and gives the first exit code that is not 0, in the order of the files.
pub(crate) async fn submit(
    runner: &Runner,
    arguments: &Submit,
    speaker: &Arc<Speaker>,
) -> Result<u8, Failure> {
    if arguments
        .files
        .iter()
        .filter(|file| file.as_os_str() == "-")
        .count()
        > 1
    {
        return Err(Failure::usage(
            "`-` is there twice, and standard input can be read once",
            "write the tasks into files",
        ));
    }
    let mut tasks = load_all(runner, &arguments.files, speaker)?;
    if arguments.tty {
        return match (tasks.pop(), tasks.is_empty()) {
            (Some((task, from_stdin)), true) => shown(runner, &task, from_stdin, arguments, speaker).await,
            _ => Err(Failure::usage(
                "`--tty` shows one task, and there are several",
                "give one task file, or leave `--tty` out",
            )),
        };
    }
    let named = tasks.len() > 1;
    let mut waiting: VecDeque<_> = tasks.into_iter().enumerate().collect();
    let mut codes = vec![0; waiting.len()];
    let mut signals = Signals::new()?;
    let mut cancellers = Vec::new();
    let local = tokio::task::LocalSet::new();
    let mut running: JoinSet<(usize, Result<u8, Failure>)> = JoinSet::new();
    local
        .run_until(async {
            loop {
                while running.len() < usize::from(arguments.jobs) {
                    let Some((index, (task, from_stdin))) = waiting.pop_front() else {
                        break;
                    };
                    let submission = submission(&task, from_stdin || named, &arguments.how)?;
                    let submission = if named {
                        submission.output(Arc::new(WholeLines::default()))
                    } else {
                        submission
                    };
                    let submission = if speaker.is_json() {
                        submission.output_as_events()
                    } else {
                        submission
                    };
                    let submission = if arguments.why_denied {
                        submission.why_denied()
                    } else {
                        submission
                    };
                    let handle = runner.submit(submission);
                    cancellers.push(handle.canceller());
                    let speaker = Arc::clone(speaker);
                    running.spawn_local(async move {
                        let name = &task.task.name;
                        let code = follow(handle, name, named, Place::TaskFile, &speaker, None).await;
                        (index, code)
                    });
                }
                let ended = tokio::select! {
                    biased;
                    number = signals.next() => {
                        if asks_to_end(number) {
                            give_up(&mut waiting, &mut codes, speaker);
                        }
                        continue;
                    }
                    ended = running.join_next() => ended,
                };
                let Some(ended) = ended else { break };
                let (index, code) = ended.map_err(|error| Failure::io("run a task", error))?;
                if let Some(slot) = codes.get_mut(index) {
                    *slot = code?;
                }
                if speaker.is_cut_off() {
                    give_up(&mut waiting, &mut codes, speaker);
                    for canceller in &cancellers {
                        canceller.cancel();
                    }
                }
            }
            Ok(())
        })
        .await
        .map(|()| codes.into_iter().find(|code| *code != 0).unwrap_or(0))
}

/// Runs one task on a terminal of its own.
async fn shown(
    runner: &Runner,
    task: &LoadedTask,
    from_stdin: bool,
    arguments: &Submit,
    speaker: &Speaker,
) -> Result<u8, Failure> {
    if from_stdin {
        return Err(Failure::usage(
            "`--tty` needs standard input, and the task was read from it",
            "give the task as a file",
        ));
    }
    let terminal = Terminal::wanted(true, speaker)?;
    let mut submission = submission(task, false, &arguments.how)?;
    if let Some(terminal) = &terminal {
        submission = submission.terminal(terminal.sizes());
    }
    if arguments.why_denied {
        submission = submission.why_denied();
    }
    let handle = runner.submit(submission);
    follow(handle, &task.task.name, false, Place::TaskFile, speaker, terminal).await
}

/// Takes the tasks that have not begun off the list: they are cancelled.
fn give_up(waiting: &mut VecDeque<(usize, (LoadedTask, bool))>, codes: &mut [u8], speaker: &Speaker) {
    for (index, (loaded, _)) in waiting.drain(..) {
        let name = &loaded.task.name;
        if let Some(code) = codes.get_mut(index) {
            *code = wrun::exit_code::CANCELLED;
        }
        if speaker.is_json() {
            speaker.event(name, &wrun::Error::Cancelled.event());
        } else {
            speaker.line("cancelled", &format!("`{name}` was not started"));
        }
    }
}

/// Loads all files first, so that a mistake in the last is said before the first runs. With each task comes whether it
/// was read from standard input.
fn load_all(
    runner: &Runner,
    files: &[std::path::PathBuf],
    speaker: &Speaker,
) -> Result<Vec<(LoadedTask, bool)>, Failure> {
    let mut tasks = Vec::new();
    let mut failures = Vec::new();
    for file in files {
        match load(runner, file) {
            Ok(task) => {
                for warning in &task.warnings {
                    speaker.line("warning", &warning.to_string());
                }
                tasks.push((task, file.as_os_str() == "-"));
            }
            Err(failure) => failures.push(failure),
        }
    }
    let last = failures.pop();
    for failure in &failures {
        speaker.failure(failure);
    }
    last.map_or(Ok(tasks), Err)
}

/// Reads a task file, or standard input for `-`.
///
/// # Errors
/// It cannot be read or has mistakes.
pub(crate) fn load(runner: &Runner, file: &Path) -> Result<LoadedTask, Failure> {
    if file.as_os_str() != "-" {
        return Ok(runner.load(file)?);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAXIMUM_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::io("read the task from standard input", error))?;
    if text.len() > MAXIMUM_BYTES {
        return Err(Failure::usage(
            "standard input holds more than 1 MiB, so it is no task file",
            "write the task itself to standard input",
        ));
    }
    let base = std::env::current_dir().map_err(|error| Failure::io("find the current folder", error))?;
    Ok(runner.load_text(&text, "<stdin>", base)?)
}

/// A task with how it is to be run.
///
/// # Errors
/// The lock cannot be read.
pub(crate) fn submission(task: &LoadedTask, no_stdin: bool, how: &How) -> Result<Submission, Failure> {
    let How {
        refresh,
        locked,
        held,
    } = how;
    let mut submission = Submission::from(task.clone())
        .stdin(if no_stdin { Stdin::Null } else { Stdin::Inherit })
        .sandbox(held.demand());
    if *refresh {
        submission = submission.refresh();
    }
    if let Some(path) = locked {
        submission = submission.locked(read_lock(path)?);
    }
    Ok(submission)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a lock that a person keeps lies outside of the store"
)]
fn read_lock(path: &Path) -> Result<LockFile, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format!("read the lock `{}`", path.display()), error))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(
            format!("`{}` is no lock of wrun: {error}", path.display()),
            "make one with `wrun plan TASK --lock FILE`",
        )
    })
}
