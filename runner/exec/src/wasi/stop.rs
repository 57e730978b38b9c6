//! Why the host ends a guest from within.

/// Why the host ended a guest while it ran. It travels through the guest's frames as an error and cannot be caught
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    /// The time limit is over.
    #[error("the time limit is over")]
    TimedOut,
    /// The caller cancelled the run.
    #[error("the run was cancelled")]
    Cancelled,
    /// More was written than the output limit allows.
    #[error("the output limit is reached")]
    OutputLimit,
}
