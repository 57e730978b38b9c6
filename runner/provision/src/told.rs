//! What a backend is told of an error of its host.

use miette::Diagnostic as _;
use wrun_core::problem::Problem;
use wrun_core::question::Refusal;

use crate::error::ProvisionError;
use crate::http::HttpError;

impl ProvisionError {
    /// Why a question was not answered, if this error is such a reason and not a failure of the host.
    pub(crate) const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Offline { .. } => Some(Refusal::Offline),
            Self::StepTimedOut { .. } => Some(Refusal::TimedOut),
            Self::Http(error) => error.refusal(),
            Self::OutputTooLarge { .. } => Some(Refusal::TooLarge),
            _ => None,
        }
    }
}

impl HttpError {
    const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Unreachable { timed_out: true, .. } | Self::TooSlow { .. } => Some(Refusal::TimedOut),
            Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Address { .. }
            | Self::Redirects { .. }
            | Self::Content { .. } => Some(Refusal::Unreachable),
            Self::TooLarge { .. } => Some(Refusal::TooLarge),
            Self::Status(_) | Self::NoRoom { .. } => None,
        }
    }
}

impl From<ProvisionError> for Problem {
    fn from(error: ProvisionError) -> Self {
        if matches!(error, ProvisionError::Cancelled) {
            return Self::Cancelled;
        }
        Self::Failed {
            code: error
                .code()
                .map_or_else(|| "provision.failed".to_owned(), |code| code.to_string()),
            message: error.to_string(),
            help: error
                .help()
                .map(|help| help.to_string())
                .filter(|help| !help.is_empty()),
        }
    }
}
