//! Findings about what a user wrote.

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It cannot be done.
    Error,
    /// It can be done, and is probably not what was meant.
    Warning,
}

/// A key as a token of a JSON pointer (RFC 6901, section 3).
#[must_use]
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A finding about a spec or a file that it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code, for instance `pip.requirement.syntax`.
    pub code: String,
    /// Where: a JSON pointer (RFC 6901) into the spec, for instance `/packages/0`; empty for the whole.
    pub at: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    /// An error at a place of the spec.
    pub fn error(code: impl Into<String>, at: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: code.into(),
            at: at.into(),
            message: message.into(),
            help: None,
        }
    }

    /// A warning at a place of the spec.
    pub fn warning(code: impl Into<String>, at: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, at, message)
        }
    }

    /// The same with a word on what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The candidate nearest to a misspelt word, if one is near enough to be meant.
#[must_use]
pub fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.75;
    let word = word.to_lowercase();
    // A letter swapped or added in a short word is a slip that the similarity alone rates too low.
    let score = |candidate: &str| match strsim::damerau_levenshtein(&word, candidate) {
        0 | 1 => 1.0,
        _ => strsim::jaro_winkler(&word, candidate),
    };
    candidates
        .into_iter()
        .map(|candidate| (score(&candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= NEAR_ENOUGH)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        assert_eq!(suggestion("comand", ["command", "module"]), Some("command"));
        assert_eq!(suggestion("rnu", ["run", "env"]), Some("run"));
        assert_eq!(suggestion("zzz", ["command", "module"]), None);
    }
}
