//! Medians and percentiles of repeated measurements.

use std::time::{Duration, Instant};

/// Measurements in the order of their size.
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// Of single measurements.
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The measurement that this share of all is not above.
    pub(crate) fn at(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a few thousand measurements"
        )]
        let index = ((self.0.len().saturating_sub(1)) as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }

    /// The median.
    pub(crate) fn median(&self) -> Duration {
        self.at(0.5)
    }

    /// `median (10th - 90th percentile)`.
    pub(crate) fn text(&self) -> String {
        format!(
            "{} ({} - {})",
            time(self.median()),
            time(self.at(0.1)),
            time(self.at(0.9))
        )
    }
}

/// A duration in the unit that fits it.
pub(crate) fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        micros if micros < 1e3 => format!("{micros:.1} us"),
        micros if micros < 1e6 => format!("{:.2} ms", micros / 1e3),
        micros => format!("{:.2} s", micros / 1e6),
    }
}

/// Runs two things in turn, so that noise hits both, and gives their samples.
pub(crate) fn in_turn<E>(
    rounds: usize,
    mut one: impl FnMut() -> Result<(), E>,
    mut other: impl FnMut() -> Result<(), E>,
) -> Result<(Sample, Sample), E> {
    measured_in_turn(rounds, || timed(&mut one), || timed(&mut other))
}

/// The same for things that say themselves how long they took, without what had to be done before.
pub(crate) fn measured_in_turn<E>(
    rounds: usize,
    mut one: impl FnMut() -> Result<Duration, E>,
    mut other: impl FnMut() -> Result<Duration, E>,
) -> Result<(Sample, Sample), E> {
    let mut ones = Vec::with_capacity(rounds);
    let mut others = Vec::with_capacity(rounds);
    for round in 0..rounds {
        // Each goes first in half of the rounds.
        if round % 2 == 0 {
            ones.push(one()?);
            others.push(other()?);
        } else {
            others.push(other()?);
            ones.push(one()?);
        }
    }
    Ok((Sample::of(ones), Sample::of(others)))
}

/// The time that something takes.
pub(crate) fn timed<E>(mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}
