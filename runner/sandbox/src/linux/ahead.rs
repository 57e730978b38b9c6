//! What a helper makes while it waits for its policy: what takes long, and is the same for every policy of
//! [`wrun_core::sandbox::Tier::Full`] that does not grant the machine's network.
//!
//! Two processes make it side by side. The first process of the namespaces waits for the policy itself; the helper stays
//! behind on the machine, does for the first process what only can be done from there, and outlives it.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, chdir};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::confinement::{NOBODY, is_privileged};
use crate::message::{Failure, Message, Step};
use crate::policy::Policy;

use super::descriptors::close_all_but;
use super::full::outlive;
use super::identity::{Owners, namespace_for, open_proc, unshare};
use super::process::{Forked, block_signals, die_with_parent, drop_streams, exit, fork};
use super::root::{Staged, stage};
use super::step::{Number as _, Try as _, failure};
use super::{network, resources};

/// What the first process of the namespaces has when its policy comes.
pub(super) struct Ahead {
    /// The beginning of its root.
    pub(super) staged: Staged,
    /// The machine's `/proc`.
    pub(super) proc: OwnedFd,
    /// Ends with the process that stayed behind.
    pub(super) alive: OwnedFd,
    /// The line to it.
    pub(super) behind: Channel,
    /// The processors that the program may use.
    pub(super) processors: String,
}

/// The process that stayed behind has made the network, which comes along.
#[derive(Serialize, Deserialize)]
struct NetworkMade;

/// What a policy asks of the process that stayed behind.
#[derive(Serialize, Deserialize)]
struct Asked {
    /// Whether the program is on a terminal of its own.
    has_terminal: bool,
    /// As whom files are to be shown.
    shown: (u32, u32),
    /// Whose files, if their namespaces are to be made.
    owners: Vec<(u32, u32)>,
    /// Whether an answer is waited for.
    waits: bool,
}

/// Whose files the namespace that is made before the policy is known shows as those of nobody.
const ROOT: (u32, u32) = (0, 0);

/// Makes everything, if this process has the right to, and returns in the first process of the namespaces. `None` is
/// returned in this process, of which then nothing is different.
pub(super) fn make(channel: &Channel, processors: &str) -> Result<Option<Ahead>, Failure> {
    if !is_privileged() || unshare(UnshareFlags::NEWPID, Step::Namespaces).is_err() {
        return Ok(None);
    }
    let proc = open_proc()?;
    chdir("/").or_fail(Step::Root)?;
    block_signals();
    let (alive, ours) = pipe_with(PipeFlags::CLOEXEC).or_fail(Step::Fork)?;
    let (behind, first) = Channel::inner_pair().or_fail(Step::Fork)?;
    match fork()? {
        Forked::Child => {
            drop((ours, first));
            die_with_parent(&alive, Signal::KILL)?;
            let own = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
            unshare(own, Step::Namespaces)?;
            let staged = stage()?;
            Ok(Some(Ahead {
                staged,
                proc,
                alive,
                behind,
                processors: processors.to_owned(),
            }))
        }
        Forked::Parent(process) => {
            drop((alive, behind));
            stay(process, channel, &first, &proc, ours)
        }
    }
}

/// Makes the network, does what the policy asks for, and waits for the first process to end.
fn stay(first: Pid, channel: &Channel, line: &Channel, proc: &OwnedFd, alive: OwnedFd) -> ! {
    // What the one who started it has open is not to be held open by this.
    let own = [
        channel.as_raw_fd(),
        line.as_raw_fd(),
        proc.as_raw_fd(),
        alive.as_raw_fd(),
    ];
    if let Err(error) = close_all_but(own.into_iter()) {
        let failed = failure(Step::Descriptors, error.number());
        drop(channel.send(&Message::Failed(failed), None));
        exit(0)
    }
    let begun = Message::Begun {
        anchor: Some(first.as_raw_pid().unsigned_abs()),
    };
    // Nobody may be listening any more; the death signal ends both then.
    drop(channel.send(&begun, None));
    let has_terminal = match serve(line, proc) {
        Ok(has_terminal) => has_terminal,
        Err(failed) => {
            drop(channel.send(&Message::Failed(failed), None));
            exit(0)
        }
    };
    drop(drop_streams());
    outlive(first, has_terminal, alive)
}

