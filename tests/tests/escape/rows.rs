//! What is to come of an attempt.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::Value;
use wrun_tests::Ran;

use crate::scene::{Tier, User};

/// It is not there.
pub(crate) const GONE: &[&str] = &["ENOENT", "ENOTDIR"];
/// It is there and not given.
pub(crate) const DENIED: &[&str] = &["EACCES", "EPERM", "EROFS", "EXDEV"];
/// The call is not made.
pub(crate) const FILTERED: &[&str] = &["EPERM", "EACCES", "ENOSYS", "SIGSYS"];
/// There is no such process, or the call is not made.
pub(crate) const NO_PROCESS: &[&str] = &["ESRCH", "ENOENT", "EPERM", "EACCES", "ENOSYS", "SIGSYS"];
/// Nobody answers, or there is no way, or no socket.
pub(crate) const UNREACHABLE: &[&str] = &[
    "ECONNREFUSED",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "EPERM",
    "EACCES",
    "EAFNOSUPPORT",
];
/// No socket of the kind.
pub(crate) const NO_SOCKET: &[&str] = &[
    "EPERM",
    "EACCES",
    "EAFNOSUPPORT",
    "EPROTONOSUPPORT",
    "ESOCKTNOSUPPORT",
    "ENOSYS",
];
/// There is no more of it.
pub(crate) const EXHAUSTED: &[&str] = &["EAGAIN", "ENOMEM", "ENOSPC", "EDQUOT", "EFBIG", "SIGKILL"];
/// It worked and had no effect.
pub(crate) const NO_EFFECT: &[&str] = &[""];

/// What is to come of an attempt in a tier.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// It is refused, with one of these reasons; an empty one stands for an attempt without effect.
    Blocked(Vec<&'static str>),
    /// It works: it is granted, or nothing to be kept from.
    Open,
    /// Either; the tier makes no promise, and this is why.
    Unpromised(&'static str),
}

/// What is to come of an attempt without a sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Control {
    /// It works.
    Open,
    /// It works for root.
    OpenForRoot,
    /// It depends on the machine; this is why.
    Varies(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(reasons) => write!(formatter, "blocked by {reasons:?}"),
            Self::Open => formatter.write_str("open"),
            Self::Unpromised(why) => write!(formatter, "open or blocked, as {why}"),
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => formatter.write_str("open"),
            Self::OpenForRoot => formatter.write_str("open for root"),
            Self::Varies(why) => write!(formatter, "open or blocked, as {why}"),
        }
    }
}

/// An attempt and what is to come of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The number in the list of attempts that a release has to pass.
    pub(crate) item: u32,
    words: Vec<String>,
    control_words: Option<Vec<String>>,
    full: Expected,
    /// Where that is not what the tier `full` has.
    in_image: Option<Expected>,
    restricted: Expected,
    control: Control,
    /// Whether the machine may have nothing to try it on.
    may_lack: bool,
}

/// An attempt: words separated by spaces, where `''` is an empty one. Blocked in both tiers and possible without, unless
/// said otherwise.
pub(crate) fn row(item: u32, words: &str) -> Row {
    Row {
        item,
        words: split(words),
        control_words: None,
        full: Expected::Blocked(FILTERED.to_vec()),
        in_image: None,
        restricted: Expected::Blocked(FILTERED.to_vec()),
        control: Control::Open,
        may_lack: false,
    }
}

fn split(words: &str) -> Vec<String> {
    words
        .split_whitespace()
        .map(|word| if word == "''" { "" } else { word }.to_owned())
        .collect()
}

