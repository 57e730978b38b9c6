//! Limits of memory, processes and processor time by control groups (`cgroups(7)`).
//!
//! [`Hierarchies::find`] looks where this process may make groups: control groups version 2, version 1, both at once
//! (a "hybrid" machine has most controllers in version 1 and an almost empty version 2 beside it), or nowhere.
//! [`Group::create`] makes a group for one task below the groups that this process is in itself, so that every limit
//! that holds for this process goes on holding for the task. The task's first process enters it by writing `0` to
//! each of [`Group::attach_files`] before it starts anything else.
//!
//! Nothing is assumed: an existing group of the same name is an error, each limit is read back from the kernel, and
//! [`Group::enforced`] says of each limit that was asked for by what it is held, or why it is not.

mod counters;
mod each;
mod error;
mod files;
mod group;
mod hierarchies;
mod kill;
mod leaf;
mod limits;
mod membership;
mod mountinfo;
mod owner;
mod settings;
mod unified;

#[cfg(test)]
mod fake;

pub use error::CgroupError;
pub use group::{Events, Group};
pub use hierarchies::Hierarchies;
pub use leaf::Version;
pub use limits::{Enforcement, Limit, Limits};
