//! The helper on Linux.
//!
//! Everything here runs in a process with one thread. The order of the steps is that of the layers: what needs rights
//! comes before they are given up, Landlock after the mounts, the filter of system calls last.

mod ahead;
mod capabilities;
mod descriptors;
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

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::fs::{Access, FileType, Mode, access, lstat, stat};
use rustix::process::{Signal, chdir, getppid, set_parent_process_death_signal, setsid};

use crate::channel::{Channel, Handed};
use crate::helper::{AheadNetwork, BUILD};
use crate::memfd;
use crate::message::{Failure, Message, Step};
use crate::policy::Policy;
use wrun_core::sandbox::Tier;

pub(crate) use resources::processors;
pub(crate) use seccomp::Refusing;
pub(crate) use wrun_process::spawn_helper;

use ahead::Ahead;
use descriptors::{close_all_but, close_on_exec};
use step::{Number as _, Try as _, failure};

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

/// A program in the folder of this one that whoever could put it there could have put in place of this one: it has the
/// same owner, and nobody else may write to it.
pub(crate) fn beside(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.with_file_name(name);
    let (own, other) = (stat(&own).ok()?, lstat(&path).ok()?);
    let by_others = Mode::WGRP | Mode::WOTH;
    let is_alike = FileType::from_raw_mode(other.st_mode).is_file()
        && other.st_uid == own.st_uid
        && !Mode::from_raw_mode(other.st_mode).intersects(by_others);
    (is_alike && access(&path, Access::EXEC_OK).is_ok()).then_some(path)
}

/// Becomes the process that the arguments speak of.
pub(crate) fn become_process(arguments: &[OsString]) -> ! {
    let [build, parent, channel, network, processors] = arguments else {
        process::exit(CANNOT_REPORT);
    };
    let Some(channel) = owned(channel) else {
        process::exit(CANNOT_REPORT);
    };
    if close_on_exec(&channel, true).is_err() {
        process::exit(CANNOT_REPORT);
    }
    let channel = Channel::from_descriptor(channel);
    let parent = parent.to_str().and_then(|number| number.parse().ok());
    let (Some(parent), true) = (parent, build == BUILD) else {
        fail(&channel, failure(Step::Build, libc::EINVAL));
    };
    let ahead = (network == AheadNetwork::Empty.word()).then(|| processors.to_string_lossy());
    live(channel, parent, ahead.as_deref())
}

/// The life of a helper, which makes what it can ahead if it is told of processors.
fn live(channel: Channel, parent: u32, processors: Option<&str>) -> ! {
    let (channel, failed) = match prepare(channel, parent, processors) {
        Ok(Some(Task {
            policy,
            channel,
            ahead,
        })) => match run(&policy, &channel, ahead) {
            Ok(never) => match never {},
            Err(failed) => (channel, failed),
        },
        Ok(None) => process::exit(0),
        Err(failed) => failed,
    };
    fail(&channel, failed)
}

/// Says what went wrong, and ends.
fn fail(channel: &Channel, failed: Failure) -> ! {
    let reported = channel.send(&Message::Failed(failed), None);
    process::exit(if reported.is_ok() { 0 } else { CANNOT_REPORT })
}

/// The descriptor whose number the argument is.
fn owned(argument: &OsString) -> Option<OwnedFd> {
    let number: RawFd = argument.to_str()?.parse().ok()?;
    if number <= 2 {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "the descriptor comes as a number from the program that started this one"
    )]
    // SAFETY: the process has just started and owns nothing yet; whoever started it passed this descriptor on for it to
    // own. A number that is not open makes the first use of it fail.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    Some(owned)
}

/// All that a process is set up from.
struct Task {
    policy: Policy,
    channel: Channel,
    ahead: Option<Ahead>,
}

/// Makes what can be made ahead, waits for the policy, and puts everything that comes along with it in its place. `None` if
/// there comes none: this process is not needed.
fn prepare(
    channel: Channel,
    parent: u32,
    processors: Option<&str>,
) -> Result<Option<Task>, (Channel, Failure)> {
    let begin = || {
        setsid().or_fail(Step::Session)?;
        end_with(parent)?;
        let Some(processors) = processors else {
            return Ok(None);
        };
        let ahead = ahead::make(&channel, processors)?;
        ahead.as_ref().map(Ahead::join_network).transpose()?;
        Ok(ahead)
    };
    let ahead = match begin() {
        Ok(ahead) => ahead,
        Err(failed) => return Err((channel, failed)),
    };
    let Handed { policy, given } = match channel.take_over() {
        Ok(Some(taken)) => taken,
        Ok(None) => return Ok(None),
        Err(error) => return Err((channel, failure(Step::Channel, error.number()))),
    };
    let policy = match read(policy) {
        Ok(policy) => policy,
        Err(failed) => return Err((channel, failed)),
    };
    let (mut channel, mut ahead) = (channel, ahead);
    let of_ahead = ahead.iter_mut().flat_map(Ahead::descriptors);
    let others = [channel.descriptor()].into_iter().chain(of_ahead).collect();
    if descriptors::place(others, given).is_err() {
        // Without the channel nothing can be told.
        process::exit(CANNOT_REPORT);
    }
    Ok(Some(Task {
        policy,
        channel,
        ahead,
    }))
}

/// Has this process killed when the one who started it ends.
fn end_with(parent: u32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).or_fail(Step::ParentDeath)?;
    // It may have ended before the call; no signal comes for that.
    let is_there = getppid().is_some_and(|now| now.as_raw_pid().unsigned_abs() == parent);
    if is_there {
        Ok(())
    } else {
        Err(failure(Step::ParentDeath, libc::ESRCH))
    }
}

fn read(policy: OwnedFd) -> Result<Policy, Failure> {
    let bytes = memfd::read(policy).or_fail(Step::Policy)?;
    serde_json::from_slice(&bytes).map_err(|_| failure(Step::Policy, libc::EINVAL))
}

fn run(policy: &Policy, channel: &Channel, mut ahead: Option<Ahead>) -> Result<Infallible, Failure> {
    let is_meant = AheadNetwork::of(policy.tier, policy.network) == AheadNetwork::Empty
        && policy.identity.becomes.is_some();
    if ahead.is_some() && !is_meant {
        return Err(failure(Step::Policy, libc::EINVAL));
    }

    let given = policy.groups.iter().chain(&policy.keep).copied();
    let of_ahead = ahead
        .iter_mut()
        .flat_map(Ahead::descriptors)
        .map(|own| own.as_raw_fd());
    close_all_but(given.chain([channel.as_raw_fd()]).chain(of_ahead)).or_fail(Step::Descriptors)?;
    chdir("/").or_fail(Step::Root)?;
    process::block_signals();
    match (policy.tier, ahead) {
        (Tier::Full, Some(ahead)) => full::go_on(policy, channel, ahead),
        (Tier::Full, None) => full::run(policy, channel),
        (Tier::Restricted | Tier::None, _) => restricted::run(policy, channel),
    }
}
