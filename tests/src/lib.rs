//! What the end-to-end tests share: a world of their own for every test, a package index on this machine, and ways to
//! look at processes, files and networks from the outside.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says on standard error what it skips"
)]

pub mod binary;
pub mod command;
pub mod conda;
pub mod container;
mod events_page;
pub mod files;
pub mod index;
pub mod layer;
pub mod machine;
pub mod network;
mod pages;
pub mod processes;
pub mod ran;
pub mod random;
pub mod sandbox;
pub mod secure;
mod server;
pub mod source;
pub mod tasks;
mod terminal;
pub mod wheel;

pub use command::{Cmd, Running};
pub use events_page::events_page;
pub use index::{Fault, Index};
pub use ran::Ran;
pub use sandbox::World;
pub use source::Source;
pub use terminal::{Screen, Settings};
pub use wheel::Wheel;

/// Says that a test, or a part of one, is not done here, and why.
pub fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}
