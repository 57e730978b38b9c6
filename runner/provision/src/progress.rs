//! Events of one step.

use std::time::Instant;

use wrun_core::event::{Event, Phase};

use crate::host::Events;

/// A step that began.
pub(crate) struct StepProgress {
    events: Events,
    phase: Phase,
    step: usize,
    began: Instant,
}

impl StepProgress {
    /// Tells that a step begins.
    pub(crate) fn begin(events: &Events, phase: Phase, step: usize, of: usize, label: String) -> Self {
        tracing::debug!(?phase, step, of, label, "step began");
        events(Event::StepStarted {
            phase,
            step,
            of,
            label,
        });
        Self {
            events: events.clone(),
            phase,
            step,
            began: Instant::now(),
        }
    }

    /// Tells how much is done.
    pub(crate) fn progress(&self, done: u64, total: Option<u64>) {
        (self.events)(Event::StepProgress {
            phase: self.phase,
            step: self.step,
            done,
            total,
        });
    }

    /// Tells that the step is tried again; `attempt` is the one that follows.
    pub(crate) fn retried(&self, attempt: u32, reason: &str) {
        tracing::debug!(phase = ?self.phase, step = self.step, attempt, reason, "step is tried again");
        let reason = reason.to_owned();
        (self.events)(Event::StepRetried {
            phase: self.phase,
            step: self.step,
            attempt,
            reason,
        });
    }

    /// Tells that the step ended well.
    pub(crate) fn finish(self) {
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(phase = ?self.phase, step = self.step, milliseconds, "step ended");
        (self.events)(Event::StepFinished {
            phase: self.phase,
            step: self.step,
            milliseconds,
        });
    }
}
