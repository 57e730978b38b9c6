//! Running a tool for its output.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::command::{Command, Out};
use crate::error::ProcessError;
use crate::lines::Lines;
use crate::pipe::OutputPipe;
use crate::spawn::spawn;
use crate::supervise::{Cause, Supervision, supervise};
use crate::tree::Tree;

/// How long a tool gets between `SIGTERM` and `SIGKILL`.
const GRACE: Duration = Duration::from_secs(2);

/// How much a tool may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Bytes of standard output; a tool that writes more is ended.
    pub stdout_max: usize,
    /// Bytes of standard error to keep, from its end.
    pub stderr_tail_max: usize,
    /// How long it may run.
    pub timeout: Duration,
}

/// A stream of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a tool said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The status of the main process.
    pub status: ExitStatus,
    /// Its exit code; `None` if a signal ended it.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr_tail: Vec<u8>,
    /// It ran out of its time and was ended.
    pub timed_out: bool,
    /// It was ended by the caller.
    pub cancelled: bool,
    /// It wrote more to its standard output than the limit, and was ended.
    pub too_large: bool,
}

impl Captured {
    /// The same for a tool that ended otherwise than the main process of its tree.
    #[must_use]
    pub fn ended_with(self, status: ExitStatus) -> Self {
        Self {
            status,
            exit: status.code(),
            signal: status.signal(),
            ..self
        }
    }

    /// Whether it came to its own end with exit code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.exit == Some(0) && !self.timed_out && !self.cancelled && !self.too_large
    }

    /// Its standard output as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The end of its standard error as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr_tail).into_owned()
    }
}

/// Runs a tool to its end and keeps what it writes. `on_line` gets each line as it comes, without its end and with
/// what is not UTF-8 replaced; empty lines are left out. The whole tree is gone afterwards.
///
/// The command's `stdout` and `stderr` are made pipes; its `stdin` is at its end if it is one.
///
/// # Errors
/// It could not be started or watched. A tool that fails, or that is ended, is no error.
pub async fn run_captured(
    command: Command,
    limits: CaptureLimits,
    cancel: &CancellationToken,
    on_line: &mut (dyn FnMut(Stream, &str) + Send),
) -> Result<Captured, ProcessError> {
    let mut tree = spawn(Command {
        stdout: Out::Piped,
        stderr: Out::Piped,
        ..command
    })?;
    capture(&mut tree, limits, cancel, on_line).await
}

/// As [`run_captured`], for a tool that was started with its output piped.
///
/// # Errors
/// It could not be watched.
pub async fn capture(
    tree: &mut Tree,
    limits: CaptureLimits,
    cancel: &CancellationToken,
    on_line: &mut (dyn FnMut(Stream, &str) + Send),
) -> Result<Captured, ProcessError> {
    drop(tree.take_stdin());
    let ended = CancellationToken::new();
    let overflow = CancellationToken::new();
    let (stdout, stderr) = (tree.take_stdout(), tree.take_stderr());
    let capture = Mutex::new(Capture {
        stdout: Vec::new(),
        tail: VecDeque::new(),
        limits,
        on_line,
    });
    let streams = async {
        tokio::join!(
            read(stdout, Stream::Stdout, &capture, &ended, &overflow),
            read(stderr, Stream::Stderr, &capture, &ended, &overflow),
        );
    };
    let supervision = Supervision {
        time: Some(limits.timeout),
        grace: GRACE,
        cancel,
        overflow: &overflow,
        exhausted: &CancellationToken::new(),
        ended: &ended,
        signals: None,
    };
    let (cause, status) = supervise(tree, streams, supervision).await?;
    let Capture { stdout, tail, .. } = capture.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Captured {
        status,
        exit: status.code(),
        signal: status.signal(),
        stdout,
        stderr_tail: tail.into(),
        timed_out: cause == Cause::TimedOut,
        cancelled: cause == Cause::Cancelled,
        too_large: cause == Cause::Overflowed,
    })
}

async fn read(
    pipe: Option<OutputPipe>,
    stream: Stream,
    capture: &Mutex<Capture<'_>>,
    ended: &CancellationToken,
    overflow: &CancellationToken,
) {
    let Some(mut pipe) = pipe else { return };
    let mut lines = Lines::default();
    loop {
        match pipe.next(ended).await {
            Ok([]) => break,
            Ok(bytes) => {
                let mut capture = lock(capture);
                let fits = capture.take(stream, bytes);
                lines.push(bytes, |line| (capture.on_line)(stream, line));
                if !fits {
                    overflow.cancel();
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(?stream, %error, "output of a tool cannot be read");
                break;
            }
        }
    }
    let mut capture = lock(capture);
    lines.finish(|line| (capture.on_line)(stream, line));
}

fn lock<'guard, 'line>(capture: &'guard Mutex<Capture<'line>>) -> MutexGuard<'guard, Capture<'line>> {
    capture.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was written so far.
struct Capture<'line> {
    stdout: Vec<u8>,
    tail: VecDeque<u8>,
    limits: CaptureLimits,
    on_line: &'line mut (dyn FnMut(Stream, &str) + Send),
}

impl Capture<'_> {
    /// Keeps bytes; whether there was room for them.
    fn take(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        match stream {
            Stream::Stdout => {
                let room = self.limits.stdout_max.saturating_sub(self.stdout.len());
                self.stdout.extend(bytes.iter().take(room));
                bytes.len() <= room
            }
            Stream::Stderr => {
                self.tail.extend(bytes);
                let surplus = self.tail.len().saturating_sub(self.limits.stderr_tail_max);
                self.tail.drain(..surplus);
                true
            }
        }
    }
}
