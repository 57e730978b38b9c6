//! What all runs of a runner share, and what one run carries along.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use wrun_core::backend::{Backend, Manifest};
use wrun_core::event::Event;
use wrun_core::sandbox::Demand;
use wrun_exec::{Helper, HelperAhead, WasiRuntime};
use wrun_provision::{Cleaning, Credentials, Settings, TaskHost};
use wrun_store::Store;

use crate::Error;
use crate::settling::Settling;

/// What all runs of a runner share.
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) backends: Vec<Arc<dyn Backend>>,
    pub(crate) variables: BTreeMap<String, String>,
    /// Variables of the caller that are no text.
    pub(crate) not_text: BTreeSet<OsString>,
    pub(crate) wasi: WasiRuntime,
    pub(crate) helper: Option<Helper>,
}

impl Inner {
    pub(crate) fn backend(&self, name: &str) -> Result<Arc<dyn Backend>, Error> {
        self.backends
            .iter()
            .find(|backend| backend.id() == name)
            .cloned()
            .ok_or_else(|| Error::UnknownBackend {
                name: name.to_owned(),
                known: self
                    .backends
                    .iter()
                    .map(|backend| backend.id())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    pub(crate) fn manifests(&self) -> Vec<Manifest> {
        self.backends.iter().map(|backend| backend.manifest()).collect()
    }
}

/// Takes the events of a run.
pub(crate) type Emit = Arc<dyn Fn(Event) + Send + Sync>;

/// What one run carries along.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) inner: Arc<Inner>,
    pub(crate) emit: Emit,
    pub(crate) cancel: CancellationToken,
    pub(crate) submitted: Instant,
    /// How strongly installers and native tasks are held.
    pub(crate) demand: Demand,
    /// The helper for what is started next.
    pub(crate) helper_ahead: HelperAhead,
    /// What is left to do when the run was given up.
    pub(crate) cleaning: Cleaning,
    /// What is written through while the run goes on.
    pub(crate) settling: Settling,
}

impl Context {
    /// The same with what is asked of the sandbox.
    pub(crate) fn held_by(self, demand: Demand) -> Self {
        Self { demand, ..self }
    }

    pub(crate) fn emit(&self, event: Event) {
        (self.emit)(event);
    }

    /// The acting half for the backends, with the task's folder as the project.
    pub(crate) fn host(&self, project: PathBuf) -> TaskHost {
        let Inner {
            store,
            settings,
            credentials,
            backends: _,
            variables: _,
            not_text: _,
            wasi: _,
            helper: _,
        } = &*self.inner;
        TaskHost::new(
            store.clone(),
            Settings {
                sandbox: self.demand,
                ..settings.clone()
            },
            Arc::clone(credentials),
            project,
            self.cancel.clone(),
            Arc::clone(&self.emit),
        )
        .starting_ahead(self.helper_ahead.clone())
        .cleaning_up(self.cleaning.clone())
    }

    /// Runs something that blocks on a thread of its own.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let context = self.clone();
        tokio::task::spawn_blocking(move || work(context))
            .await
            .map_err(|error| Error::Internal(error.to_string()))
    }
}
