//! How fast an answer arrives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// What an answer has to bring at least while it is waited for, in bytes: less than any line that can be worked with.
pub(crate) const LEAST: u64 = 8 * 1024;

/// Counts what an answer brings.
pub(crate) struct Arrival<'a> {
    since: Instant,
    counted: u64,
    stall: Duration,
    told: &'a AtomicU64,
}

impl<'a> Arrival<'a> {
    /// An answer that has to bring [`LEAST`] in each `stall`. What it brings is added to `told`.
    pub(crate) fn new(stall: Duration, told: &'a AtomicU64) -> Self {
        Self {
            since: Instant::now(),
            counted: 0,
            stall,
            told,
        }
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// They come too slowly.
    pub(crate) fn brings(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.counted += bytes.len() as u64;
        self.told.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.since.elapsed() < self.stall {
            return Ok(());
        }
        if self.counted < LEAST {
            return Err(Failure::too_slow(self.counted, self.stall));
        }
        self.since = Instant::now();
        self.counted = 0;
        Ok(())
    }
}
