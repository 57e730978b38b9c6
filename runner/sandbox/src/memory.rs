//! The memory of a command, looked at again and again where no control group counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wrun_process::MemoryMeter;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// A thread that looks at the memory of a command until this is dropped.
#[derive(Debug)]
pub struct MemoryWatch {
    /// Its end ends the thread.
    _lives: Sender<()>,
}

/// Cancels `exceeded` and sets `noted` once the command holds more than `limit` bytes.
pub(crate) fn watch(
    meter: MemoryMeter,
    limit: u64,
    noted: Arc<AtomicBool>,
    exceeded: CancellationToken,
) -> std::io::Result<MemoryWatch> {
    let (lives, ended) = channel();
    std::thread::Builder::new()
        .name("wrun-memory".to_owned())
        .spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if meter.exceeds(limit) {
                    noted.store(true, Ordering::Relaxed);
                    exceeded.cancel();
                    break;
                }
            }
        })?;
    Ok(MemoryWatch { _lives: lives })
}
