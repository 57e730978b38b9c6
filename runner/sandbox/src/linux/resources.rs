//! Control groups and resource limits.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::message::{Failure, Step};
use crate::policy::{Policy, Resources};

use super::step::Try as _;

/// Thousandths of a processor.
const WHOLE: u32 = 1000;

/// The descriptors of control groups that a policy speaks of.
pub(super) fn groups(policy: &Policy) -> Vec<BorrowedFd<'_>> {
    policy
        .groups
        .iter()
        .map(|number| {
            #[expect(unsafe_code, reason = "descriptors come as numbers in the policy")]
            // SAFETY: the one who started the helper passed the descriptor on, and nothing closes it before this process
            // executes its program. A number that is not open makes every use of it fail.
            unsafe {
                BorrowedFd::borrow_raw(*number)
            }
        })
        .collect()
}

/// Joins control groups by their `cgroup.procs` files (`cgroups(7)`).
pub(super) fn join(groups: &[impl AsFd]) -> Result<(), Failure> {
    for file in groups {
        rustix::io::write(file, b"0").or_fail(Step::ControlGroup)?;
    }
    Ok(())
}

/// The processors that this process may use, in words for a helper.
pub(crate) fn processors() -> String {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    let numbers = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
    numbers
        .map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(",")
}

/// Has this process use the processors that it was told of. The one who started the helper moves it between processors when
/// it has just begun, and what it forks meanwhile is bound to the wrong ones.
pub(super) fn use_processors(told: &str) -> Result<(), Failure> {
    let mut allowed = CpuSet::new();
    let numbers = told.split(',').filter_map(|number| number.parse().ok());
    for number in numbers.filter(|number| *number < CpuSet::MAX_CPU) {
        allowed.set(number);
    }
    if allowed.count() == 0 {
        return Ok(());
    }
    sched_setaffinity(None, &allowed).or_fail(Step::Resources)
}

/// Sets the limits; those that the caller has and that are lower stay.
pub(super) fn limit(resources: &Resources) -> Result<(), Failure> {
    let Resources {
        file_size,
        data,
        processes,
        processors,
    } = resources;
    let limits = [
        (Resource::Core, Some(0)),
        (Resource::Fsize, *file_size),
        (Resource::Data, *data),
        (Resource::Nproc, *processes),
    ];
    for (resource, limit) in limits {
        if let Some(limit) = limit {
            lower(resource, limit)?;
        }
    }
    if let Some(thousandths) = processors {
        bind(thousandths.div_ceil(WHOLE).max(1))?;
    }
    Ok(())
}

fn lower(resource: Resource, limit: u64) -> Result<(), Failure> {
    let held = getrlimit(resource);
    let limit = held.maximum.map_or(limit, |maximum| limit.min(maximum));
    setrlimit(
        resource,
        Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        },
    )
    .or_fail(Step::Resources)
}

/// Binds the process to this many of the processors that it may use.
fn bind(count: u32) -> Result<(), Failure> {
    let allowed = sched_getaffinity(None).or_fail(Step::Resources)?;
    let mut chosen = CpuSet::new();
    let usable = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
    for processor in usable.take(usize::try_from(count).unwrap_or(usize::MAX)) {
        chosen.set(processor);
    }
    sched_setaffinity(None, &chosen).or_fail(Step::Resources)
}
