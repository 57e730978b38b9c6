//! What is told of a target that was refused.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A target that the run asked for and did not get.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The name, lower case without a final dot, or the address as text.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address asked for, or the first one that the name resolved to.
    pub address: Option<IpAddr>,
    /// Why.
    pub reason: Reason,
}

/// Why a target was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No rule names the host with this port.
    NotListed,
    /// The name is granted, and points only to addresses that are not of the public internet (RFC 6890).
    PrivateAddress,
    /// The name is granted, and has no address.
    NotResolved,
}

impl Refusal {
    /// The rule of `allow.net` that would let the target through; none if no rule would.
    #[must_use]
    pub fn rule(&self) -> Option<String> {
        match (self.reason, self.address) {
            (Reason::NotListed, None) => Some(format!("{}:{}", self.host, self.port)),
            (Reason::NotListed | Reason::PrivateAddress, Some(address)) => {
                Some(SocketAddr::new(address, self.port).to_string())
            }
            (Reason::PrivateAddress, None) | (Reason::NotResolved, _) => None,
        }
    }

    fn asked(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.asked();
        match (self.reason, self.address) {
            (Reason::NotListed, _) => write!(formatter, "`{asked}` is not granted to this run"),
            (Reason::PrivateAddress, Some(address)) => write!(
                formatter,
                "`{asked}` is granted, but it points to `{address}`, which is not of the public internet"
            ),
            (Reason::PrivateAddress, None) => write!(
                formatter,
                "`{asked}` is granted, but it points to no address of the public internet"
            ),
            (Reason::NotResolved, _) => {
                write!(formatter, "`{asked}` is granted, but its name has no address")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_one_that_a_task_file_takes() {
        let refusal = |host: &str, address: Option<&str>, reason| Refusal {
            host: host.to_owned(),
            port: 443,
            address: address.map(|text| text.parse().unwrap()),
            reason,
        };
        let cases = [
            (
                refusal("example.org", None, Reason::NotListed),
                Some("example.org:443"),
            ),
            (refusal("::1", Some("::1"), Reason::NotListed), Some("[::1]:443")),
            (
                refusal("example.org", Some("10.0.0.5"), Reason::PrivateAddress),
                Some("10.0.0.5:443"),
            ),
            (refusal("example.org", None, Reason::NotResolved), None),
        ];
        for (refusal, rule) in cases {
            assert_eq!(refusal.rule().as_deref(), rule);
            if let Some(rule) = rule {
                assert!(rule.parse::<wrun_core::net::NetRule>().is_ok(), "{rule}");
            }
        }
        let text = refusal("::1", Some("::1"), Reason::NotListed).to_string();
        assert_eq!(text, "`[::1]:443` is not granted to this run");
    }
}
