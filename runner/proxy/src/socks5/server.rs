//! The side that is asked: no login, `CONNECT` only.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout_at};

use super::{Address, CONNECT, NO_LOGIN, VERSION, read_address, reply};
use crate::client::Client;
use crate::connection::say_goodbye;
use crate::failure::{Cause, Failure};
use crate::gate::Gate;
use crate::login;
use crate::refusal::Reason;
use crate::target::{Host, Malformed, Target};

/// The answer to a client that offers no method without a login.
const NO_METHOD: [u8; 2] = [VERSION, 0xff];

/// What a client asked for.
enum Asked {
    Target(Target),
    /// Something else; the answer to it.
    Other(Vec<u8>),
}

/// Serves one connection and closes.
pub(crate) async fn serve<S>(mut client: BufReader<S>, gate: &Gate, deadline: Instant)
where
    S: Client,
{
    let target = match timeout_at(deadline, negotiate(&mut client)).await {
        Ok(Ok(Asked::Target(target))) => target,
        Ok(Ok(Asked::Other(answer))) => return say_goodbye(client, &answer).await,
        Ok(Err(_)) | Err(_) => return,
    };
    let activity = gate.traffic.note(&target);
    match login::open(gate, &target).await {
        Ok(server) => {
            tracing::debug!(%target, "connected");
            // Once connected, how a tunnel ends is between its two ends.
            if client.write_all(&answer(reply::SUCCEEDED)).await.is_ok()
                && server.carry(&mut client, gate, &target, &activity).await.is_err()
            {
                client.get_ref().break_off();
            }
        }
        Err(failure) => {
            tracing::debug!(%failure, "not served");
            say_goodbye(client, &answer(code(&failure))).await;
        }
    }
}

async fn negotiate<S>(client: &mut BufReader<S>) -> io::Result<Asked>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _version = client.read_u8().await?;
    let mut methods = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut methods).await?;
    if !methods.contains(&NO_LOGIN) {
        return Ok(Asked::Other(NO_METHOD.to_vec()));
    }
    client.write_all(&[VERSION, NO_LOGIN]).await?;
    let mut request = [0; 3];
    client.read_exact(&mut request).await?;
    let [version, command, reserved] = request;
    if version != VERSION || reserved != 0 {
        return Ok(Asked::Other(answer(reply::FAILURE)));
    }
    let address = read_address(client).await?;
    if matches!(address, Address::Unknown) {
        return Ok(Asked::Other(answer(reply::ADDRESS_TYPE)));
    }
    let port = client.read_u16().await?;
    if command != CONNECT {
        return Ok(Asked::Other(answer(reply::COMMAND)));
    }
    Ok(target(address, port).map_or_else(|_| Asked::Other(answer(reply::FAILURE)), Asked::Target))
}

fn target(address: Address, port: u16) -> Result<Target, Malformed> {
    let host = match address {
        Address::Ip(address) => Host::from(address),
        Address::Name(name) => std::str::from_utf8(&name)
            .map_err(|_| Malformed("the name is not text"))
            .and_then(Host::parse_bare)?,
        Address::Unknown => return Err(Malformed("the type of the address is not known")),
    };
    Target::new(host, port)
}

/// A reply. The address that the connection was made from is left out (0.0.0.0:0): it says nothing to a client that
/// has no way there.
fn answer(code: u8) -> Vec<u8> {
    vec![VERSION, code, 0, super::IPV4, 0, 0, 0, 0, 0, 0]
}

fn code(failure: &Failure) -> u8 {
    match failure {
        Failure::Refused(refusal) => match refusal.reason {
            Reason::NotListed | Reason::PrivateAddress => reply::NOT_ALLOWED,
            Reason::NotResolved => reply::HOST_UNREACHABLE,
        },
        Failure::Connect { cause, .. } => match cause {
            Cause::Refused => reply::REFUSED,
            Cause::TimedOut | Cause::Unreachable => reply::HOST_UNREACHABLE,
        },
        Failure::Gone
        | Failure::Malformed(_)
        | Failure::TooLarge
        | Failure::Slow
        | Failure::Unknown
        | Failure::Encryption { .. }
        | Failure::Upstream { .. }
        | Failure::Answer { .. }
        | Failure::BrokenOff { .. } => reply::FAILURE,
    }
}
