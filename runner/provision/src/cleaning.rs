//! Work that is left when a run was given up.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Work that is begun where nothing can be awaited, as what was under way is dropped, and that has to be done before this
/// process ends.
#[derive(Debug, Clone, Default)]
pub struct Cleaning(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Cleaning {
    /// Begins it. Where there is no runtime any more it is left to whoever cleans up after those that were killed.
    pub(crate) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let begun = runtime.spawn(work);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
    }

    /// Waits until all of it is done.
    pub async fn done(&self) {
        loop {
            let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(work) = next else { return };
            if let Err(error) = work.await {
                tracing::warn!(%error, "cleaning up did not come to its end");
            }
        }
    }
}
