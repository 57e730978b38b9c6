//! Tests of the store in one process, on real files.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at the store from the outside, and fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod artifacts;
mod builds;
mod downloaded;
mod flights;
mod opening;
mod parts;
mod records;
mod removal;
mod trees;
mod unpacking;
