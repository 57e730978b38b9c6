//! Tests of the store across processes: this program starts itself, with a role in a variable.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests look at the store from the outside, fail by panicking, and are told by their children how far they are"
)]

#[path = "../support/mod.rs"]
mod support;

mod disk;
mod killed;
mod roles;
mod unprivileged;
