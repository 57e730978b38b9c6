//! Watching what a process is refused (`seccomp_unotify(2)`).
//!
//! Each call that names a path or an address waits until it was looked at, and then goes on: whether it is done the
//! other layers say, as they do without a watcher. Calls that the filter refuses are answered with the filter's own
//! error. Nothing is decided by what pointers point to, and when the watcher ends early every watched call fails.

mod address;
mod call;
mod caller;
mod interpreter;
mod judge;
mod notification;
mod operations;
mod suggest;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use libc::c_long;
use rustix::pipe::{PipeFlags, pipe_with};
use wrun_core::denial::{Denial, DenialKind, Grant, Observation};
use wrun_core::net::NetRule;
use wrun_core::sandbox::Tier;

use crate::error::SandboxError;
use crate::platform::Refusing;
use crate::policy::{Network, Policy};

use address::Address;
use call::{Need, Place, int};
use caller::Caller;
use judge::{Judge, Refused};
use notification::{Answer, Notifications};
#[cfg(test)]
pub(crate) use operations::is_named;

/// As many refusals are kept; more are only counted.
const MOST: usize = 4096;

/// As many paths are remembered as looked at before.
const REMEMBERED: usize = 64 * 1024;

/// Hears, once a command ended, what it was refused.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Observation) + Send + Sync>);

impl Observer {
    /// One that is called once for each command that ran.
    pub fn new(observer: impl Fn(Observation) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observer))
    }

    pub(crate) fn tell(&self, observation: Observation) {
        (self.0)(observation);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Observer").finish_non_exhaustive()
    }
}

/// Watches a command from a thread of its own. When it is dropped the watching ends, and watched calls fail.
#[derive(Debug)]
pub(crate) struct Watcher {
    thread: JoinHandle<Observation>,
    /// The thread ends when this is closed.
    stop: OwnedFd,
}

impl Watcher {
    /// Starts to answer notifications.
    pub(crate) fn start(notifications: OwnedFd, policy: &Policy) -> Result<Self, SandboxError> {
        let mut watch = Watch::new(policy).map_err(|failure| SandboxError::SetUp { failure })?;
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let thread = thread::Builder::new()
            .name("wrun-watch".to_owned())
            .spawn(move || {
                let notifications = Notifications::new(notifications);
                if let Err(error) = watch.serve(&notifications, &stopped) {
                    tracing::warn!(%error, "the task is watched no longer");
                    watch.broken = Some(error.to_string());
                }
                watch.into_observation()
            })?;
        Ok(Self { thread, stop })
    }

    /// What was seen. To be called once nothing is left of the command.
    pub(crate) fn finish(self) -> Observation {
        drop(self.stop);
        self.thread
            .join()
            .unwrap_or_else(|_| Observation::impossible("the watcher failed"))
    }
}

/// What is known of a command that is watched.
struct Watch {
    refusing: Refusing,
    judge: Judge,
    tier: Tier,
    keeps_modes: bool,
    network: Network,
    looked_at: HashSet<Place>,
    paths: Vec<Refused>,
    others: Vec<Denial>,
    unlisted: usize,
    broken: Option<String>,
}

impl Watch {
    fn new(policy: &Policy) -> Result<Self, crate::Failure> {
        Ok(Self {
            refusing: Refusing::of(policy)?,
            judge: Judge::new(policy),
            tier: policy.tier,
            keeps_modes: policy.keeps_modes,
            network: policy.network,
            looked_at: HashSet::new(),
            paths: Vec::new(),
            others: Vec::new(),
            unlisted: 0,
            broken: None,
        })
    }

    fn serve(&mut self, notifications: &Notifications, stopped: &OwnedFd) -> io::Result<()> {
        while let Some(told) = notifications.next(stopped.as_fd())? {
            if let Some(errno) = self.refusing.errno(&told.data) {
                self.add(operations::operation(&told.data, self.tier, self.keeps_modes));
                notifications.answer(told.id, Answer::Fail(errno))?;
                continue;
            }
            let caller = Caller::new(told.pid);
            let asked = Asked::of(caller, &told.data, self.network);
            if notifications.is_waiting(told.id) {
                self.look(caller, asked);
            }
            notifications.answer(told.id, Answer::Continue)?;
        }
        Ok(())
    }

