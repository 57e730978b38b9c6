//! What a run came to.

use std::time::Duration;

use wrun_core::outcome::Outcome;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it ran, by the clock.
    pub elapsed: Duration,
}
