//! A terminal, and what is typed and shown on it.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OutputModes, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize,
};

use crate::command::Collected;

/// How a terminal treats what is typed and written.
pub type Settings = (InputModes, OutputModes, LocalModes);

/// A terminal with a command on it, which leads its session.
pub struct Screen {
    text: String,
    shown: OwnedFd,
    terminal: OwnedFd,
    pid: Pid,
    output: Collected,
    ended: Receiver<i32>,
    timeout: Duration,
}

impl Screen {
    /// Starts the words on a terminal of this size, as the leader of its session.
    #[track_caller]
    pub(crate) fn start(mut command: Command, text: String, timeout: Duration, size: (u16, u16)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let shown = openpt(flags).expect("there are terminals");
        unlockpt(&shown).expect("a new terminal can be unlocked");
        let terminal = ioctl_tiocgptpeer(&shown, flags).expect("a new terminal has another side");
        tcsetwinsize(&terminal, window(size)).expect("a terminal has a size");
        let copy = |descriptor: &OwnedFd| descriptor.try_clone().expect("there are descriptors");
        let mut child = command
            .stdin(Stdio::from(copy(&terminal)))
            .stdout(Stdio::from(copy(&terminal)))
            .stderr(Stdio::from(copy(&terminal)))
            .spawn()
            .unwrap_or_else(|error| panic!("start `{text}`: {error}"));
        let pid = Pid::from_child(&child);
        let output = Collected::from(std::io::PipeReader::from(copy(&shown)));
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            let status = child.wait().expect("a child can be waited for");
            let code = status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
            // Nobody listens if the test has failed already.
            let _ = sender.send(code);
        });
        Self {
            text,
            shown,
            terminal,
            pid,
            output,
            ended,
            timeout,
        }
    }

    /// The name of the terminal.
    #[must_use]
    pub fn name(&self) -> String {
        let name = ptsname(&self.shown, Vec::new()).expect("a terminal has a name");
        name.into_string().expect("it is plain text")
    }

    /// Types keys.
    #[track_caller]
    pub fn keys(&self, keys: &str) {
        let written = rustix::io::write(&self.shown, keys.as_bytes()).expect("keys can be typed");
        assert_eq!(written, keys.len());
    }

    /// Changes its size.
    #[track_caller]
    pub fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.shown, window((rows, columns))).expect("a terminal has a size");
    }

    /// Its lines and characters of a line.
    #[must_use]
    #[track_caller]
    pub fn size(&self) -> (u16, u16) {
        let size = tcgetwinsize(&self.terminal).expect("a terminal has a size");
        (size.ws_row, size.ws_col)
    }

    /// Its settings.
    #[must_use]
    #[track_caller]
    pub fn settings(&self) -> Settings {
        let Termios {
            input_modes,
            output_modes,
            local_modes,
            ..
        } = tcgetattr(&self.terminal).expect("a terminal has settings");
        (input_modes, output_modes, local_modes)
    }

    /// Waits until it shows a text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let seen = self
            .output
            .wait(self.timeout, |bytes, whole| whole || holds(bytes));
        assert!(
            holds(&seen),
            "`{}` did not show {text:?}: {}",
            self.text,
            String::from_utf8_lossy(&seen)
        );
    }

    /// Sends the command a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the process is there");
    }

    /// Waits for the end of the command; gives its exit code, or the negative number of the signal that ended it, and all
    /// that was shown.
    #[must_use]
    #[track_caller]
    pub fn wait(self) -> (i32, String) {
        let (code, shown, _) = self.finish();
        (code, shown)
    }

    /// The same, with the settings that the command leaves.
    #[must_use]
    #[track_caller]
    pub fn finish(self) -> (i32, String, Settings) {
        let ended = self.ended.recv_timeout(self.timeout);
        let Ok(code) = ended else {
            // It may have ended just now.
            let _ = kill_process(self.pid, Signal::KILL);
            let shown = self.output.wait(Duration::ZERO, |_, _| true);
            panic!("`{}` is not done: {}", self.text, String::from_utf8_lossy(&shown));
        };
        // Once nobody has it open, what was shown is all.
        let settings = self.settings();
        drop(self.terminal);
        let shown = self.output.wait(Duration::from_secs(5), |_, whole| whole);
        (code, String::from_utf8_lossy(&shown).into_owned(), settings)
    }
}

const fn window((rows, columns): (u16, u16)) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
