//! How the limits of a command are held on this machine.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wrun_core::grants::Limits;
use wrun_core::sandbox::{Capability, SandboxReport, State, Tier};

use crate::cgroup::{Enforcement, Group, Hierarchies, Limit, Limits as GroupLimits};
use crate::error::SandboxError;
use crate::policy::Resources;
use crate::refusal::Refusal;

/// Processes of the sandbox itself that count against a limit of processes: the helper and the first process of the
/// namespace.
const OWN_PROCESSES: u32 = 2;

/// The limits of a command as they are held.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) resources: Resources,
    /// Bytes of memory of all processes together, where that is to be looked at from outside.
    pub(crate) watched: Option<u64>,
    /// Whether they were seen to have more.
    pub(crate) seen_over: Arc<AtomicBool>,
    group: Option<Group>,
    states: Vec<(Capability, &'static str, State)>,
}

impl Held {
    pub(crate) fn new(tier: Tier, limits: &Limits) -> Result<Self, SandboxError> {
        let Limits {
            time: _,
            output: _,
            memory,
            processes,
            cpu,
            file_size,
            scratch,
        } = limits;
        let mut held = Self {
            resources: Resources {
                file_size: *file_size,
                ..Resources::default()
            },
            watched: None,
            seen_over: Arc::default(),
            group: None,
            states: Vec::new(),
        };
        if file_size.is_some() {
            held.say(
                Capability::FileSize,
                "file-size",
                State::enforced(&["RLIMIT_FSIZE"]),
            );
        }
        if scratch.is_some() {
            held.say(Capability::Scratch, "scratch", State::enforced(&["tmpfs"]));
        }
        if memory.is_none() && processes.is_none() && cpu.is_none() {
            return Ok(held);
        }
        let asked = GroupLimits {
            memory: *memory,
            processes: processes.map(|count| count.saturating_add(OWN_PROCESSES)),
            cpu_millis: *cpu,
        };
        let group = Group::create(&Hierarchies::find(), &name(), &asked)?;
        if let Some(bytes) = memory {
            let state = match group.enforced(Limit::Memory) {
                Some(Enforcement::Enforced { by }) => State::enforced(&[*by]),
                other => {
                    held.resources.data = Some(*bytes);
                    held.watched = Some(*bytes);
                    State::partial(
                        &["RLIMIT_DATA", "sampling"],
                        format!(
                            "all processes together are looked at 100 times a second and can have more for a moment; \
                             files in memory that no process has mapped are not counted{}",
                            because(other)
                        ),
                    )
                }
            };
            held.say(Capability::Memory, "memory", state);
        }
        if let Some(count) = processes {
            let state = match group.enforced(Limit::Processes) {
                Some(Enforcement::Enforced { by }) => State::enforced(&[*by]),
                _ if tier == Tier::Full => {
                    // Root's helper is not in the task's user namespace, another user's is.
                    let own = OWN_PROCESSES - u32::from(rustix::process::geteuid().is_root());
                    held.resources.processes = Some(u64::from(*count) + u64::from(own));
                    State::enforced(&["RLIMIT_NPROC in a user namespace"])
                }
                other => State::not_enforced(format!(
                    "outside of a user namespace every process of the user is counted{}",
                    because(other)
                )),
            };
            held.say(Capability::ProcessCount, "processes", state);
        }
        if let Some(thousandths) = cpu {
            let state = match group.enforced(Limit::Cpu) {
                Some(Enforcement::Enforced { by }) => State::enforced(&[*by]),
                other => {
                    held.resources.processors = Some(*thousandths);
                    State::partial(
                        &["processor affinity"],
                        format!("it may use that many whole processors{}", because(other)),
                    )
                }
            };
            held.say(Capability::Processor, "cpu", state);
        }
        held.group = Some(group);
        Ok(held)
    }

    fn say(&mut self, capability: Capability, name: &'static str, state: State) {
        self.states.push((capability, name, state));
    }

    /// Descriptors by which the control groups are joined.
    pub(crate) fn groups(&self) -> Result<Vec<OwnedFd>, SandboxError> {
        Ok(self
            .group
            .as_ref()
            .map(Group::attach_files)
            .transpose()?
            .unwrap_or_default())
    }

    /// Why the command is not run: a limit that is not held at all.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.states.iter().find_map(|(_, name, state)| match state {
            State::NotEnforced { gap } => Some(Refusal::limit(name, gap)),
            State::Enforced { .. } | State::Partial { .. } => None,
        })
    }

    pub(crate) fn add_to(&self, report: &mut SandboxReport) {
        let states = self
            .states
            .iter()
            .map(|(capability, _, state)| (*capability, state.clone()));
        report.capabilities.extend(states);
    }

    /// Whether the command ran out of memory, and of processes.
    pub(crate) fn exceeded(&self) -> (bool, bool) {
        let seen = self.seen_over.load(Ordering::Relaxed);
        self.group.as_ref().map_or((seen, false), |group| {
            let events = group.events();
            (seen || events.oom_kills > 0, events.process_limit_hits > 0)
        })
    }
}

fn because(enforcement: Option<&Enforcement>) -> String {
    match enforcement {
        Some(Enforcement::NotEnforced { reason }) => format!(" ({reason})"),
        Some(Enforcement::Partial { missing, .. }) => format!(" ({missing})"),
        Some(Enforcement::Enforced { .. }) | None => String::new(),
    }
}

/// A name that no other run on this machine has at the same time.
fn name() -> String {
    let mut bytes = [0_u8; 8];
    // Two runs with the same name would be refused by the control groups, not mixed up.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok();
    format!("{:016x}", u64::from_ne_bytes(bytes))
}
