//! Addresses that a process connects to, and whether they are out of its reach.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

use super::caller::{Caller, own_network};

/// The port of the domain name system (RFC 1035, 4.2).
pub(super) const NAMES: u16 = 53;

/// An address of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Of the internet families.
    Internet(SocketAddr),
    /// A socket in the file system.
    Path(PathBuf),
    /// A socket with a name that is in no file system (`unix(7)`).
    Abstract(Vec<u8>),
}

impl Address {
    /// Reads a `sockaddr`.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk::<2>()?;
        match i32::from(u16::from_ne_bytes(*family)) {
            libc::AF_INET => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
                Some(Self::Internet((address, u16::from_be_bytes(*port)).into()))
            }
            libc::AF_INET6 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let (_flow, rest) = rest.split_first_chunk::<4>()?;
                let address = Ipv6Addr::from(*rest.first_chunk::<16>()?);
                let address = IpAddr::from(address).to_canonical();
                Some(Self::Internet((address, u16::from_be_bytes(*port)).into()))
            }
            libc::AF_UNIX => {
                if let (0, name) = rest.split_first()? {
                    return Some(Self::Abstract(name.to_vec()));
                }
                let path = rest.split(|byte| *byte == 0).next()?;
                Some(Self::Path(OsString::from_vec(path.to_vec()).into()))
            }
            _ => None,
        }
    }
}

/// Whether data of a socket comes as a stream, which a proxy can carry.
pub(super) fn is_stream(caller: Caller, descriptor: i32) -> bool {
    let kind = caller
        .descriptor(descriptor)
        .and_then(|socket| socket_type(socket).ok());
    kind.is_none_or(|kind| kind == SocketType::STREAM)
}

/// Whether an address is out of reach of a process that has nothing but a loopback interface of its own. An address of
/// the loopback is if the machine has a listener there and the process does not.
pub(super) fn is_out_of_reach(caller: Caller, address: SocketAddr, stream: bool) -> bool {
    if address.port() == 0 {
        return false;
    }
    if !(address.ip().is_loopback() || address.ip().is_unspecified()) {
        return true;
    }
    let tables = if stream { ["tcp", "tcp6"] } else { ["udp", "udp6"] };
    let listens = |table: &[String]| table.iter().any(|line| is_listener(line, address.port(), stream));
    let own = tables.iter().any(|table| listens(&caller.network(table)));
    !own && tables.iter().any(|table| listens(&own_network(table)))
}

/// Whether a line of `/proc/net/tcp` or its like is of a socket that waits at a port (`proc_pid_net(5)`).
fn is_listener(line: &str, port: u16, stream: bool) -> bool {
    /// `TCP_LISTEN`.
    const LISTENING: &str = "0A";
    let mut words = line.split_ascii_whitespace().skip(1);
    let local = words.next().and_then(|local| local.rsplit_once(':'));
    let state = words.nth(1);
    local.is_some_and(|(_, own)| u16::from_str_radix(own, 16) == Ok(port))
        && (!stream || state == Some(LISTENING))
}

/// Whether the machine has an abstract socket of this name, and the process does not.
pub(super) fn is_abstract_out_of_reach(caller: Caller, name: &[u8]) -> bool {
    let name = format!("@{}", String::from_utf8_lossy(name).replace('\0', "@"));
    let has = |table: &[String]| {
        table
            .iter()
            .any(|line| line.split_ascii_whitespace().nth(7) == Some(name.as_str()))
    };
    !has(&caller.network("unix")) && has(&own_network("unix"))
}

/// The name that a message to a name server asks for (RFC 1035, 4.1), lower case without a final dot.
pub(super) fn name_asked(message: &[u8]) -> Option<String> {
    let (header, mut rest) = message.split_first_chunk::<12>()?;
    let [_, _, flags, _, questions_high, questions_low, ..] = *header;
    // A response, another kind of query, or not one question.
    if flags & 0xf8 != 0 || [questions_high, questions_low] != [0, 1] {
        return None;
    }
    let mut labels = Vec::new();
    loop {
        let (length, after) = rest.split_first()?;
        if *length == 0 {
            break;
        }
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        if label.len() > 63 {
            return None;
        }
        labels.push(std::str::from_utf8(label).ok()?.to_ascii_lowercase());
        rest = after;
    }
    let name = labels.join(".");
    // What looks for the name of an address asks for no host.
    let reverse = name.rsplit('.').next() == Some("arpa");
    (!name.is_empty() && !reverse).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read() {
        let mut bytes = vec![2, 0, 0x01, 0xbb, 93, 184, 216, 34];
        bytes.extend([0; 8]);
        assert_eq!(
            Address::parse(&bytes),
            Some(Address::Internet("93.184.216.34:443".parse().unwrap()))
        );
        let mut bytes = vec![10, 0, 0, 80, 0, 0, 0, 0];
        bytes.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(
            Address::parse(&bytes),
            Some(Address::Internet("[::1]:80".parse().unwrap()))
        );
        let path = Address::parse(b"\x01\0/run/x.sock\0\0");
        assert_eq!(path, Some(Address::Path("/run/x.sock".into())));
        let name = Address::parse(b"\x01\0\0name");
        assert_eq!(name, Some(Address::Abstract(b"name".to_vec())));
        assert_eq!(Address::parse(b"\x02\0\x01"), None);
    }

    #[test]
    fn the_question_is_read_and_answers_are_not() {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x03WWW\x07example\x03org\0\0\x01\0\x01");
        assert_eq!(name_asked(&query).as_deref(), Some("www.example.org"));
        query[2] = 0x81;
        assert_eq!(name_asked(&query), None);
    }

    #[test]
    fn listeners_are_told_from_connections() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1";
        assert!(is_listener(line, 8080, true));
        assert!(!is_listener(line, 8081, true));
        assert!(!is_listener(&line.replace("0A", "01"), 8080, true));
        assert!(is_listener(&line.replace("0A", "07"), 8080, false));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _read = (Address::parse(&bytes), name_asked(&bytes));
        }
    }
}
