//! What can be limited, and what came of it.

use std::fmt;

use super::each::Each;
use super::error::CgroupError;

/// How much the processes of a group may use together. Absent is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of memory, with what the kernel keeps for the processes and with files in memory; swap is none on top.
    /// The kernel rounds it down to whole pages. From 64 KiB (the largest page there is) to 2⁶² bytes.
    pub memory: Option<u64>,
    /// Processes and threads at one time. From 1 to 4194304 (`PID_MAX_LIMIT`).
    pub processes: Option<u32>,
    /// Processor time as thousandths of one processor; 1500 is one and a half. From 1.
    pub cpu_millis: Option<u32>,
}

impl Limits {
    /// # Errors
    /// A limit is outside of what any kernel takes.
    pub(super) fn check(&self) -> Result<(), CgroupError> {
        for limit in Limit::ALL {
            let (least, most) = limit.range();
            match *self.each().get(limit) {
                Some(value) if !(least..=most).contains(&value) => {
                    return Err(CgroupError::Range {
                        limit,
                        value,
                        least,
                        most,
                    });
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Each as a number in its own unit.
    pub(super) fn each(&self) -> Each<Option<u64>> {
        Each {
            memory: self.memory,
            processes: self.processes.map(u64::from),
            cpu: self.cpu_millis.map(u64::from),
        }
    }
}

/// One of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::processes`].
    Processes,
    /// [`Limits::cpu_millis`].
    Cpu,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    /// The kernel's controller for it.
    #[must_use]
    pub const fn controller(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }

    const fn range(self) -> (u64, u64) {
        match self {
            Self::Memory => (64 * 1024, 1 << 62),
            Self::Processes => (1, 4 * 1024 * 1024),
            Self::Cpu => (1, u32::MAX as u64),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "bytes of memory",
            Self::Processes => "processes",
            Self::Cpu => "thousandths of a processor",
        })
    }
}

/// Whether something is held, said after the kernel confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enforcement {
    /// It is.
    Enforced {
        /// By what.
        by: &'static str,
    },
    /// It is, with a gap.
    Partial {
        /// By what.
        by: &'static str,
        /// What the gap is.
        missing: String,
    },
    /// It is not.
    NotEnforced {
        /// Why not, for people.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_ranges() {
        let memory = |bytes| Limits {
            memory: Some(bytes),
            ..Limits::default()
        };
        let processes = |count| Limits {
            processes: Some(count),
            ..Limits::default()
        };
        let cpu = |millis| Limits {
            cpu_millis: Some(millis),
            ..Limits::default()
        };
        for good in [
            Limits::default(),
            memory(64 * 1024),
            memory(1 << 62),
            processes(1),
            processes(4_194_304),
            cpu(1),
            cpu(u32::MAX),
        ] {
            good.check().unwrap();
        }
        for bad in [
            memory(0),
            memory(65535),
            memory((1 << 62) + 1),
            memory(u64::MAX),
            processes(0),
            processes(4_194_305),
            cpu(0),
        ] {
            assert!(matches!(bad.check(), Err(CgroupError::Range { .. })), "{bad:?}");
        }
        assert_eq!(
            processes(0).check().unwrap_err().to_string(),
            "cannot limit processes to 0: it has to be from 1 to 4194304"
        );
    }
}
