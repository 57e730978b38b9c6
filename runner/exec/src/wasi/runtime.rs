//! Loading and running guests.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use wrun_core::outcome::Outcome;

use super::code::{self, CodeStore, Kept, Program};
use super::compiler::{self, CompileLimits};
use super::engine::{Allocation, Flavour};
use super::error::WasiError;
use super::guest::Guest;
use super::kind::GuestKind;
use super::recent::Recent;
use super::run;
use super::task::WasiTask;
use crate::helper::Helper;
use crate::report::Report;
use crate::stdio::Stdio;

/// How many guests stay linked for the next run.
const GUESTS: usize = 128;

/// How a [`WasiRuntime`] works.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// Reserve memory for 64 guests at once, so that each starts faster. Right for a process that runs many guests,
    /// wasted on one that runs a single guest. Where the address space cannot be reserved, memory is mapped for each
    /// guest as if this were not set.
    pub pooling: bool,
    /// Compiles guests in a process of its own. Without one they are compiled in this process, where nothing bounds the
    /// time and the memory that it takes.
    pub helper: Option<Helper>,
    /// What the helper may take to compile a guest.
    pub compile: CompileLimits,
}

/// Runs WebAssembly guests. Cheap to clone; all clones share engines and loaded guests.
///
/// Its methods need a tokio runtime with time, and with I/O where a guest may use the network. A busy guest hands its
/// thread back every 10 ms.
#[derive(Clone)]
pub struct WasiRuntime(Arc<Inner>);

struct Inner {
    options: RuntimeOptions,
    on_demand: OnceCell<Arc<Flavour>>,
    preferred: OnceCell<Arc<Flavour>>,
    guests: Mutex<Recent<[u8; 32], Guest>>,
}

impl WasiRuntime {
    /// A runtime. Its engines are built when the first guest is loaded.
    ///
    /// # Errors
    /// None at present; an option that this machine cannot serve would be one.
    pub fn new(options: RuntimeOptions) -> Result<Self, WasiError> {
        Ok(Self(Arc::new(Inner {
            options,
            on_demand: OnceCell::new(),
            preferred: OnceCell::new(),
            guests: Mutex::new(Recent::new(GUESTS)),
        })))
    }

    /// Compiles and links a guest, a WASI 0.1 module or a WASI 0.2 component, or finds what was made of it before: in
    /// this process, or in the store.
    ///
    /// # Errors
    /// The bytes are no guest, or one that needs what this host does not have.
    pub async fn load(&self, bytes: &[u8], store: &dyn CodeStore) -> Result<Guest, WasiError> {
        let kind = GuestKind::of(bytes)?;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(guest) = self.guests().get(&digest) {
            return Ok(guest);
        }
        let (program, flavour) = self.obtain(bytes, kind, &digest, store).await?;
        let guest = Guest::link(program, flavour)?;
        self.guests().insert(digest, guest.clone());
        Ok(guest)
    }

