//! Runs WebAssembly guests: core modules of WASI 0.1 and components of WASI 0.2.
//!
//! A guest has what its [`Grants`](wrun_core::grants::Grants) say and nothing else: folders, a network, a time limit,
//! a limit on the sum of its memories, a limit on what it writes. Each run starts from nothing in a store of its own
//! and leaves nothing behind.
//!
//! A guest is ended in two ways that do not depend on each other. The engine interrupts its code every 10 ms, also in
//! a start function, so that it cannot keep its thread; and the run is one future that is dropped when its time is
//! over, also while the guest waits in a host function.

mod code;
mod compiler;
mod end;
mod engine;
mod error;
mod guest;
mod kind;
mod limiter;
mod names;
mod network;
mod output;
mod recent;
mod run;
mod runtime;
mod state;
mod stop;
mod task;
#[cfg(test)]
mod tests;
mod ticker;

pub use code::{CodeLock, CodeStore, CodeStoreError};
pub(crate) use compiler::COMPILE;
pub use compiler::CompileLimits;
pub use error::WasiError;
pub use guest::Guest;
pub use kind::GuestKind;
pub use runtime::{RuntimeOptions, WasiRuntime};
pub use task::WasiTask;
