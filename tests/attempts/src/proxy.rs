//! The way out that is offered: the proxy of the variables.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::Attempt;
use crate::network::talk;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "proxy-connect",
        usage: "HOST:PORT",
        run: by_connect,
    },
    Attempt {
        name: "proxy-socks",
        usage: "HOST:PORT",
        run: by_socks,
    },
    Attempt {
        name: "proxy-get",
        usage: "HOST:PORT",
        run: by_get,
    },
];

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the proxy that the variables name.
fn proxy() -> Result<TcpStream, Stop> {
    let names = [
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    let value = names
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .ok_or_else(|| Stop::unavailable("no variable names a proxy"))?;
    let address = value
        .split("://")
        .last()
        .unwrap_or_default()
        .trim_end_matches('/');
    let address = address.rsplit('@').next().unwrap_or_default();
    let mut addresses = address.to_socket_addrs().during("find the proxy")?;
    let address = addresses
        .next()
        .ok_or_else(|| Stop::unavailable("the proxy has no address"))?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE).during("connect to the proxy")?;
    stream.set_read_timeout(Some(PATIENCE)).during("set a time")?;
    Ok(stream)
}

/// The head of an answer: all up to the empty line.
fn head(stream: &mut TcpStream) -> Result<String, Stop> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && text.len() < 64 * 1024 {
        if stream.read(&mut byte).during("read the answer of the proxy")? == 0 {
            break;
        }
        text.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `CONNECT` of HTTP (RFC 9110, 9.3.6).
fn by_connect(words: &Words) -> Verdict {
    let target = words.text(0)?;
    let mut stream = proxy()?;
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").during("ask the proxy")?;
    let answer = head(&mut stream)?;
    let first = answer.lines().next().unwrap_or_default().to_owned();
    if !first.contains(" 200") {
        return Err(Stop::blocked(format!("the proxy says `{first}`")));
    }
    talk(stream)
}

/// A request with the whole address.
fn by_get(words: &Words) -> Verdict {
    let target = words.text(0)?;
    let mut stream = proxy()?;
    write!(
        stream,
        "GET http://{target}/ping HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
    )
    .during("ask the proxy")?;
    let mut answer = Vec::new();
    // Up to a megabyte; a server that keeps the connection open has answered too.
    drop((&mut stream).take(1 << 20).read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if answer.contains("ping HTTP/1.1") {
        return Ok("was answered".to_owned());
    }
    let first = answer.lines().next().unwrap_or_default();
    Err(Stop::blocked(format!("the proxy says `{first}`")))
}

/// `CONNECT` of SOCKS 5 (RFC 1928), with the name left to the proxy.
fn by_socks(words: &Words) -> Verdict {
    let (host, port) = words
        .text(0)?
        .rsplit_once(':')
        .ok_or_else(|| Stop::Misused("a target is HOST:PORT".to_owned()))?;
    let port: u16 = port
        .parse()
        .map_err(|_| Stop::Misused("a port is a number".to_owned()))?;
    let length = u8::try_from(host.len()).map_err(|_| Stop::Misused("the name is too long".to_owned()))?;
    let mut stream = proxy()?;
    stream.write_all(&[5, 1, 0]).during("greet the proxy")?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).during("read its greeting")?;
    if answer != [5, 0] {
        return Err(Stop::blocked(format!("the proxy says {answer:?}")));
    }
    let question = [&[5, 1, 0, 3, length][..], host.as_bytes(), &port.to_be_bytes()].concat();
    stream.write_all(&question).during("ask the proxy")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).during("read its answer")?;
    let [_, code, _, kind] = answer;
    if code != 0 {
        return Err(Stop::blocked(format!("the proxy says {code}")));
    }
    let rest = if kind == 4 { 18 } else { 6 };
    let mut bound = vec![0; rest];
    stream.read_exact(&mut bound).during("read its address")?;
    talk(stream)
}
