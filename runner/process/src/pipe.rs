//! The pipes of a tree's standard streams.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

use crate::terminal::Terminal;

/// The writing end of a tree's standard input.
pub type InputPipe = tokio::net::unix::pipe::Sender;

/// The default capacity of a pipe on Linux (`pipe(7)`).
const BUFFER: usize = 64 * 1024;

/// The most that a pipe can hold without a privilege (`/proc/sys/fs/pipe-max-size`, `pipe(7)`).
const LARGEST_PIPE: usize = 1024 * 1024;

/// The reading end of a tree's standard output or error, or of its terminal. Dropped, the tree gets `SIGPIPE` when it
/// writes, but for a terminal.
#[derive(Debug)]
pub struct OutputPipe {
    source: Source,
    buffer: Vec<u8>,
    left_after_end: usize,
}

#[derive(Debug)]
enum Source {
    Pipe(Receiver),
    Terminal(Terminal),
}

impl Source {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(receiver) => receiver.read(buffer).await,
            Self::Terminal(terminal) => terminal.read(buffer).await,
        }
    }

    /// Reads what is there, without waiting for it.
    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(receiver) => Ok(rustix::io::read(receiver, buffer)?),
            Self::Terminal(terminal) => terminal.read_now(buffer),
        }
    }
}

impl OutputPipe {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self::from(Source::Pipe(receiver))
    }

    pub(crate) fn of_terminal(terminal: Terminal) -> Self {
        Self::from(Source::Terminal(terminal))
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER],
            left_after_end: LARGEST_PIPE,
        }
    }

    /// The next bytes as they come, or none once there will be no more. May be dropped and called again without loss.
    ///
    /// Once `ended` is cancelled, what is in the pipe is still given, and then none: a process that holds the pipe
    /// and does not belong to the tree any more cannot keep it open.
    ///
    /// # Errors
    /// The pipe cannot be read.
    pub async fn next(&mut self, ended: &CancellationToken) -> io::Result<&[u8]> {
        let waited = tokio::select! {
            biased;
            () = ended.cancelled() => None,
            count = self.source.read(&mut self.buffer) => Some(count?),
        };
        let count = match waited {
            Some(count) => count,
            None => self.next_now()?,
        };
        Ok(self.buffer.get(..count).unwrap_or_default())
    }

    fn next_now(&mut self) -> io::Result<usize> {
        if self.left_after_end == 0 {
            return Ok(0);
        }
        loop {
            match self.source.read_now(&mut self.buffer) {
                Ok(count) => {
                    self.left_after_end = self.left_after_end.saturating_sub(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) => return Err(error),
            }
        }
    }
}
