//! Accepts the connections of a run.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::error::ProxyError;
use crate::gate::Gate;
use crate::open::tunnel;
use crate::relay::relay;
use crate::target::{Host, Malformed, Target};

/// How long accepting rests after a failure, which is mostly a want of descriptors that connections will give back.
const REST: Duration = Duration::from_millis(50);

/// Serves the connections of a run until it is cancelled; no connection is left then. Dropping the future ends them
/// as well.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(
    listener: std::net::TcpListener,
    gate: Gate,
    cancel: CancellationToken,
) -> Result<(), ProxyError> {
    let gate = Arc::new(gate);
    let connections = gate.limits.connections;
    each(listener, connections, cancel, |stream| {
        let gate = Arc::clone(&gate);
        async move { connection::handle(stream, &gate).await }
    })
    .await
}

/// Stands in for the program at a host and port, which the gate has to let through: whoever connects to the listener is
/// connected to it. A client whose connection cannot be made is reset. Else as [`serve`].
///
/// # Errors
/// The listener cannot be used, or there is no such host.
pub async fn stand_in(
    listener: std::net::TcpListener,
    host: &str,
    port: u16,
    gate: Gate,
    cancel: CancellationToken,
) -> Result<(), ProxyError> {
    let target = Host::parse_bare(host)
        .and_then(|host| Target::new(host, port))
        .map_err(|Malformed(reason)| ProxyError::Target {
            host: host.to_owned(),
            reason,
        })?;
    let (gate, target) = (Arc::new(gate), Arc::new(target));
    let connections = gate.limits.connections;
    each(listener, connections, cancel, |client| {
        let (gate, target) = (Arc::clone(&gate), Arc::clone(&target));
        async move {
            let activity = gate.traffic.note(&target);
            match tunnel(&gate, &target).await {
                Ok(server) => {
                    // Either side may go away as it likes.
                    let _ended = relay(client, server, &gate.limits, &activity).await;
                }
                Err(_) => {
                    // Without it the client sees an end where there was no beginning.
                    let _unset = client.set_zero_linger();
                }
            }
        }
    })
    .await
}

/// Accepts connections until it is cancelled, so many at once.
async fn each<F>(
    listener: std::net::TcpListener,
    most: usize,
    cancel: CancellationToken,
    handle: impl Fn(TcpStream) -> F,
) -> Result<(), ProxyError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|source| ProxyError::Listener { source })?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection ended abnormally");
                }
            }
            accepted = listener.accept(), if connections.len() < most.max(1) => match accepted {
                Ok((stream, _)) => {
                    // Only speed is lost without it.
                    let _unset = stream.set_nodelay(true);
                    connections.spawn(handle(stream));
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept");
                    tokio::time::sleep(REST).await;
                }
            },
        }
    }
    connections.shutdown().await;
    Ok(())
}
