//! The engines: how guests are compiled, and where their memories come from.

use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher};
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Linker, PoolingAllocationConfig, Strategy,
    WasmBacktraceDetails, component,
};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p1;

use super::end::FRAMES;
use super::error::WasiError;
use super::names;
use super::state::{ComponentState, ModuleState};
use super::ticker::Ticker;

/// How many guests the pool holds at a time. Every slot reserves about 4 GiB of addresses, of which only what a guest
/// touches becomes memory.
const SLOTS: u32 = 64;

/// What one component may be made of to fit a slot; a larger one runs outside of the pool.
const CORE_INSTANCES: u32 = 16;
const TABLES: u32 = 4;
const TABLE_ELEMENTS: usize = 100_000;

/// What of a slot stays in memory between two guests, cleared by hand instead of by the kernel.
const RESIDENT_MEMORY: usize = 1 << 20;
const RESIDENT_TABLE: usize = 128 << 10;

/// Freed slots that keep the image of their last guest.
const WARM_SLOTS: u32 = 16;

/// Freed slots that are given back to the kernel in one go.
const DECOMMIT_BATCH: usize = 16;

/// Where the memories of guests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocation {
    /// Mapped for each guest.
    OnDemand,
    /// Taken from a pool that is reserved once.
    Pool,
}

/// An engine with what belongs to it. Code, linkers and stores of one engine are of no use to another.
pub(super) struct Flavour {
    pub(super) engine: Engine,
    pub(super) allocation: Allocation,
    /// The free slots of the pool.
    pub(super) slots: Option<Semaphore>,
    pub(super) ticker: Ticker,
    fingerprint: String,
    modules: OnceLock<wasmtime::Result<Linker<ModuleState>>>,
    components: OnceLock<wasmtime::Result<component::Linker<ComponentState>>>,
}

impl Flavour {
    /// # Errors
    /// The processor is not supported, or the address space of a pool cannot be reserved.
    pub(super) fn new(allocation: Allocation) -> wasmtime::Result<Self> {
        let engine = engine(allocation)?;
        let fingerprint = fingerprint(&engine);
        let ticker = Ticker::new(&engine);
        let slots = (allocation == Allocation::Pool).then(|| Semaphore::new(SLOTS as usize));
        let (modules, components) = (OnceLock::new(), OnceLock::new());
        Ok(Self {
            engine,
            allocation,
            slots,
            ticker,
            fingerprint,
            modules,
            components,
        })
    }

    /// An engine that only compiles, of the settings with this fingerprint; nothing if these are others.
    ///
    /// # Errors
    /// As for [`Flavour::new`].
    pub(super) fn compiling(allocation: Allocation, fingerprint: &str) -> wasmtime::Result<Option<Engine>> {
        let engine = engine(allocation)?;
        Ok((self::fingerprint(&engine) == fingerprint).then_some(engine))
    }

    /// What compiled code depends on besides the guest.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The name of the compiled form of a guest with this digest. It changes with everything that the compiled form
    /// depends on: the engine's version and settings, and the processor.
    pub(super) fn code_key(&self, digest: &[u8]) -> String {
        format!("{}-{}", hex(digest), self.fingerprint)
    }

    /// The functions of WASI 0.1.
    pub(super) fn modules(&self) -> Result<&Linker<ModuleState>, WasiError> {
        self.modules
            .get_or_init(|| link_modules(&self.engine))
            .as_ref()
            .map_err(WasiError::engine)
    }

    /// The interfaces of WASI 0.2.
    pub(super) fn components(&self) -> Result<&component::Linker<ComponentState>, WasiError> {
        self.components
            .get_or_init(|| link_components(&self.engine))
            .as_ref()
            .map_err(WasiError::engine)
    }
}

fn engine(allocation: Allocation) -> wasmtime::Result<Engine> {
    let mut config = config();
    if allocation == Allocation::Pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    Engine::new(&config)
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .parallel_compilation(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        // Set here so that no variable of the process decides.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // What neither WASI 0.1 nor 0.2 needs stays off: each of these has had its advisories.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_tail_call(false);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * CORE_INSTANCES)
        .total_memories(SLOTS)
        .total_tables(SLOTS * TABLES)
        .total_stacks(SLOTS)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(1)
        .max_memories_per_module(1)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(RESIDENT_MEMORY)
        .table_keep_resident(RESIDENT_TABLE)
        .max_unused_warm_slots(WARM_SLOTS)
        .decommit_batch_size(DECOMMIT_BATCH);
    pool
}

fn link_modules(engine: &Engine) -> wasmtime::Result<Linker<ModuleState>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |state: &mut ModuleState| &mut state.wasi)?;
    // The host's own `proc_exit` makes a trap of every code from 126 on.
    linker.allow_shadowing(true);
    linker.func_wrap(
        "wasi_snapshot_preview1",
        "proc_exit",
        |code: i32| -> wasmtime::Result<()> { Err(I32Exit(code).into()) },
    )?;
    linker.allow_shadowing(false);
    Ok(linker)
}

fn link_components(engine: &Engine) -> wasmtime::Result<component::Linker<ComponentState>> {
    let mut linker = component::Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    names::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// What compiled code depends on besides the guest, as 16 hexadecimal digits.
fn fingerprint(engine: &Engine) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let digest = hasher.0.finalize();
    hex(digest.get(..8).unwrap_or(&digest))
}

/// SHA-256 as a [`Hasher`], since the standard one may change with the compiler.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_names_guest_and_engine() {
        let flavour = Flavour::new(Allocation::OnDemand).unwrap();
        let again = Flavour::new(Allocation::OnDemand).unwrap();
        let key = flavour.code_key(&[0xab; 32]);
        assert_eq!(key, again.code_key(&[0xab; 32]));
        assert_ne!(key, flavour.code_key(&[0xac; 32]));
        assert_eq!(key.len(), 64 + 1 + 16);
        assert!(key.starts_with("abab"));
    }
}
