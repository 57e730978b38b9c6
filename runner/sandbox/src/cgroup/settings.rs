//! Limits, written to a group and read back.

use std::path::Path;

use super::counters;
use super::error::CgroupError;
use super::files::Files;
use super::leaf::{Leaf, Version, is_removed};
use super::limits::{Enforcement, Limit};

/// The kernel rounds memory down to pages, which have at least the one and at most the other number of bytes.
const SMALLEST_PAGE: u64 = 4 * 1024;
const LARGEST_PAGE: u64 = 64 * 1024;

/// Microseconds in which a group may use its share of processor time. The longer one is for shares of less than the
/// least that the kernel takes, 1 ms in a period.
const PERIOD: u64 = 100_000;
const LONG_PERIOD: u64 = 1_000_000;

/// Writes one limit to an empty group.
///
/// # Errors
/// The kernel refused, or tells of another limit afterwards.
pub(super) fn limit(
    files: &dyn Files,
    leaf: &Leaf,
    limit: Limit,
    value: u64,
) -> Result<Enforcement, CgroupError> {
    match (limit, leaf.version) {
        (Limit::Memory, Version::V1) => memory_v1(files, leaf, value),
        (Limit::Memory, Version::V2) => memory_v2(files, leaf, value),
        (Limit::Processes, version) => processes(files, leaf, version, value),
        (Limit::Cpu, Version::V1) => cpu_v1(files, leaf, value),
        (Limit::Cpu, Version::V2) => cpu_v2(files, leaf, value),
    }
}

fn memory_v2(files: &dyn Files, leaf: &Leaf, bytes: u64) -> Result<Enforcement, CgroupError> {
    set(files, leaf, "memory.max", &bytes.to_string(), |found| {
        is_rounded(found, bytes)
    })?;
    // Before Linux 4.19 there is none; then one process is killed at a time.
    if files.exists(&leaf.file("memory.oom.group")) {
        set(files, leaf, "memory.oom.group", "1", |found| found == "1")?;
    }
    let swap = files.exists(&leaf.file("memory.swap.max"));
    if swap {
        set(files, leaf, "memory.swap.max", "0", |found| found == "0")?;
    }
    Ok(memory_held(files, "memory.max of cgroup v2", swap))
}

fn memory_v1(files: &dyn Files, leaf: &Leaf, bytes: u64) -> Result<Enforcement, CgroupError> {
    // Inherited from the group above; processes at the limit would stand still instead of being killed.
    set(files, leaf, "memory.oom_control", "0", |found| {
        counters::value(found.as_bytes(), "oom_kill_disable") == Some(0)
    })?;
    let text = bytes.to_string();
    set(files, leaf, "memory.limit_in_bytes", &text, |found| {
        is_rounded(found, bytes)
    })?;
    let swap = files.exists(&leaf.file("memory.memsw.limit_in_bytes"));
    if swap {
        set(files, leaf, "memory.memsw.limit_in_bytes", &text, |found| {
            is_rounded(found, bytes)
        })?;
    }
    Ok(memory_held(files, "memory.limit_in_bytes of cgroup v1", swap))
}

fn memory_held(files: &dyn Files, by: &'static str, swap_is_limited: bool) -> Enforcement {
    if swap_is_limited || !may_swap(files) {
        Enforcement::Enforced { by }
    } else {
        Enforcement::Partial {
            by,
            missing:
                "this kernel does not limit swap for each group; `swapaccount=1` on its command line may"
                    .into(),
        }
    }
}

/// Whether this machine has space to swap to (`proc_swaps(5)`: a heading, then a line for each).
fn may_swap(files: &dyn Files) -> bool {
    match files.read(Path::new("/proc/swaps")) {
        Ok(text) => text.trim_ascii().contains(&b'\n'),
        Err(error) => !is_removed(&error),
    }
}

fn processes(
    files: &dyn Files,
    leaf: &Leaf,
    version: Version,
    count: u64,
) -> Result<Enforcement, CgroupError> {
    let text = count.to_string();
    set(files, leaf, "pids.max", &text, |found| found == text)?;
    Ok(Enforcement::Enforced {
        by: match version {
            Version::V1 => "pids.max of cgroup v1",
            Version::V2 => "pids.max of cgroup v2",
        },
    })
}

fn cpu_v2(files: &dyn Files, leaf: &Leaf, millis: u64) -> Result<Enforcement, CgroupError> {
    let share = Share::of(millis);
    let text = format!("{} {}", share.quota, share.period);
    set(files, leaf, "cpu.max", &text, |found| found == text)?;
    Ok(Enforcement::Enforced {
        by: "cpu.max of cgroup v2",
    })
}

