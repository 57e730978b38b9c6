//! A tree from its start to its end.

use std::future::pending;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::error::ProcessError;
use crate::tree::Tree;

/// The longest that processes get to end by themselves after the main process did.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);

/// How long output that is there may take to be delivered once a run was ended.
const DELIVERY_GRACE: Duration = Duration::from_secs(1);

/// Why a tree ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The main process ended.
    Ended,
    /// The time was up.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// It wrote too much.
    Overflowed,
    /// It took too much of something that is watched from outside, such as memory.
    Exhausted,
}

/// What may end a tree, and how.
#[derive(Debug)]
pub struct Supervision<'a> {
    /// How long the main process may run.
    pub time: Option<Duration>,
    /// How long the tree gets between `SIGTERM` and `SIGKILL`. What is left after the main process ended by itself
    /// gets a second at most.
    pub grace: Duration,
    /// Ends the tree when cancelled.
    pub cancel: &'a CancellationToken,
    /// Ends the tree when cancelled: for what takes the output to say that it is too much.
    pub overflow: &'a CancellationToken,
    /// Ends the tree at once when cancelled, without asking it: for what watches how much it takes of the machine.
    pub exhausted: &'a CancellationToken,
    /// Cancelled by [`supervise`] once the tree is gone: the `ended` of [`crate::OutputPipe::next`].
    pub ended: &'a CancellationToken,
    /// Numbers of signals to pass on to the tree. Unknown ones are passed over.
    pub signals: Option<mpsc::Receiver<i32>>,
}

/// Waits for a tree to end, or ends it, while `streams` moves its input and output along. Nothing of the tree is left
/// afterwards.
///
/// `streams` has to come to its end after [`Supervision::ended`] was cancelled. A reader that is slow to take the
/// output is waited for if the main process ended by itself; else it has a second.
///
/// # Errors
/// See [`Tree::end`].
pub async fn supervise(
    tree: &mut Tree,
    streams: impl Future<Output = ()>,
    supervision: Supervision<'_>,
) -> Result<(Cause, ExitStatus), ProcessError> {
    let Supervision {
        time,
        grace,
        cancel,
        overflow,
        exhausted,
        ended,
        mut signals,
    } = supervision;
    let mut streams = pin!(streams);
    let mut moving = true;
    let deadline = time.and_then(|time| Instant::now().checked_add(time));
    let mut up = pin!(until(deadline));
    let cause = loop {
        tokio::select! {
            biased;
            status = tree.wait() => break status.map(|_| Cause::Ended)?,
            () = exhausted.cancelled() => break Cause::Exhausted,
            () = overflow.cancelled() => break Cause::Overflowed,
            () = cancel.cancelled() => break Cause::Cancelled,
            () = &mut up => break Cause::TimedOut,
            signal = next_signal(&mut signals) => tree.signal(signal),
            () = &mut streams, if moving => moving = false,
        }
    };

    let grace = match cause {
        Cause::Ended => grace.min(LEFTOVER_GRACE),
        Cause::Exhausted => Duration::ZERO,
        Cause::TimedOut | Cause::Cancelled | Cause::Overflowed => grace,
    };
    let end = async {
        let status = tree.end(grace).await;
        ended.cancel();
        status
    };
    let delivery = async {
        let given_up = async {
            ended.cancelled().await;
            if cause == Cause::Ended {
                cancel.cancelled().await;
                Cause::Cancelled
            } else {
                sleep(DELIVERY_GRACE).await;
                cause
            }
        };
        if !moving {
            return cause;
        }
        tokio::select! {
            biased;
            () = streams => cause,
            cause = given_up => cause,
        }
    };
    let (status, cause) = tokio::join!(end, delivery);
    let cause = if overflow.is_cancelled() {
        Cause::Overflowed
    } else {
        cause
    };
    Ok((cause, status?))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// The next signal to pass on.
async fn next_signal(signals: &mut Option<mpsc::Receiver<i32>>) -> Signal {
    while let Some(receiver) = signals {
        match receiver.recv().await {
            Some(number) => {
                if let Some(signal) = Signal::from_named_raw(number) {
                    return signal;
                }
            }
            None => *signals = None,
        }
    }
    pending().await
}
