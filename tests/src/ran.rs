//! What came of a command.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// How a command ended and what it said.
pub struct Ran {
    /// The command line.
    pub command: String,
    /// Its exit code, or the negative number of the signal that ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its standard output as it came.
    pub bytes: Vec<u8>,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Debug for Ran {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
            bytes: _,
            elapsed,
        } = self;
        write!(
            formatter,
            "\n$ {command}\ncode {code} after {elapsed:.2?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}

impl Ran {
    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "the exit code is not {code}: {self:?}");
        self
    }

    /// Fails unless it ended well and its standard output is exactly this.
    #[track_caller]
    pub fn prints(&self, stdout: &str) -> &Self {
        self.ends_with(0);
        assert_eq!(self.stdout, stdout, "{self:?}");
        self
    }

    /// Fails unless its standard output holds a text.
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text),
            "standard output does not say {text:?}: {self:?}"
        );
        self
    }

    /// Fails unless everything that was needed was in the store.
    #[track_caller]
    pub fn finds_everything(&self) -> &Self {
        for mark in ["tools:", "solve:", "build:", "ready:"] {
            self.does_not_say(mark);
        }
        self
    }

    /// Fails unless its standard error holds a text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "standard error does not say {text:?}: {self:?}"
        );
        self
    }

    /// Fails if its standard error holds a text.
    #[track_caller]
    pub fn does_not_say(&self, text: &str) -> &Self {
        assert!(
            !self.stderr.contains(text),
            "standard error says {text:?}: {self:?}"
        );
        self
    }

    /// Its standard output as one JSON value.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// Its standard output as one JSON value for each line.
    #[must_use]
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("not JSON ({error}): {line}\n{self:?}"))
            })
            .collect()
    }
}
