//! HTTP/1.1 as a proxy hears it (RFC 9110 and RFC 9112).

pub(crate) mod head;

mod answer;
mod body;
mod fields;
mod forward;
mod request;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout_at};

use crate::client::Client;
use crate::connection::say_goodbye;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::login;
use crate::target::Target;
use request::Request;

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Serves one request, be it a tunnel, and closes.
pub(crate) async fn serve<S>(mut client: BufReader<S>, gate: &Gate, deadline: Instant)
where
    S: Client,
{
    let served = match timeout_at(deadline, head::read(&mut client)).await {
        Err(_) => Err(Failure::Slow),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(head)) if !gate.knows(|| request::proxy_authorization(&head)) => Err(Failure::Unknown),
        Ok(Ok(head)) => match request::parse(&head) {
            Err(failure) => Err(failure),
            Ok(Request::Connect(target)) => tunnel(&mut client, &target, gate).await,
            Ok(Request::Plain(plain)) => forward::forward(&mut client, &plain, gate).await,
        },
    };
    if let Err(failure) = served {
        tracing::debug!(%failure, "not served");
        if let Some(answer) = answer::render(&failure) {
            say_goodbye(client, &answer).await;
        }
    }
}

async fn tunnel<S>(client: &mut BufReader<S>, target: &Target, gate: &Gate) -> Result<(), Failure>
where
    S: Client,
{
    let activity = gate.traffic.note(target);
    let server = login::open(gate, target).await?;
    tracing::debug!(%target, "connected");
    client.write_all(ESTABLISHED).await.map_err(|_| Failure::Gone)?;
    // Once connected, how a tunnel ends is between its two ends.
    if server.carry(client, gate, target, &activity).await.is_err() {
        client.get_ref().break_off();
    }
    Ok(())
}
