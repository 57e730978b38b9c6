//! [`wrun_core::sandbox::Tier::Restricted`]: without namespaces.

use std::convert::Infallible;

use rustix::process::{
    DumpableBehavior, getpid, getppid, set_child_subreaper, set_dumpable_behavior,
    set_parent_process_death_signal,
};

use crate::channel::Channel;
use crate::message::{Failure, Message, Step};
use crate::policy::Policy;

use super::process::{Forked, drop_streams, fork};
use super::program::{Around, become_program};
use super::step::{Try as _, failure};
use super::{resources, terminal, warden};

/// Sets everything up and waits for the end. Returns what went wrong before anything ran.
pub(super) fn run(policy: &Policy, channel: &Channel) -> Result<Infallible, Failure> {
    resources::join(&resources::groups(policy))?;
    let parent = getppid();
    // Nothing ends the tree by itself here, so this process has to live long enough to do it.
    set_parent_process_death_signal(Some(warden::PARENT_ENDED)).or_fail(Step::ParentDeath)?;
    if getppid() != parent {
        return Err(failure(Step::ParentDeath, libc::ESRCH));
    }
    set_child_subreaper(Some(getpid())).or_fail(Step::ParentDeath)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).or_fail(Step::Identity)?;
    let _open = terminal::take(policy, channel)?;
    match fork()? {
        Forked::Child => become_program(
            policy,
            channel,
            &Around {
                proc: None,
                own_proc: false,
            },
        ),
        Forked::Parent(program) => {
            channel
                .send(&Message::Begun { anchor: None }, None)
                .or_fail(Step::Channel)?;
            drop_streams()?;
            warden::watch(program, policy, channel)
        }
    }
}
