//! What a store holds for the host's side of a guest.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::limiter::MemoryLimiter;
use super::network::Network;

/// The state of a core module.
pub(super) struct ModuleState {
    pub(super) wasi: WasiP1Ctx,
    pub(super) memory: MemoryLimiter,
}

/// The state of a component.
pub(super) struct ComponentState {
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) memory: MemoryLimiter,
    pub(super) network: Arc<Network>,
}

/// What both kinds of state have.
pub(super) trait Limited: 'static {
    fn memory(&mut self) -> &mut MemoryLimiter;
}

impl Limited for ModuleState {
    fn memory(&mut self) -> &mut MemoryLimiter {
        &mut self.memory
    }
}

impl Limited for ComponentState {
    fn memory(&mut self) -> &mut MemoryLimiter {
        &mut self.memory
    }
}

impl WasiView for ComponentState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
