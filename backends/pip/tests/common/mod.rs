//! Requests as a host would make them for this backend.

#![expect(dead_code, reason = "each test file uses some of it")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails by ending the test"
)]

#[path = "../../../python/tests/support/mod.rs"]
mod support;

use wrun_backend_pip::Pip;

pub(crate) use support::*;

/// The backend under test.
const BACKEND: Pip = Pip;

/// Its tool, and the version that the host has.
const TOOL: (&str, &str) = ("pip", "26.3");
