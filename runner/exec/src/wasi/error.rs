//! Why a WebAssembly guest cannot be run.

use std::path::PathBuf;
use std::time::Duration;

use miette::Diagnostic;

/// Why a WebAssembly guest cannot be run. What a guest itself came to is an
/// [`Outcome`](wrun_core::outcome::Outcome), not an error.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum WasiError {
    /// The bytes are not a WebAssembly binary.
    #[error("the guest is not a WebAssembly binary: it is {found}")]
    #[diagnostic(code("exec.wasi.not-wasm"), help("{hint}"))]
    NotWasm {
        /// What the bytes look like.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },

    /// The binary does not validate, or uses a WebAssembly feature that is switched off.
    #[error("the guest is not valid WebAssembly: {reason}")]
    #[diagnostic(
        code("exec.wasi.invalid"),
        help(
            "build it for `wasm32-wasip1` or `wasm32-wasip2`; threads, 64-bit memories, tail calls, exceptions and \
             garbage collection are switched off"
        )
    )]
    Invalid {
        /// The validator's reason, with the offset in the file.
        reason: String,
    },

    /// The guest could not be compiled in the time that there is for it.
    #[error("compiling the guest took more than {}", humantime::format_duration(*limit))]
    #[diagnostic(
        code("exec.wasi.compile-time"),
        help(
            "it may be made to take a compiler's time; if it is only large set `WRUN_COMPILE_TIME`, for instance to `30m`"
        )
    )]
    CompileTime {
        /// How long it was allowed to take.
        limit: Duration,
    },

    /// The guest could not be compiled in the memory that there is for it.
    #[error("compiling the guest took more than {} of memory", wrun_core::task::written_size(*limit))]
    #[diagnostic(
        code("exec.wasi.compile-memory"),
        help(
            "it may be made to take a compiler's memory; if it is only large set `WRUN_COMPILE_MEMORY`, for instance to `16GiB`"
        )
    )]
    CompileMemory {
        /// Bytes that it was allowed to take.
        limit: u64,
    },

    /// The process that compiles guests failed.
    #[error("the compiler failed: {reason}")]
    #[diagnostic(
        code("exec.wasi.compiler"),
        help(
            "it runs in a process of its own, so nothing else was harmed; if it is this guest each time, the guest \
             brings the compiler down"
        )
    )]
    Compiler {
        /// How it ended, or why it could not be started.
        reason: String,
    },

    /// The guest imports something that no grant can give.
    #[error("the guest imports `{import}`, which this host does not have")]
    #[diagnostic(code("exec.wasi.import"), help("{hint}"))]
    Import {
        /// The import as the guest names it.
        import: String,
        /// What the import means, and what to do.
        hint: String,
    },

    /// The guest does not export what a program has to export.
    #[error("the guest does not export `{export}`")]
    #[diagnostic(code("exec.wasi.export"), help("{hint}"))]
    Export {
        /// The export that is missing or has another type.
        export: &'static str,
        /// What the export means, and what to do.
        hint: String,
    },

    /// A single file was granted.
    #[error("`{}` is a file: a WebAssembly guest can only be granted folders to change", path.display())]
    #[diagnostic(code("exec.wasi.file-grant"), help("grant the folder that holds the file"))]
    FileGrant {
        /// The file.
        path: PathBuf,
    },

    /// A granted folder cannot be opened.
    #[error("cannot open the granted folder `{}`: {reason}", path.display())]
    #[diagnostic(
        code("exec.wasi.folder"),
        help("check that the folder exists and that you may read it")
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },

    /// The guest cannot be set up on this machine, by no fault of its own.
    #[error("cannot set the guest up: {reason}")]
    #[diagnostic(
        code("exec.wasi.setup"),
        help(
            "the machine may be short of memory or address space: look at `ulimit -v` and the container's limits"
        )
    )]
    Setup {
        /// The engine's reason.
        reason: String,
    },

    /// The WebAssembly engine cannot be started on this machine.
    #[error("cannot start the WebAssembly engine: {reason}")]
    #[diagnostic(
        code("exec.wasi.engine"),
        help(
            "the engine needs a supported processor, and the right to map executable memory and to start a thread"
        )
    )]
    Engine {
        /// The reason.
        reason: String,
    },
}

impl WasiError {
    /// An error of the engine itself, with the whole chain of reasons in one line.
    pub(super) fn engine(error: &wasmtime::Error) -> Self {
        Self::Engine {
            reason: format!("{error:#}"),
        }
    }
}
