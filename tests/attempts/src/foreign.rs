//! Calls by other doors than the one that filters are written for.

use crate::Attempt;
use crate::verdict::Verdict;
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "int80",
        usage: "getpid|unshare|ptrace|keyctl|socket",
        run: int80,
    },
    Attempt {
        name: "int80-read",
        usage: "PATH MARKER",
        run: int80_read,
    },
    Attempt {
        name: "x32",
        usage: "getpid|unshare|ptrace|keyctl",
        run: x32,
    },
    Attempt {
        name: "vsyscall",
        usage: "",
        run: vsyscall,
    },
];

#[cfg(not(target_arch = "x86_64"))]
mod doors {
    use crate::verdict::{Stop, Verdict};
    use crate::words::Words;

    pub(super) fn none(_: &Words) -> Verdict {
        Err(Stop::unavailable("this architecture has no other door"))
    }
}
#[cfg(not(target_arch = "x86_64"))]
use doors::{none as int80, none as int80_read, none as x32, none as vsyscall};

#[cfg(target_arch = "x86_64")]
#[path = "x86.rs"]
mod doors;
#[cfg(target_arch = "x86_64")]
use doors::{int80, int80_read, vsyscall, x32};

/// Keeps the signatures of both architectures the same.
const _: [fn(&Words) -> Verdict; 4] = [int80, int80_read, x32, vsyscall];
