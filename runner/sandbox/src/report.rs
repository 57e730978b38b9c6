//! What was enforced, from what the kernel said.

use std::collections::BTreeMap;

use wrun_core::grants::Limits;
use wrun_core::sandbox::{Capability, SandboxReport, State, Tier};

use crate::message::Facts;
use crate::policy::{Network, Policy};

/// Of a process with the rights of its user, which had these limits asked for.
#[must_use]
pub fn report_nothing(reason: Option<String>, limits: &Limits) -> SandboxReport {
    let Limits {
        // Held by the one who waits for it.
        time: _,
        output: _,
        memory,
        processes,
        cpu,
        file_size,
        scratch,
    } = limits;
    let why = "the task runs without a sandbox";
    let mut capabilities: BTreeMap<Capability, State> = [
        Capability::Read,
        Capability::Write,
        Capability::Network,
        Capability::OtherProcesses,
        Capability::Ipc,
        Capability::Privileges,
        Capability::SystemCalls,
        Capability::Devices,
    ]
    .into_iter()
    .map(|capability| (capability, State::not_enforced(why)))
    .collect();
    let asked = [
        (Capability::Memory, memory.is_some()),
        (Capability::ProcessCount, processes.is_some()),
        (Capability::Processor, cpu.is_some()),
        (Capability::FileSize, file_size.is_some()),
        (Capability::Scratch, scratch.is_some()),
    ];
    let unheld = asked.into_iter().filter(|(_, asked)| *asked);
    capabilities.extend(unheld.map(|(limit, _)| (limit, State::not_enforced(why))));
    capabilities.insert(Capability::Variables, State::enforced(&["execve"]));
    capabilities.insert(
        Capability::Lifetime,
        State::partial(
            &["process tree"],
            "a process that hides from its tree may be missed",
        ),
    );
    SandboxReport {
        tier: Tier::None,
        reason,
        capabilities,
    }
}

/// From what the process read back before its program was executed. `reason` is why it is not a stronger tier.
#[must_use]
pub(crate) fn report(facts: &Facts, policy: &Policy, reason: Option<String>) -> SandboxReport {
    let capabilities = match facts.tier {
        Tier::Full => full(facts, policy.network, policy.image.is_some()),
        Tier::Restricted | Tier::None => restricted(facts, policy.network),
    };
    SandboxReport {
        tier: facts.tier,
        reason,
        capabilities,
    }
}

fn full(facts: &Facts, network: Network, of_image: bool) -> BTreeMap<Capability, State> {
    let files = match facts.landlock_missing {
        // All of an image may be written to, and Landlock has no rule that takes a folder in it away again.
        _ if of_image => State::enforced(&["mount namespace"]),
        None => State::enforced(&["mount namespace", "Landlock"]),
        Some(errno) => State::partial(
            &["mount namespace"],
            format!(
                "Landlock, the second layer, is not in force: {}",
                std::io::Error::from_raw_os_error(errno)
            ),
        ),
    };
    let net = match network {
        Network::None => State::enforced(&["network namespace"]),
        Network::Served => State::enforced(&["network namespace", "proxy"]),
        Network::Host => State::enforced(&["seccomp"]),
    };
    let processes = if facts.own_proc {
        State::enforced(&["process namespace"])
    } else {
        State::partial(
            &["process namespace"],
            "there is no /proc: this container lets no fresh one be mounted",
        )
    };
    let ipc = match (network, facts.landlock) {
        (Network::Host, version) if version < 6 => State::partial(
            &["IPC namespace"],
            "abstract sockets of the machine can be reached with the machine's network (needs Landlock 6)",
        ),
        _ => State::enforced(&["IPC namespace", "mount namespace", "network namespace"]),
    };
    [
        (Capability::Read, files.clone()),
        (Capability::Write, files),
        (Capability::Network, net),
        (Capability::Variables, State::enforced(&["execve"])),
        (Capability::OtherProcesses, processes),
        (Capability::Ipc, ipc),
        (
            Capability::Privileges,
            State::enforced(&["user namespace", "no capabilities", "no new privileges"]),
        ),
        (Capability::SystemCalls, State::enforced(&["seccomp"])),
        (Capability::Devices, State::enforced(&["mount namespace"])),
        (Capability::Lifetime, State::enforced(&["process namespace"])),
    ]
    .into()
}

fn restricted(facts: &Facts, network: Network) -> BTreeMap<Capability, State> {
    let net = match network {
        Network::None => State::enforced(&["seccomp", "Landlock"]),
        Network::Host => State::enforced(&["seccomp"]),
        Network::Served => State::not_enforced("hosts by name need a network namespace"),
    };
    let write = if facts.landlock >= 3 {
        State::partial(
            &["Landlock"],
            "modes, owners and times of the user's own files outside of the grants can be changed",
        )
    } else {
        State::partial(
            &["Landlock"],
            "this kernel's Landlock does not hold truncation (needs Landlock 3)",
        )
    };
    let processes = if facts.landlock >= 6 {
        State::partial(&["Landlock", "seccomp"], "names of other processes can be seen")
    } else {
        State::partial(
            &["Landlock", "seccomp"],
            "other processes of the user can be seen and signalled (needs Landlock 6)",
        )
    };
    let privileges = if facts.user == 0 {
        State::partial(
            &["no capabilities", "no new privileges"],
            "the task is user 0, without the rights of root; it can change no modes and owners of files, but times of root's files",
        )
    } else {
        State::enforced(&["no capabilities", "no new privileges"])
    };
    let ipc = match network {
        Network::Host => State::partial(
            &["seccomp"],
            "sockets of other programs can be reached with the machine's network",
        ),
        Network::None | Network::Served => State::enforced(&["seccomp"]),
    };
    [
        (
            Capability::Read,
            State::partial(
                &["Landlock"],
                "names, sizes and times outside of the grants can be seen",
            ),
        ),
        (Capability::Write, write),
        (Capability::Network, net),
        (Capability::Variables, State::enforced(&["execve"])),
        (Capability::OtherProcesses, processes),
        (Capability::Ipc, ipc),
        (Capability::Privileges, privileges),
        (Capability::SystemCalls, State::enforced(&["seccomp"])),
        (Capability::Devices, State::enforced(&["Landlock"])),
        (
            Capability::Lifetime,
            State::partial(
                &["process tree"],
                "a process that hides from its tree may be missed",
            ),
        ),
    ]
    .into()
}
