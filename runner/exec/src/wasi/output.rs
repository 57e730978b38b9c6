//! Standard output and standard error of a guest.

use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::AsyncWrite;
use tokio_util::bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wrun_core::event::Stream;

use super::stop::Stop;
use crate::stdio::{Output, OutputSink};

/// What a pipe takes without blocking when it says that it is writable (`PIPE_BUF`, pipe(7)).
const PIPE_BUF: usize = 4096;

/// What a sink takes at a time.
const SINK_BUF: usize = 64 * 1024;

/// How long one wait for a full pipe lasts before the next begins, and so how long an ended run may hold a thread of
/// the blocking pool.
const WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Counts what a run writes to both streams together.
#[derive(Debug)]
pub(super) struct OutputMeter {
    left: AtomicU64,
}

impl OutputMeter {
    pub(super) const fn new(limit: u64) -> Self {
        Self {
            left: AtomicU64::new(limit),
        }
    }

    /// How many of the bytes still fit; they are then spent.
    fn spend(&self, bytes: usize) -> usize {
        let wanted = bytes as u64;
        let taken = |left: u64| Some(left.saturating_sub(wanted));
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .unwrap_or_else(|left| left);
        usize::try_from(left).map_or(bytes, |left| left.min(bytes))
    }
}

/// One of the two output streams of a guest. All clones write to the same place.
#[derive(Clone)]
pub(super) struct GuestOutput {
    stream: Stream,
    target: Target,
    meter: Option<Arc<OutputMeter>>,
}

#[derive(Clone)]
enum Target {
    Inherit,
    Sink(Arc<dyn OutputSink>),
}

impl GuestOutput {
    pub(super) fn new(stream: Stream, output: &Output, meter: Option<Arc<OutputMeter>>) -> Self {
        let target = match output {
            Output::Inherit => Target::Inherit,
            Output::Sink(sink) => Target::Sink(Arc::clone(sink)),
        };
        Self {
            stream,
            target,
            meter,
        }
    }

    fn descriptor(&self) -> BorrowedFd<'static> {
        match self.stream {
            Stream::Stdout => rustix::stdio::stdout(),
            Stream::Stderr => rustix::stdio::stderr(),
        }
    }

    /// Hands bytes on, as many as the output limit allows.
    fn hand_on(&self, bytes: &[u8]) -> StreamResult<()> {
        let fitting = self
            .meter
            .as_ref()
            .map_or(bytes.len(), |meter| meter.spend(bytes.len()));
        let (fitting, rest) = bytes.split_at_checked(fitting).unwrap_or((bytes, &[]));
        if !fitting.is_empty() {
            match &self.target {
                Target::Inherit => write_all(self.descriptor(), fitting),
                Target::Sink(sink) => sink.write(self.stream, fitting),
            }
            .map_err(to_stream_error)?;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(StreamError::Trap(Stop::OutputLimit.into()))
        }
    }

    fn writable(&self) -> bool {
        match self.target {
            Target::Inherit => wait_writable(self.descriptor(), Timespec::default()),
            Target::Sink(_) => true,
        }
    }
}

fn to_stream_error(error: io::Error) -> StreamError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return StreamError::Closed;
    }
    StreamError::LastOperationFailed(error.into())
}

fn write_all(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(descriptor, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // Somebody made the descriptor non-blocking, and somebody else filled it since it was asked.
            Err(rustix::io::Errno::AGAIN) => {
                wait_writable(descriptor, WAIT);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether the descriptor takes bytes without blocking, at the latest after this time. A descriptor that cannot be
/// asked counts as writable: the write then says why.
fn wait_writable(descriptor: BorrowedFd<'_>, time: Timespec) -> bool {
    let mut descriptors = [PollFd::new(&descriptor, PollFlags::OUT)];
    match rustix::event::poll(&mut descriptors, Some(&time)) {
        Ok(ready) => ready > 0,
        Err(rustix::io::Errno::INTR) => false,
        Err(_) => true,
    }
}

#[async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {
        while !self.writable() {
            let descriptor = self.descriptor();
            if tokio::task::spawn_blocking(move || wait_writable(descriptor, WAIT))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

#[async_trait]
impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.hand_on(&bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(match self.target {
            Target::Inherit if !self.writable() => 0,
            Target::Inherit => PIPE_BUF,
            Target::Sink(_) => SINK_BUF,
        })
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        for chunk in bytes.chunks(PIPE_BUF) {
            self.ready().await;
            self.hand_on(chunk)?;
        }
        Ok(())
    }
}

impl AsyncWrite for GuestOutput {
    fn poll_write(self: Pin<&mut Self>, _context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(match self.hand_on(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(StreamError::Closed) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(StreamError::LastOperationFailed(error) | StreamError::Trap(error)) => {
                Err(io::Error::other(error))
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        matches!(self.target, Target::Inherit) && rustix::termios::isatty(self.descriptor())
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn the_meter_gives_what_is_left() {
        let meter = OutputMeter::new(10);
        assert_eq!(meter.spend(4), 4);
        assert_eq!(meter.spend(0), 0);
        assert_eq!(meter.spend(8), 6);
        assert_eq!(meter.spend(1), 0);
    }

    #[test]
    fn a_full_pipe_is_not_writable() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        assert!(wait_writable(writer.as_fd(), Timespec::default()));
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while rustix::io::write(&writer, &[0; PIPE_BUF]).is_ok() {}
        assert!(!wait_writable(writer.as_fd(), Timespec::default()));
        let mut buffer = vec![0; 2 * PIPE_BUF];
        rustix::io::read(&reader, &mut buffer).unwrap();
        assert!(wait_writable(writer.as_fd(), Timespec::default()));
        drop(reader);
        assert_eq!(
            write_all(writer.as_fd(), b"x").unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
