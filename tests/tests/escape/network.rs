//! The network, of which nothing was granted.

use std::net::UdpSocket;

use crate::rows::{DENIED, FILTERED, GONE, NO_EFFECT, NO_SOCKET, Row, UNREACHABLE, row};
use crate::scene::Scene;

/// The address of the machine that other machines know it by, if it has one.
pub(crate) fn outer_address() -> Option<std::net::IpAddr> {
    // Nothing is sent: to connect a datagram socket only finds the way.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

/// Kinds of sockets that lead to the machine and its devices: item, family, type, protocol, whether they take root, and
/// whether every kernel has them.
pub(crate) const KINDS: &[(u32, &str, &str, &str, Need)] = &[
    (66, "AF_INET", "2 3", "1", Need::Root),
    (66, "AF_INET6", "10 3", "58", Need::Root),
    (67, "AF_PACKET", "17 3", "0", Need::Root),
    (67, "AF_PACKET", "17 2", "0", Need::Root),
    (68, "AF_VSOCK", "40 1", "0", Need::Kernel),
    (68, "AF_VSOCK", "40 2", "0", Need::Kernel),
    (69, "AF_NETLINK of sockets", "16 3", "4", Need::Kernel),
    (69, "AF_NETLINK of IPsec", "16 3", "6", Need::Kernel),
    (69, "AF_NETLINK of audits", "16 3", "9", Need::Kernel),
    (69, "AF_NETLINK of filters", "16 3", "12", Need::Kernel),
    (69, "AF_NETLINK of devices", "16 3", "15", Need::Kernel),
    (69, "generic AF_NETLINK", "16 3", "16", Need::Kernel),
    (69, "AF_ALG", "38 5", "0", Need::Kernel),
    (69, "AF_KEY", "15 3", "2", Need::Kernel),
    (69, "AF_CAN", "29 3", "1", Need::Kernel),
    (69, "AF_TIPC", "30 1", "0", Need::Kernel),
    (69, "AF_BLUETOOTH", "31 5", "0", Need::Kernel),
    (69, "AF_KCM", "41 5", "0", Need::Kernel),
    (69, "AF_QIPCRTR", "42 2", "0", Need::Kernel),
    (69, "AF_SMC", "43 1", "0", Need::Kernel),
    (69, "AF_XDP", "44 3", "0", Need::Kernel),
    (69, "AF_RDS", "21 5", "0", Need::Kernel),
    (69, "AF_X25", "9 5", "0", Need::Kernel),
    (69, "AF_INET for SCTP", "2 1", "132", Need::Kernel),
];

/// What a kind of socket takes where there is no sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// Root's rights.
    Root,
    /// A kernel that has it.
    Kernel,
}

/// Kinds of sockets that no task gets.
pub(crate) fn kinds() -> Vec<Row> {
    KINDS
        .iter()
        .map(|(item, _, kind, protocol, need)| {
            let one = row(*item, &format!("socket {kind} {protocol}")).both(&[NO_SOCKET]);
            match need {
                Need::Root => one.for_root(),
                Need::Kernel => one.varies("not every kernel has it"),
            }
        })
        .collect()
}

/// Addresses of the machine and of others, and kinds of sockets.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    let neighbour = scene.neighbour.borrow();
    let (tcp, udp) = (neighbour.tcp, neighbour.udp);
    let mut rows = kinds();
    rows.extend([
        row(62, &format!("tcp 127.0.0.1:{tcp}")).both(&[UNREACHABLE]),
        row(62, &format!("tcp-fast-open 127.0.0.1:{tcp}"))
            .both(&[UNREACHABLE, &["EINPROGRESS", "EOPNOTSUPP"]]),
        row(63, &format!("udp 127.0.0.1:{udp}")).both(&[UNREACHABLE]),
        row(64, &format!("dns 127.0.0.1:{udp}")).both(&[UNREACHABLE]),
        row(64, "dns")
            .full(&[UNREACHABLE, GONE])
            .restricted(&[UNREACHABLE, GONE])
            .varies("there may be no name server")
            .may_lack(),
        row(64, "name example.org")
            .both(&[NO_EFFECT, UNREACHABLE])
            .varies("there may be no name server"),
        row(65, "tcp 192.0.2.1:443")
            .both(&[UNREACHABLE])
            .varies("the address is nobody's"),
        row(69, "socket 2 2 1")
            .both(&[NO_SOCKET])
            .varies("it may not be allowed to anybody"),
        row(69, "socket 16 3 0")
            .unpromised_in_restricted("it tells what interfaces there are")
            .unpromised("in a network of its own it tells what interfaces that has"),
        row(70, &format!("bind-taken 127.0.0.1:{tcp}")).both(&[NO_EFFECT, UNREACHABLE]),
        row(70, &format!("bind-taken 0.0.0.0:{tcp}")).both(&[NO_EFFECT, UNREACHABLE]),
        row(70, "loopback")
            .open_in_full()
            .unpromised_in_restricted("no socket of any family is to be had"),
        row(70, "interfaces")
            .full(&[NO_EFFECT, GONE, DENIED])
            .unpromised_in_restricted("what the machine's network is called is for everybody who has /proc")
            .varies("a machine may have no other"),
        row(70, &format!("other-sockets {tcp}"))
            .full(&[NO_EFFECT, GONE, DENIED])
            .unpromised_in_restricted("which ports are open is for everybody who has /proc"),
        row(71, &format!("proxy-connect 127.0.0.1:{tcp}"))
            .both(&[FILTERED, UNREACHABLE, NO_EFFECT])
            .varies("there is none")
            .may_lack(),
    ]);
    if let Some(address) = outer_address() {
        rows.push(row(65, &format!("tcp {address}:{tcp}")).both(&[UNREACHABLE]));
        rows.push(row(65, &format!("udp {address}:{udp}")).both(&[UNREACHABLE]));
    }
    rows
}
