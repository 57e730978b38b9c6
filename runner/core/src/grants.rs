//! What a run may touch: one value, compiled for WebAssembly guests and for native tasks.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::Net;

/// The right to a path and everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Look at it.
    Read,
    /// Look at it and change it.
    Write,
}

/// A file or folder that a run may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathGrant {
    /// Where it is on the machine; absolute.
    pub host: PathBuf,
    /// The name that the run knows it by; a native task sees it under its own address.
    pub guest: String,
    /// What may be done with it.
    pub access: Access,
}

/// Everything that a run may touch, with its limits. What is not in here it does not have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grants {
    /// Files and folders.
    pub paths: Vec<PathGrant>,
    /// Hosts and ports.
    pub net: Net,
    /// Limits.
    pub limits: Limits,
}

/// How much a run may use. Absent is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Time by the clock from the start of the task to its end.
    pub time: Option<Duration>,
    /// Bytes of memory; for a WebAssembly guest the sum over all its linear memories and tables.
    pub memory: Option<u64>,
    /// Processes and threads at one time.
    pub processes: Option<u32>,
    /// Thousandths of a processor, over all its processes: 1500 is one and a half.
    pub cpu: Option<u32>,
    /// Bytes written to standard output and standard error together.
    pub output: Option<u64>,
    /// Bytes of any one file that it writes.
    pub file_size: Option<u64>,
    /// Bytes of its scratch folder.
    pub scratch: Option<u64>,
}
