//! [`wrun_core::sandbox::Tier::Full`]: namespaces and a file system of its own.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use rustix::io::{read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, getegid, geteuid, kill_process, set_dumpable_behavior,
    setsid, wait,
};
use rustix::system::sethostname;
use rustix::thread::UnshareFlags;

use crate::channel::Channel;
use crate::message::{Failure, Message, Step};
use crate::policy::{Network, Policy};

use super::ahead::Ahead;
use super::identity::{Owners, become_user, map_self, open_proc, unshare};
use super::process::{Forked, die_with_parent, drop_streams, exit, fork, next_signal};
use super::program::{Around, become_program};
use super::root::{self, Staged};
use super::step::Try as _;
use super::{capabilities, network, resources, terminal, warden};

/// What a task sees as the name of its machine.
const HOST_NAME: &[u8] = b"wrun";

/// What the first process of the namespaces is set up from.
struct First<'a> {
    policy: &'a Policy,
    channel: &'a Channel,
    /// The machine's `/proc`.
    proc: OwnedFd,
    owners: Owners,
    /// The beginning of the root, if there is one.
    staged: Option<Staged>,
    /// Ends with the process that stayed behind.
    alive: OwnedFd,
}

/// Sets everything up, and waits for the end. Returns what went wrong before anything ran.
pub(super) fn run(policy: &Policy, channel: &Channel) -> Result<Infallible, Failure> {
    let proc = open_proc()?;
    let owners = Owners::of(policy, &proc)?;
    // The processes that made the owners' namespaces do not count against the task's limit.
    resources::join(&resources::groups(policy))?;
    let outside = (geteuid(), getegid());
    if policy.identity.becomes.is_none() {
        unshare(UnshareFlags::NEWUSER, Step::UserNamespace)?;
        map_self(&proc, &policy.identity, outside)?;
    }
    let mut namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if policy.network != Network::Host {
        namespaces |= UnshareFlags::NEWNET;
    }
    unshare(namespaces, Step::Namespaces)?;
    let (alive, ours) = pipe_with(PipeFlags::CLOEXEC).or_fail(Step::Fork)?;
    match fork()? {
        Forked::Child => {
            drop(ours);
            die_with_parent(&alive, Signal::KILL)?;
            if policy.network != Network::Host {
                network::loopback_up()?;
            }
            first_process(First {
                policy,
                channel,
                proc,
                owners,
                staged: None,
                alive,
            })
        }
        Forked::Parent(first) => {
            drop(alive);
            let begun = Message::Begun {
                anchor: Some(first.as_raw_pid().unsigned_abs()),
            };
            // Nobody may be listening any more; the death signal ends both then.
            drop(channel.send(&begun, None));
            drop(drop_streams());
            outlive(first, policy.terminal.is_some(), ours)
        }
    }
}

/// Goes on, as the first process of the namespaces, with what was made ahead.
pub(super) fn go_on(policy: &Policy, channel: &Channel, ahead: Ahead) -> Result<Infallible, Failure> {
    resources::use_processors(&ahead.processors)?;
    let owners = ahead.ask(policy)?;
    resources::join(&resources::groups(policy))?;
    // Its root is the group that was just joined.
    unshare(UnshareFlags::NEWCGROUP, Step::Namespaces)?;
    let Ahead {
        staged,
        proc,
        alive,
        behind: _,
        processors: _,
    } = ahead;
    first_process(First {
        policy,
        channel,
        proc,
        owners,
        staged: Some(staged),
        alive,
    })
}

/// Waits for the first process of the namespace, whose end is that of everything in it.
pub(super) fn outlive(first: Pid, has_terminal: bool, _alive: OwnedFd) -> ! {
    if has_terminal {
        pass_signals_on(first);
    }
    loop {
        match wait(WaitOptions::empty()) {
            // What held a user namespace open ended long before.
            Ok(Some((ended, _))) if ended != first => {}
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => exit(0),
        }
    }
}

/// Does for the first process, which leads a session of its own, what sending signals to a common group does else, until
/// it ended.
fn pass_signals_on(first: Pid) -> ! {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((ended, _))) if ended != first => continue,
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Ok(Some(_)) | Err(_) => exit(0),
        }
        let signal = next_signal(None).and_then(Signal::from_named_raw);
        if let Some(signal) = signal.filter(|signal| *signal != Signal::CHILD) {
            // It may have ended; that is seen next.
            kill_process(first, signal).ok();
        }
    }
}

/// Becomes what watches over the program in the namespaces.
fn first_process(first: First<'_>) -> Result<Infallible, Failure> {
    let First {
        policy,
        channel,
        proc,
        owners,
        staged,
        alive,
    } = first;
    sethostname(HOST_NAME).or_fail(Step::HostName)?;
    if policy.network == Network::Served {
        network::offer_listeners(policy, channel)?;
    }
    let own_proc = root::change(policy, &owners, staged)?;
    let _open = if policy.terminal.is_some() {
        setsid().or_fail(Step::Terminal)?;
        terminal::take(policy, channel)?
    } else {
        None
    };
    let around = Around {
        proc: policy.identity.becomes.is_some().then_some(proc),
        own_proc,
    };
    let (told, go) = pipe_with(PipeFlags::CLOEXEC).or_fail(Step::Fork)?;
    match fork()? {
        Forked::Child => {
            drop(go);
            // The program says that all is in force, so the warden has to be done by then. If it fails it says so itself.
            if !matches!(read(&told, &mut [0]), Ok(1)) {
                exit(0);
            }
            drop(told);
            become_program(policy, channel, &around)
        }
        Forked::Parent(program) => {
            drop((around, told));
            if let Some(outside) = policy.identity.becomes {
                become_user(outside)?;
                // A change of the user takes the death signal away.
                die_with_parent(&alive, Signal::KILL)?;
            }
            capabilities::drop_all()?;
            set_dumpable_behavior(DumpableBehavior::NotDumpable).or_fail(Step::Identity)?;
            drop_streams()?;
            write(&go, &[0]).or_fail(Step::Fork)?;
            drop(go);
            warden::watch(program, policy, channel)
        }
    }
}
