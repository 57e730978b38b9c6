//! Which addresses a guest may reach, and which names it may resolve.
//!
//! A rule for a name covers the addresses that the name resolved to in the same run, so the answers are remembered as
//! the guest takes them. Addresses that no rule covers are refused, by whatever name the guest heard of them. A program
//! on the machine itself that is listed by its port is reached by the name of the machine and by its address, as by a
//! process, whichever of the two the rule has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime_wasi::sockets::SocketAddrUse;
use wrun_core::net::Net;

/// The most open look-ups, and the most answers that a run remembers, so that a rule such as `*.example.org` does not
/// let a guest fill the host's memory. An answer that is not remembered opens no address.
const REMEMBERED: usize = 4096;

/// The name of the machine itself (RFC 6761, 6.3).
const OWN_NAME: &str = "localhost";

/// The network of one run.
#[derive(Debug, Default)]
pub(super) struct Network {
    net: Net,
    /// The programs on the machine itself that are listed.
    programs: BTreeSet<SocketAddr>,
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    /// The names that resolved to an address.
    names: BTreeMap<IpAddr, BTreeSet<String>>,
    /// The names that the open look-ups are for, by the number of their stream.
    streams: BTreeMap<u32, String>,
    count: usize,
}

impl Network {
    pub(super) fn new(net: Net) -> Self {
        Self {
            programs: net.loopback().into_iter().map(|(at, _)| at).collect(),
            net,
            answers: Mutex::default(),
        }
    }

    pub(super) const fn net(&self) -> &Net {
        &self.net
    }

