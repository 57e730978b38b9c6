//! What is wrong with a task file, before its place in the text is looked up.

use super::pointer::Pointer;
use super::words::listed;
use crate::diagnostic::{Severity, suggestion};
use crate::ray;

/// Which part of an entry is pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The key.
    Key,
    /// The value; of a table with a header, the header.
    Value,
}

/// Something wrong at a place of the document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Issue {
    /// How bad it is.
    pub(super) severity: Severity,
    /// Stable code.
    pub(super) code: String,
    /// Where.
    pub(super) at: Pointer,
    /// Which part of it.
    pub(super) part: Part,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
    /// A word for the place in the text.
    pub(super) label: String,
    /// The places that would have to be there. If one of them is there, and wrong, this is not worth a word.
    pub(super) missing: Vec<Pointer>,
    /// The place that was probably meant by a key that is not known.
    pub(super) meant: Option<Pointer>,
}

impl Issue {
    /// An error at a value.
    pub(super) fn error(
        code: &str,
        at: Pointer,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code: code.to_owned(),
            at,
            part: Part::Value,
            message: message.into(),
            help: None,
            label: label.into(),
            missing: Vec::new(),
            meant: None,
        }
    }

    /// A warning at a value.
    pub(super) fn warning(
        code: &str,
        at: Pointer,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, at, message, label)
        }
    }

    /// The same, at the key.
    pub(super) fn at_key(mut self) -> Self {
        self.part = Part::Key;
        self
    }

    /// The same, with a word on what to do.
    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, of one of these places not being there.
    pub(super) fn for_missing(mut self, places: impl IntoIterator<Item = Pointer>) -> Self {
        self.missing.extend(places);
        self
    }

    /// Whether it is an error.
    pub(super) const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error)
    }
}

/// The issue of a table under `[env]` that no backend has the name of.
pub(super) fn unknown_backend<'a>(
    name: &str,
    at: Pointer,
    backends: impl Iterator<Item = &'a str> + Clone,
) -> Issue {
    let meant = suggestion(name, backends.clone().chain([ray::KEY]));
    // It is no backend, though it stands in the same place.
    let backends = backends.filter(|backend| *backend != ray::KEY);
    let mut issue = Issue::error(
        "task.env.unknown",
        at,
        format!("there is no backend `{name}`"),
        "no such backend",
    );
    issue.help = match meant {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None if backends.clone().next().is_none() => Some("no backend is known here".to_owned()),
        None => Some(format!("the backends are {}", listed(backends, "and"))),
    };
    issue.at_key()
}
