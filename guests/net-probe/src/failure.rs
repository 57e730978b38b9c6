//! What did not work, and why.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::num::ParseIntError;

use wasi::io::streams::StreamError;
use wasi::sockets::network::ErrorCode;

/// A step that failed.
pub(crate) struct Failure {
    step: &'static str,
    reason: String,
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.step, self.reason)
    }
}

/// An error that can be told as the reason of a failure.
pub(crate) trait Reason {
    /// The one line that says why.
    fn reason(&self) -> String;
}

impl Reason for ErrorCode {
    fn reason(&self) -> String {
        self.name().to_owned()
    }
}

impl Reason for StreamError {
    fn reason(&self) -> String {
        match self {
            Self::LastOperationFailed(error) => error.to_debug_string(),
            Self::Closed => "closed".to_owned(),
        }
    }
}

impl Reason for io::Error {
    fn reason(&self) -> String {
        self.to_string()
    }
}

impl Reason for ParseIntError {
    fn reason(&self) -> String {
        self.to_string()
    }
}

/// Says which step an error belongs to.
pub(crate) trait During<T> {
    /// The same result, with the error as the failure of a step.
    fn during(self, step: &'static str) -> Result<T, Failure>;
}

impl<T, E: Reason> During<T> for Result<T, E> {
    fn during(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            reason: error.reason(),
        })
    }
}
