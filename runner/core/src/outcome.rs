//! How a run ended.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit_code;
use crate::task::written_size;

/// How a run ended. Every run ends in exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The task ended by itself.
    Exited {
        /// Its own exit code.
        code: i32,
    },
    /// A signal ended the task.
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Its name, for instance `SIGSEGV`.
        name: String,
    },
    /// The task ran longer than its limit and was ended.
    TimedOut {
        /// The limit.
        #[serde(rename = "limit_ms", with = "millis")]
        #[schemars(with = "u64")]
        limit: Duration,
    },
    /// The task asked for more memory than its limit.
    OutOfMemory {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The task was refused a process under its limit, and then failed.
    OutOfProcesses {
        /// The limit.
        limit: u32,
        /// Its own exit code.
        code: i32,
    },
    /// The task filled its scratch folder, and then failed.
    OutOfDisk {
        /// The limit, in bytes.
        limit: u64,
        /// Its own exit code.
        code: i32,
    },
    /// The task wrote more than its output limit and was ended.
    OutputLimit {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The WebAssembly guest trapped.
    Trapped {
        /// What the trap was, for instance `unreachable instruction executed`.
        message: String,
        /// The guest's frames, innermost first.
        backtrace: Vec<String>,
    },
    /// The task was not started: something it asks for cannot be granted.
    Refused {
        /// A stable code, for instance `exec.sandbox.missing`.
        code: String,
        /// What was refused, why, and what to do.
        reason: String,
    },
    /// The command is not on the environment's search path.
    NotFound {
        /// The command as the task names it.
        command: String,
        /// The folders that were looked in.
        searched: Vec<String>,
    },
    /// The command was found and cannot be executed.
    NotExecutable {
        /// The path that was found.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// The caller ended the run.
    Cancelled,
}

/// The kinds of outcome that `[retry] on` can name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeClass {
    /// The task ended with an exit code other than 0.
    Exit,
    /// A signal ended the task.
    Signal,
    /// The task ran out of its time.
    Timeout,
    /// The task ran out of its memory.
    OutOfMemory,
    /// The WebAssembly guest trapped.
    Trap,
}

impl Outcome {
    /// Whether the task ran to its end and returned 0.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }

    /// The exit code that a process returns for this outcome; see [`exit_code`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // A WASI guest may return any 32-bit value; what a process can report is its low byte, and a failure
            // must never look like success.
            Self::Exited { code } | Self::OutOfProcesses { code, .. } | Self::OutOfDisk { code, .. } => {
                match code & 0xff {
                    0 if *code != 0 => 1,
                    low => u8::try_from(low).unwrap_or(1),
                }
            }
            Self::Signalled { signal, .. } => {
                u8::try_from(i32::from(exit_code::SIGNAL_BASE) + signal).unwrap_or(u8::MAX)
            }
            Self::TimedOut { .. } => exit_code::TIMED_OUT,
            Self::OutOfMemory { .. } => exit_code::OUT_OF_MEMORY,
            Self::OutputLimit { .. } => exit_code::OUTPUT_LIMIT,
            Self::Trapped { .. } => exit_code::TRAPPED,
            Self::Refused { .. } | Self::NotExecutable { .. } => exit_code::REFUSED,
            Self::NotFound { .. } => exit_code::NOT_FOUND,
            Self::Cancelled => exit_code::CANCELLED,
        }
    }

    /// The class that a retry rule matches; `None` for success and for what another attempt cannot change.
    #[must_use]
    pub const fn class(&self) -> Option<OutcomeClass> {
        match self {
            Self::Exited { code: 0 }
            | Self::Refused { .. }
            | Self::NotFound { .. }
            | Self::NotExecutable { .. }
            | Self::OutputLimit { .. }
            | Self::Cancelled => None,
            Self::Exited { .. } | Self::OutOfProcesses { .. } | Self::OutOfDisk { .. } => {
                Some(OutcomeClass::Exit)
            }
            Self::Signalled { .. } => Some(OutcomeClass::Signal),
            Self::TimedOut { .. } => Some(OutcomeClass::Timeout),
            Self::OutOfMemory { .. } => Some(OutcomeClass::OutOfMemory),
            Self::Trapped { .. } => Some(OutcomeClass::Trap),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(formatter, "exited with code {code}"),
            Self::Signalled { signal, name } if name == "SIGXFSZ" => write!(
                formatter,
                "ended by signal {signal} ({name}): it made a file larger than it may"
            ),
            Self::Signalled { signal, name } => write!(formatter, "ended by signal {signal} ({name})"),
            Self::TimedOut { limit } => {
                write!(
                    formatter,
                    "timed out after {}",
                    humantime::format_duration(*limit)
                )
            }
            Self::OutOfMemory { limit } => {
                write!(
                    formatter,
                    "ran out of memory: the limit is {}",
                    written_size(*limit)
                )
            }
            Self::OutOfProcesses { limit, code } => {
                write!(
                    formatter,
                    "ran out of processes: the limit is {limit}; it exited with code {code}"
                )
            }
            Self::OutOfDisk { limit, code } => write!(
                formatter,
                "filled its scratch folder of {}; it exited with code {code}",
                written_size(*limit)
            ),
            Self::OutputLimit { limit } => write!(
                formatter,
                "wrote more than its output limit of {}",
                written_size(*limit)
            ),
            Self::Trapped { message, .. } => write!(formatter, "trapped: {message}"),
            Self::Refused { reason, .. } => write!(formatter, "refused: {reason}"),
            Self::NotFound { command, .. } => write!(formatter, "command not found: {command}"),
            Self::NotExecutable { path, reason } => write!(formatter, "cannot execute {path}: {reason}"),
            Self::Cancelled => formatter.write_str("cancelled"),
        }
    }
}

/// A duration as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_never_looks_like_success() {
        for code in [1, 255, 256, -1, i32::MIN, 1024] {
            assert_ne!(Outcome::Exited { code }.exit_code(), 0, "{code}");
        }
        assert_eq!(Outcome::Exited { code: 0 }.exit_code(), 0);
        assert_eq!(
            Outcome::Signalled {
                signal: 11,
                name: "SIGSEGV".into()
            }
            .exit_code(),
            139
        );
    }

    #[test]
    fn every_code_of_the_table_is_listed_once() {
        let mut codes: Vec<u8> = exit_code::TABLE.iter().map(|row| row.0).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), exit_code::TABLE.len());
    }
}
