//! Accepts the connections of a run.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::error::ProxyError;
use crate::gate::Gate;

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
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|source| ProxyError::Listener { source })?;
    let gate = Arc::new(gate);
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
            accepted = listener.accept(), if connections.len() < gate.limits.connections.max(1) => match accepted {
                Ok((stream, _)) => {
                    let gate = Arc::clone(&gate);
                    connections.spawn(async move {
                        // Only speed is lost without it.
                        let _unset = stream.set_nodelay(true);
                        connection::handle(stream, &gate).await;
                    });
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
