//! What a backend says when it cannot do what was asked.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Finding;

/// Why a backend cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// The spec is wrong.
    #[error("the environment's spec is wrong: {}", join(.0))]
    Invalid(Vec<Finding>),
    /// The spec is right, but not on this machine or for this kind of task.
    #[error("{message}")]
    Unsupported {
        /// Stable code.
        code: String,
        /// What does not go.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// There is no solution.
    #[error("{message}")]
    Unsatisfiable {
        /// Stable code.
        code: String,
        /// The solver's explanation.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Something outside failed: a server, a tool, a disk.
    #[error("{message}")]
    Failed {
        /// Stable code.
        code: String,
        /// What failed.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The user ended it.
    #[error("cancelled")]
    Cancelled,
}

impl Problem {
    /// One error at a place of the spec.
    #[must_use]
    pub fn invalid(finding: Finding) -> Self {
        Self::Invalid(vec![finding])
    }

    /// Something outside failed.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed {
            code: code.into(),
            message: message.into(),
            help: None,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Invalid(findings) => findings
                .first()
                .map_or("env.spec.invalid", |finding| &finding.code),
            Self::Unsupported { code, .. } | Self::Unsatisfiable { code, .. } | Self::Failed { code, .. } => {
                code
            }
            Self::Cancelled => "cancelled",
        }
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Invalid(findings) => findings.first()?.help.as_deref(),
            Self::Unsupported { help, .. } | Self::Unsatisfiable { help, .. } | Self::Failed { help, .. } => {
                help.as_deref()
            }
            Self::Cancelled => None,
        }
    }
}

fn join(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| finding.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

/// What a backend says of a step or question that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Stable code, for instance `uv.index.not-found`.
    pub code: String,
    /// What happened, in words.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether the same may work when tried again.
    pub retry: bool,
}

/// A step that failed, as a backend gets to see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// The step's label.
    pub label: String,
    /// The program's exit code, if it ran to its end.
    pub exit: Option<i32>,
    /// The signal that ended it, if one did.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Why the host did not do it, if it did not.
    pub refusal: Option<crate::question::Refusal>,
    /// The end of what the program wrote, secrets blotted out.
    pub output: String,
}
