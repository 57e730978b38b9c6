//! What of the grants an engine holds, as it was asked to.

use std::collections::BTreeMap;

use wrun_core::grants::Limits;
use wrun_core::sandbox::{Capability, SandboxReport, State, Tier};

use crate::arguments::{Container, holds_limits};
use crate::program::EngineProgram;

/// What an engine holds a container to.
#[must_use]
pub fn report(engine: &EngineProgram, container: &Container) -> SandboxReport {
    let by = [engine.engine.name()];
    let enforced = || State::enforced(&by);
    let mut capabilities = BTreeMap::from([
        (Capability::Read, enforced()),
        (Capability::Write, enforced()),
        (Capability::Network, enforced()),
        (Capability::Variables, enforced()),
        (Capability::OtherProcesses, enforced()),
        (Capability::Devices, enforced()),
        (
            Capability::SystemCalls,
            State::partial(
                &by,
                "the engine's own filter lets more calls through than that of wrun",
            ),
        ),
        (
            Capability::Lifetime,
            State::partial(
                &by,
                "if wrun itself is killed, a process of its own removes the container, and if that is killed too, the next run by the engine does",
            ),
        ),
    ]);
    capabilities.insert(
        Capability::Ipc,
        if container.has_network {
            State::partial(
                &by,
                "abstract sockets of the machine can be reached with the machine's network",
            )
        } else {
            enforced()
        },
    );
    capabilities.insert(
        Capability::Privileges,
        if engine.is_rootless {
            enforced()
        } else {
            State::partial(
                &by,
                "there is no user namespace: the task is the caller on the machine itself, without capabilities",
            )
        },
    );
    capabilities.extend(limits(engine, &container.limits));
    SandboxReport {
        // A root and namespaces of its own.
        tier: Tier::Full,
        reason: Some(format!(
            "{} holds the task; that is what it was asked for, not what the kernel said",
            engine.engine.name()
        )),
        capabilities,
    }
}

/// The first limit that an engine does not hold here at all, by its name, and why.
#[must_use]
pub fn unheld(engine: &EngineProgram, container: &Container) -> Option<(Capability, String)> {
    limits(engine, &container.limits)
        .into_iter()
        .find_map(|(capability, state)| match state {
            State::NotEnforced { gap } => Some((capability, gap)),
            State::Enforced { .. } | State::Partial { .. } => None,
        })
}

fn limits(engine: &EngineProgram, limits: &Limits) -> Vec<(Capability, State)> {
    const NO_GROUPS: &str =
        "podman without root has control groups of version 2 only, which this machine does not have";
    let by = [engine.engine.name()];
    let Limits {
        time,
        memory,
        processes,
        cpu,
        output,
        file_size,
        scratch,
    } = limits;
    let of_groups = || {
        if holds_limits(engine) {
            State::enforced(&by)
        } else {
            State::not_enforced(NO_GROUPS)
        }
    };
    let of_run = || State::enforced(&["wrun"]);
    [
        time.map(|_| (Capability::Time, of_run())),
        output.map(|_| (Capability::Output, of_run())),
        memory.map(|_| (Capability::Memory, of_groups())),
        processes.map(|_| (Capability::ProcessCount, of_groups())),
        cpu.map(|_| (Capability::Processor, of_groups())),
        file_size.map(|_| (Capability::FileSize, State::enforced(&["RLIMIT_FSIZE"]))),
        scratch.map(|_| (Capability::Scratch, State::enforced(&["tmpfs"]))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use wrun_core::image::Engine;

    use super::*;

    #[test]
    fn a_limit_that_is_not_held_is_told() {
        let limits_of = |engine: &EngineProgram| {
            limits(
                engine,
                &Limits {
                    memory: Some(1),
                    scratch: Some(1),
                    ..Limits::default()
                },
            )
        };
        let docker = EngineProgram::for_tests(Engine::Docker, false, &[]);
        assert!(
            limits_of(&docker)
                .iter()
                .all(|(_, state)| matches!(state, State::Enforced { .. }))
        );
    }
}
