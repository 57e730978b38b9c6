//! Environments that a run uses while they are still written through to the disk.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use wrun_core::event::Event;
use wrun_store::{Flight, Sealed, StoreError};

use crate::context::Context;

/// An environment, and whether it could be kept. Where it could not, dropping it removes it.
type Settled = (Sealed, Result<(), StoreError>);

/// What is written through beside a run. To wait for a disk takes long, and only those have to who come after a loss of
/// power: a run that is under way is over by then. Should this process be killed first, the environment was never complete,
/// and the next run builds it anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settling(Arc<Mutex<Vec<JoinHandle<Settled>>>>);

impl Settling {
    /// Begins to write an environment through and to make it one for others too, who wait for its flight until then. After
    /// that, what others left that were killed is cleared away.
    pub(crate) fn begin(&self, context: &Context, mut sealed: Sealed, flight: Flight) {
        let store = context.inner.store.clone();
        let begun = tokio::task::spawn_blocking(move || {
            let kept = sealed.commit();
            drop(flight);
            if let Err(error) = store.sweep() {
                tracing::warn!(%error, "left-overs could not be cleared");
            }
            (sealed, kept)
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
    }

    /// Waits until all of it is done, when nothing uses it any more. What could not be kept is told and removed.
    pub(crate) async fn done(&self, context: &Context) {
        loop {
            let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(begun) = next else { return };
            let reason = match begun.await {
                Ok((_, Ok(()))) => continue,
                Ok((_, Err(error))) => error.to_string(),
                Err(error) => error.to_string(),
            };
            context.emit(Event::Notice {
                code: "env.not-kept".to_owned(),
                message: format!("the environment is not kept for later runs: {reason}"),
            });
        }
    }
}
