//! Runs tasks by a container engine: podman or docker, by their command lines.
//!
//! An engine is chosen where this program cannot make the root of an image itself, or where it is asked for. It gets the
//! same grants as a task that this program holds: [`Container::arguments`] says them in its words, and [`report`] what of them
//! it does not hold. A container has a name, by which it is removed whatever became of the program that started it: by a
//! [`Keeper`] if this process is killed, and should that be killed too, by the next run ([`EngineProgram::remove_leftovers`]).

mod arguments;
mod error;
mod images;
mod keeper;
mod leftovers;
mod owner;
mod program;
mod report;
mod subordinate;

pub use arguments::{Bind, Container, new_name, reads, task_user};
pub use error::EngineError;
pub use images::kept_name;
pub use keeper::Keeper;
pub use owner::Owner;
pub use program::EngineProgram;
pub use report::{report, unheld};
pub use subordinate::{SUBORDINATE_IDS, wants_subordinate_ids};

/// The label of every container that is started from here; its value is the name of the container.
pub const LABEL: &str = "dev.wrun.run";

/// The label that says which process waits for a container ([`Owner`]).
pub const OWNER_LABEL: &str = "dev.wrun.owner";