/// Serves the first process until it knows what it has to. Returns whether the program is on a terminal.
fn serve(line: &Channel, proc: &OwnedFd) -> Result<bool, Failure> {
    unshare(UnshareFlags::NEWNET, Step::Namespaces)?;
    network::loopback_up()?;
    let own = open(
        "/proc/self/ns/net",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .or_fail(Step::Namespaces)?;
    // It may have ended, which is seen next.
    drop(line.pass(&NetworkMade, &[own.as_fd()]));
    drop(own);
    // The policy may ask for none; if it does, it is tried again.
    let of_root = namespace_for(ROOT, (NOBODY, NOBODY), proc).ok();
    let Some((asked, groups)) = line.take::<Asked>().or_fail(Step::Channel)? else {
        // The first process has ended, or ends without a policy.
        return Ok(false);
    };
    let namespaces = asked
        .owners
        .iter()
        .map(|owner| match &of_root {
            Some(of_root) if (*owner, asked.shown) == (ROOT, (NOBODY, NOBODY)) => {
                of_root.try_clone().or_fail(Step::IdentityMap)
            }
            _ => namespace_for(*owner, asked.shown, proc),
        })
        .collect::<Result<Vec<OwnedFd>, Failure>>()?;
    // The processes that made the namespaces do not count against the task's limit.
    resources::join(&groups)?;
    if asked.waits {
        let namespaces: Vec<BorrowedFd<'_>> = namespaces.iter().map(OwnedFd::as_fd).collect();
        line.pass(&asked.owners, &namespaces).or_fail(Step::Channel)?;
    }
    Ok(asked.has_terminal)
}

impl Ahead {
    /// Its descriptors, to be put at other numbers.
    pub(super) fn descriptors(&mut self) -> [&mut OwnedFd; 4] {
        let Self {
            staged,
            proc,
            alive,
            behind,
            processors: _,
        } = self;
        [&mut staged.root, proc, alive, behind.descriptor()]
    }

    /// Goes into the network, which the process that stayed behind has made meanwhile.
    pub(super) fn join_network(&self) -> Result<(), Failure> {
        let made = self.behind.take::<NetworkMade>().or_fail(Step::Namespaces)?;
        // It has told what went wrong.
        let Some((NetworkMade, descriptors)) = made else {
            exit(0)
        };
        let own = descriptors
            .first()
            .ok_or_else(|| failure(Step::Namespaces, libc::EBADF))?;
        move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Network)).or_fail(Step::Namespaces)
    }

    /// Has the process that stayed behind do what the policy asks of it: join the control groups, and make the namespaces of
    /// owners, which it has to name by their numbers on the machine.
    pub(super) fn ask(&self, policy: &Policy) -> Result<Owners, Failure> {
        let owners = Owners::wanted(policy);
        let asked = Asked {
            has_terminal: policy.terminal.is_some(),
            shown: policy.identity.becomes.unwrap_or(ROOT),
            waits: !(owners.is_empty() && policy.groups.is_empty()),
            owners,
        };
        let groups = resources::groups(policy);
        self.behind.pass(&asked, &groups).or_fail(Step::Channel)?;
        if !asked.waits {
            return Ok(Owners::default());
        }
        let answer = self.behind.take::<Vec<(u32, u32)>>().or_fail(Step::IdentityMap)?;
        let Some((owners, namespaces)) = answer else {
            exit(0)
        };
        Ok(owners.into_iter().zip(namespaces).collect())
    }
}
