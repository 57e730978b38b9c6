//! Why an upstream proxy did not connect.

use std::io;

use crate::failure::{Cause, Failure};
use crate::target::Target;

/// Why an upstream proxy did not connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// What it said or did, as the end of a sentence that begins with the proxy.
    Said(String),
    /// It says that the target cannot be reached.
    Connect(Cause),
}

impl Problem {
    pub(crate) fn said(text: &str) -> Self {
        Self::Said(text.to_owned())
    }

    pub(crate) fn about(self, target: &Target) -> Failure {
        let target = target.clone();
        match self {
            Self::Said(problem) => Failure::Upstream { target, problem },
            Self::Connect(cause) => Failure::Connect { target, cause },
        }
    }
}

impl From<io::Error> for Problem {
    fn from(_: io::Error) -> Self {
        Self::said("ended the connection")
    }
}
