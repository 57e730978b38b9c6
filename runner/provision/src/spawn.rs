//! Runs of programs whose output is kept.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wrun_process::{CaptureLimits, Captured, Command, run_captured};
use wrun_sandbox::Confinement;

use crate::error::ProvisionError;
use crate::host::TaskHost;

/// Bytes of standard output that are kept of a program.
const STDOUT_MAXIMUM: usize = 64 * 1024 * 1024;

/// Bytes at the end of standard error that are kept.
const STDERR_TAIL: usize = 64 * 1024;

/// How long a program may take to say what it is.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// A program to run.
pub(crate) struct Invocation {
    /// What it does, for people.
    pub(crate) label: String,
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Its arguments, without its own name.
    pub(crate) args: Vec<OsString>,
    /// All of its variables.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Its working folder.
    pub(crate) cwd: PathBuf,
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// What it may touch; a program that is only asked what it is has none.
    pub(crate) confinement: Option<Confinement>,
}

impl TaskHost {
    /// Runs a program to its end. Its process tree ends with it, with its time limit and with `cancel`.
    ///
    /// # Errors
    /// It cannot be started, it writes too much, or the user ended it.
    pub(crate) async fn capture(
        &self,
        invocation: Invocation,
        cancel: &CancellationToken,
    ) -> Result<Captured, ProvisionError> {
        let Invocation {
            label,
            program,
            args,
            env,
            cwd,
            timeout,
            confinement,
        } = invocation;
        tracing::debug!(program = %program.display(), "running");
        let command = Command {
            program: program.clone(),
            args,
            env,
            cwd,
            inherit: self.held()?,
            die_with_parent: true,
            ..Command::default()
        };
        let limits = CaptureLimits {
            stdout_max: STDOUT_MAXIMUM,
            stderr_tail_max: STDERR_TAIL,
            timeout,
        };
        let captured = match confinement {
            Some(confinement) => {
                self.capture_confined(&label, confinement, command, limits, cancel)
                    .await?
            }
            None => run_captured(command, limits, cancel, &mut |_, _| {}).await?,
        };
        if captured.cancelled {
            return Err(ProvisionError::Cancelled);
        }
        if captured.too_large {
            return Err(ProvisionError::OutputTooLarge {
                program,
                maximum: STDOUT_MAXIMUM,
            });
        }
        Ok(captured)
    }

    /// Asks a program what it is: few variables, a short time, no folder of its own; a program of an image among the
    /// image's files, where it is looked for by its name.
    ///
    /// # Errors
    /// It cannot be started, or the user ended it.
    pub(crate) async fn probe(
        &self,
        program: PathBuf,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Captured, ProvisionError> {
        let scratch = match &self.inside {
            Some(_) => Some(self.store.scratch("probe")?),
            None => None,
        };
        let confinement = self.inside.as_ref().zip(scratch.as_ref());
        let confinement = confinement.map(|(inside, scratch)| Confinement {
            helper: self.settings.helper.clone(),
            scratch: scratch.path().to_owned(),
            image: Some(inside.root.clone()),
            ..Confinement::none()
        });
        let invocation = Invocation {
            label: String::new(),
            program,
            args: args.into_iter().map(Into::into).collect(),
            env: vec![
                ("PATH".into(), self.path_variable()),
                ("LC_ALL".into(), "C.UTF-8".into()),
            ],
            cwd: PathBuf::from("/"),
            timeout: PROBE_LIMIT,
            confinement,
        };
        self.capture(invocation, &self.cancel).await
    }
}

/// The last lines of a text, for messages.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let kept: Vec<&str> = text.trim_end().lines().rev().take(lines).collect();
    kept.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// What a program wrote: its standard error, and its standard output where that is all there is.
pub(crate) fn written(captured: &Captured) -> String {
    let stderr = captured.stderr_text();
    if stderr.trim().is_empty() {
        captured.stdout_text()
    } else {
        stderr
    }
}
