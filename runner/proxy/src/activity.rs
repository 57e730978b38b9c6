//! When a connection was heard of, and from which side.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::gate::Pace;

/// For how long a server that has just said something is taken to say more.
const BREATH: Duration = Duration::from_secs(5);

/// When a connection was last heard of.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<Heard>);

#[derive(Debug)]
struct Heard {
    /// Either side.
    last: Instant,
    /// The client.
    asked: Instant,
    /// The server.
    answered: Option<Instant>,
    /// From when on bytes of the answer are counted.
    counted_from: Instant,
    /// What the server said since then, in bytes.
    counted: u64,
}

/// A side of a connection that is listened to.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    activity: &'a Activity,
    is_server: bool,
}

impl Side<'_> {
    /// It said so many bytes.
    pub(crate) fn says(self, bytes: usize) {
        let now = Instant::now();
        let mut heard = self.activity.heard();
        heard.last = now;
        if !self.is_server {
            heard.asked = now;
            heard.counted = 0;
            return;
        }
        heard.answered = Some(now);
        if heard.counted == 0 {
            heard.counted_from = now;
        }
        heard.counted = heard.counted.saturating_add(bytes as u64);
    }

    /// What it said was taken by the other side.
    pub(crate) fn is_heard(self) {
        self.activity.heard().last = Instant::now();
    }
}

impl Activity {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(Heard {
            last: now,
            asked: now,
            answered: None,
            counted_from: now,
            counted: 0,
        }))
    }

    pub(crate) const fn client(&self) -> Side<'_> {
        Side {
            activity: self,
            is_server: false,
        }
    }

    pub(crate) const fn server(&self) -> Side<'_> {
        Side {
            activity: self,
            is_server: true,
        }
    }

    /// Whether an answer is waited for, or its end.
    pub(crate) fn is_awaited(&self) -> bool {
        let heard = self.heard();
        heard
            .answered
            .is_none_or(|answered| answered < heard.asked || answered.elapsed() < BREATH)
    }

    /// Ends when nothing was heard for so long.
    pub(crate) async fn silence(&self, limit: Duration) {
        loop {
            let last = self.heard().last;
            let Some(end) = last.checked_add(limit) else {
                return std::future::pending().await;
            };
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Ends when an answer goes on and on and brings less than it has to.
    pub(crate) async fn drip(&self, least: Option<Pace>) {
        let Some(least) = least else {
            return std::future::pending().await;
        };
        loop {
            let end = {
                let mut heard = self.heard();
                let now = Instant::now();
                if heard.counted > 0 && now.duration_since(heard.counted_from) >= least.time {
                    let goes_on = heard.answered.is_some_and(|answered| answered.elapsed() < BREATH);
                    if goes_on && heard.counted < least.bytes {
                        return;
                    }
                    heard.counted = 0;
                }
                let begin = if heard.counted > 0 {
                    heard.counted_from
                } else {
                    now
                };
                begin.checked_add(least.time)
            };
            match end {
                Some(end) => sleep_until(end).await,
                None => return std::future::pending().await,
            }
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Pace = Pace {
        bytes: 100,
        time: Duration::from_secs(30),
    };

    /// Whether an answer of so many bytes each second is given up within two minutes.
    async fn is_given_up(bytes: usize, asks: bool) -> bool {
        let activity = Activity::new();
        let says = async {
            for _ in 0..120 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if asks {
                    activity.client().says(1);
                }
                activity.server().says(bytes);
            }
        };
        tokio::select! {
            () = activity.drip(Some(LEAST)) => true,
            () = says => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_drips_is_given_up() {
        assert!(is_given_up(1, false).await);
        assert!(!is_given_up(10, false).await);
        assert!(!is_given_up(1, true).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_answer_to_a_connection_that_is_kept_is_no_drip() {
        let activity = Activity::new();
        activity.server().says(1);
        assert!(activity.is_awaited());
        let drip = activity.drip(Some(LEAST));
        assert!(tokio::time::timeout(Duration::from_mins(10), drip).await.is_err());
        assert!(!activity.is_awaited());
        activity.client().says(1);
        assert!(activity.is_awaited());
    }
}
