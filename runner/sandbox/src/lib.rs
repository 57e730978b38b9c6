//! Holds a native process to what it was granted, by the kernel's own means, and says what was enforced.
//!
//! [`start`] starts a command as a [`Confinement`] says: by a helper ([`Helper`]), which is this program started anew, or
//! a small one beside it. It
//! has one thread, sets the sandbox up around itself, says what the kernel gave, and only then becomes the command. If
//! a step fails nothing is run, and the failure says which one, and why.
//!
//! There are two tiers ([`wrun_core::sandbox::Tier`]). `full` gives the process a file system of its own, in which only what was granted is
//! there, and its own process, user, network, IPC, host name and control group namespaces; inside of that come
//! Landlock, seccomp, no capabilities and resource limits. `restricted` is for where namespaces cannot be had,
//! as inside of most containers: Landlock, seccomp, no capabilities and resource limits on the machine's own file
//! system.

#[cfg(target_os = "linux")]
pub mod cgroup;
mod error;
mod memfd;
mod message;
mod policy;
mod report;
mod resolve;
mod system;
mod text;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unsupported;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use unsupported as platform;

mod channel;
mod confined;
mod confinement;
mod generated;
mod held;
mod helper;
mod image;
mod job;
mod memory;
mod ready;
mod refusal;
mod start;
mod watch;

pub use confined::{Conclusion, Confined, Stops};
pub use confinement::Confinement;
pub use error::SandboxError;
pub use helper::{Helper, HelperAhead};
pub use image::ImageRoot;
pub use job::Job;
pub use memory::MemoryWatch;
pub use message::{Failure, NotExecuted, Step};
pub use refusal::Refusal;
pub use report::report_nothing;
pub use start::{Start, start, start_job};
pub use watch::Observer;
