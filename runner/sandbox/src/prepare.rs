//! From a policy to a program to start.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::io::{FdFlags, fcntl_setfd};

use crate::channel::Channel;
use crate::error::SandboxError;
use crate::helper::{ARGUMENT, Helper};
use crate::memfd;
use crate::policy::Policy;

/// A helper to start, as a process with a session of its own.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Descriptors that it gets under the numbers they have here, beside those that the policy keeps.
    pub descriptors: Vec<OwnedFd>,
    /// Where it says what it does.
    pub channel: Channel,
}

/// Makes a policy ready to be started.
///
/// # Errors
/// Memory or descriptors ran out.
pub(crate) fn prepare(helper: &Helper, policy: &Policy) -> Result<Prepared, SandboxError> {
    let bytes = serde_json::to_vec(policy).map_err(std::io::Error::other)?;
    let policy = memfd::seal(&bytes)?;
    let (ours, theirs) = Channel::pair()?;
    let theirs = theirs.into_descriptor();
    let args = [
        ARGUMENT.into(),
        policy.as_raw_fd().to_string().into(),
        theirs.as_raw_fd().to_string().into(),
    ];
    Ok(Prepared {
        program: helper.path().to_owned(),
        args: args.into(),
        descriptors: vec![policy, theirs],
        channel: ours,
    })
}

/// Lets a descriptor be closed when a program is executed, or not.
pub(crate) fn close_on_exec(descriptor: &impl AsFd, close: bool) -> rustix::io::Result<()> {
    let flags = if close { FdFlags::CLOEXEC } else { FdFlags::empty() };
    fcntl_setfd(descriptor, flags)
}
