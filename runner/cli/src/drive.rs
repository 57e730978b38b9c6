//! Following a run to its end: events, signals, and what is said about the outcome.

use tokio::signal::unix::{Signal, SignalKind, signal};
use wrun::{Event, Outcome, RunHandle, asks_to_end};

use crate::denied::Place;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::speak::Speaker;
use crate::terminal::Terminal;

/// The signals that are handed on to a task.
pub(crate) struct Signals {
    sources: Vec<(i32, Signal)>,
}

impl Signals {
    /// Takes over the signals that ask a program to end or to do something.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new() -> Result<Self, Failure> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ];
        let sources = kinds
            .into_iter()
            .map(|kind| Ok((kind.as_raw_value(), signal(kind)?)))
            .collect::<std::io::Result<_>>()
            .map_err(|error| Failure::io("listen for signals", error))?;
        Ok(Self { sources })
    }

    /// The next signal's number.
    pub(crate) async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, source) in &mut self.sources {
                if source.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Follows a run to its end and gives the exit code. `place` is where its grants are written, and `terminal` what a task on a
/// terminal of its own is shown on.
pub(crate) async fn follow(
    mut handle: RunHandle,
    task: &str,
    named: bool,
    place: Place,
    speaker: &Speaker,
    mut terminal: Option<Terminal<'_>>,
) -> Result<u8, Failure> {
    let mut signals = Signals::new()?;
    let mut progress = Progress::new(speaker, task, named, place);
    let mut requests_to_end = 0;
    loop {
        tokio::select! {
            event = handle.next_event() => match event {
                Some(event) => {
                    if matches!(event, Event::Started { .. }) {
                        progress.clear();
                    }
                    progress.show(&event);
                    keep(terminal.as_mut(), &event, &handle);
                    // Nobody would learn what becomes of the run.
                    if speaker.is_cut_off() { handle.cancel() }
                }
                None => break,
            },
            () = changed(terminal.as_mut()) => {}
            number = signals.next() => {
                requests_to_end += u32::from(asks_to_end(number));
                // A task that does not end when it is asked to is ended when it is asked again.
                if requests_to_end > 1 { handle.cancel() } else { handle.signal(number) }
            }
        }
    }
    progress.clear();
    drop(terminal);
    match handle.wait().await {
        Ok(finished) => {
            if !speaker.is_json() {
                say_outcome(&finished.outcome, task, named, speaker);
            }
            Ok(finished.exit_code())
        }
        Err(error) => {
            let failure = Failure::from(error);
            if !speaker.is_json() {
                speaker.report(&failure);
            }
            Ok(failure.exit_code())
        }
    }
}

/// Has the terminal be the task's for as long as the task runs.
fn keep(terminal: Option<&mut Terminal<'_>>, event: &Event, handle: &RunHandle) {
    let Some(terminal) = terminal else { return };
    match event {
        Event::Started { .. } => terminal.enter(),
        Event::Retrying { .. } => terminal.leave(),
        Event::Stopped => {
            terminal.suspend();
            handle.signal(rustix::process::Signal::CONT.as_raw());
        }
        _ => {}
    }
}

async fn changed(terminal: Option<&mut Terminal<'_>>) {
    match terminal {
        Some(terminal) => terminal.changed().await,
        None => std::future::pending().await,
    }
}

/// Says how a run ended, where its exit code alone would not tell.
fn say_outcome(outcome: &Outcome, task: &str, named: bool, speaker: &Speaker) {
    match outcome {
        Outcome::Exited { code } if !named || *code == 0 => {}
        Outcome::Trapped { message, backtrace } => {
            let mut text = format!("`{task}` trapped: {message}");
            for frame in backtrace {
                text.push_str("\n    at ");
                text.push_str(frame);
            }
            speaker.error(&text);
        }
        Outcome::NotFound { command, searched } => {
            let whose = if named {
                format!("`{task}`: ")
            } else {
                String::new()
            };
            let text = format!(
                "{whose}the command `{command}` was not found in {}",
                searched.join(", ")
            );
            speaker.error(&text);
        }
        other => speaker.error(&format!("`{task}` {other}")),
    }
}