    /// Whether an address may be used in this way. Listening is for [`Net::All`] alone. A connection binds its own
    /// end to any address and a port of the system's choice, which reaches nothing by itself.
    pub(super) fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match (&self.net, purpose) {
            (Net::All, _) => true,
            (
                Net::Listed(_),
                SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive,
            ) => self.reaches(address),
            (Net::Listed(_), SocketAddrUse::TcpBind | SocketAddrUse::UdpBind) => {
                address.ip().is_unspecified() && address.port() == 0
            }
            (Net::None, _) | (Net::Listed(_), SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept) => false,
        }
    }

    fn reaches(&self, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        // No name at all: only a rule for the address itself covers it.
        if self.net.allows("", ip, port) || self.programs.contains(&SocketAddr::new(ip, port)) {
            return true;
        }
        self.answers()
            .names
            .get(&ip)
            .is_some_and(|names| names.iter().any(|name| self.net.allows(name, ip, port)))
    }

    /// Whether the name may be resolved.
    pub(super) fn resolves(&self, name: &str) -> bool {
        let is_listed =
            self.net.allows_name(name) || (name.eq_ignore_ascii_case(OWN_NAME) && !self.programs.is_empty());
        is_listed && self.answers().streams.len() < REMEMBERED
    }

    /// Remembers which name a look-up is for.
    pub(super) fn look_up(&self, stream: u32, name: String) {
        if matches!(self.net, Net::Listed(_)) {
            self.answers().streams.insert(stream, name);
        }
    }

    /// Remembers an answer.
    pub(super) fn answered(&self, stream: u32, address: IpAddr) {
        let mut answers = self.answers();
        let Answers {
            names,
            streams,
            count,
        } = &mut *answers;
        let Some(name) = streams.get(&stream) else { return };
        if *count < REMEMBERED
            && names
                .entry(address.to_canonical())
                .or_default()
                .insert(name.clone())
        {
            *count += 1;
        }
    }

    /// A look-up is over.
    pub(super) fn forget(&self, stream: u32) {
        self.answers().streams.remove(&stream);
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "93.184.216.34";

    fn network(rules: &[&str]) -> Network {
        Network::new(Net::Listed(
            rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        ))
    }

    fn connects(network: &Network, address: &str) -> bool {
        network.allows(address.parse().unwrap(), SocketAddrUse::TcpConnect)
    }

    #[test]
    fn an_address_is_reached_once_an_allowed_name_resolved_to_it() {
        let network = network(&["example.org:443"]);
        let (allowed, other) = (format!("{PUBLIC}:443"), format!("{PUBLIC}:80"));
        assert!(!connects(&network, &allowed));
        assert!(network.resolves("example.org"));
        assert!(!network.resolves("example.com"));
        network.look_up(7, "example.org".into());
        network.answered(7, PUBLIC.parse().unwrap());
        network.forget(7);
        assert!(connects(&network, &allowed));
        assert!(connects(&network, &format!("[::ffff:{PUBLIC}]:443")));
        assert!(!connects(&network, &other));
        assert!(!connects(&network, "93.184.216.35:443"));
    }

    #[test]
    fn programs_of_the_machine_are_reached_by_its_name_and_by_its_addresses() {
        let by_name = network(&["localhost:80"]);
        assert!(connects(&by_name, "127.0.0.1:80") && connects(&by_name, "[::1]:80"));
        assert!(!connects(&by_name, "127.0.0.1:81") && !connects(&by_name, "127.0.0.2:80"));
        let by_address = network(&["127.0.0.1:80"]);
        assert!(by_address.resolves("localhost") && by_address.resolves("LOCALHOST"));
        assert!(connects(&by_address, "127.0.0.1:80"));
        assert!(!connects(&by_address, "[::1]:80"));
        assert!(!network(&["example.org:80"]).resolves("localhost"));
    }

    #[test]
    fn a_name_that_points_into_the_inner_network_is_refused() {
        let network = network(&["example.org:*"]);
        network.look_up(1, "example.org".into());
        for inner in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"] {
            network.answered(1, inner.parse().unwrap());
            assert!(!connects(&network, &format!("{inner}:443")), "{inner}");
        }
    }

    #[test]
    fn an_answer_counts_only_for_its_own_name() {
        let network = network(&["a.example:443", "b.example:8443"]);
        network.look_up(1, "b.example".into());
        network.answered(1, PUBLIC.parse().unwrap());
        assert!(!connects(&network, &format!("{PUBLIC}:443")));
        assert!(connects(&network, &format!("{PUBLIC}:8443")));
    }

    #[test]
    fn listening_is_refused_and_datagrams_follow_the_rules() {
        let network = network(&["10.0.0.7:53"]);
        let (listed, other): (SocketAddr, SocketAddr) =
            ("10.0.0.7:53".parse().unwrap(), "10.0.0.8:53".parse().unwrap());
        let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
        for purpose in [SocketAddrUse::TcpListen, SocketAddrUse::TcpAccept] {
            assert!(!network.allows(listed, purpose), "{purpose:?}");
            assert!(!network.allows(any, purpose), "{purpose:?}");
        }
        for purpose in [
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
            SocketAddrUse::TcpConnect,
        ] {
            assert!(network.allows(listed, purpose), "{purpose:?}");
            assert!(!network.allows(other, purpose), "{purpose:?}");
        }
        for purpose in [SocketAddrUse::UdpBind, SocketAddrUse::TcpBind] {
            assert!(network.allows(any, purpose), "{purpose:?}");
            assert!(!network.allows(listed, purpose), "{purpose:?}");
            assert!(
                !network.allows("0.0.0.0:8080".parse().unwrap(), purpose),
                "{purpose:?}"
            );
        }
    }

    #[test]
    fn nothing_and_everything() {
        let address = "127.0.0.1:80".parse().unwrap();
        assert!(!Network::new(Net::None).allows(address, SocketAddrUse::TcpConnect));
        assert!(Network::new(Net::All).allows(address, SocketAddrUse::TcpListen));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let network = network(&["*.example.org:443"]);
        for stream in 0..u32::try_from(REMEMBERED).unwrap() {
            assert!(network.resolves("a.example.org"));
            network.look_up(stream, format!("n{stream}.example.org"));
            network.answered(stream, PUBLIC.parse().unwrap());
        }
        assert!(!network.resolves("a.example.org"), "too many open look-ups");
        network.forget(0);
        assert!(network.resolves("a.example.org"));
        network.answered(1, "93.184.216.35".parse().unwrap());
        assert!(!connects(&network, "93.184.216.35:443"), "too many answers");
    }
}