fn cpu_v1(files: &dyn Files, leaf: &Leaf, millis: u64) -> Result<Enforcement, CgroupError> {
    // Version 1 refuses a larger share than that of a group above.
    let share = leaf
        .folder
        .ancestors()
        .skip(1)
        .map_while(|folder| Share::read_v1(files, folder))
        .fold(Share::of(millis), Share::smaller);
    for (name, value) in [
        ("cpu.cfs_period_us", share.period),
        ("cpu.cfs_quota_us", share.quota),
    ] {
        let text = value.to_string();
        set(files, leaf, name, &text, |found| found == text)?;
    }
    Ok(Enforcement::Enforced {
        by: "cpu.cfs_quota_us of cgroup v1",
    })
}

/// A share of processor time: so many microseconds in each period of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    quota: u64,
    period: u64,
}

impl Share {
    const fn of(millis: u64) -> Self {
        let period = if millis < 10 { LONG_PERIOD } else { PERIOD };
        Self {
            quota: millis.saturating_mul(period / 1000),
            period,
        }
    }

    /// That of a group of version 1; `None` if the folder is no such group.
    fn read_v1(files: &dyn Files, folder: &Path) -> Option<Self> {
        let number = |name: &str| -> Option<i64> {
            let text = files.read(&folder.join(name)).ok()?;
            std::str::from_utf8(&text).ok()?.trim().parse().ok()
        };
        let quota = number("cpu.cfs_quota_us")?;
        let period = number("cpu.cfs_period_us")?;
        // Without a limit it is -1.
        let quota = u64::try_from(quota).unwrap_or(u64::MAX);
        let period = u64::try_from(period).unwrap_or(PERIOD);
        Some(Self { quota, period })
    }

    fn smaller(self, other: Self) -> Self {
        let own = u128::from(self.quota) * u128::from(other.period);
        let others = u128::from(other.quota) * u128::from(self.period);
        if others < own { other } else { self }
    }
}

/// Whether what is read is what was written, but for less than a page.
fn is_rounded(found: &str, bytes: u64) -> bool {
    found.parse::<u64>().is_ok_and(|found| {
        found.is_multiple_of(SMALLEST_PAGE)
            && bytes.checked_sub(found).is_some_and(|less| less < LARGEST_PAGE)
    })
}

fn set(
    files: &dyn Files,
    leaf: &Leaf,
    name: &str,
    text: &str,
    is_taken: impl FnOnce(&str) -> bool,
) -> Result<(), CgroupError> {
    let path = leaf.file(name);
    let io = |operation| {
        let path = path.clone();
        move |source| CgroupError::Io {
            operation,
            path,
            source,
        }
    };
    files.write(&path, text).map_err(io("write a limit to"))?;
    let found = files.read(&path).map_err(io("read back the limit in"))?;
    let found = String::from_utf8_lossy(&found);
    let found = found.trim();
    if is_taken(found) {
        Ok(())
    } else {
        Err(CgroupError::NotTaken {
            path,
            wanted: text.to_owned(),
            found: found.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_of_processor_time() {
        let cases = [
            (1, 1_000, 1_000_000),
            (9, 9_000, 1_000_000),
            (10, 1_000, 100_000),
            (500, 50_000, 100_000),
            (1500, 150_000, 100_000),
        ];
        for (millis, quota, period) in cases {
            assert_eq!(Share::of(millis), Share { quota, period });
        }
    }

    proptest! {
        #[test]
        fn a_share_is_what_was_asked_for(millis in 1..=u32::MAX) {
            let share = Share::of(u64::from(millis));
            prop_assert_eq!(share.quota * 1000, u64::from(millis) * share.period);
            prop_assert!(share.quota >= 1000, "the least that the kernel takes");
        }

        #[test]
        fn the_smaller_share_wins(one in 1_u64..100_000, other in 1_u64..100_000) {
            let winner = Share::of(one).smaller(Share::of(other));
            let least = one.min(other);
            prop_assert_eq!(winner.quota * 1000, least * winner.period);
        }

        #[test]
        fn rounding_to_any_page_is_accepted(bytes in 65536_u64..1 << 62, page in 12_u32..=16) {
            let rounded = bytes >> page << page;
            prop_assert!(is_rounded(&rounded.to_string(), bytes));
            prop_assert!(!is_rounded(&(rounded + (1 << page)).to_string(), bytes), "never more");
            prop_assert!(!is_rounded(&rounded.saturating_sub(1 << 16).to_string(), bytes), "not much less");
            prop_assert!(!is_rounded("max", bytes));
        }
    }
}