    fn look(&mut self, caller: Caller, asked: Asked) {
        for place in asked.places {
            if self.looked_at.len() >= REMEMBERED {
                self.looked_at.clear();
            }
            if !self.looked_at.insert(place.clone()) {
                continue;
            }
            match self.judge.judge(caller, &place) {
                Some(refused) => self.add_path(refused),
                None => self.look_at_interpreter(caller, &place),
            }
        }
        asked.denial.into_iter().for_each(|denial| self.add(denial));
    }

    /// A script needs what runs it.
    fn look_at_interpreter(&mut self, caller: Caller, script: &Place) {
        if script.need != Need::Execute {
            return;
        }
        let Some(path) = interpreter::of_script(&script.path) else {
            return;
        };
        let interpreter = Place {
            path,
            need: Need::Execute,
            follow: true,
        };
        if let Some(refused) = self.judge.judge(caller, &interpreter) {
            self.add_path(refused);
        }
    }

    fn add_path(&mut self, refused: Refused) {
        let known = self
            .paths
            .iter_mut()
            .find(|known| known.asked == refused.asked && known.access == refused.access);
        if let Some(known) = known {
            known.glance &= refused.glance;
        } else if self.paths.len() < MOST {
            self.paths.push(refused);
        } else {
            self.unlisted += 1;
        }
    }

    fn add(&mut self, denial: Denial) {
        if self.others.contains(&denial) {
            return;
        }
        if self.others.len() < MOST {
            self.others.push(denial);
        } else {
            self.unlisted += 1;
        }
    }

    fn into_observation(self) -> Observation {
        let mut denials = suggest::denials(&self.paths);
        denials.extend(self.others);
        denials.sort_by_key(|denial| denial.kind);
        Observation {
            denials,
            unlisted: self.unlisted,
            unobserved: self.broken,
        }
    }
}

/// What a call asks for.
struct Asked {
    places: Vec<Place>,
    denial: Option<Denial>,
}

impl Asked {
    fn of(caller: Caller, call: &libc::seccomp_data, network: Network) -> Self {
        let [descriptor, first, second, _, address, length] = call.args;
        let descriptor = int(descriptor);
        match c_long::from(call.nr) {
            libc::SYS_bind => Self::bound(caller, first, second),
            libc::SYS_connect => Self::reached(caller, descriptor, (first, second), network),
            libc::SYS_sendto if address != 0 => {
                let asked = Self::reached(caller, descriptor, (address, length), network);
                let query = read_query(caller, first, second);
                Self::named(caller, descriptor, query, network).unwrap_or(asked)
            }
            libc::SYS_sendto => {
                let query = || read_query(caller, first, second);
                Self::to_peer(caller, descriptor, query, network)
            }
            libc::SYS_sendmmsg => {
                let query = || first_message(caller, first);
                Self::to_peer(caller, descriptor, query, network)
            }
            _ => Self {
                places: call::places(caller, call),
                denial: None,
            },
        }
    }

    const fn nothing() -> Self {
        Self {
            places: Vec::new(),
            denial: None,
        }
    }

    fn bound(caller: Caller, address: u64, length: u64) -> Self {
        match read_address(caller, address, length) {
            Some(Address::Path(path)) => Self::socket(caller, path, Need::Make { folder: false }),
            _ => Self::nothing(),
        }
    }

    /// A socket in the file system.
    fn socket(caller: Caller, path: std::path::PathBuf, need: Need) -> Self {
        let path = if path.is_absolute() {
            Some(path)
        } else {
            caller.folder(libc::AT_FDCWD).map(|folder| folder.join(path))
        };
        let place = path.map(|path| Place {
            path,
            need,
            follow: need == Need::Look,
        });
        Self {
            places: place.into_iter().collect(),
            denial: None,
        }
    }

