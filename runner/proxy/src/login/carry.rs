//! Tunnels, and connections in which requests are seen and logged in.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderValue, TE, UPGRADE};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{client, server};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Side};
use crate::client::Client;
use crate::failure::{Cause, Failure};
use crate::gate::Gate;
use crate::open::{self, Connection};
use crate::relay::relay;
use crate::target::Target;

/// Fields of a request that are for the next hop only (RFC 9110, 7.6.1).
const NOT_PASSED_ON: [HeaderName; 4] = [CONNECTION, TE, UPGRADE, HeaderName::from_static("keep-alive")];

/// A connection to a server.
pub(crate) enum Far {
    /// It carries whatever is said.
    Tunnel(Connection),
    /// It carries requests, which are logged in.
    Requests {
        server: Box<dyn Stream>,
        /// How the run's side is encrypted.
        near: Option<TlsAcceptor>,
    },
}

/// What bytes come from and go to.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to a target, as far as the gate lets it.
pub(crate) async fn open(gate: &Gate, target: &Target) -> Result<Far, Failure> {
    let server = open::tunnel(gate, target).await?;
    if !gate.logins.concerns(target) {
        return Ok(Far::Tunnel(server));
    }
    let Some(encryption) = gate.logins.encryption(target) else {
        return Ok(Far::Requests {
            server: Box::new(server),
            near: None,
        });
    };
    let unproven = |problem: String| {
        let target = target.clone();
        let failure = Failure::Encryption { target, problem };
        gate.outside.is_unusable(&failure.to_string());
        failure
    };
    let name = ServerName::try_from(target.host.to_string()).map_err(|error| unproven(error.to_string()))?;
    match timeout(gate.limits.connect, encryption.far.connect(name, server)).await {
        Ok(Ok(server)) => Ok(Far::Requests {
            server: Box::new(server),
            near: Some(encryption.near.clone()),
        }),
        Ok(Err(error)) => Err(unproven(error.to_string())),
        Err(_) => Err(Failure::Connect {
            target: target.clone(),
            cause: Cause::TimedOut,
        }),
    }
}

impl Far {
    /// Carries what is said until both sides have ended. How that is, is between them.
    pub(crate) async fn carry<S: Client>(
        self,
        client: &mut BufReader<S>,
        gate: &Gate,
        target: &Target,
        activity: &Activity,
    ) -> io::Result<()> {
        match self {
            Self::Tunnel(server) => relay(client, server, &gate.limits, activity).await,
            Self::Requests { server, near: None } => requests(client, server, gate, target, activity).await,
            Self::Requests {
                server,
                near: Some(acceptor),
            } => {
                let client = timeout(gate.limits.request, acceptor.accept(client)).await??;
                requests(client, server, gate, target, activity).await
            }
        }
    }
}

async fn requests<A, B>(
    client: A,
    server: B,
    gate: &Gate,
    target: &Target,
    activity: &Activity,
) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let near = TokioIo::new(Heard(client, activity.client()));
    let far = TokioIo::new(Heard(server, activity.server()));
    let (sender, connection) = client::conn::http1::handshake(far)
        .await
        .map_err(io::Error::other)?;
    let sender = Mutex::new(sender);
    let service = service_fn(async |request: Request<Incoming>| {
        let request = logged_in(request, gate, target)?;
        let mut sender = sender.lock().await;
        sender.ready().await.map_err(io::Error::other)?;
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(io::Error::other("the server changes the protocol"));
        }
        Ok::<Response<Incoming>, io::Error>(answer)
    });
    let mut connection = pin!(connection);
    let mut serving = pin!(server::conn::http1::Builder::new().serve_connection(near, service));
    let mut is_open = true;
    let both = async {
        loop {
            tokio::select! {
                ended = &mut serving => return ended.map_err(io::Error::other),
                _ended = &mut connection, if is_open => {
                    // The client is to take another connection for what it asks next.
                    is_open = false;
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    };
    tokio::select! {
        ended = both => ended,
        () = activity.silence(gate.limits.idle) => Err(io::ErrorKind::TimedOut.into()),
        () = activity.drip(gate.limits.pace) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The request as it goes on: to the server that the connection was made to, whatever it names (RFC 9112, 3.2.2), so that
/// no other site behind the same address hears the credential.
fn logged_in(mut request: Request<Incoming>, gate: &Gate, target: &Target) -> io::Result<Request<Incoming>> {
    if request.method() == Method::CONNECT {
        return Err(io::Error::other("a tunnel within a tunnel"));
    }
    let path = request
        .uri()
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    let login = gate
        .logins
        .within(target, request.method().as_str(), path.path())
        .cloned();
    let fields = request.headers_mut();
    take_away(fields);
    let host = HeaderValue::try_from(target.authority(gate.logins.is_encrypted(target)))
        .map_err(io::Error::other)?;
    fields.insert(HOST, host);
    if !fields.contains_key(AUTHORIZATION)
        && let Some(login) = login
    {
        fields.insert(AUTHORIZATION, login);
    }
    *request.uri_mut() = Uri::from(path);
    Ok(request)
}

fn take_away(fields: &mut HeaderMap) {
    for name in NOT_PASSED_ON {
        fields.remove(name);
    }
    let of_proxies: Vec<HeaderName> = fields
        .keys()
        .filter(|name| name.as_str().starts_with("proxy-"))
        .cloned()
        .collect();
    for name in of_proxies {
        fields.remove(name);
    }
}

/// A stream that is listened to.
struct Heard<'a, S>(S, Side<'a>);

impl<S: AsyncRead + Unpin> AsyncRead for Heard<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        let length = buffer.filled().len().saturating_sub(before);
        if length > 0 {
            self.1.says(length);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
