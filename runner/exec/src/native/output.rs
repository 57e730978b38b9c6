//! Moving a task's output along.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wrun_core::event::Stream;
use wrun_process::OutputPipe;

use crate::stdio::{Output, OutputSink};

/// Chunks that wait for a slow reader before the task has to wait itself.
const WAITING_CHUNKS: usize = 2;

/// What may still be written to both streams together.
#[derive(Debug)]
pub(super) struct Budget(AtomicU64);

impl Budget {
    pub(super) const fn new(limit: Option<u64>) -> Self {
        Self(AtomicU64::new(match limit {
            Some(limit) => limit,
            None => u64::MAX,
        }))
    }

    /// The bytes that still fit, which are then spent.
    fn spend<'bytes>(&self, bytes: &'bytes [u8]) -> &'bytes [u8] {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let spent = |left: u64| Some(left.saturating_sub(length));
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent)
            .unwrap_or_else(|left| left);
        usize::try_from(left)
            .ok()
            .and_then(|left| bytes.get(..left))
            .unwrap_or(bytes)
    }
}

/// Where a stream goes.
pub(super) enum Target {
    /// To a sink.
    Sink(Arc<dyn OutputSink>),
    /// To a descriptor of this process.
    Descriptor(Forwarder),
}

impl Target {
    pub(super) fn new(output: &Output, stream: Stream) -> io::Result<Self> {
        match output {
            Output::Sink(sink) => Ok(Self::Sink(Arc::clone(sink))),
            Output::Inherit => {
                let descriptor = match stream {
                    Stream::Stdout => rustix::stdio::stdout(),
                    Stream::Stderr => rustix::stdio::stderr(),
                };
                Forwarder::new(descriptor.try_clone_to_owned()?).map(Self::Descriptor)
            }
        }
    }

    /// Hands bytes on; whether the target still takes any.
    async fn write(&self, stream: Stream, bytes: &[u8]) -> bool {
        match self {
            Self::Sink(sink) => sink.write(stream, bytes).is_ok(),
            Self::Descriptor(forwarder) => forwarder.chunks.send(bytes.to_vec()).await.is_ok(),
        }
    }

    async fn finish(self) {
        if let Self::Descriptor(Forwarder { chunks, done }) = self {
            drop(chunks);
            // The thread drops its end when it is done, whether well or not.
            drop(done.await);
        }
    }
}

/// Writes to a descriptor on a thread of its own: standard output is shared with other processes, so that it must not
/// be made non-blocking, and whoever reads it may stop for as long as he likes without stopping the clock of the run.
/// The thread outlives the run if its last write never returns.
pub(super) struct Forwarder {
    chunks: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<()>,
}

impl Forwarder {
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let (chunks, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING_CHUNKS);
        let (ended, done) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("wrun-output".to_owned())
            .spawn(move || {
                let _ended = ended;
                while let Some(chunk) = waiting.blocking_recv() {
                    if let Err(error) = write_all(&descriptor, &chunk) {
                        tracing::debug!(%error, "output is not taken any more");
                        break;
                    }
                }
            })?;
        Ok(Self { chunks, done })
    }
}

fn write_all(descriptor: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(descriptor, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Another process may have made it non-blocking.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(descriptor, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Hands a stream of the task on until it ends, its target takes no more, or both streams together are over the
/// budget, which `overflow` is then told. The pipe is closed by then, so that a task that goes on writing gets
/// `SIGPIPE`.
pub(super) async fn forward(
    mut pipe: OutputPipe,
    target: Target,
    stream: Stream,
    budget: &Budget,
    ended: &CancellationToken,
    overflow: &CancellationToken,
) {
    loop {
        match pipe.next(ended).await {
            Ok([]) => break,
            Ok(bytes) => {
                let fitting = budget.spend(bytes);
                let taken = fitting.is_empty() || target.write(stream, fitting).await;
                if fitting.len() < bytes.len() {
                    overflow.cancel();
                    break;
                }
                if !taken {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(?stream, %error, "output of the task cannot be read");
                break;
            }
        }
    }
    drop(pipe);
    target.finish().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_budget_is_exact() {
        let budget = Budget::new(Some(5));
        assert_eq!(budget.spend(b"abc"), b"abc");
        assert_eq!(budget.spend(b"defg"), b"de");
        assert_eq!(budget.spend(b"h"), b"");
        assert_eq!(Budget::new(None).spend(b"abc"), b"abc");
    }
}
