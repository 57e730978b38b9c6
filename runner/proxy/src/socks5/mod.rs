//! SOCKS5 (RFC 1928): what both sides of it share.

pub(crate) mod client;
pub(crate) mod server;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::target::{Host, Target};

/// The first byte of every message.
pub(crate) const VERSION: u8 = 5;

/// The method without a login.
const NO_LOGIN: u8 = 0;
/// The command to connect.
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What a reply says (RFC 1928, 6).
mod reply {
    pub(super) const SUCCEEDED: u8 = 0;
    pub(super) const FAILURE: u8 = 1;
    pub(super) const NOT_ALLOWED: u8 = 2;
    pub(super) const NETWORK_UNREACHABLE: u8 = 3;
    pub(super) const HOST_UNREACHABLE: u8 = 4;
    pub(super) const REFUSED: u8 = 5;
    pub(super) const EXPIRED: u8 = 6;
    pub(super) const COMMAND: u8 = 7;
    pub(super) const ADDRESS_TYPE: u8 = 8;
}

/// An address within a message.
enum Address {
    Ip(IpAddr),
    Name(Vec<u8>),
    /// Of a type whose length is not known, so that nothing after it can be read.
    Unknown,
}

/// Reads an address with its type; without the port.
async fn read_address<R: AsyncRead + Unpin>(reader: &mut R) -> std::io::Result<Address> {
    Ok(match reader.read_u8().await? {
        IPV4 => Address::Ip(Ipv4Addr::from_bits(reader.read_u32().await?).into()),
        IPV6 => Address::Ip(Ipv6Addr::from_bits(reader.read_u128().await?).into()),
        NAME => {
            let mut name = vec![0; usize::from(reader.read_u8().await?)];
            reader.read_exact(&mut name).await?;
            Address::Name(name)
        }
        _ => Address::Unknown,
    })
}

/// An address with its type and port.
fn write_target(target: &Target, message: &mut Vec<u8>) {
    match &target.host {
        Host::Address(IpAddr::V4(address)) => {
            message.push(IPV4);
            message.extend_from_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            message.push(IPV6);
            message.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            message.push(NAME);
            push_text(name, message);
        }
    }
    message.extend_from_slice(&target.port.to_be_bytes());
}

/// A length in one byte and so many bytes.
fn push_text(text: &str, message: &mut Vec<u8>) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    message.push(length);
    message.extend_from_slice(text.as_bytes().get(..usize::from(length)).unwrap_or_default());
}
