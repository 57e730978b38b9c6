//! Native tasks: a process of the machine with everything that it starts.

mod error;
mod not_executed;
mod output;
mod run;
mod search;
mod terminal;

#[cfg(test)]
mod tests;

pub use error::NativeError;
pub use run::{Happening, NativeTask, run, try_sandbox};
