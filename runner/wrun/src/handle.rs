//! A run that was submitted.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wrun_core::event::Event;
use wrun_core::outcome::Outcome;

use crate::Error;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The outcome of the last attempt.
    pub outcome: Outcome,
    /// Attempts taken.
    pub attempts: u32,
    /// Time that the last attempt ran.
    pub elapsed: Duration,
}

impl Finished {
    /// The exit code of a process that ends like this; see [`exit_code`](crate::exit_code).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.outcome.exit_code()
    }
}

/// A run that was submitted. Dropping the handle cancels the run.
#[derive(Debug)]
pub struct RunHandle {
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) signals: mpsc::Sender<i32>,
    pub(crate) cancel: CancellationToken,
    pub(crate) run: JoinHandle<Result<Finished, Error>>,
}

impl RunHandle {
    /// The next event; `None` when the run has ended. Events that are not taken are kept until the handle is dropped.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Waits for the end of the run.
    ///
    /// # Errors
    /// The task did not come to run.
    pub async fn wait(mut self) -> Result<Finished, Error> {
        match (&mut self.run).await {
            Ok(result) => result,
            Err(error) => Err(Error::Internal(error.to_string())),
        }
    }

    /// Ends the run: what is being built is thrown away, and the whole process tree of the task is ended.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// A way to end the run from elsewhere.
    #[must_use]
    pub fn canceller(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Hands a signal on to a native task; before the task runs, and for a WebAssembly guest, it cancels the run.
    pub fn signal(&self, number: i32) {
        if self.signals.try_send(number).is_err() {
            self.cancel.cancel();
        }
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if !self.run.is_finished() {
            self.cancel.cancel();
        }
    }
}
