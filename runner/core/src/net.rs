//! Hosts and ports that may be reached.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use crate::address::is_public;

/// What a run may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// Nothing.
    #[default]
    None,
    /// These.
    Listed(Vec<NetRule>),
    /// Everything that the host reaches.
    All,
}

impl Net {
    /// Whether a connection to the address is allowed: by a rule for the address itself, or because it is one that a
    /// listed name resolved to. Private, loopback and link-local addresses are reached only if a rule lists the
    /// address or a local name, so that a public name cannot point into the inner network.
    #[must_use]
    pub fn allows(&self, host: &str, address: IpAddr, port: u16) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Listed(rules) => rules.iter().any(|rule| rule.allows(host, address, port)),
        }
    }

    /// Whether a rule is for programs on the machine itself, `localhost` or a loopback address, on every port.
    #[must_use]
    pub fn lists_every_loopback_port(&self) -> bool {
        self.rules()
            .iter()
            .any(|rule| rule.port.is_none() && !rule.loopback().is_empty())
    }

    /// The programs on the machine itself that are listed by their port: each address of the loopback interface once, with
    /// the host that the rule names.
    #[must_use]
    pub fn loopback(&self) -> Vec<(SocketAddr, String)> {
        let mut found: BTreeMap<SocketAddr, String> = BTreeMap::new();
        for rule in self.rules() {
            let Some(port) = rule.port else { continue };
            for address in rule.loopback() {
                let host = match &rule.host {
                    Host::Name(name) | Host::Below(name) => name.clone(),
                    Host::Address(address) => address.to_string(),
                };
                found.entry(SocketAddr::new(address, port)).or_insert(host);
            }
        }
        found.into_iter().collect()
    }

    fn rules(&self) -> &[NetRule] {
        match self {
            Self::None | Self::All => &[],
            Self::Listed(rules) => rules,
        }
    }

    /// Whether the name may be resolved.
    #[must_use]
    pub fn allows_name(&self, host: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Listed(rules) => rules.iter().any(|rule| rule.matches_host(host)),
        }
    }
}

/// One entry of `allow.net`: `example.org:443`, `*.example.org:443`, `10.0.0.7:5432`, `[::1]:8000`, `localhost:*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NetRule {
    host: Host,
    /// `None` is every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    /// A name, lower case.
    Name(String),
    /// Every name below this one (`*.example.org`), not the name itself.
    Below(String),
    Address(IpAddr),
}

/// Text that is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseNetRuleError {
    /// There is no port.
    #[error("`{0}` has no port: write `{0}:443`, or `{0}:*` for every port")]
    NoPort(String),
    /// It is an IPv6 address without the brackets that tell its port apart (RFC 3986, 3.2.2).
    #[error("`{0}` is an IPv6 address without brackets, so that its port cannot be told: write {1}")]
    Brackets(String, String),
    /// The port is no number from 1 to 65535.
    #[error("`{0}` is not a port: write a number from 1 to 65535, or `*` for every port")]
    Port(String),
    /// The host is neither a name nor an address.
    #[error("`{0}` is not a host: write a name such as `example.org`, `*.example.org`, or an address")]
    Host(String),
    /// It is a URL.
    #[error("`{0}` is a URL: write only the host and the port, such as `example.org:443`")]
    Url(String),
}

impl NetRule {
    fn matches_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match &self.host {
            Host::Name(name) => *name == host,
            Host::Below(suffix) => host
                .strip_suffix(suffix)
                .is_some_and(|head| head.ends_with('.') && head.len() > 1),
            Host::Address(address) => host
                .parse::<IpAddr>()
                .is_ok_and(|other| canonical(other) == *address),
        }
    }

    fn allows(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let address = canonical(address);
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        match &self.host {
            Host::Address(only) => *only == address,
            Host::Name(name) if name == "localhost" => self.matches_host(host) && address.is_loopback(),
            Host::Name(_) | Host::Below(_) => self.matches_host(host) && is_public(address),
        }
    }

    /// The addresses of the loopback interface that it is for.
    fn loopback(&self) -> Vec<IpAddr> {
        match &self.host {
            Host::Name(name) if name == "localhost" => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Host::Address(address) if address.is_loopback() => vec![*address],
            Host::Name(_) | Host::Below(_) | Host::Address(_) => Vec::new(),
        }
    }

    /// The port; `None` is every port.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

/// The address with an IPv4 address that is mapped into IPv6 (RFC 4291, 2.5.5.2) taken out.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

impl FromStr for NetRule {
    type Err = ParseNetRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") || text.contains('/') {
            return Err(ParseNetRuleError::Url(text.to_owned()));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| ParseNetRuleError::NoPort(text.to_owned()))?;
        if text.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok() {
            return Err(ParseNetRuleError::Brackets(
                text.to_owned(),
                bracketed(text, host, port),
            ));
        }
        if port.ends_with(']') {
            return Err(ParseNetRuleError::NoPort(text.to_owned()));
        }
        let port = match port {
            "*" => None,
            _ => match port.parse::<u16>() {
                Ok(number) if number > 0 => Some(number),
                _ => return Err(ParseNetRuleError::Port(port.to_owned())),
            },
        };
        Ok(Self {
            host: parse_host(host)?,
            port,
        })
    }
}

/// How an IPv6 address without brackets could be meant: as the whole of the text, and as what comes before the last colon.
fn bracketed(text: &str, host: &str, port: &str) -> String {
    let whole = text
        .parse::<Ipv6Addr>()
        .is_ok()
        .then(|| format!("`[{text}]:443` for port 443"));
    let with_port = host
        .parse::<Ipv6Addr>()
        .is_ok()
        .then(|| format!("`[{host}]:{port}`"));
    let ways: Vec<String> = with_port.into_iter().chain(whole).collect();
    ways.join(", or ")
}

