//! What a client asks to be connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port of `http://` without one.
pub(crate) const HTTP_PORT: u16 = 80;

/// The port of `https://` without one.
const HTTPS_PORT: u16 = 443;

/// Text that names no host or port, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A host as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// Lower case, without a final dot. Numbers that only the system's resolver takes for an address (`127.1`,
    /// `0x7f.1`) are names: what they resolve to is checked.
    Name(String),
    /// With an IPv4 address that is mapped into IPv6 taken out.
    Address(IpAddr),
}

/// A host and a port other than 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Host {
    /// A name of RFC 1123 (with `_`, which services use), or an IPv4 address.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if name.len() > 253 || !name.split('.').all(label_ok) {
            return Err(Malformed("the host is neither a name nor an address"));
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }

    /// As [`Host::parse`], with IPv6 addresses without brackets: some SOCKS5 clients send addresses as names.
    pub(crate) fn parse_bare(text: &str) -> Result<Self, Malformed> {
        match text.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Self::from(IpAddr::from(address))),
            Err(_) => Self::parse(text),
        }
    }

    /// Whether this machine itself is meant, by name or address.
    pub(crate) fn is_this_machine(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(address) => address.is_loopback(),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(address) => write!(formatter, "{address}"),
        }
    }
}

impl Target {
    /// `None` for port 0, which nothing listens on.
    pub(crate) fn new(host: Host, port: u16) -> Result<Self, Malformed> {
        if port == 0 {
            return Err(Malformed("the port is 0"));
        }
        Ok(Self { host, port })
    }

    /// `host:port` without a user (RFC 3986, 3.2); the port may be left out only if there is a default.
    pub(crate) fn parse(authority: &str, default_port: Option<u16>) -> Result<Self, Malformed> {
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (inner, after) = rest
                .split_once(']')
                .ok_or(Malformed("the address has no closing bracket"))?;
            let address: Ipv6Addr = inner
                .parse()
                .map_err(|_| Malformed("there is no IPv6 address in the brackets"))?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err(Malformed("something other than a port follows the address")),
            };
            (Host::from(IpAddr::from(address)), port)
        } else {
            match authority.split_once(':') {
                Some((host, port)) => (Host::parse(host)?, Some(port)),
                None => (Host::parse(authority)?, None),
            }
        };
        let port = match port {
            Some(text) => parse_port(text)?,
            None => default_port.ok_or(Malformed("there is no port"))?,
        };
        Self::new(host, port)
    }
}

impl Target {
    /// As addresses name it: without the port that goes without saying.
    pub(crate) fn authority(&self, encrypted: bool) -> String {
        let usual = if encrypted { HTTPS_PORT } else { HTTP_PORT };
        match &self.host {
            Host::Name(name) if self.port == usual => name.clone(),
            _ => self.to_string(),
        }
    }
}

/// Decimal digits only: `u16::from_str` also takes a sign.
fn parse_port(text: &str) -> Result<u16, Malformed> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or(Malformed("the port is not a number from 1 to 65535"))
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(formatter, "{name}:{}", self.port),
            Host::Address(address) => write!(formatter, "{}", SocketAddr::new(*address, self.port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_have_one_form() {
        for (text, shown) in [
            ("EXAMPLE.org.:443", "example.org:443"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[0:0:0:0:0:ffff:7f00:1]:80", "127.0.0.1:80"),
            ("_service.example.org:1", "_service.example.org:1"),
        ] {
            assert_eq!(Target::parse(text, None).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn odd_numbers_are_names() {
        for text in ["0x7f.1", "127.1", "2130706433", "0177.0.0.1", "127.0.0.01"] {
            assert_eq!(Host::parse(text), Ok(Host::Name(text.to_owned())));
        }
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for text in [
            "",
            ":80",
            "example.org",
            "example.org:",
            "example.org:0",
            "example.org:+80",
            "example.org:-1",
            "example.org:65536",
            "example.org:000080",
            "example.org:80:80",
            "example.org:80@evil.example:80",
            "user@example.org:80",
            "example.org\r\nx:80",
            "example.org\0:80",
            "example.org\\.evil:80",
            "example.org%2eevil:80",
            "example..org:80",
            "example.org..:80",
            ".example.org:80",
            "exämple.org:80",
            "::1:80",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[fe80::1%eth0]:80",
            "[127.0.0.1]:80",
            "[example.org]:80",
            "*.example.org:80",
        ] {
            assert!(Target::parse(text, None).is_err(), "{text:?}");
        }
        assert!(Target::parse("example.org:", Some(80)).is_err());
        assert_eq!(Target::parse("example.org", Some(80)).unwrap().port, 80);
        assert!(Host::parse(&"a.".repeat(127)).is_ok());
        assert!(Host::parse(&"a.".repeat(128)).is_err());
        assert!(Host::parse(&"a".repeat(64)).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_parses_prints_back(text in ".*|[a-z0-9.:@\\[\\]-]{0,30}") {
            if let Ok(target) = Target::parse(&text, Some(80)) {
                prop_assert_eq!(Target::parse(&target.to_string(), None).unwrap(), target);
            }
        }
    }
}
