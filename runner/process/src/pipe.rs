//! The pipes of a tree's standard streams.

use std::io;

use rustix::io::Errno;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

/// The writing end of a tree's standard input.
pub type InputPipe = tokio::net::unix::pipe::Sender;

/// The default capacity of a pipe on Linux (`pipe(7)`).
const BUFFER: usize = 64 * 1024;

/// The most that a pipe can hold without a privilege (`/proc/sys/fs/pipe-max-size`, `pipe(7)`).
const LARGEST_PIPE: usize = 1024 * 1024;

/// The reading end of a tree's standard output or error. Dropped, the tree gets `SIGPIPE` when it writes.
#[derive(Debug)]
pub struct OutputPipe {
    receiver: Receiver,
    buffer: Vec<u8>,
    left_after_end: usize,
}

impl OutputPipe {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
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
            count = self.receiver.read(&mut self.buffer) => Some(count?),
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
            match rustix::io::read(&self.receiver, &mut self.buffer) {
                Ok(count) => {
                    self.left_after_end = self.left_after_end.saturating_sub(count);
                    return Ok(count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(0),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