    /// An address that is connected or sent to.
    fn reached(caller: Caller, descriptor: i32, address: (u64, u64), network: Network) -> Self {
        let denial = match read_address(caller, address.0, address.1) {
            Some(Address::Path(path)) => return Self::socket(caller, path, Need::Look),
            _ if network == Network::Host => None,
            Some(Address::Internet(address)) => {
                let stream = address::is_stream(caller, descriptor);
                // That names are looked up is said with the name, when it is sent.
                let of_names = !stream && address.port() == address::NAMES;
                (!of_names && address::is_out_of_reach(caller, address, stream))
                    .then(|| unreachable(address, stream, network))
            }
            Some(Address::Abstract(name)) => {
                let what = format!(
                    "abstract socket `{}`",
                    String::from_utf8_lossy(&name).escape_debug()
                );
                address::is_abstract_out_of_reach(caller, &name).then(|| {
                    Denial::for_good(
                        DenialKind::Operation,
                        what,
                        "no grant allows it: it has no path to list",
                    )
                })
            }
            None => None,
        };
        Self {
            places: Vec::new(),
            denial,
        }
    }

    /// What is sent to where a socket is connected to.
    fn to_peer(
        caller: Caller,
        descriptor: i32,
        query: impl FnOnce() -> Option<Vec<u8>>,
        network: Network,
    ) -> Self {
        if network == Network::Host {
            return Self::nothing();
        }
        let peer = caller
            .descriptor(descriptor)
            .and_then(|socket| rustix::net::getpeername(socket).ok().flatten())
            .and_then(|peer| SocketAddr::try_from(peer).ok());
        if peer.is_none_or(|peer| peer.port() != address::NAMES) {
            return Self::nothing();
        }
        Self::named(caller, descriptor, query(), network).unwrap_or(Self::nothing())
    }

    /// A name that is looked up.
    fn named(caller: Caller, descriptor: i32, query: Option<Vec<u8>>, network: Network) -> Option<Self> {
        let name = address::name_asked(&query?)?;
        if network == Network::Host || address::is_stream(caller, descriptor) {
            return None;
        }
        let rule = format!("{name}:*");
        rule.parse::<NetRule>().ok()?;
        let denial = if network == Network::Served {
            Denial::new(DenialKind::Net, name, Grant::WholeNetwork).because(PAST_THE_PROXY)
        } else {
            Denial::new(DenialKind::Net, name, Grant::Net(rule))
                .because("its name was looked up; with its port in place of `*` the grant is smaller")
        };
        Some(Self {
            places: Vec::new(),
            denial: Some(denial),
        })
    }
}

const PAST_THE_PROXY: &str =
    "the program does not heed the proxy variables, by which listed hosts are reached";

fn unreachable(address: SocketAddr, stream: bool, network: Network) -> Denial {
    let what = address.to_string();
    let whole = |what| Denial::new(DenialKind::Net, what, Grant::WholeNetwork);
    match network {
        _ if !stream => whole(what).because("listed hosts are reached by TCP alone"),
        Network::Served => whole(what).because(PAST_THE_PROXY),
        Network::None | Network::Host => Denial::new(DenialKind::Net, what.clone(), Grant::Net(what))
            .because("a program that does not heed the proxy variables needs the whole network"),
    }
}

fn read_address(caller: Caller, address: u64, length: u64) -> Option<Address> {
    /// The size of a `sockaddr_storage`.
    const LONGEST: u64 = 128;
    let length = usize::try_from(length.min(LONGEST)).ok()?;
    Address::parse(&caller.bytes(address, length)?)
}

fn read_query(caller: Caller, address: u64, length: u64) -> Option<Vec<u8>> {
    /// What a message without extensions may have (RFC 1035, 2.3.4).
    const LONGEST: u64 = 512;
    let length = usize::try_from(length.min(LONGEST)).ok()?;
    caller.bytes(address, length)
}

/// The first part of the first message of a `mmsghdr` array (`sendmmsg(2)`).
fn first_message(caller: Caller, address: u64) -> Option<Vec<u8>> {
    /// Where `msg_iov` lies in a `msghdr`: after a pointer and a number, which is padded.
    const VECTORS: u64 = 16;
    let pointer = |at: u64| {
        let bytes = caller.bytes(at, 8)?;
        Some(u64::from_ne_bytes(*bytes.first_chunk()?))
    };
    let vector = pointer(address.checked_add(VECTORS)?)?;
    read_query(caller, pointer(vector)?, pointer(vector.checked_add(8)?)?)
}
