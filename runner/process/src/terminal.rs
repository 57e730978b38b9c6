//! Pseudo-terminals (`pty(7)`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::pty::{OpenptFlags, grantpt, openpt, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Winsize, tcgetattr, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::pipe::OutputPipe;

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

impl Default for TerminalSize {
    /// That of a VT100 (`terminfo(5)`).
    fn default() -> Self {
        Self {
            rows: 24,
            columns: 80,
        }
    }
}

impl TerminalSize {
    /// That of a terminal; the default where it does not say.
    pub fn of(terminal: impl AsFd) -> Self {
        match tcgetwinsize(terminal) {
            Ok(Winsize {
                ws_row: rows @ 1..,
                ws_col: columns @ 1..,
                ..
            }) => Self { rows, columns },
            _ => Self::default(),
        }
    }

    const fn window(self) -> Winsize {
        Winsize {
            ws_row: self.rows,
            ws_col: self.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        }
    }
}

/// Makes a pseudo-terminal: the side of whoever shows it, for [`Terminal::new`], and that of the programs on it. It is one
/// of `/dev/pts` as this process sees it, and nobody's controlling terminal.
///
/// # Errors
/// The system has none, or not one more.
pub fn open_terminal(size: TerminalSize) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let shown = openpt(flags)?;
    grantpt(&shown)?;
    unlockpt(&shown)?;
    // By its name it could be another one, where `/dev/pts` is not that of `/dev/ptmx`.
    #[cfg(target_os = "linux")]
    let terminal = rustix::pty::ioctl_tiocgptpeer(&shown, flags)?;
    #[cfg(not(target_os = "linux"))]
    let terminal = rustix::fs::open(
        rustix::pty::ptsname(&shown, Vec::new())?,
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    tcsetwinsize(&terminal, size.window())?;
    let mut settings = tcgetattr(&terminal)?;
    // So that one key erases one character of UTF-8, which tasks are told to use.
    settings.input_modes |= InputModes::IUTF8;
    tcsetattr(&terminal, OptionalActions::Now, &settings)?;
    Ok((shown, terminal))
}

/// The side of a pseudo-terminal that shows what programs write and types what they read.
#[derive(Debug, Clone)]
pub struct Terminal(Arc<AsyncFd<OwnedFd>>);

impl Terminal {
    /// Takes the side over that shows a terminal.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn new(shown: OwnedFd) -> io::Result<Self> {
        ioctl_fionbio(&shown, true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        #[expect(
            unsafe_code,
            reason = "registering a descriptor with the runtime asks for a promise about it"
        )]
        // SAFETY: an owned descriptor stays open and the same until it is dropped, which the registration does last.
        let watched = unsafe { AsyncFd::register_with_interest(shown, interest) }?;
        Ok(Self(Arc::new(watched)))
    }

    /// What is written to it.
    #[must_use]
    pub fn output(&self) -> OutputPipe {
        OutputPipe::of_terminal(self.clone())
    }

    /// Types bytes, as fast as they are read.
    ///
    /// # Errors
    /// No program has the terminal open any more.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            let written = ready.try_io(|shown| Ok(rustix::io::write(shown.get_ref(), bytes)?));
            match written {
                Ok(Ok(count)) => bytes = bytes.get(count..).unwrap_or_default(),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
        Ok(())
    }

    /// Types the key that ends the input (`VEOF`, `termios(3)`). A program that reads single keys gets it as one.
    ///
    /// # Errors
    /// As for [`Terminal::write_all`].
    pub async fn end_input(&self) -> io::Result<()> {
        let settings = tcgetattr(self.0.get_ref())?;
        if settings.local_modes.contains(LocalModes::ICANON) {
            let key = settings.special_codes[SpecialCodeIndex::VEOF];
            self.write_all(&[key]).await?;
        }
        Ok(())
    }

    /// Gives it another size, of which the programs in its foreground hear (`SIGWINCH`).
    ///
    /// # Errors
    /// The system refuses.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        Ok(tcsetwinsize(self.0.get_ref(), size.window())?)
    }

    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|_| self.read_now(buffer)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    /// Reads what is there. That no program has it open any more is the end.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(self.0.get_ref(), buffer) {
            Ok(count) => Ok(count),
            Err(Errno::IO) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn what_is_typed_is_read_and_what_is_written_is_shown() {
        let size = TerminalSize { rows: 7, columns: 33 };
        let (shown, terminal) = open_terminal(size).unwrap();
        let shown = Terminal::new(shown).unwrap();
        assert_eq!(TerminalSize::of(&terminal), size);
        shown.resize(TerminalSize::default()).unwrap();
        assert_eq!(TerminalSize::of(&terminal), TerminalSize::default());

        shown.write_all(b"typed\n").await.unwrap();
        let mut line = [0; 16];
        let count = rustix::io::read(&terminal, &mut line).unwrap();
        assert_eq!(&line[..count], b"typed\n");
        shown.end_input().await.unwrap();
        assert_eq!(rustix::io::read(&terminal, &mut line).unwrap(), 0);

        rustix::io::write(&terminal, b"written\n").unwrap();
        drop(terminal);
        let never = CancellationToken::new();
        let mut output = shown.output();
        let mut all = Vec::new();
        loop {
            let bytes = output.next(&never).await.unwrap();
            if bytes.is_empty() {
                break;
            }
            all.extend_from_slice(bytes);
        }
        assert_eq!(String::from_utf8(all).unwrap(), "typed\r\nwritten\r\n");
    }

    #[tokio::test]
    async fn the_end_of_a_run_ends_its_output() {
        let (shown, terminal) = open_terminal(TerminalSize::default()).unwrap();
        let shown = Terminal::new(shown).unwrap();
        rustix::io::write(&terminal, b"last").unwrap();
        let ended = CancellationToken::new();
        ended.cancel();
        let mut output = shown.output();
        assert_eq!(output.next(&ended).await.unwrap(), b"last");
        assert_eq!(output.next(&ended).await.unwrap(), b"");
    }
}
