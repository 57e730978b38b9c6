//! What a call asks for: paths to be judged, or a host that is out of reach.

use std::net::SocketAddr;
use std::path::PathBuf;

use libc::c_long;
use wrun_core::denial::{Denial, DenialKind, Grant};
use wrun_core::net::NetRule;

use crate::policy::Network;

use super::address::{self, Address};
use super::call::{self, Need, Place, int};
use super::caller::Caller;

/// What a call asks for.
pub(super) struct Asked {
    /// The paths that it names.
    pub(super) places: Vec<Place>,
    /// A host that it does not reach.
    pub(super) denial: Option<Denial>,
}

impl Asked {
    pub(super) fn of(caller: Caller, call: &libc::seccomp_data, network: Network) -> Self {
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
    fn socket(caller: Caller, path: PathBuf, need: Need) -> Self {
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
        // A listed program of the machine is reached at its own address.
        Network::Served if address.ip().is_loopback() => {
            Denial::new(DenialKind::Net, what.clone(), Grant::Net(what))
        }
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
