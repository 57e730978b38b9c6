//! The line that tells of an attempt.

use serde_json::json;

use crate::verdict::Stop;
use crate::words::Words;

/// An attempt and what came of it.
pub(crate) struct Report {
    id: Option<String>,
    attempt: String,
    verdict: &'static str,
    errno: Option<String>,
    detail: String,
}

impl Report {
    /// Makes an attempt, of which the first word is the name.
    pub(crate) fn of(id: Option<&str>, words: &[String]) -> Self {
        let result = match words
            .split_first()
            .and_then(|(name, rest)| Some((crate::attempt(name)?, rest)))
        {
            Some((attempt, rest)) => Words::resolved(rest).and_then(|words| (attempt.run)(&words)),
            None => Err(Stop::Misused("there is no such attempt".to_owned())),
        };
        let (verdict, errno, detail) = match result {
            Ok(detail) => ("open", None, detail),
            Err(stop) => {
                let detail = stop.to_string();
                match stop {
                    Stop::Refused { errno, .. } => ("blocked", Some(errno.to_string()), detail),
                    Stop::Blocked(_) => ("blocked", None, detail),
                    Stop::Unavailable(_) => ("unavailable", None, detail),
                    Stop::Misused(_) => ("error", None, detail),
                }
            }
        };
        Self::new(id, words, verdict, errno, detail)
    }

    /// An attempt whose process was ended by a signal, or did not end.
    pub(crate) fn ended(id: Option<&str>, words: &[String], signal: Option<i32>) -> Self {
        let (verdict, name) = match signal {
            Some(libc::SIGSYS) => ("blocked", "SIGSYS"),
            Some(libc::SIGKILL) => ("blocked", "SIGKILL"),
            Some(_) => ("error", "a signal"),
            None => ("error", "nothing"),
        };
        let detail = match signal {
            Some(number) => format!("ended by signal {number}"),
            None => "no word within its time".to_owned(),
        };
        Self::new(id, words, verdict, Some(name.to_owned()), detail)
    }

    fn new(
        id: Option<&str>,
        words: &[String],
        verdict: &'static str,
        errno: Option<String>,
        detail: String,
    ) -> Self {
        Self {
            id: id.map(str::to_owned),
            attempt: words.join(" "),
            verdict,
            errno,
            detail,
        }
    }

    /// The line, with its end.
    pub(crate) fn line(&self) -> String {
        let Self {
            id,
            attempt,
            verdict,
            errno,
            detail,
        } = self;
        let line = json!({
            "id": id, "attempt": attempt, "verdict": verdict, "errno": errno, "detail": detail,
        });
        format!("{line}\n")
    }

    /// What a program that makes one attempt returns.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.verdict == "error" { 2 } else { 0 }
    }
}
