//! Trees of a process that does not adopt orphans.
#![cfg(target_os = "linux")]

#[expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]
mod capture;
#[path = "../support/mod.rs"]
#[expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]
mod support;
mod tree;
