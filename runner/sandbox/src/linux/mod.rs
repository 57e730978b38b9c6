//! The helper on Linux.
//!
//! Everything here runs in a process with one thread. The order of the steps is that of the layers: what needs rights
//! comes before they are given up, Landlock after the mounts, the filter of system calls last.

mod capabilities;
mod files;
mod full;
mod identity;
mod landlock;
mod mounts;
mod network;
mod overlay;
mod process;
mod program;
mod resources;
mod restricted;
mod root;
mod seccomp;
mod step;
mod terminal;
mod tree;
mod users;
mod warden;

use std::ffi::OsString;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use crate::channel::Channel;
use crate::memfd;
use crate::message::{Failure, Message, Step};
use crate::policy::Policy;
use crate::prepare::close_on_exec;
use wrun_core::sandbox::Tier;

pub(crate) use seccomp::Refusing;
use step::{Try as _, failure};

/// Whether files can be linked between folders that Landlock tells apart (its version 2).
pub(crate) fn links_between_folders() -> bool {
    landlock::version() >= 2
}

/// Whether this process may make namespaces without a user namespace.
pub(crate) fn may_administer() -> bool {
    capabilities::may_administer()
}

/// The exit code of a helper that could not even say what is wrong: that of a run that failed before it began.
const CANNOT_REPORT: i32 = 125;

/// Becomes the process that the arguments speak of.
pub(crate) fn become_process(arguments: &[OsString]) -> ! {
    let Some((policy, channel)) = descriptors(arguments) else {
        process::exit(CANNOT_REPORT);
    };
    if close_on_exec(&channel, true).is_err() {
        process::exit(CANNOT_REPORT);
    }
    let channel = Channel::from_descriptor(channel);
    let failed = match read(policy).and_then(|policy| run(&policy, &channel)) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    let reported = channel.send(&Message::Failed(failed), None);
    process::exit(if reported.is_ok() { 0 } else { CANNOT_REPORT });
}

/// The two descriptors whose numbers are the arguments.
fn descriptors(arguments: &[OsString]) -> Option<(OwnedFd, OwnedFd)> {
    let number = |argument: &OsString| {
        let number: RawFd = argument.to_str()?.parse().ok()?;
        (number > 2).then_some(number)
    };
    let [policy, channel] = arguments else { return None };
    let (policy, channel) = (number(policy)?, number(channel)?);
    if policy == channel {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "descriptors come as numbers from the program that started this one"
    )]
    // SAFETY: the process has just started and owns nothing yet; whoever started it passed these two descriptors on
    // for it to own, and they are different. A number that is not open makes the first use of it fail.
    let owned = unsafe { (OwnedFd::from_raw_fd(policy), OwnedFd::from_raw_fd(channel)) };
    Some(owned)
}

fn read(policy: OwnedFd) -> Result<Policy, Failure> {
    let bytes = memfd::read(policy).or_fail(Step::Policy)?;
    serde_json::from_slice(&bytes).map_err(|_| failure(Step::Policy, libc::EINVAL))
}

fn run(policy: &Policy, channel: &Channel) -> Result<std::convert::Infallible, Failure> {
    process::block_signals();
    resources::join_groups(&policy.groups)?;
    match policy.tier {
        Tier::Full => full::run(policy, channel),
        Tier::Restricted | Tier::None => restricted::run(policy, channel),
    }
}
