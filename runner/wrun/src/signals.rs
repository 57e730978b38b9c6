//! The signals that a run is sent.

use tokio::sync::mpsc;

/// SIGHUP, SIGINT, SIGQUIT and SIGTERM, by the numbers that POSIX.1-2017 gives them (XCU, `kill`).
const ENDING: [i32; 4] = [1, 2, 3, 15];

/// SIGCONT, which has no number of its own in POSIX.
pub(crate) const CONTINUE: i32 = rustix::process::Signal::CONT.as_raw();

/// Whether a signal asks a program to end: SIGHUP, SIGINT, SIGQUIT or SIGTERM.
#[must_use]
pub fn asks_to_end(number: i32) -> bool {
    ENDING.contains(&number)
}

/// The signals that a run is sent, and whether one of them asked it to end.
#[derive(Debug)]
pub(crate) struct Signals {
    received: mpsc::Receiver<i32>,
    asked_to_end: bool,
}

impl Signals {
    pub(crate) const fn new(received: mpsc::Receiver<i32>) -> Self {
        Self {
            received,
            asked_to_end: false,
        }
    }

    /// The next one; `None` when no more can come.
    pub(crate) async fn recv(&mut self) -> Option<i32> {
        let number = self.received.recv().await?;
        self.asked_to_end |= asks_to_end(number);
        Some(number)
    }

    /// Waits until one asks the run to end; never done if none does.
    pub(crate) async fn end(&mut self) {
        while !self.asked_to_end {
            if self.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether one asked the run to end.
    pub(crate) const fn asked_to_end(&self) -> bool {
        self.asked_to_end
    }
}
