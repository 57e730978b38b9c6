//! Runs what a task says: WebAssembly guests and native processes.

mod helper;
mod native;
mod report;
mod stdio;
mod wasi;

pub use helper::Helper;
pub use native::{Happening, NativeError, NativeTask, run as run_native, try_sandbox};
pub use report::Report;
pub use stdio::{Output, OutputSink, Stdin, Stdio};
pub use wasi::{
    CodeLock, CodeStore, CodeStoreError, CompileLimits, Guest, GuestKind, RuntimeOptions, WasiError,
    WasiRuntime, WasiTask,
};
pub use wrun_process::TerminalSize;
pub use wrun_proxy::{Gate, Reason, Refusal};
pub use wrun_sandbox::{Confinement, HelperAhead, ImageRoot, Observer};
