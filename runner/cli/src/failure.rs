//! What the command says when it fails.

use std::path::Path;

use miette::Diagnostic;
use wrun::Event;

/// Why the command failed.
#[derive(Debug, Diagnostic)]
pub(crate) enum Failure {
    /// The library says so.
    #[diagnostic(transparent)]
    Wrun(wrun::Error),
    /// The command line is wrong.
    #[diagnostic(code("command.usage"))]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// The system failed.
    #[diagnostic(code("command.io"))]
    Io {
        /// What was being done.
        doing: String,
        /// The system's reason.
        reason: String,
    },
}

impl Failure {
    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            help: Some(help.into()),
        }
    }

    /// The system failed.
    pub(crate) fn io(doing: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Io {
            doing: doing.into(),
            reason: error.to_string(),
        }
    }

    /// What the process returns.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Wrun(error) => error.exit_code(),
            Self::Usage { .. } | Self::Io { .. } => wrun::exit_code::FAILED,
        }
    }

    /// The stable code.
    pub(crate) fn code_text(&self) -> String {
        match self {
            Self::Wrun(error) => error.code_text(),
            other => other
                .code()
                .map_or_else(|| "failed".to_owned(), |code| code.to_string()),
        }
    }

    /// The event that says so.
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Wrun(error) => error.event(),
            other => Event::Failed {
                code: other.code_text(),
                message: other.to_string(),
                help: other.help_text(),
                exit_code: other.exit_code(),
                problems: Vec::new(),
            },
        }
    }

    /// The name that the task of a file has which cannot be read or understood; empty if it is about no file.
    pub(crate) fn task_name(&self) -> String {
        let file = match self {
            Self::Wrun(wrun::Error::Task(errors)) => {
                errors.errors().first().map(|error| Path::new(&error.file))
            }
            Self::Wrun(wrun::Error::TaskFile { path, .. }) => Some(path.as_path()),
            _ => None,
        };
        file.and_then(Path::file_stem)
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// What to do.
    pub(crate) fn help_text(&self) -> Option<String> {
        match self {
            Self::Wrun(error) => error.help_text(),
            other => other.help().map(|help| help.to_string()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrun(error) => error.fmt(formatter),
            Self::Usage { message, .. } => formatter.write_str(message),
            Self::Io { doing, reason } => write!(formatter, "cannot {doing}: {reason}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wrun(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl From<wrun::Error> for Failure {
    fn from(error: wrun::Error) -> Self {
        Self::Wrun(error)
    }
}

impl From<wrun_store::StoreError> for Failure {
    fn from(error: wrun_store::StoreError) -> Self {
        Self::Wrun(error.into())
    }
}
