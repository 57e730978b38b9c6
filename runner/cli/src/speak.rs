//! The two voices of the command: text for people on standard error, JSON for programs on standard output.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use owo_colors::OwoColorize as _;
use wrun::core::text::{harmless, harmless_but_colours};
use wrun::{Event, Record};

use crate::args::{Format, Global};
use crate::failure::Failure;

/// The number of SIGPIPE (POSIX.1-2017, XBD `signal.h`; the same on every Unix).
const SIGPIPE: u8 = 13;

/// Speaks for the command.
pub(crate) struct Speaker {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// Progress bars are drawn: standard error is a terminal, and people read it.
    pub(crate) bars: bool,
    /// Why programs cannot be spoken to any more.
    cut_off: Mutex<Option<io::Error>>,
    /// The terminal does not begin a line where one ends.
    is_raw: AtomicBool,
}

impl Speaker {
    pub(crate) fn new(global: &Global) -> Self {
        let Global {
            cache_dir: _,
            offline: _,
            quiet,
            verbose,
            format,
        } = global;
        let people = *format == Format::Text && !quiet;
        Self {
            format: *format,
            quiet: *quiet,
            verbose: *verbose,
            bars: people && io::stderr().is_terminal(),
            cut_off: Mutex::default(),
            is_raw: AtomicBool::default(),
        }
    }

    /// A speaker for programs only.
    pub(crate) const fn json_only() -> Self {
        Self {
            format: Format::Json,
            quiet: true,
            verbose: false,
            bars: false,
            is_raw: AtomicBool::new(false),
            cut_off: Mutex::new(None),
        }
    }

    /// Whether programs read.
    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Says a line to people, with a mark in front.
    pub(crate) fn line(&self, mark: &str, text: &str) {
        if !self.quiet {
            self.say(mark, text);
        }
    }

    /// Says an error to people, even when quiet.
    pub(crate) fn error(&self, text: &str) {
        self.say("error", text);
    }

    fn say(&self, mark: &str, text: &str) {
        if self.is_json() {
            return;
        }
        let mut error = anstream::stderr().lock();
        // Nobody can be told that standard error is gone.
        let text = harmless(text);
        let line = format!("{} {text}\n", format!("{mark}:").cyan().bold());
        let line = if self.is_raw.load(Ordering::Relaxed) {
            line.replace('\n', "\r\n")
        } else {
            line
        };
        drop(write!(error, "{line}"));
    }

    /// Says whether the terminal takes what is written as it is.
    pub(crate) fn set_raw(&self, is_raw: bool) {
        self.is_raw.store(is_raw, Ordering::Relaxed);
    }

    /// Says one event to programs. The first error is kept, see [`Speaker::cut_off`], and nothing is said from then on.
    pub(crate) fn event(&self, task: &str, event: &Event) {
        let record = Record::new(task, event.clone());
        let Ok(text) = serde_json::to_string(&record) else {
            return;
        };
        // JSON has to escape only the first of the two sets of control characters; terminals obey both.
        let text = harmless_json(&text);
        let mut cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        if cut_off.is_none() {
            let mut out = io::stdout().lock();
            *cut_off = writeln!(out, "{text}").and_then(|()| out.flush()).err();
        }
    }