    /// Runs a guest to its end.
    ///
    /// The time limit covers everything from its instantiation on, its start functions included. Dropping the
    /// returned future ends the guest.
    ///
    /// # Errors
    /// The guest could not be started: a granted folder cannot be opened, or the machine cannot take one more guest.
    pub async fn run(
        &self,
        guest: &Guest,
        task: WasiTask,
        stdio: Stdio,
        cancel: CancellationToken,
    ) -> Result<Report, WasiError> {
        let waiting = Instant::now();
        let slot = match &guest.0.flavour.slots {
            None => None,
            Some(slots) => tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(cancelled(waiting.elapsed())),
                slot = slots.acquire() => slot.ok(),
            },
        };
        let started = Instant::now();
        if cancel.is_cancelled() {
            return Ok(cancelled(started.elapsed()));
        }
        let limit = task.grants.limits.time;
        let deadline = limit.and_then(|limit| started.checked_add(limit));
        let ended = tokio::select! {
            biased;
            outcome = run::to_its_end(&guest.0, task, stdio, deadline, &cancel) => Some(outcome?),
            () = cancel.cancelled() => Some(Outcome::Cancelled),
            () = over(deadline) => None,
        };
        drop(slot);
        let outcome = ended.unwrap_or_else(|| Outcome::TimedOut {
            limit: limit.unwrap_or_default(),
        });
        Ok(Report {
            outcome,
            elapsed: started.elapsed(),
        })
    }

    async fn obtain(
        &self,
        bytes: &[u8],
        kind: GuestKind,
        digest: &[u8],
        store: &dyn CodeStore,
    ) -> Result<(Program, Arc<Flavour>), WasiError> {
        let preferred = self.preferred().await?;
        if let Some(found) = self.find(preferred, kind, digest, store).await? {
            return Ok(found);
        }
        let key = preferred.code_key(digest);
        let _lock = match store.exclusive(&key).await {
            Ok(lock) => Some(lock),
            Err(error) => {
                warn!(key, %error, "compiling without a lock");
                None
            }
        };
        // Somebody else may have compiled it meanwhile.
        if let Some(found) = self.find(preferred, kind, digest, store).await? {
            return Ok(found);
        }
        let refused = match self
            .compile_and_keep(preferred, bytes, kind, digest, store)
            .await?
        {
            Ok(program) => return Ok((program, Arc::clone(preferred))),
            Err(reason) => reason,
        };
        if preferred.allocation == Allocation::OnDemand {
            return Err(WasiError::Setup { reason: refused });
        }
        info!(reason = refused, "the guest does not fit the pool");
        let on_demand = self.on_demand().await?;
        match self
            .compile_and_keep(on_demand, bytes, kind, digest, store)
            .await?
        {
            Ok(program) => Ok((program, Arc::clone(on_demand))),
            Err(reason) => Err(WasiError::Setup { reason }),
        }
    }

    /// Compiles for one engine and keeps the code. The inner error says why the engine does not take what it compiled.
    async fn compile_and_keep(
        &self,
        flavour: &Flavour,
        bytes: &[u8],
        kind: GuestKind,
        digest: &[u8],
        store: &dyn CodeStore,
    ) -> Result<Result<Program, String>, WasiError> {
        let RuntimeOptions {
            pooling: _,
            helper,
            compile,
        } = &self.0.options;
        let compiled = match helper {
            Some(helper) => compiler::compile(&helper.clone().into(), *compile, flavour, bytes).await?,
            None => code::compile(&flavour.engine, kind, bytes).await?,
        };
        Ok(code::keep(
            &flavour.engine,
            kind,
            &flavour.code_key(digest),
            &compiled,
            store,
        ))
    }

    /// Looks for kept code: first for the preferred engine, then, if it is there but does not fit the pool, for the
    /// engine without a pool.
    async fn find(
        &self,
        preferred: &Arc<Flavour>,
        kind: GuestKind,
        digest: &[u8],
        store: &dyn CodeStore,
    ) -> Result<Option<(Program, Arc<Flavour>)>, WasiError> {
        match code::kept(preferred, kind, &preferred.code_key(digest), store) {
            Kept::Program(program) => return Ok(Some((program, Arc::clone(preferred)))),
            Kept::Unusable if preferred.allocation == Allocation::Pool => {}
            Kept::Unusable | Kept::Nothing => return Ok(None),
        }
        let on_demand = self.on_demand().await?;
        Ok(
            match code::kept(on_demand, kind, &on_demand.code_key(digest), store) {
                Kept::Program(program) => Some((program, Arc::clone(on_demand))),
                Kept::Unusable | Kept::Nothing => None,
            },
        )
    }

    async fn preferred(&self) -> Result<&Arc<Flavour>, WasiError> {
        let build = || async {
            if self.0.options.pooling {
                match Flavour::new(Allocation::Pool) {
                    Ok(flavour) => return Ok(Arc::new(flavour)),
                    Err(error) => info!(
                        reason = format!("{error:#}"),
                        "no pool: memory is mapped for each guest"
                    ),
                }
            }
            self.on_demand().await.cloned()
        };
        self.0.preferred.get_or_try_init(build).await
    }

    async fn on_demand(&self) -> Result<&Arc<Flavour>, WasiError> {
        let build = || async {
            Flavour::new(Allocation::OnDemand)
                .map(Arc::new)
                .map_err(|error| WasiError::engine(&error))
        };
        self.0.on_demand.get_or_try_init(build).await
    }

    fn guests(&self) -> std::sync::MutexGuard<'_, Recent<[u8; 32], Guest>> {
        self.0.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WasiRuntime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WasiRuntime")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

/// Waits for a deadline, if there is one.
async fn over(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

const fn cancelled(elapsed: Duration) -> Report {
    Report {
        outcome: Outcome::Cancelled,
        elapsed,
    }
}
