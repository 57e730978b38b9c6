//! How a native task is held to its grants, and what of it was enforced.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How strongly a process is held.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Not at all: it has the rights of its user.
    None,
    /// Landlock, seccomp, no capabilities, resource limits.
    Restricted,
    /// That, inside of namespaces and a file system of its own.
    Full,
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Full => "full",
        })
    }
}

/// How strongly a native task has to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// As strongly as the machine can, and at least so that everything that the task may not do is held.
    #[default]
    Strongest,
    /// By [`Tier::Full`], or not run at all.
    Full,
    /// By [`Tier::Restricted`], or not run at all.
    Restricted,
    /// As strongly as the machine can, be that not at all.
    BestEffort,
    /// Not at all.
    Off,
}

/// Something that a sandbox holds a process to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capability {
    /// It reads only what was granted.
    Read,
    /// It changes only what was granted.
    Write,
    /// It reaches only what was granted of the network.
    Network,
    /// It sees only the variables that it was given.
    Variables,
    /// It neither sees nor touches other processes.
    OtherProcesses,
    /// It shares no memory, message queues or sockets with other processes.
    Ipc,
    /// It has no privileges and gets none.
    Privileges,
    /// It makes no system calls of administrators and debuggers.
    SystemCalls,
    /// It reaches no devices beyond the harmless ones.
    Devices,
    /// Nothing of it outlives it.
    Lifetime,
    /// The limit of memory.
    Memory,
    /// The limit of processes.
    #[serde(rename = "processes")]
    ProcessCount,
    /// The limit of processors.
    #[serde(rename = "cpu")]
    Processor,
    /// The limit of time by the clock.
    Time,
    /// The limit of its output.
    Output,
    /// The limit of the size of a file.
    FileSize,
    /// The limit of its scratch folder.
    Scratch,
}

impl Capability {
    /// Whether it is one of `[limits]`.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::Memory
                | Self::ProcessCount
                | Self::Processor
                | Self::Time
                | Self::Output
                | Self::FileSize
                | Self::Scratch
        )
    }

    /// Its name: for a limit the one that it has in a task file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Network => "network",
            Self::Variables => "variables",
            Self::OtherProcesses => "other-processes",
            Self::Ipc => "ipc",
            Self::Privileges => "privileges",
            Self::SystemCalls => "system-calls",
            Self::Devices => "devices",
            Self::Lifetime => "lifetime",
            Self::Memory => "memory",
            Self::ProcessCount => "processes",
            Self::Processor => "cpu",
            Self::Time => "time",
            Self::Output => "output",
            Self::FileSize => "file-size",
            Self::Scratch => "scratch",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How far something is enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It is.
    Enforced {
        /// By what.
        by: Vec<String>,
    },
    /// It is, but not wholly.
    Partial {
        /// By what.
        by: Vec<String>,
        /// What is missing.
        gap: String,
    },
    /// It is not.
    NotEnforced {
        /// Why.
        gap: String,
    },
}

impl State {
    /// Enforced by these.
    #[must_use]
    pub fn enforced(by: &[&str]) -> Self {
        Self::Enforced { by: owned(by) }
    }

    /// Enforced by these, with a gap.
    pub fn partial(by: &[&str], gap: impl Into<String>) -> Self {
        Self::Partial {
            by: owned(by),
            gap: gap.into(),
        }
    }

    /// Not enforced.
    pub fn not_enforced(gap: impl Into<String>) -> Self {
        Self::NotEnforced { gap: gap.into() }
    }
}

fn owned(by: &[&str]) -> Vec<String> {
    by.iter().map(|name| (*name).to_owned()).collect()
}

/// What was enforced on a process, from what the kernel said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SandboxReport {
    /// The tier.
    pub tier: Tier,
    /// Why the tier is not a stronger one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Each capability; limits that were not asked for are left out.
    pub capabilities: BTreeMap<Capability, State>,
}
