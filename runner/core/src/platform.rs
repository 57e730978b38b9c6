//! What a machine is, as far as packages care.

use serde::{Deserialize, Serialize};

use crate::canon::Canon;

/// The machine that environments are built for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system as Rust names it: `linux`, `macos`.
    pub os: String,
    /// Architecture as Rust names it: `x86_64`, `aarch64`.
    pub arch: String,
}

impl Platform {
    /// The platform that this program was compiled for.
    #[must_use]
    pub fn current() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
        }
    }

    /// The platform as part of a key.
    #[must_use]
    pub fn canon(&self) -> Canon {
        let Self { os, arch } = self;
        Canon::map([("arch", Canon::text(arch)), ("os", Canon::text(os))])
    }
}
