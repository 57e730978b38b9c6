//! Real processes in real control groups. Needs root and a writable hierarchy; says so where that is missing.
#![cfg(target_os = "linux")]

mod limits;
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of tests fails the test, and says why one was skipped"
)]
mod machines;
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of tests fails the test, and says how long it took"
)]
mod processes;
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of tests fails the test, and says why one was skipped"
)]
mod support;
