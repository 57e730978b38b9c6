//! What a helper makes while it waits for its policy: what takes long, and is the same for every policy of
//! [`wrun_core::sandbox::Tier::Full`] that does not grant the machine's network.

use std::os::fd::OwnedFd;

use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use crate::confinement::NOBODY;
use crate::message::Step;

use super::identity::{namespace_for, open_proc, unshare};
use super::network;

/// What was made ahead. What could not be made is made, or told, when the policy is known.
pub(super) struct Ahead {
    /// Namespaces that this process is in already.
    pub namespaces: UnshareFlags,
    /// Whether the loopback interface of the network is up.
    pub has_loopback: bool,
    /// Where files of root are those of nobody.
    pub of_root: Option<OwnedFd>,
}

impl Ahead {
    /// Nothing.
    pub(super) const fn nothing() -> Self {
        Self {
            namespaces: UnshareFlags::empty(),
            has_loopback: false,
            of_root: None,
        }
    }

    /// Everything, if this process has the right to.
    pub(super) fn make() -> Self {
        let namespaces = UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
        if unshare(namespaces, Step::Namespaces).is_err() {
            return Self::nothing();
        }
        let is_root = geteuid().is_root() && getegid().is_root();
        let of_root = || namespace_for((0, 0), (NOBODY, NOBODY), &open_proc()?);
        Self {
            namespaces,
            has_loopback: network::loopback_up().is_ok(),
            of_root: is_root.then(|| of_root().ok()).flatten(),
        }
    }

    /// Whether anything was made.
    pub(super) const fn is_something(&self) -> bool {
        !self.namespaces.is_empty()
    }
}
