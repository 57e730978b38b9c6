//! The caller's terminal while a task on a terminal of its own is shown on it.

use std::io::IsTerminal as _;

use rustix::process::{Signal as Number, getpgrp, kill_process_group};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use wrun::TerminalSize;

use crate::failure::Failure;
use crate::speak::Speaker;

/// The terminal that is standard input. Its settings are put back when this is dropped.
pub(crate) struct Terminal<'a> {
    speaker: &'a Speaker,
    settings: Termios,
    is_raw: bool,
    sizes: watch::Sender<TerminalSize>,
    resized: Signal,
    continued: Signal,
}

impl<'a> Terminal<'a> {
    /// The terminal that is standard input, if one is wanted.
    ///
    /// # Errors
    /// Standard input is none, or the output is for programs.
    pub(crate) fn wanted(wanted: bool, speaker: &'a Speaker) -> Result<Option<Self>, Failure> {
        if !wanted {
            return Ok(None);
        }
        if speaker.is_json() {
            return Err(Failure::usage(
                "`--tty` shows the task on a terminal, and `--format json` writes its output in events",
                "leave one of the two out",
            ));
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "`--tty` needs a terminal, and standard input is none",
                "leave `--tty` out: the task then reads standard input as it is",
            ));
        }
        let listen = |kind| signal(kind).map_err(|error| Failure::io("listen for signals", error));
        Ok(Some(Self {
            speaker,
            settings: tcgetattr(stdin()).map_err(|error| Failure::io("look at the terminal", error))?,
            is_raw: false,
            sizes: watch::channel(TerminalSize::of(stdin())).0,
            resized: listen(SignalKind::window_change())?,
            continued: listen(SignalKind::from_raw(Number::CONT.as_raw()))?,
        }))
    }

    /// How large it is, and becomes.
    pub(crate) fn sizes(&self) -> watch::Receiver<TerminalSize> {
        self.sizes.subscribe()
    }

    /// Hands every key on as it is typed, none of them acted on here.
    pub(crate) fn enter(&mut self) {
        let mut raw = self.settings.clone();
        raw.make_raw();
        // In the background this stops the process until it is brought to the foreground.
        match tcsetattr(stdin(), OptionalActions::Now, &raw) {
            Ok(()) => self.is_raw = true,
            Err(error) => tracing::debug!(%error, "the terminal keeps its settings"),
        }
        self.speaker.set_raw(self.is_raw);
    }

    /// Puts the settings back.
    pub(crate) fn leave(&mut self) {
        if !std::mem::take(&mut self.is_raw) {
            return;
        }
        self.speaker.set_raw(false);
        // To change the terminal of others stops a process, and who has it now has settings of his own.
        if tcgetpgrp(stdin()).is_ok_and(|foreground| foreground != getpgrp()) {
            return;
        }
        if let Err(error) = tcsetattr(stdin(), OptionalActions::Now, &self.settings) {
            tracing::debug!(%error, "the terminal keeps its settings");
        }
    }

    /// Stops this process as the task was stopped, and comes back when it is continued; at once where nobody could do that
    /// (`setpgid(2)`, on orphaned process groups).
    pub(crate) fn suspend(&mut self) {
        self.leave();
        if let Err(error) = kill_process_group(getpgrp(), Number::TSTP) {
            tracing::debug!(%error, "not stopped");
        }
        self.refresh();
    }

    /// Waits until it may have changed: its size, or, as this process was stopped meanwhile, anything.
    pub(crate) async fn changed(&mut self) {
        tokio::select! {
            _ = self.resized.recv() => self.update_size(),
            _ = self.continued.recv() => if self.is_raw { self.refresh() },
        }
    }

    fn refresh(&mut self) {
        self.enter();
        self.update_size();
    }

    fn update_size(&self) {
        self.sizes.send_replace(TerminalSize::of(stdin()));
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
