//! Sockets of WASI 0.2, where every operation is started, waited for and finished.

#![expect(
    clippy::many_single_char_names,
    reason = "the parts of an address have no names of their own"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wasi::io::streams::{InputStream, OutputStream};
use wasi::sockets::instance_network::instance_network;
use wasi::sockets::ip_name_lookup::resolve_addresses;
use wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasi::sockets::tcp::TcpSocket;
use wasi::sockets::tcp_create_socket::create_tcp_socket;
use wasi::sockets::udp::{IncomingDatagramStream, OutgoingDatagramStream, UdpSocket};
use wasi::sockets::udp_create_socket::create_udp_socket;

use crate::failure::{During, Failure};

/// A TCP connection. Its streams are parts of the socket, so they come first: fields are dropped in this order.
pub(crate) struct Connection {
    pub(crate) input: InputStream,
    pub(crate) output: OutputStream,
    _socket: TcpSocket,
}

/// Datagrams to and from one address, ordered for the same reason.
pub(crate) struct Datagrams {
    pub(crate) input: IncomingDatagramStream,
    pub(crate) output: OutgoingDatagramStream,
    _socket: UdpSocket,
}

/// The addresses of a host. One that is an address already is not looked up, for which a grant may be missing.
pub(crate) fn resolve(host: &str) -> Result<Vec<IpAddr>, Failure> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![address]);
    }
    let addresses = resolve_addresses(&instance_network(), host).during("resolve")?;
    let mut found = Vec::new();
    loop {
        match addresses.resolve_next_address() {
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => found.push(IpAddr::from([a, b, c, d])),
            Ok(Some(IpAddress::Ipv6((a, b, c, d, e, f, g, h)))) => {
                found.push(IpAddr::from([a, b, c, d, e, f, g, h]));
            }
            Ok(None) => return Ok(found),
            Err(ErrorCode::WouldBlock) => addresses.subscribe().block(),
            Err(error) => return Err(error).during("resolve"),
        }
    }
}

/// Tries the addresses of `HOST:PORT` one after the other; if none works, the last failure counts.
pub(crate) fn first_that_works<T>(
    host_and_port: &str,
    attempt: impl Fn(SocketAddr) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (host, port) = host_and_port
        .rsplit_once(':')
        .ok_or(ErrorCode::InvalidArgument)
        .during("address")?;
    let port: u16 = port.parse().during("address")?;
    let mut result = Err(ErrorCode::NameUnresolvable).during("resolve");
    for address in resolve(host)? {
        result = attempt(SocketAddr::new(address, port));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Connects through TCP.
pub(crate) fn connect(address: SocketAddr) -> Result<Connection, Failure> {
    let socket = create_tcp_socket(family(address)).during("connect")?;
    socket
        .start_connect(&instance_network(), to_wasi(address))
        .during("connect")?;
    let (input, output) =
        finish(|| socket.subscribe().block(), || socket.finish_connect()).during("connect")?;
    Ok(Connection {
        input,
        output,
        _socket: socket,
    })
}

/// Opens a socket for datagrams to and from one address.
pub(crate) fn open_datagrams(address: SocketAddr) -> Result<Datagrams, Failure> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
    };
    let socket = create_udp_socket(family(address)).during("bind")?;
    socket
        .start_bind(&instance_network(), to_wasi(any))
        .during("bind")?;
    finish(|| socket.subscribe().block(), || socket.finish_bind()).during("bind")?;
    let (input, output) = socket.stream(Some(to_wasi(address))).during("connect")?;
    Ok(Datagrams {
        input,
        output,
        _socket: socket,
    })
}

/// Listens on a port of the loopback; with 0 the system chooses one.
pub(crate) fn listen(port: u16) -> Result<TcpSocket, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = create_tcp_socket(family(address)).during("bind")?;
    socket
        .start_bind(&instance_network(), to_wasi(address))
        .during("bind")?;
    finish(|| socket.subscribe().block(), || socket.finish_bind()).during("bind")?;
    socket.start_listen().during("listen")?;
    finish(|| socket.subscribe().block(), || socket.finish_listen()).during("listen")?;
    Ok(socket)
}

/// Waits for a connection.
pub(crate) fn accept(listener: &TcpSocket) -> Result<Connection, Failure> {
    let (socket, input, output) =
        finish(|| listener.subscribe().block(), || listener.accept()).during("accept")?;
    Ok(Connection {
        input,
        output,
        _socket: socket,
    })
}

/// Where a socket listens.
pub(crate) fn local_address(socket: &TcpSocket) -> Result<SocketAddr, Failure> {
    Ok(match socket.local_address().during("listen")? {
        IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port,
            address: (a, b, c, d),
        }) => SocketAddr::from(([a, b, c, d], port)),
        IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port,
            address: (a, b, c, d, e, f, g, h),
            ..
        }) => SocketAddr::from(([a, b, c, d, e, f, g, h], port)),
    })
}

/// Calls until the operation no longer says that it would block.
fn finish<T>(wait: impl Fn(), operation: impl Fn() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    loop {
        match operation() {
            Err(ErrorCode::WouldBlock) => wait(),
            result => return result,
        }
    }
}

fn family(address: SocketAddr) -> IpAddressFamily {
    match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

fn to_wasi(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: address.port(),
                address: (a, b, c, d),
            })
        }
        SocketAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: address.scope_id(),
            })
        }
    }
}