    /// Whether programs cannot be spoken to any more.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Takes the reason why programs cannot be spoken to any more, and gives the exit code for it. A reader that went
    /// away has what it wanted: nothing is said then, and the code is that of a process that SIGPIPE ended.
    pub(crate) fn cut_off(&self) -> Option<u8> {
        let error = self
            .cut_off
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Some(wrun::exit_code::SIGNAL_BASE + SIGPIPE);
        }
        let failure = Failure::io("write to standard output", error);
        self.report(&failure);
        Some(failure.exit_code())
    }

    /// Writes data to standard output.
    ///
    /// # Errors
    /// Standard output cannot be written to; a closed pipe is not an error, the reader has what it wanted.
    #[expect(
        clippy::unused_self,
        reason = "callers have one voice and do not choose a stream"
    )]
    pub(crate) fn data(&self, text: &str) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        let text = harmless_but_colours(text);
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::io("write to standard output", error))
            }
            _ => Ok(0),
        }
    }

    /// Writes a JSON value to standard output.
    ///
    /// # Errors
    /// As for [`Speaker::data`].
    pub(crate) fn json(&self, value: &serde_json::Value) -> Result<u8, Failure> {
        // One object for each line is what programs read; people read it too where a command has no other form.
        let text = if self.is_json() {
            format!("{value}\n")
        } else {
            format!("{value:#}\n")
        };
        self.data(&harmless_json(&text))
    }

    /// Says a failure, and gives the exit code for it.
    pub(crate) fn failure(&self, failure: &Failure) -> u8 {
        if self.is_json() {
            self.event(&failure.task_name(), &failure.event());
        } else {
            self.report(failure);
        }
        failure.exit_code()
    }

    /// Draws a failure for people. Said even when quiet.
    #[expect(
        clippy::unused_self,
        reason = "callers have one voice and do not choose a stream"
    )]
    pub(crate) fn report(&self, failure: &Failure) {
        if let Failure::Wrun(wrun::Error::Task(errors)) = failure {
            for error in errors.errors() {
                draw(error, &format!("{}:{}:{}", error.file, error.line, error.column));
            }
            return;
        }
        let mut error = anstream::stderr().lock();
        let code = failure.code_text();
        let text = failure.to_string();
        drop(writeln!(
            error,
            "{} {} {}",
            "error:".red().bold(),
            shortened(&harmless(&text)),
            format!("[{code}]").dimmed()
        ));
        if let Some(help) = failure.help_text() {
            drop(writeln!(error, "{} {}", "help:".green().bold(), harmless(&help)));
        }
    }
}

/// Draws a diagnostic with its place in the source. An empty source has no line to draw, so the place is said.
fn draw(diagnostic: &dyn Diagnostic, place: &str) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut text = String::new();
    let drawn = GraphicalReportHandler::new_themed(theme)
        .with_width(100)
        .with_break_words(false)
        .render_report(&mut text, diagnostic);
    if drawn.is_err() {
        text = diagnostic.to_string();
    }
    if !text.contains(place) {
        text = format!("{place}\n{text}");
    }
    let mut error = io::stderr().lock();
    // The file that is quoted is not this program's own.
    drop(writeln!(
        error,
        "{}\n",
        shortened(&harmless_but_colours(text.trim_end()))
    ));
}

/// The text with what nobody reads cut off: the rest of very long lines, and lines without end.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 400;
    const MOST: usize = 200;
    let mut lines: Vec<String> = text
        .lines()
        .take(MOST)
        .map(|line| match line.char_indices().nth(LONGEST) {
            // The line may have been cut within colours.
            Some((end, _)) if line.contains('\u{1b}') => {
                format!("{}\u{1b}[0m …", line.get(..end).unwrap_or_default())
            }
            Some((end, _)) => format!("{} …", line.get(..end).unwrap_or_default()),
            None => line.to_owned(),
        })
        .collect();
    if text.lines().nth(MOST).is_some() {
        lines.push("…".to_owned());
    }
    lines.join("\n")
}

/// A JSON text in which the control characters that JSON lets through are escaped, but for the line ends between its parts.
fn harmless_json(text: &str) -> Cow<'_, str> {
    let is_harmful = |letter: char| letter.is_control() && letter != '\n';
    if !text.contains(is_harmful) {
        return text.into();
    }
    let shown = text.chars().map(|letter| {
        if is_harmful(letter) {
            format!("\\u{:04x}", u32::from(letter))
        } else {
            letter.to_string()
        }
    });
    shown.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_cut_off() {
        let text = format!("short\n{}\nend", "ä".repeat(1000));
        let lines: Vec<String> = shortened(&text).lines().map(str::to_owned).collect();
        assert_eq!((lines[0].as_str(), lines[2].as_str()), ("short", "end"));
        assert_eq!(lines[1].chars().count(), 402);
        assert_eq!(shortened(&"x\n".repeat(1000)).lines().count(), 201);
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let json = harmless_json("{\"a\":\"\u{9b}\"}").into_owned();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "\u{9b}");
        assert!(!json.contains(char::is_control));
    }
}
