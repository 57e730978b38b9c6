//! Why a client did not get what it asked for.

use std::fmt;
use std::io;

use crate::refusal::Refusal;
use crate::target::{Malformed, Target};

/// Why a client did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The client is gone: there is nobody to answer.
    #[error("the client is gone")]
    Gone,
    /// The client does not speak the protocol.
    #[error("the request cannot be understood: {0}")]
    Malformed(&'static str),
    /// The client's head is beyond the limit.
    #[error("the head of the request is too large")]
    TooLarge,
    /// The client did not say in time what it wants.
    #[error("the request took too long")]
    Slow,
    /// The client does not say who it is, or wrongly.
    #[error("this proxy is for another program")]
    Unknown,
    /// The target is not to be reached.
    #[error("{0}")]
    Refused(Refusal),
    /// The target cannot be reached.
    #[error("cannot connect to `{target}`: {cause}")]
    Connect { target: Target, cause: Cause },
    /// The upstream proxy did not connect.
    #[error("cannot reach `{target}`: the proxy of this machine {problem}")]
    Upstream { target: Target, problem: String },
    /// The target cannot be spoken to in secret, or is not what it says it is.
    #[error("cannot make a secure connection to `{target}`: {problem}")]
    Encryption { target: Target, problem: String },
    /// The server's answer cannot be passed on.
    #[error("the answer of `{target}` cannot be passed on: {problem}")]
    Answer { target: Target, problem: &'static str },
    /// The server ended the connection before it had answered. The client is told by the same.
    #[error("`{target}` broke off the connection")]
    BrokenOff { target: Target },
}

/// Why a connection was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing listens there.
    Refused,
    /// Nothing answered in time.
    TimedOut,
    /// There is no way there.
    Unreachable,
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Unreachable,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refused => "the connection was refused",
            Self::TimedOut => "there was no answer in time",
            Self::Unreachable => "it is not reachable",
        })
    }
}

impl From<Malformed> for Failure {
    fn from(Malformed(reason): Malformed) -> Self {
        Self::Malformed(reason)
    }
}
