//! The exit codes of `wrun submit`, `wrun run` and `wrun exec`.
//!
//! A task that ran to its end gives its own code. The others are these, after the custom of `timeout(1)`, `env(1)`
//! and the shells (POSIX.1-2017, XCU 2.8.2).

/// The task ran out of its time.
pub const TIMED_OUT: u8 = 124;
/// `wrun` failed before the task started: a bad file, an environment that cannot be built.
pub const FAILED: u8 = 125;
/// Something that was asked for is refused, or the command found cannot be executed.
pub const REFUSED: u8 = 126;
/// The command was not found on the environment's search path.
pub const NOT_FOUND: u8 = 127;
/// A task that a signal ended gives this and the signal's number.
pub const SIGNAL_BASE: u8 = 128;
/// Ended by the user (128 and SIGINT).
pub const CANCELLED: u8 = 130;
/// A WebAssembly trap (128 and SIGABRT, as the `wasmtime` command does).
pub const TRAPPED: u8 = 134;
/// The task ran out of its memory (128 and SIGKILL, as a kernel's out-of-memory kill looks).
pub const OUT_OF_MEMORY: u8 = 137;
/// The task wrote more than its output limit (128 and SIGXFSZ, the signal of a file-size limit).
pub const OUTPUT_LIMIT: u8 = 153;

/// Each code that is not the task's own, its name, and when it is returned; the source of the reference page.
pub const TABLE: &[(u8, &str, &str)] = &[
    (TIMED_OUT, "timed out", "the task ran longer than `limits.time`"),
    (
        FAILED,
        "failed",
        "wrun failed before the task started: a bad task file, an environment that could not be built",
    ),
    (
        REFUSED,
        "refused",
        "something the task asks for cannot be granted, or its command cannot be executed",
    ),
    (
        NOT_FOUND,
        "not found",
        "the command is not on the environment's search path",
    ),
    (
        CANCELLED,
        "cancelled",
        "the run was ended by SIGINT (Ctrl-C), SIGTERM, SIGHUP or SIGQUIT before the task ran, or by a second one of them \
         while it ran",
    ),
    (TRAPPED, "trapped", "the WebAssembly guest trapped"),
    (
        OUT_OF_MEMORY,
        "out of memory",
        "the task asked for more than `limits.memory`",
    ),
    (
        OUTPUT_LIMIT,
        "output limit",
        "the task wrote more than `limits.output`",
    ),
];
