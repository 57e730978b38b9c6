//! One run of one guest, in a store of its own.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime::{InstancePre, ModuleExport, Store, UpdateDeadline};
use wasmtime_wasi::p2::bindings::CommandPre;
use wrun_core::outcome::Outcome;

use super::end;
use super::engine::Flavour;
use super::error::WasiError;
use super::guest::{Linked, LinkedProgram};
use super::limiter::MemoryLimiter;
use super::network::Network;
use super::state::{ComponentState, Limited, ModuleState};
use super::stop::Stop;
use super::task::WasiTask;
use crate::stdio::Stdio;

/// Runs a guest until it ends by itself or is ended from within. The caller ends it from outside by dropping the
/// future, which takes care of a guest that waits in the host; what is set up here takes care of one that computes.
pub(super) async fn to_its_end(
    guest: &Linked,
    task: WasiTask,
    stdio: Stdio,
    deadline: Option<Instant>,
    cancel: &CancellationToken,
) -> Result<Outcome, WasiError> {
    let network = Arc::new(Network::new(task.grants.net.clone()));
    let memory = MemoryLimiter::new(task.grants.limits.memory);
    let mut context = task.context(stdio, &network)?;
    let _ticking = guest.flavour.ticker.enter()?;
    let (end, exceeded) = match &guest.program {
        LinkedProgram::Module { instance, start } => {
            let state = ModuleState {
                wasi: context.build_p1(),
                memory,
            };
            let mut store = store(&guest.flavour, state, deadline, cancel);
            let end = run_module(&mut store, instance, start).await;
            (end, store.data().memory.exceeded())
        }
        LinkedProgram::Component(command) => {
            let state = ComponentState {
                wasi: context.build(),
                table: ResourceTable::new(),
                memory,
                network,
            };
            let mut store = store(&guest.flavour, state, deadline, cancel);
            let end = run_component(&mut store, command).await;
            (end, store.data().memory.exceeded())
        }
    };
    match end {
        End::Guest(end) => Ok(end::outcome(end, &task.grants.limits, exceeded)),
        End::Setup(error) => exceeded
            .map(|limit| Outcome::OutOfMemory { limit })
            .ok_or_else(|| WasiError::Setup {
                reason: format!("{error:#}"),
            }),
    }
}

/// How a run came to its end.
enum End {
    /// The guest ran.
    Guest(Result<i32, wasmtime::Error>),
    /// The engine could not set it up.
    Setup(wasmtime::Error),
}

fn instantiation_failed(error: wasmtime::Error) -> End {
    if end::is_the_guests(&error) {
        End::Guest(Err(error))
    } else {
        End::Setup(error)
    }
}

async fn run_module(
    store: &mut Store<ModuleState>,
    instance: &InstancePre<ModuleState>,
    start: &ModuleExport,
) -> End {
    let instance = match instance.instantiate_async(&mut *store).await {
        Ok(instance) => instance,
        Err(error) => return instantiation_failed(error),
    };
    let start = instance
        .get_module_export(&mut *store, start)
        .and_then(wasmtime::Extern::into_func);
    let start = match start.map(|start| start.typed::<(), ()>(&*store)) {
        Some(Ok(start)) => start,
        Some(Err(error)) => return End::Setup(error),
        None => return End::Setup(wasmtime::Error::msg("the module has lost its `_start`")),
    };
    End::Guest(start.call_async(&mut *store, ()).await.map(|()| 0))
}

async fn run_component(store: &mut Store<ComponentState>, command: &CommandPre<ComponentState>) -> End {
    let command = match command.instantiate_async(&mut *store).await {
        Ok(command) => command,
        Err(error) => return instantiation_failed(error),
    };
    let returned = command.wasi_cli_run().call_run(&mut *store).await;
    End::Guest(returned.map(|result| i32::from(result.is_err())))
}

/// A store in which the guest is interrupted at every tick: it hands its thread back to the executor, and is ended if
/// its time is over or nobody wants it any more.
fn store<T: Limited + Send>(
    flavour: &Flavour,
    state: T,
    deadline: Option<Instant>,
    cancel: &CancellationToken,
) -> Store<T> {
    let mut store = Store::new(&flavour.engine, state);
    store.limiter(|state| state.memory());
    // Set before anything is instantiated, since start functions run during that.
    store.set_epoch_deadline(1);
    let cancel = cancel.clone();
    store.epoch_deadline_callback(move |_| {
        if cancel.is_cancelled() {
            return Err(Stop::Cancelled.into());
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Stop::TimedOut.into());
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}