fn blocked(reasons: &[&[&'static str]]) -> Expected {
    Expected::Blocked(reasons.concat())
}

impl Row {
    /// The reasons for which it is refused in tier `full`.
    pub(crate) fn full(mut self, reasons: &[&[&'static str]]) -> Self {
        self.full = blocked(reasons);
        self
    }

    /// It is done to the task's own copy of an image.
    pub(crate) fn open_in_image(mut self) -> Self {
        self.in_image = Some(Expected::Open);
        self
    }

    /// In an image no promise is made.
    pub(crate) fn unpromised_in_image(mut self, why: &'static str) -> Self {
        self.in_image = Some(Expected::Unpromised(why));
        self
    }

    /// The reasons for which it is refused in tier `restricted`.
    pub(crate) fn restricted(mut self, reasons: &[&[&'static str]]) -> Self {
        self.restricted = blocked(reasons);
        self
    }

    /// The reasons for which it is refused in both tiers.
    pub(crate) fn both(self, reasons: &[&[&'static str]]) -> Self {
        self.full(reasons).restricted(reasons)
    }

    /// It is hidden in `full` and refused in `restricted`.
    pub(crate) fn hidden(self) -> Self {
        self.full(&[GONE]).restricted(&[DENIED])
    }

    /// It works in both tiers.
    pub(crate) fn open(mut self) -> Self {
        self.full = Expected::Open;
        self.restricted = Expected::Open;
        self
    }

    /// It works in `full`.
    pub(crate) fn open_in_full(mut self) -> Self {
        self.full = Expected::Open;
        self
    }

    /// Tier `restricted` makes no promise.
    pub(crate) fn unpromised_in_restricted(mut self, why: &'static str) -> Self {
        self.restricted = Expected::Unpromised(why);
        self
    }

    /// Neither tier makes a promise.
    pub(crate) fn unpromised(mut self, why: &'static str) -> Self {
        self.full = Expected::Unpromised(why);
        self.restricted = Expected::Unpromised(why);
        self
    }

    /// Without a sandbox it works for root only.
    pub(crate) fn for_root(mut self) -> Self {
        self.control = Control::OpenForRoot;
        self
    }

    /// Without a sandbox it depends on the machine.
    pub(crate) fn varies(mut self, why: &'static str) -> Self {
        self.control = Control::Varies(why);
        self
    }

    /// Without a sandbox another attempt is made, which does no harm.
    pub(crate) fn without_sandbox(mut self, words: &str) -> Self {
        self.control_words = Some(split(words));
        self
    }

    /// A machine may have nothing to try it on.
    pub(crate) fn may_lack(mut self) -> Self {
        self.may_lack = true;
        self
    }

    /// What to hand to the program.
    pub(crate) fn words(&self, is_control: bool) -> &[String] {
        match &self.control_words {
            Some(words) if is_control => words,
            _ => &self.words,
        }
    }

    fn expected(&self, tier: Tier) -> &Expected {
        match tier {
            Tier::Image => self.in_image.as_ref().unwrap_or(&self.full),
            Tier::Full => &self.full,
            Tier::Restricted => &self.restricted,
        }
    }
}

/// What the program says of an attempt.
#[derive(Debug)]
struct Answer {
    verdict: String,
    errno: String,
    detail: String,
}

/// What came of a table.
#[derive(Debug)]
pub(crate) struct Answers {
    answers: BTreeMap<usize, Answer>,
    run: String,
}

impl Answers {
    /// Reads the lines that the program wrote.
    #[track_caller]
    pub(crate) fn read(output: &str, ran: &Ran) -> Self {
        Self::of(output.lines(), format!("{ran:?}"))
    }

    /// The answers among what was shown on a terminal.
    #[track_caller]
    pub(crate) fn shown(text: &str) -> Self {
        let lines = text.lines().map(str::trim_end);
        Self::of(lines.filter(|line| line.starts_with('{')), text.to_owned())
    }

    #[track_caller]
    fn of<'a>(lines: impl Iterator<Item = &'a str>, run: String) -> Self {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let answers = lines
            .map(|line| {
                let value: Value = serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("not an answer ({error}): {line}\n{run}"));
                let id = text(&value, "id").parse().expect("the attempts are numbered");
                let answer = Answer {
                    verdict: text(&value, "verdict"),
                    errno: text(&value, "errno"),
                    detail: text(&value, "detail"),
                };
                (id, answer)
            })
            .collect();
        Self { answers, run }
    }

    /// Fails unless all that is to be refused in a tier was, and all that is granted worked.
    #[track_caller]
    pub(crate) fn hold(&self, tier: Tier, rows: &[Row]) {
        self.compare(rows, false, |row, answer| {
            let is_right = match row.expected(tier) {
                Expected::Blocked(reasons) => {
                    answer.verdict == "blocked" && reasons.contains(&answer.errno.as_str())
                }
                Expected::Open => answer.verdict == "open",
                Expected::Unpromised(_) => answer.verdict != "error",
            };
            (!is_right).then(|| row.expected(tier).to_string())
        });
    }

    /// The attempts that are open and should not be, as a tier promises.
    pub(crate) fn breaches(&self, tier: Tier, rows: &[Row]) -> Vec<String> {
        rows.iter()
            .enumerate()
            .filter(|(_, row)| matches!(row.expected(tier), Expected::Blocked(_)))
            .filter(|(index, _)| {
                self.answers
                    .get(index)
                    .is_none_or(|answer| answer.verdict == "open")
            })
            .map(|(_, row)| format!("{} {}", row.item, row.words.join(" ")))
            .collect()
    }

    /// Fails unless the attempts work that work without a sandbox.
    #[track_caller]
    pub(crate) fn work(&self, user: User, rows: &[Row]) {
        self.compare(rows, true, |row, answer| {
            let is_right = match (row.control, user) {
                (Control::Open, _) | (Control::OpenForRoot, User::Root) => answer.verdict == "open",
                (Control::OpenForRoot, User::Other) | (Control::Varies(_), _) => answer.verdict != "error",
            };
            (!is_right).then(|| format!("{} without a sandbox", row.control))
        });
    }

    #[track_caller]
    fn compare(&self, rows: &[Row], is_control: bool, mistake: impl Fn(&Row, &Answer) -> Option<String>) {
        let mut mistakes = String::new();
        for (index, row) in rows.iter().enumerate() {
            let (item, words) = (row.item, row.words(is_control).join(" "));
            let Some(answer) = self.answers.get(&index) else {
                writeln!(mistakes, "{item:>3} {words}\n    no answer").unwrap();
                continue;
            };
            if row.may_lack && answer.verdict == "unavailable" {
                continue;
            }
            if let Some(expected) = mistake(row, answer) {
                let Answer {
                    verdict,
                    errno,
                    detail,
                } = answer;
                writeln!(
                    mistakes,
                    "{item:>3} {words}\n    {verdict} {errno} ({detail}), not {expected}"
                )
                .unwrap();
            }
        }
        if !mistakes.is_empty() {
            let head: String = self.run.chars().take(600).collect();
            panic!("\n{mistakes}\nin {head}…");
        }
    }
}
