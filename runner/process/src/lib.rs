//! Process trees: started in a session of their own, streamed, signalled and ended as a whole.
//!
//! [`spawn`] starts a program with exactly the environment and descriptors that it is given, without a shell.
//! The [`Tree`] that comes back stands for the program and everything that it starts: [`Tree::end`] leaves nothing
//! behind. [`supervise`] brings a tree, its output, a time limit, cancellation and forwarded signals together;
//! [`run_captured`] does all of it for a tool whose output is wanted.
//!
//! On Linux, members of a tree are found by their session, by their ancestors and by a variable ([`MARK`]) that
//! every tree has in its environment, so that one that left both session and parent is found as well. What is not
//! found is a process that did all of that and cleared its environment too. On other systems a tree is its process
//! group.

mod capture;
mod command;
mod diagnose;
mod error;
mod group;
mod leader;
mod lines;
mod mark;
mod pipe;
mod signal;
mod spawn;
mod streams;
mod supervise;
mod terminal;
mod tree;

#[cfg(target_os = "linux")]
mod direct;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(not(target_os = "linux"))]
mod unix;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use unix as platform;

pub use capture::{CaptureLimits, Captured, Stream, capture, run_captured};
pub use command::{Command, Out, Stdin};
pub use diagnose::interpreter;
#[cfg(target_os = "linux")]
pub use direct::spawn_helper;
pub use error::ProcessError;
pub use leader::Usage;
pub use mark::MARK;
#[cfg(target_os = "linux")]
pub use memory::MemoryMeter;
pub use pipe::{InputPipe, OutputPipe};
pub use rustix::process::Signal;
pub use signal::signal_name;
pub use spawn::spawn;
pub use streams::{Streams, streams};
pub use supervise::{Cause, Supervision, supervise};
pub use terminal::{Terminal, TerminalSize, open_terminal};
pub use tree::Tree;

/// When a process started, in clock ticks since the system did (`proc(5)`): with its number it is an identity. `None` if it
/// has ended, cannot be seen, or the system does not say.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    platform::start_time(rustix::process::Pid::from_raw(pid)?)
}

/// Makes this process the one that orphans of its descendants are given to (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`).
///
/// For a program to call once, before it starts anything: ends of trees are then seen without reading all of
/// `/proc`, and their orphans are reaped here. It is a property of the whole process, so a library must not call it.
/// Does nothing on systems other than Linux.
///
/// # Errors
/// The system refused.
pub fn adopt_orphans() -> std::io::Result<()> {
    platform::adopt_orphans()
}
