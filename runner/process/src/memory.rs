//! How much memory a tree holds, where nothing in the kernel counts it as a whole.

use rustix::process::Pid;

use crate::procfs;

/// Looks at how much memory a process and everything that it started hold. What left the process tree is not seen, so the
/// process has to be one that orphans are given to.
#[derive(Debug, Clone, Copy)]
pub struct MemoryMeter(Pid);

impl MemoryMeter {
    pub(crate) const fn new(root: Pid) -> Self {
        Self(root)
    }

    /// Whether they hold more than so many bytes together. Memory that several of them share counts once, where the
    /// kernel lets it be told (`/proc/PID/smaps_rollup`, `proc(5)`).
    #[must_use]
    pub fn exceeds(&self, limit: u64) -> bool {
        let members = procfs::descendants(self.0);
        let sum = |held: fn(Pid) -> u64| members.iter().copied().map(held).fold(0, u64::saturating_add);
        // What is told in an instant counts what is shared again and again: it is never less.
        sum(resident) > limit && sum(proportional) > limit
    }
}

/// Bytes of a process in memory.
fn resident(process: Pid) -> u64 {
    procfs::file(process, "status").map_or(0, |text| kibibytes(&text, "VmRSS:"))
}

/// Bytes of a process in memory, shared ones divided among those that share them; those of files left out where it is not
/// told who shares them.
fn proportional(process: Pid) -> u64 {
    if let Some(text) = procfs::file(process, "smaps_rollup").filter(|text| !text.is_empty()) {
        return kibibytes(&text, "Pss:");
    }
    procfs::file(process, "status").map_or(0, |text| {
        kibibytes(&text, "RssAnon:").saturating_add(kibibytes(&text, "RssShmem:"))
    })
}

/// The number of a line such as `Pss: 12 kB`, in bytes; 0 where there is none.
fn kibibytes(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .split_ascii_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .map_or(0, |count: u64| count.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_something_and_not_everything() {
        let meter = MemoryMeter::new(rustix::process::getpid());
        assert!(meter.exceeds(64 * 1024));
        assert!(!meter.exceeds(1 << 40));
    }

    #[test]
    fn what_is_taken_is_seen() {
        const TAKEN: usize = 64 << 20;
        let own = rustix::process::getpid();
        let before = proportional(own);
        let taken = vec![1_u8; TAKEN];
        let after = proportional(own);
        assert!(after >= before + (TAKEN as u64) / 2, "{before} {after}");
        drop(taken);
    }

    #[test]
    fn a_process_that_is_gone_holds_nothing() {
        let gone = Pid::from_raw(i32::MAX).unwrap();
        assert_eq!((resident(gone), proportional(gone)), (0, 0));
        assert!(!MemoryMeter::new(gone).exceeds(0));
    }

    #[test]
    fn lines_are_read_by_their_names() {
        let text = "SwapPss: 5 kB\nPss:    12 kB\nPss_Anon: 7 kB\n";
        assert_eq!(kibibytes(text, "Pss:"), 12 * 1024);
        assert_eq!(kibibytes(text, "Rss:"), 0);
    }
}
