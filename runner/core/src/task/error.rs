//! The errors of a task file, with their places.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

use super::issue::{Issue, Part};
use super::spans::{Lines, clip, locate};
use crate::diagnostic::Severity;
use crate::text::harmless;

/// Something wrong at a place of a task file.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct TaskError {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code, for instance `task.key.unknown`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The name of the file, as errors show it.
    pub file: String,
    /// The place in the text, in bytes; empty at a thing that is not there.
    pub span: Range<usize>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// A word for the place.
    pub label: String,
    #[serde(skip)]
    source_code: Arc<NamedSource<String>>,
}

impl Diagnostic for TaskError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        // There is nothing to show of an empty file.
        (!self.source_code.inner().is_empty()).then_some(&*self.source_code as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some(self.label.clone()), self.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that is wrong with a task file, in the order of the text; never empty.
///
/// It displays as one line for each: `task.toml:3:5: message`.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct TaskErrors {
    errors: Vec<TaskError>,
}

impl TaskErrors {
    /// The errors, in the order of the text.
    #[must_use]
    pub fn errors(&self) -> &[TaskError] {
        &self.errors
    }
}

impl TaskErrors {
    /// Adds those of another look at the same text, but for places that something was said of already.
    pub fn merge(&mut self, others: Self) {
        for other in others.errors {
            let is_known = self
                .errors
                .iter()
                .any(|error| error.span.start < other.span.end && other.span.start < error.span.end);
            if !is_known {
                self.errors.push(other);
            }
        }
        self.errors.sort_by_key(|error| error.span.start);
    }
}

impl IntoIterator for TaskErrors {
    type Item = TaskError;
    type IntoIter = std::vec::IntoIter<TaskError>;

    fn into_iter(self) -> Self::IntoIter {
        self.errors.into_iter()
    }
}

impl fmt::Display for TaskErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(
                formatter,
                "{}:{}:{}: {}",
                error.file, error.line, error.column, error.message
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for TaskErrors {}

impl Diagnostic for TaskErrors {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("task.invalid"))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.errors.first().and_then(Diagnostic::source_code)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.errors.iter().map(|error| error as &dyn Diagnostic)))
    }
}

/// A text whose issues become errors.
#[derive(Debug)]
pub(super) struct Report {
    source_code: Arc<NamedSource<String>>,
    lines: Lines,
}

impl Report {
    /// Errors that are reported for one file. Nobody reads more, and a file that is no task file has no end of them.
    const MAXIMUM_ERRORS: usize = 100;

    /// Of the text of a file of that name.
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self {
            source_code: Arc::new(NamedSource::new(name, masked(text))),
            lines: Lines::of(text),
        }
    }

    /// The error of an issue, at a place in bytes.
    pub(super) fn at(&self, span: &Range<usize>, issue: Issue) -> TaskError {
        let text = self.source_code.inner();
        let span = clip(text, span);
        let (line, column) = self.lines.position(text, span.start);
        TaskError {
            severity: issue.severity,
            code: issue.code,
            // What is quoted in them comes from the file, and would be obeyed by a terminal.
            message: harmless(&issue.message).into_owned(),
            help: issue.help.map(|help| harmless(&help).into_owned()),
            file: self.source_code.name().to_owned(),
            span,
            line,
            column,
            label: harmless(&issue.label).into_owned(),
            source_code: Arc::clone(&self.source_code),
        }
    }

    /// The errors of issues at their places in the document.
    pub(super) fn place(&self, document: &toml::de::DeTable<'_>, issues: Vec<Issue>) -> Vec<TaskError> {
        let mut placed: Vec<(Range<usize>, Issue)> = issues
            .into_iter()
            .map(|issue| (locate(document, &issue.at, issue.part), issue))
            .collect();
        placed.sort_by_key(|(span, _)| span.start);
        self.all(placed)
    }

    /// The errors of issues that have places in the text.
    pub(super) fn all(&self, placed: Vec<(Range<usize>, Issue)>) -> Vec<TaskError> {
        let unsaid = placed.len().saturating_sub(Self::MAXIMUM_ERRORS);
        let mut errors: Vec<TaskError> = placed
            .into_iter()
            .take(Self::MAXIMUM_ERRORS)
            .map(|(span, issue)| self.at(&span, issue))
            .collect();
        if let Some(last) = errors.last_mut().filter(|_| unsaid > 0) {
            let more = format!("{unsaid} more mistakes follow, which are not shown");
            last.help = Some(
                last.help
                    .take()
                    .map_or(more.clone(), |help| format!("{help}\n{more}")),
            );
        }
        errors
    }

    /// The errors as one. If there are none, `otherwise` says what is known.
    pub(super) fn errors(&self, mut errors: Vec<TaskError>, otherwise: impl Into<String>) -> TaskErrors {
        if errors.is_empty() {
            let at = super::pointer::Pointer::default();
            let issue = Issue {
                part: Part::Key,
                ..Issue::error("task.invalid", at, otherwise, "here")
            };
            errors.push(self.at(&(0..0), issue));
        }
        TaskErrors { errors }
    }
}

/// The text as it is shown, with the users and passwords of addresses covered; every other byte stays in its place.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let is_end = |letter: char| letter.is_whitespace() || "/?#\"'`<>,".contains(letter);
        let authority = after.split(is_end).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        // A name alone is a secret with HTTP, where it is a token; with SSH it is a name.
        let is_secret = user.contains(':') || before.ends_with("http") || before.ends_with("https");
        shown.push_str(before);
        shown.push_str("://");
        if is_secret {
            shown.push_str(&"*".repeat(user.len()));
        } else {
            shown.push_str(user);
        }
        rest = after.get(user.len()..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_are_covered_and_nothing_else() {
        for (text, shown) in [
            (
                "a = \"https://user:pw@h/simple\" # @x",
                "a = \"https://*******@h/simple\" # @x",
            ),
            (
                "['https://token@h', 'http://h/a@b']",
                "['https://*****@h', 'http://h/a@b']",
            ),
            ("x @ git+ssh://git@h/lib.git", "x @ git+ssh://git@h/lib.git"),
            ("git+https://ü:p@ss@h", "git+https://*******@h"),
            ("nothing:// at @all", "nothing:// at @all"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(text).len(), text.len());
        }
    }
}
