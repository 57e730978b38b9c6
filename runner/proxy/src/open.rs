//! Makes a connection to a target, as far as the gate lets it.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{Cause, Failure};
use crate::gate::Gate;
use crate::refusal::Reason;
use crate::relay::BUFFER;
use crate::target::{Host, Target};
use crate::upstream::{Hop, Protocol, Scheme};
use crate::{socks5, upstream};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// A connection, with what was already read from it.
pub(crate) type Connection = BufReader<TcpStream>;

/// How a plain HTTP request has to be written on a connection.
pub(crate) enum Form {
    /// For the server itself: with the path alone.
    Origin,
    /// For a proxy: with the whole address, and with what the proxy wants to know of its user.
    Absolute(Option<HeaderValue>),
}

/// A connection that carries whatever the client says.
pub(crate) async fn tunnel(gate: &Gate, target: &Target) -> Result<Connection, Failure> {
    // Which of the user's proxies a tunnel belongs to cannot be known; the port is the best hint.
    let scheme = if target.port == 80 {
        Scheme::Http
    } else {
        Scheme::Https
    };
    gate.check(target)?;
    match hop(gate, target, scheme)? {
        None => direct(gate, target).await,
        Some(hop) => through(gate, target, hop).await,
    }
}

/// A connection for one plain HTTP request.
pub(crate) async fn request(gate: &Gate, target: &Target) -> Result<(Connection, Form), Failure> {
    gate.check(target)?;
    match hop(gate, target, Scheme::Http)? {
        None => Ok((direct(gate, target).await?, Form::Origin)),
        Some(hop) => match hop.protocol {
            // Proxies commonly let `CONNECT` through for port 443 only.
            Protocol::Http { ref authorization } => {
                let form = Form::Absolute(authorization.clone());
                Ok((to_hop(gate, target, &hop).await?, form))
            }
            Protocol::Socks5 { .. } => Ok((through(gate, target, hop).await?, Form::Origin)),
        },
    }
}

/// The upstream proxy for a target. This machine itself is never asked for at a proxy, which would take itself for
/// it.
fn hop(gate: &Gate, target: &Target, scheme: Scheme) -> Result<Option<Hop>, Failure> {
    match &gate.upstream {
        Some(upstream) if !target.host.is_this_machine() => upstream.hop(target, scheme),
        _ => Ok(None),
    }
}

async fn direct(gate: &Gate, target: &Target) -> Result<Connection, Failure> {
    let addresses = checked(gate, target).await?;
    connect(gate, &addresses, target.port)
        .await
        .map_err(|cause| Failure::Connect {
            target: target.clone(),
            cause,
        })
}

async fn through(gate: &Gate, target: &Target, hop: Hop) -> Result<Connection, Failure> {
    let asked = match (&hop.protocol, &target.host) {
        (
            Protocol::Socks5 {
                resolves_names: false,
                ..
            },
            Host::Name(_),
        ) => {
            let address = checked(gate, target).await?.into_iter().next();
            let host = address.map_or_else(|| target.host.clone(), Host::Address);
            Target {
                host,
                port: target.port,
            }
        }
        _ => target.clone(),
    };
    let mut connection = to_hop(gate, target, &hop).await?;
    let handshake = async {
        match &hop.protocol {
            Protocol::Http { authorization } => {
                upstream::connect::ask(&mut connection, &asked, authorization.as_ref()).await
            }
            Protocol::Socks5 { login, .. } => {
                socks5::client::ask(&mut connection, &asked, login.as_ref()).await
            }
        }
    };
    match timeout(gate.limits.upstream, handshake).await {
        Ok(Ok(())) => Ok(connection),
        Ok(Err(problem)) => Err(problem.about(target)),
        Err(_) => Err(Failure::Connect {
            target: target.clone(),
            cause: Cause::TimedOut,
        }),
    }
}

/// A connection to the upstream proxy, which the user chose, so that its addresses are not checked.
async fn to_hop(gate: &Gate, target: &Target, hop: &Hop) -> Result<Connection, Failure> {
    let unreachable = |problem: &str| Failure::Upstream {
        target: target.clone(),
        problem: problem.to_owned(),
    };
    let addresses = match &hop.at.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => match timeout(gate.limits.resolve, gate.outside.resolve(name)).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Vec::new(),
        },
    };
    if addresses.is_empty() {
        return Err(unreachable("has a name without an address"));
    }
    connect(gate, &addresses, hop.at.port)
        .await
        .map_err(|_| unreachable("is not reachable"))
}

/// The addresses of a target that it may be reached at: at least one.
async fn checked(gate: &Gate, target: &Target) -> Result<Vec<IpAddr>, Failure> {
    let name = match &target.host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    let found: Vec<IpAddr> = match timeout(gate.limits.resolve, gate.outside.resolve(name)).await {
        Ok(Ok(found)) => found.iter().map(IpAddr::to_canonical).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let Some(first) = found.first().copied() else {
        return Err(gate.refuse(target, None, Reason::NotResolved));
    };
    let allowed: Vec<IpAddr> = found
        .into_iter()
        .filter(|address| gate.allows(name, *address, target.port))
        .take(ADDRESSES)
        .collect();
    if allowed.is_empty() {
        return Err(gate.refuse(target, Some(first), Reason::PrivateAddress));
    }
    Ok(allowed)
}

/// Tries the addresses in their order, each for its time; the first failure is the one that is told.
async fn connect(gate: &Gate, addresses: &[IpAddr], port: u16) -> Result<Connection, Cause> {
    let mut failed = None;
    for address in addresses {
        let attempt = gate.outside.connect(SocketAddr::new(*address, port));
        let cause = match timeout(gate.limits.connect, attempt).await {
            Ok(Ok(stream)) => return Ok(BufReader::with_capacity(BUFFER, stream)),
            Ok(Err(error)) => Cause::from(&error),
            Err(_) => Cause::TimedOut,
        };
        failed.get_or_insert(cause);
    }
    Err(failed.unwrap_or(Cause::Unreachable))
}