fn parse_host(text: &str) -> Result<Host, ParseNetRuleError> {
    let bad = || ParseNetRuleError::Host(text.to_owned());
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner
            .parse::<Ipv6Addr>()
            .map(|address| Host::Address(canonical(address.into())))
            .map_err(|_| bad());
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let (name, below) = text
        .trim_end_matches('.')
        .strip_prefix("*.")
        .map_or((text.trim_end_matches('.'), false), |rest| (rest, true));
    // Names are looked up, and come from programs, in their ASCII form (RFC 5891).
    let name = if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(name).map_err(|_| bad())?
    };
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !name.split('.').all(label_ok) {
        return Err(bad());
    }
    Ok(if below {
        Host::Below(name)
    } else {
        Host::Name(name)
    })
}

impl fmt::Display for NetRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => formatter.write_str(name)?,
            Host::Below(name) => write!(formatter, "*.{name}")?,
            Host::Address(IpAddr::V4(address)) => write!(formatter, "{address}")?,
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]")?,
        }
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => formatter.write_str(":*"),
        }
    }
}

impl From<NetRule> for String {
    fn from(rule: NetRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for NetRule {
    type Error = ParseNetRuleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed(rule: &str) -> Net {
        Net::Listed(vec![rule.parse().unwrap()])
    }

    #[test]
    fn a_public_name_does_not_reach_the_inner_network() {
        let net = listed("example.org:443");
        let public: IpAddr = "93.184.216.34".parse().unwrap();
        assert!(net.allows("example.org", public, 443));
        assert!(net.allows("EXAMPLE.org.", public, 443));
        assert!(!net.allows("example.org", public, 80));
        assert!(!net.allows("example.com", public, 443));
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "192.168.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
        ] {
            assert!(!net.allows("example.org", inner.parse().unwrap(), 443), "{inner}");
        }
    }

    #[test]
    fn an_inner_address_is_reached_when_it_is_listed() {
        assert!(listed("127.0.0.1:80").allows("127.0.0.1", "127.0.0.1".parse().unwrap(), 80));
        assert!(listed("127.0.0.1:80").allows("x", "::ffff:127.0.0.1".parse().unwrap(), 80));
        assert!(listed("localhost:*").allows("localhost", "127.0.0.1".parse().unwrap(), 4711));
        assert!(!listed("localhost:*").allows("localhost", "10.0.0.1".parse().unwrap(), 4711));
        assert!(listed("[::1]:80").allows("::1", "::1".parse().unwrap(), 80));
    }

    #[test]
    fn programs_of_the_machine_are_known_by_their_ports() {
        let net = |rules: &[&str]| Net::Listed(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        let some = net(&[
            "localhost:80",
            "127.0.0.1:80",
            "127.0.0.2:81",
            "10.0.0.1:82",
            "a.localhost:83",
            "[::1]:*",
        ]);
        let found: Vec<String> = some
            .loopback()
            .iter()
            .map(|(address, host)| format!("{address} {host}"))
            .collect();
        assert_eq!(
            found,
            [
                "127.0.0.1:80 localhost",
                "127.0.0.2:81 127.0.0.2",
                "[::1]:80 localhost"
            ]
        );
        assert!(some.lists_every_loopback_port());
        assert!(!net(&["localhost:80", "example.org:*"]).lists_every_loopback_port());
        assert!(Net::All.loopback().is_empty() && !Net::All.lists_every_loopback_port());
    }

    #[test]
    fn a_star_stands_for_names_below() {
        let net = listed("*.example.org:443");
        let public: IpAddr = "93.184.216.34".parse().unwrap();
        assert!(net.allows("a.b.example.org", public, 443));
        assert!(!net.allows("example.org", public, 443));
        assert!(!net.allows("badexample.org", public, 443));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(
            "example.org".parse::<NetRule>(),
            Err(ParseNetRuleError::NoPort(_))
        ));
        assert!(matches!(
            "https://example.org".parse::<NetRule>(),
            Err(ParseNetRuleError::Url(_))
        ));
        assert!(matches!(
            "example.org:0".parse::<NetRule>(),
            Err(ParseNetRuleError::Port(_))
        ));
        assert!(matches!(
            "exa mple:1".parse::<NetRule>(),
            Err(ParseNetRuleError::Host(_))
        ));
        let said = |text: &str| text.parse::<NetRule>().unwrap_err().to_string();
        assert!(
            said("::1").ends_with("write `[::1]:443` for port 443"),
            "{}",
            said("::1")
        );
        let both = said("::1:80");
        assert!(
            both.ends_with("write `[::1]:80`, or `[::1:80]:443` for port 443"),
            "{both}"
        );
        assert!(said("1:2:3:4:5:6:7:8:80").ends_with("write `[1:2:3:4:5:6:7:8]:80`"));
        assert!(matches!(
            "[::1]".parse::<NetRule>(),
            Err(ParseNetRuleError::NoPort(_))
        ));
    }

    #[test]
    fn names_of_every_script_have_one_form() {
        let rule: NetRule = "Bücher.example:443".parse().unwrap();
        assert_eq!(rule.to_string(), "xn--bcher-kva.example:443");
        assert_eq!(
            "*.bücher.example:*".parse::<NetRule>().unwrap().to_string(),
            "*.xn--bcher-kva.example:*"
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_parses_prints_back(text in ".*") {
            if let Ok(rule) = text.parse::<NetRule>() {
                prop_assert_eq!(rule.to_string().parse::<NetRule>().unwrap(), rule);
            }
        }
    }
}
