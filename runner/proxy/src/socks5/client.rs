//! The side that asks: the user's own proxy.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use wrun_core::credential::Credential;

use super::{Address, CONNECT, NO_LOGIN, VERSION, push_text, read_address, reply, write_target};
use crate::failure::Cause;
use crate::target::Target;
use crate::upstream::Problem;

/// The method with a user and a password, and the version of its messages (RFC 1929).
const LOGIN: u8 = 2;
const LOGIN_VERSION: u8 = 1;

/// Asks a proxy to connect. After it, the connection is the target's.
pub(crate) async fn ask<S>(
    proxy: &mut BufReader<S>,
    target: &Target,
    login: Option<&Credential>,
) -> Result<(), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting: &[u8] = match login {
        Some(_) => &[VERSION, 2, NO_LOGIN, LOGIN],
        None => &[VERSION, 1, NO_LOGIN],
    };
    proxy.write_all(greeting).await?;
    let mut chosen = [0; 2];
    proxy.read_exact(&mut chosen).await?;
    match (chosen, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, LOGIN], Some(login)) => log_in(proxy, login).await?,
        ([VERSION, _], _) => return Err(Problem::said("wants another kind of login")),
        _ => return Err(Problem::said("does not speak SOCKS5")),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    write_target(target, &mut request);
    proxy.write_all(&request).await?;
    let mut answer = [0; 3];
    proxy.read_exact(&mut answer).await?;
    match answer {
        [VERSION, reply::SUCCEEDED, _] => {}
        [VERSION, reply::NOT_ALLOWED, _] => return Err(Problem::said("does not allow it")),
        [VERSION, reply::REFUSED, _] => return Err(Problem::Connect(Cause::Refused)),
        [VERSION, reply::EXPIRED, _] => return Err(Problem::Connect(Cause::TimedOut)),
        [VERSION, reply::NETWORK_UNREACHABLE | reply::HOST_UNREACHABLE, _] => {
            return Err(Problem::Connect(Cause::Unreachable));
        }
        [VERSION, code, _] => return Err(Problem::said(&format!("failed with the code {code}"))),
        _ => return Err(Problem::said("does not speak SOCKS5")),
    }
    if matches!(read_address(proxy).await?, Address::Unknown) {
        return Err(Problem::said("does not speak SOCKS5"));
    }
    proxy.read_u16().await?;
    Ok(())
}

async fn log_in<S>(proxy: &mut BufReader<S>, login: &Credential) -> Result<(), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut message = vec![LOGIN_VERSION];
    push_text(&login.username, &mut message);
    push_text(login.password.expose(), &mut message);
    proxy.write_all(&message).await?;
    let mut answer = [0; 2];
    proxy.read_exact(&mut answer).await?;
    match answer {
        [_, 0] => Ok(()),
        _ => Err(Problem::said("wants other credentials")),
    }
}
