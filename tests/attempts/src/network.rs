//! The network.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use crate::Attempt;
use crate::call::call;
use crate::descriptor::owned;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "tcp",
        usage: "ADDRESS:PORT",
        run: tcp,
    },
    Attempt {
        name: "tcp-fast-open",
        usage: "ADDRESS:PORT",
        run: tcp_fast_open,
    },
    Attempt {
        name: "udp",
        usage: "ADDRESS:PORT",
        run: udp,
    },
    Attempt {
        name: "dns",
        usage: "[ADDRESS:PORT]",
        run: dns,
    },
    Attempt {
        name: "name",
        usage: "NAME",
        run: name,
    },
    Attempt {
        name: "socket",
        usage: "FAMILY TYPE PROTOCOL",
        run: socket,
    },
    Attempt {
        name: "bind-taken",
        usage: "ADDRESS:PORT",
        run: bind_taken,
    },
    Attempt {
        name: "loopback",
        usage: "",
        run: loopback,
    },
    Attempt {
        name: "interfaces",
        usage: "",
        run: interfaces,
    },
    Attempt {
        name: "other-sockets",
        usage: "PORT",
        run: other_sockets,
    },
];

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn address(text: &str) -> Result<SocketAddr, Stop> {
    text.parse()
        .map_err(|_| Stop::Misused(format!("`{text}` is no address with a port")))
}

/// Says `ping` and wants to be answered.
pub(crate) fn talk(mut stream: impl Read + Write) -> Verdict {
    stream.write_all(b"ping\n").during("write")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).during("read")?;
    if line.trim_end().ends_with("ping") {
        return Ok("was answered".to_owned());
    }
    Err(Stop::blocked(format!("the answer was `{}`", line.trim_end())))
}

fn tcp(words: &Words) -> Verdict {
    let stream = TcpStream::connect_timeout(&address(words.text(0)?)?, PATIENCE).during("connect")?;
    stream.set_read_timeout(Some(PATIENCE)).during("set a time")?;
    talk(stream)
}

/// Connects by sending, which some checks of `connect` do not see.
fn tcp_fast_open(words: &Words) -> Verdict {
    let SocketAddr::V4(target) = address(words.text(0)?)? else {
        return Err(Stop::Misused("the address is to be of IPv4".to_owned()));
    };
    let socket = call!(
        libc::SYS_socket,
        libc::AF_INET,
        libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
        0
    )
    .and_then(owned)
    .during("socket")?;
    let family = u16::try_from(libc::AF_INET).unwrap_or_default();
    let to = [
        family.to_ne_bytes().as_slice(),
        &target.port().to_be_bytes(),
        &target.ip().octets(),
        &[0; 8],
    ]
    .concat();
    call!(
        libc::SYS_sendto,
        &socket,
        c"ping\n",
        5,
        libc::MSG_FASTOPEN,
        &to,
        to.len()
    )
    .during("sendto")?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).during("set a time")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).during("read")?;
    if line.trim_end().ends_with("ping") {
        return Ok("was answered".to_owned());
    }
    Err(Stop::blocked(format!("the answer was `{}`", line.trim_end())))
}

/// Sends a datagram and gives what comes back.
fn exchange(target: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, Stop> {
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).during("bind")?;
    socket.set_read_timeout(Some(PATIENCE)).during("set a time")?;
    socket.connect(target).during("connect")?;
    socket.send(bytes).during("send")?;
    let mut buffer = vec![0; 1500];
    let length = socket.recv(&mut buffer).during("receive")?;
    buffer.truncate(length);
    Ok(buffer)
}

fn udp(words: &Words) -> Verdict {
    let answer = exchange(address(words.text(0)?)?, b"ping")?;
    Ok(format!("{} bytes came back", answer.len()))
}

/// Asks a name server, by default that of the machine, for the address of `localhost`.
fn dns(words: &Words) -> Verdict {
    let server = match words.get(0) {
        Some(text) => address(text)?,
        None => configured_server()?,
    };
    let question = [
        &[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..],
        b"\x09localhost\x00",
        &[0, 1, 0, 1],
    ]
    .concat();
    let answer = exchange(server, &question)?;
    Ok(format!("{} bytes came back", answer.len()))
}

fn configured_server() -> Result<SocketAddr, Stop> {
    let text = crate::descriptor::read_file(c"/etc/resolv.conf").during("read /etc/resolv.conf")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .find_map(|rest| rest.trim().parse().ok())
        .map(|ip| SocketAddr::new(ip, 53))
        .ok_or_else(|| Stop::unavailable("no name server is configured"))
}

/// Looks a name up as programs do.
fn name(words: &Words) -> Verdict {
    let found = (words.text(0)?, 80).to_socket_addrs().during("look up")?;
    Ok(format!("{} addresses", found.count()))
}

/// Opens a socket of any kind, and does nothing with it.
fn socket(words: &Words) -> Verdict {
    match call!(
        libc::SYS_socket,
        words.number(0)?,
        words.number(1)? | i64::from(libc::SOCK_CLOEXEC),
        words.number(2)?
    )
    .and_then(owned)
    {
        Ok(_) => Ok("could be opened".to_owned()),
        Err(errno) => Err(errno).during("socket"),
    }
}

/// Binds an address that a program of the machine has bound: only on the same network can it be taken.
fn bind_taken(words: &Words) -> Verdict {
    match TcpListener::bind(address(words.text(0)?)?) {
        Ok(_) => Err(Stop::blocked("the port is free here: this is another network")),
        Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => {
            Ok("the port is taken: this is the machine's network".to_owned())
        }
        Err(error) => Err(error).during("bind"),
    }
}

/// A connection to itself.
fn loopback(_: &Words) -> Verdict {
    let listener = TcpListener::bind("127.0.0.1:0").during("bind")?;
    let target = listener.local_addr().during("find the port")?;
    TcpStream::connect_timeout(&target, PATIENCE).during("connect")?;
    listener.accept().during("accept")?;
    Ok("talked to itself".to_owned())
}

/// Whether there is an interface beside the loopback.
fn interfaces(_: &Words) -> Verdict {
    let text = crate::descriptor::read_file(c"/proc/self/net/dev").during("read /proc/self/net/dev")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let others: Vec<&str> = text
        .lines()
        .skip(2)
        .filter_map(|line| line.split(':').next())
        .map(str::trim)
        // Those that every new network namespace has, which lead nowhere.
        .filter(|name| {
            ![
                "lo", "sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0",
                "ip6gre0",
            ]
            .contains(name)
        })
        .collect();
    if others.is_empty() {
        return Err(Stop::blocked("only a loopback"));
    }
    Ok(others.join(", "))
}

/// Whether a socket of the machine is listed.
fn other_sockets(words: &Words) -> Verdict {
    let port = format!(":{:04X} ", words.number(0)?);
    let text = crate::descriptor::read_file(c"/proc/self/net/tcp").during("read /proc/self/net/tcp")?;
    if String::from_utf8_lossy(&text).contains(&port) {
        return Ok("it is listed".to_owned());
    }
    Err(Stop::blocked("it is not listed"))
}
