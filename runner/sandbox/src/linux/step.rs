//! From errors of the system to the step that failed.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::message::{Failure, Step};

pub(super) fn failure(step: Step, errno: i32) -> Failure {
    Failure {
        step,
        subject: None,
        errno,
    }
}

/// Gives an error its step.
pub(super) trait Try<T> {
    fn or_fail(self, step: Step) -> Result<T, Failure>;

    fn or_fail_at(self, step: Step, subject: &Path) -> Result<T, Failure>;
}

impl<T, E: Number> Try<T> for Result<T, E> {
    fn or_fail(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| failure(step, error.number()))
    }

    fn or_fail_at(self, step: Step, subject: &Path) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            subject: Some(subject.to_string_lossy().into_owned()),
            errno: error.number(),
        })
    }
}

/// An error that has a number of the system.
pub(super) trait Number {
    fn number(&self) -> i32;
}

impl Number for Errno {
    fn number(&self) -> i32 {
        self.raw_os_error()
    }
}

impl Number for io::Error {
    fn number(&self) -> i32 {
        self.raw_os_error().unwrap_or(libc::EIO)
    }
}
