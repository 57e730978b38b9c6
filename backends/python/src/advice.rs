//! What a refusal of the host and a failed step mean.

use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::question::Refusal;

use crate::failure::{OFFLINE_HELP, classify};
use crate::redact;

/// What a refusal of the host means for a solve.
#[must_use]
pub fn refused(backend: &str, refusal: Refusal, message: &str) -> Problem {
    let (topic, help) = match refusal {
        Refusal::Cancelled => return Problem::Cancelled,
        Refusal::Offline => ("offline", OFFLINE_HELP),
        Refusal::TimedOut => (
            "timeout",
            "try again later; an index that never answers can be left out of `indexes`",
        ),
        Refusal::TooLarge => ("output.too-large", "ask for fewer packages in one environment"),
        Refusal::Unreachable => (
            "index.unreachable",
            "check the addresses of the indexes, and the network",
        ),
    };
    Problem::Failed {
        code: format!("{backend}.{topic}"),
        message: redact::strip(message),
        help: Some(help.to_owned()),
    }
}

/// What a failed step of a plan means.
#[must_use]
pub fn advice(backend: &str, failure: &StepFailure) -> Advice {
    if let Some(refusal) = failure.refusal {
        let problem = refused(
            backend,
            refusal,
            &format!("`{}` was not done: {}", failure.label, reason(refusal)),
        );
        return Advice {
            code: problem.code().to_owned(),
            message: problem.to_string(),
            help: problem.help().map(str::to_owned),
            retry: refusal == Refusal::Unreachable,
        };
    }
    match classify(&failure.output) {
        Some(known) => Advice {
            code: known.code(backend),
            message: known.message(),
            help: Some(known.help(backend, &[])),
            retry: known.is_transient(),
        },
        None => Advice {
            code: format!("{backend}.step.failed"),
            message: format!("`{}` failed{}", failure.label, exit_words(failure.exit)),
            help: Some("what it said is above; `WRUN_LOG=debug` shows how it was called".to_owned()),
            retry: false,
        },
    }
}

const fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Offline => "it needs the network, and the run is offline",
        Refusal::TimedOut => "it took too long",
        Refusal::TooLarge => "what it said is too large",
        Refusal::Unreachable => "the host could not be reached",
        Refusal::Cancelled => "it was cancelled",
    }
}

/// How a program ended, in words.
#[must_use]
pub fn exit_words(exit: Option<i32>) -> String {
    exit.map_or_else(
        || ": a signal ended it".to_owned(),
        |code| format!(" with exit code {code}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_is_tried_again() {
        let step = |output: &str| StepFailure {
            label: "install".to_owned(),
            exit: Some(1),
            signal: None,
            refusal: None,
            output: output.to_owned(),
        };
        assert!(advice("uv", &step("operation timed out")).retry);
        assert!(!advice("uv", &step("Hash mismatch for `x`")).retry);
        assert!(!advice("uv", &step("401 Unauthorized")).retry);
        assert_eq!(advice("uv", &step("who knows")).code, "uv.step.failed");
    }
}
