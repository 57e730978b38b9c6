//! Environments that a run uses while they are still written through to the disk.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use wrun_core::event::Event;
use wrun_core::sandbox::Demand;
use wrun_store::{Flight, Sealed, Store, StoreError};

use crate::Error;
use crate::context::Context;

/// What is left of writing an environment through: nothing, or the environment with why it could not be kept. Dropping it
/// removes it, and lets those go on who wait for its flight.
type Settled = Option<(Sealed, StoreError)>;

/// What is written through beside a run. To wait for a disk takes long, and only those have to who come after a loss of
/// power: a run that is under way is over by then. Should this process be killed first, the environment was never complete,
/// and the next run builds it anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settling(Arc<Mutex<Vec<JoinHandle<Settled>>>>);

impl Settling {
    /// Writes an environment through and makes it one for others too, who wait for its flight until then: beside the run, if
    /// the run's task ends with this process. One that may go on without it must not lose its environment to the next builder,
    /// and is waited for. `leases` are those of what the environment needs.
    ///
    /// # Errors
    /// It was waited for and cannot be kept.
    pub(crate) async fn begin(
        &self,
        context: &Context,
        sealed: Sealed,
        flight: Flight,
        leases: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        let store = context.inner.store.clone();
        let begun = tokio::task::spawn_blocking(move || {
            let settled = settle(&store, sealed, flight);
            drop(leases);
            settled
        });
        if matches!(context.demand, Demand::Off | Demand::BestEffort) {
            let settled = begun.await.map_err(|error| Error::Internal(error.to_string()))?;
            return settled.map_or(Ok(()), |(_, error)| Err(error.into()));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
        Ok(())
    }

    /// Waits until all of it is done, when nothing uses it any more. What could not be kept is told and removed. Who gives the
    /// run up does not wait for a disk: what is not kept by then may be built again.
    pub(crate) async fn done(&self, context: &Context) {
        loop {
            let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(begun) = next else { return };
            let reason = match context.cancel.run_until_cancelled(begun).await {
                None => return,
                Some(Ok(None)) => continue,
                Some(Ok(Some((_, error)))) => error.to_string(),
                Some(Err(error)) => error.to_string(),
            };
            context.emit(Event::Notice {
                code: "env.not-kept".to_owned(),
                message: format!("the environment is not kept for later runs: {reason}"),
            });
        }
    }
}

/// Writes an environment through and makes it one for others too, and clears away what others left that were killed.
fn settle(store: &Store, mut sealed: Sealed, flight: Flight) -> Settled {
    if let Err(error) = sealed.commit() {
        return Some((sealed, error));
    }
    drop((sealed, flight));
    if let Err(error) = store.sweep() {
        tracing::warn!(%error, "left-overs could not be cleared");
    }
    None
}
