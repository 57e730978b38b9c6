//! The terminal of a task, as long as the task runs: what is typed, and how large it is.

use std::io::{PipeWriter, pipe};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wrun_process::{Terminal, TerminalSize};
use wrun_sandbox::Stops;

use crate::stdio::{Stdin, Stdio};

/// Bytes that are read from a keyboard at once.
const CHUNK: usize = 4096;

/// Types what the run reads and keeps the size until the run ended. `stopped` hears when the task was stopped.
pub(super) async fn attend(
    terminal: Option<&Terminal>,
    stdio: &Stdio,
    mut stops: Stops,
    ended: &CancellationToken,
    stopped: impl Fn(),
) {
    let (Some(terminal), Some(sizes)) = (terminal, stdio.terminal.clone()) else {
        return;
    };
    let stopping = async {
        loop {
            stops.next().await;
            stopped();
        }
    };
    let all = async {
        tokio::join!(
            type_in(terminal, &stdio.stdin),
            keep_size(terminal, sizes),
            stopping
        );
    };
    tokio::select! {
        biased;
        () = ended.cancelled() => {}
        () = all => {}
    }
}

/// Types what the run reads, and its end.
async fn type_in(terminal: &Terminal, stdin: &Stdin) {
    let typed = async {
        match stdin {
            Stdin::Null => {}
            Stdin::Bytes(bytes) => terminal.write_all(bytes).await?,
            Stdin::Inherit => {
                let mut keyboard = Keyboard::of(rustix::stdio::stdin().try_clone_to_owned()?)?;
                while let Some(bytes) = keyboard.typed.recv().await {
                    terminal.write_all(&bytes).await?;
                }
            }
        }
        terminal.end_input().await
    };
    if let Err(error) = typed.await {
        tracing::debug!(%error, "nothing more is typed");
    }
}

async fn keep_size(terminal: &Terminal, mut sizes: watch::Receiver<TerminalSize>) {
    while sizes.changed().await.is_ok() {
        let size = *sizes.borrow_and_update();
        if let Err(error) = terminal.resize(size) {
            tracing::debug!(%error, "the terminal keeps its size");
        }
    }
}

/// What comes from a descriptor that is shared with other processes, so that it must not be made non-blocking: it is read
/// on a thread of its own, and only as long as this lives, for what is typed after the run is for others.
struct Keyboard {
    typed: mpsc::Receiver<Vec<u8>>,
    /// Its end ends the thread.
    _lives: PipeWriter,
}

impl Keyboard {
    fn of(descriptor: OwnedFd) -> std::io::Result<Self> {
        let (watched, lives) = pipe()?;
        let (sender, typed) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("wrun-keyboard".to_owned())
            .spawn(move || {
                let watched = OwnedFd::from(watched);
                while let Some(bytes) = next(&descriptor, &watched) {
                    if sender.blocking_send(bytes).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self { typed, _lives: lives })
    }
}

/// The next bytes; nothing at the end, or when the other end of the pipe `watched` is closed.
fn next(descriptor: &OwnedFd, watched: &OwnedFd) -> Option<Vec<u8>> {
    let mut bytes = vec![0; CHUNK];
    loop {
        let mut polled = [
            PollFd::new(descriptor, PollFlags::IN),
            PollFd::new(watched, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        let [from, lives] = polled.map(|one| one.revents());
        if !lives.is_empty() {
            return None;
        }
        if from.is_empty() {
            continue;
        }
        match rustix::io::read(descriptor, &mut bytes) {
            Ok(0) => return None,
            Ok(count) => {
                bytes.truncate(count);
                return Some(bytes);
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return None,
        }
    }
}
