//! Why a command was not run: it cannot be held as it has to be.

use wrun_core::sandbox::Tier;

use crate::confinement::Confinement;
use crate::message::{Failure, Step};
use crate::policy::Network;

/// Why a command was not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code.
    pub code: &'static str,
    /// What cannot be held, why, and what to do.
    pub reason: String,
    /// Only why, for a report.
    pub(crate) why: String,
}

impl Refusal {
    /// An image where it cannot be the root of a process.
    pub(crate) fn of_image(tier: Tier, confinement: &Confinement) -> Option<Self> {
        if tier == Tier::Full || confinement.image.is_none() {
            return None;
        }
        let held = match tier {
            Tier::None => "without a sandbox".to_owned(),
            Tier::Full | Tier::Restricted => format!("in the tier `{tier}`"),
        };
        Some(Self {
            code: "exec.sandbox.image",
            reason: format!(
                "a container image cannot be used {held}: its files need a root of their own, which only namespaces \
                 give; {ENGINES}, or run where the tier `full` can be had"
            ),
            why: "a container image needs a root of its own".to_owned(),
        })
    }

    /// What a tier cannot hold on any machine.
    pub(crate) fn by_design(tier: Tier, confinement: &Confinement) -> Option<Self> {
        if tier == Tier::Full {
            return None;
        }
        let what = if confinement.network() == Network::Served {
            "hosts by name (`allow.net`) need a network namespace"
        } else if confinement.limits.scratch.is_some() {
            "a limit of the scratch folder (`limits.scratch`) needs a mount namespace"
        } else {
            return None;
        };
        Some(Self {
            code: "exec.sandbox.capability",
            reason: format!(
                "the tier `restricted` cannot hold the task: {what}; take it out of the task, or run where the tier `full` can be had"
            ),
            why: what.to_owned(),
        })
    }

    /// The program has nothing that sets sandboxes up.
    pub(crate) fn no_helper() -> Self {
        Self {
            code: "exec.sandbox.helper",
            reason: "this program has no sandbox helper: call `Helper::enter` first in its `main` and give the result to the runner, or ask for no sandbox"
                .to_owned(),
            why: "the program has no sandbox helper".to_owned(),
        }
    }

    /// A limit that cannot be held here.
    pub(crate) fn limit(name: &str, why: &str) -> Self {
        Self {
            code: "exec.sandbox.limit",
            reason: format!(
                "`limits.{name}` cannot be held on this machine: {why}; take the limit out of the task, or pass `--sandbox best-effort` to run it without"
            ),
            why: why.to_owned(),
        }
    }

    /// A tier that this machine does not have.
    pub(crate) fn unavailable(tier: Tier, failure: &Failure, confinement: &Confinement) -> Self {
        let why = failure.to_string();
        Self {
            code: "exec.sandbox.unavailable",
            reason: format!(
                "the tier `{tier}` cannot be had on this machine: {why}; {}",
                way_out(tier, failure, confinement.image.is_some())
            ),
            why,
        }
    }

    /// This one, where a stronger tier was refused before.
    pub(crate) fn after(self, first: Self) -> Self {
        Self {
            code: first.code,
            reason: format!("{}; then {}", first.reason, self.reason),
            why: first.why,
        }
    }
}

/// What runs an image where this program cannot.
const ENGINES: &str = "set `engine = \"podman\"` or `engine = \"docker\"` in `[env.container]`";

fn way_out(tier: Tier, failure: &Failure, of_image: bool) -> String {
    if tier != Tier::Full {
        return "pass `--sandbox best-effort` to run with what there is, or `--sandbox off` to run without a sandbox"
            .to_owned();
    }
    let weaker = if of_image {
        ENGINES
    } else {
        "pass `--sandbox restricted`"
    };
    let first = match (failure.step, failure.errno) {
        (Step::UserNamespace | Step::IdentityMap, libc::ENOSPC) => {
            "user namespaces are used up or switched off: see `sysctl user.max_user_namespaces`"
        }
        (
            Step::UserNamespace
            | Step::IdentityMap
            | Step::Namespaces
            | Step::PrivateMounts
            | Step::Loopback
            | Step::Root,
            libc::EPERM | libc::EACCES,
        ) => {
            "namespaces are blocked, as in most containers (run it with `--security-opt seccomp=unconfined`) or by AppArmor (see `sysctl kernel.apparmor_restrict_unprivileged_userns`)"
        }
        (Step::Upper | Step::Overlay, _) => {
            "images need overlay file systems in user namespaces (Linux 5.11; with several layers 6.7)"
        }
        (Step::IdentityMount, _) => {
            "the file system cannot show its files as another user's, which keeps a task of root from being root: run as another user"
        }
        _ if of_image => return weaker.to_owned(),
        _ => return format!("{weaker} to run with Landlock and seccomp alone"),
    };
    let joined = if failure.step == Step::IdentityMount {
        ", or"
    } else {
        "; or"
    };
    format!("{first}{joined} {weaker}")
}
