//! Work that the helper does itself, in the sandbox, where a command would be another program.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::sync::OnceLock;

/// The first argument of a helper that does a job without a sandbox around it.
pub(crate) const ARGUMENT: &str = "__wrun-job";

/// The exit code of a job that panicked, which is that of a Rust program that did.
const PANICKED: i32 = 101;

/// The exit code of a helper that does not know the job: that of a run that failed before it began.
const UNKNOWN: i32 = 125;

/// Work that a program lets its helper do, in a process that can be bounded and killed.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// What it is asked for by.
    pub name: &'static str,
    /// Does it, in a process of its own, with the command's arguments, the descriptors that it inherits, and its streams. The
    /// result is the exit code.
    pub work: fn(&[OsString], Vec<OwnedFd>) -> i32,
}

/// The jobs of this program. A helper has no caller that could hand them on from its `main`.
static JOBS: OnceLock<&'static [Job]> = OnceLock::new();

/// Says what jobs this program does.
pub(crate) fn offer(jobs: &'static [Job]) {
    // A program enters once; whoever enters again offers the same.
    JOBS.get_or_init(|| jobs);
}

/// The arguments of a helper that does a job without a sandbox around it.
pub(crate) fn arguments(name: &str, descriptors: &[OwnedFd], arguments: Vec<OsString>) -> Vec<OsString> {
    let numbers: Vec<String> = descriptors
        .iter()
        .map(|descriptor| descriptor.as_raw_fd().to_string())
        .collect();
    let first = [ARGUMENT.into(), name.into(), numbers.join(",").into()];
    first.into_iter().chain(arguments).collect()
}

/// Does the job that the arguments of this process, without the first, ask for; returns the exit code.
pub(crate) fn work_alone(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let (Some(name), Some(numbers)) = (arguments.next(), arguments.next()) else {
        return UNKNOWN;
    };
    let numbers: Option<Vec<RawFd>> = numbers
        .to_str()
        .unwrap_or_default()
        .split_terminator(',')
        .map(|number| number.parse().ok().filter(|number| *number > 2))
        .collect();
    let Some(numbers) = numbers else { return UNKNOWN };
    work(&name, &arguments.collect::<Vec<OsString>>(), &numbers)
}

/// Does a job; returns the exit code. The numbers are those of open descriptors that nobody in this process owns.
pub(crate) fn work(name: &OsStr, arguments: &[OsString], numbers: &[RawFd]) -> i32 {
    let jobs = JOBS.get().copied().unwrap_or_default();
    let Some(job) = jobs.iter().find(|job| name == job.name) else {
        return UNKNOWN;
    };
    let mut distinct = numbers.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() != numbers.len() {
        return UNKNOWN;
    }
    #[expect(
        unsafe_code,
        reason = "descriptors come as numbers from the program that started this one"
    )]
    // SAFETY: this process was started for the job and was handed these descriptors for it, which nothing else here owns.
    // They are different. A number that is not open makes the first use of it fail.
    let descriptors = numbers
        .iter()
        .map(|number| unsafe { OwnedFd::from_raw_fd(*number) })
        .collect();
    std::panic::catch_unwind(|| (job.work)(arguments, descriptors)).unwrap_or(PANICKED)
}
