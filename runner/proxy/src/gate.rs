//! What is let through, and to whom a refusal is told.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use wrun_core::credential::Secret;
use wrun_core::net::Net;

use crate::failure::Failure;
use crate::login::{Logins, basic};
use crate::outside::{Outside, System};
use crate::refusal::{Reason, Refusal};
use crate::target::{Host, Target};
use crate::traffic::Traffic;
use crate::upstream::Upstream;

/// The user of a proxy that has a password.
pub const USER: &str = "wrun";

/// Hears of each refusal as it happens. A run can cause as many as it likes, so what is kept has to be bounded.
pub type Observer = Arc<dyn Fn(Refusal) + Send + Sync>;

/// What a run may reach through the proxy, and how.
#[derive(Clone)]
pub struct Gate {
    /// The rules.
    pub net: Net,
    /// Whether names that a rule lists may point to addresses that are not of the public internet.
    pub private: PrivateAddresses,
    /// The proxy that has to be used to get out, if there is one.
    pub upstream: Option<Upstream>,
    /// Who the run is to servers, which it does not say itself.
    pub logins: Logins,
    /// What clients have to know, where others than the run can connect: the password of [`USER`].
    pub password: Option<Secret>,
    /// Who hears of refusals.
    pub observer: Observer,
    /// The network that is reached.
    pub outside: Arc<dyn Outside>,
    /// The connections that are open.
    pub traffic: Traffic,
    /// Bounds in time and number.
    pub limits: Limits,
}

/// Whether a listed name may point into the inner network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrivateAddresses {
    /// It may not, but for `localhost`; an inner address is reached only if a rule lists the address. For names
    /// that a task lists: who owns a name decides where it points.
    #[default]
    Refuse,
    /// It may, for hosts that the user configured, such as an index. Link-local addresses stay refused: there is
    /// no index there, but the credentials of a cloud's machine are.
    Allow,
}

/// Bounds in time and number. The times are for waiting, not for the life of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more of them wait. Each takes two descriptors.
    pub connections: usize,
    /// For a client to say what it wants, from its connection on.
    pub request: Duration,
    /// For a name to be resolved.
    pub resolve: Duration,
    /// For a connection to one address.
    pub connect: Duration,
    /// For an upstream proxy to have connected.
    pub upstream: Duration,
    /// For the next byte in either direction, once connected.
    pub idle: Duration,
    /// What an answer that goes on has to bring at least; `None` for one that may take its time.
    pub pace: Option<Pace>,
}

/// So many bytes in such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The bytes.
    pub bytes: u64,
    /// The time.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // With two descriptors each, half of the 1024 that most systems give to a process.
            connections: 256,
            request: Duration::from_secs(10),
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            upstream: Duration::from_secs(30),
            // Pools of database connections are silent for long.
            idle: Duration::from_hours(1),
            // What a task hears may be a stream of events.
            pace: None,
        }
    }
}

impl Gate {
    /// A gate with these rules for this machine's network: without upstream proxy or observer, private addresses
    /// refused.
    #[must_use]
    pub fn new(net: Net) -> Self {
        Self {
            net,
            private: PrivateAddresses::default(),
            upstream: None,
            logins: Logins::default(),
            password: None,
            observer: Arc::new(|_| ()),
            outside: Arc::new(System::default()),
            traffic: Traffic::default(),
            limits: Limits::default(),
        }
    }

    /// Whether a client that says this of itself (RFC 7617) is the run.
    pub(crate) fn knows(&self, says: impl FnOnce() -> Option<Vec<u8>>) -> bool {
        self.password
            .as_ref()
            .is_none_or(|password| says().is_some_and(|said| said == basic(USER, password).as_bytes()))
    }

    /// Refuses what no rule names. To be asked before a name is resolved, as a look-up alone carries data out.
    pub(crate) fn check(&self, target: &Target) -> Result<(), Failure> {
        let (listed, address) = match &target.host {
            Host::Name(name) => (self.lists(name, target.port), None),
            Host::Address(address) => (
                self.net.allows(&address.to_string(), *address, target.port),
                Some(*address),
            ),
        };
        if listed {
            Ok(())
        } else {
            Err(self.refuse(target, address, Reason::NotListed))
        }
    }

    /// Whether a listed name may be reached at an address that it resolved to.
    pub(crate) fn allows(&self, name: &str, address: IpAddr, port: u16) -> bool {
        self.net.allows(name, address, port)
            || (self.private == PrivateAddresses::Allow && self.lists(name, port) && is_inner(address))
    }

    /// Tells the observer of a refusal.
    pub(crate) fn refuse(&self, target: &Target, address: Option<IpAddr>, reason: Reason) -> Failure {
        let refusal = Refusal {
            host: target.host.to_string(),
            port: target.port,
            address,
            reason,
        };
        tracing::debug!(%target, ?reason, "refused");
        (self.observer)(refusal.clone());
        Failure::Refused(refusal)
    }

    /// Whether a rule names the host with this port.
    fn lists(&self, host: &str, port: u16) -> bool {
        match &self.net {
            Net::None => false,
            Net::All => true,
            Net::Listed(rules) => rules.iter().any(|rule| {
                rule.port().is_none_or(|only| only == port)
                    && Net::Listed(vec![rule.clone()]).allows_name(host)
            }),
        }
    }
}

/// Whether an address can be that of a machine in an inner network: not one that is only valid on a link or that
/// stands for many.
fn is_inner(address: IpAddr) -> bool {
    let stays_on_link = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(stays_on_link || address.is_multicast() || address.is_unspecified())
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gate")
            .field("net", &self.net)
            .field("private", &self.private)
            .field("upstream", &self.upstream)
            .field("logins", &self.logins)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(rule: &str, private: PrivateAddresses) -> Gate {
        Gate {
            private,
            ..Gate::new(Net::Listed(vec![rule.parse().unwrap()]))
        }
    }

    #[test]
    fn a_name_is_checked_with_its_port_before_it_is_resolved() {
        let gate = gate("*.example.org:443", PrivateAddresses::Refuse);
        let check = |text: &str| gate.check(&Target::parse(text, None).unwrap()).is_ok();
        assert!(check("a.example.org:443"));
        assert!(!check("a.example.org:80"));
        assert!(!check("example.org:443"));
        assert!(!check("93.184.216.34:443"));
    }

    #[test]
    fn inner_addresses_are_for_hosts_of_the_user() {
        for (address, refused, allowed) in [
            ("93.184.216.34", true, true),
            ("10.0.0.5", false, true),
            ("127.0.0.1", false, true),
            ("fd00::5", false, true),
            ("169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("224.0.0.1", false, false),
        ] {
            let address = address.parse().unwrap();
            let strict = gate("index.example:443", PrivateAddresses::Refuse);
            let trusting = gate("index.example:443", PrivateAddresses::Allow);
            assert_eq!(strict.allows("index.example", address, 443), refused, "{address}");
            assert_eq!(
                trusting.allows("index.example", address, 443),
                allowed,
                "{address}"
            );
            assert!(!trusting.allows("index.example", address, 80));
            assert!(!trusting.allows("other.example", address, 443));
        }
    }
}
