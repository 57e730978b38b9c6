//! Processes of the task's own: how many, how important, how unlimited.

use crate::rows::{DENIED, FILTERED, GONE, Row, row};
use crate::scene::Scene;

/// Priorities, limits and floods.
pub(crate) fn rows(_: &Scene) -> Vec<Row> {
    const UNLIKELY: &str = "it takes a capability that root may not have";
    vec![
        row(31, "real-time").both(&[FILTERED]).for_root(),
        row(31, "real-time-attributes").both(&[FILTERED]).for_root(),
        row(31, "nice").both(&[FILTERED]).for_root(),
        row(31, "io-priority").both(&[FILTERED]).for_root(),
        row(32, "oom-score").both(&[DENIED, GONE]).varies(UNLIKELY),
        row(33, "raise-limits")
            .both(&[FILTERED])
            .varies(UNLIKELY)
            .may_lack(),
        row(38, "zombies 300").open(),
        row(34, "fork-bomb 20").open(),
        row(34, "thread-bomb 20").open(),
    ]
}
