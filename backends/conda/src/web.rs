//! Requests of the libraries, made by the host: so proxies, certificates, credentials, time limits, retries, `--offline`
//! and Ctrl-C hold for them, and no socket is opened here.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt as _};
use reqwest::{Method, Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{ClientWithMiddleware, Middleware, Next};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{mpsc, oneshot};
use url::Url;
use wrun_core::host::{Host, WebMethod, WebRequest, WebResponse};
use wrun_core::problem::Problem;

use crate::channels::Channels;
use crate::inflated;

/// The largest answer that is taken, in bytes; the index of the largest public channel is a third of it.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// How Zstandard begins: with a frame, or one to skip as parallel compressors write (RFC 8878, 3.1).
const ZSTANDARD: &[&[u8]] = &[b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"];

/// How the file at a path begins, as far as its name says. What answers in place of a channel is not read to its end.
fn beginning(path: &str) -> &'static [&'static [u8]] {
    match path.rsplit('.').next() {
        Some("json") => &[b"{"],
        Some("zst") => ZSTANDARD,
        _ => &[],
    }
}

/// A request on its way to the host.
struct Asked {
    request: WebRequest,
    answer: oneshot::Sender<Result<WebResponse, String>>,
}

/// Hands every request to the host.
struct ToHost(mpsc::UnboundedSender<Asked>);

#[async_trait::async_trait]
impl Middleware for ToHost {
    async fn handle(
        &self,
        request: Request,
        _extensions: &mut http::Extensions,
        _next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let method = match *request.method() {
            Method::GET => WebMethod::Get,
            Method::HEAD => WebMethod::Head,
            ref other => return Err(failed(format!("{other} is not a request that is made"))),
        };
        let headers = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            request: WebRequest {
                method,
                url: request.url().to_string(),
                headers: headers.collect(),
                credential: None,
                maximum_bytes: LARGEST,
                begins_with: beginning(request.url().path()),
            },
            answer,
        };
        self.0.send(asked).map_err(|_| failed("cancelled".to_owned()))?;
        let response = answered
            .await
            .map_err(|_| failed("cancelled".to_owned()))?
            .map_err(failed)?;
        let mut builder = http::Response::builder().status(response.status);
        for (name, value) in &response.headers {
            builder = builder.header(name, value);
        }
        if let Ok(url) = Url::parse(&response.url) {
            builder = builder.url(url);
        }
        builder
            .body(response.body)
            .map(Response::from)
            .map_err(|error| failed(error.to_string()))
    }
}

fn failed(message: String) -> reqwest_middleware::Error {
    reqwest_middleware::Error::Middleware(anyhow::Error::msg(message))
}

/// What went wrong on the web while something was being done.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// What the host could not do, and for which address.
    pub(crate) problem: Option<(String, Problem)>,
    /// A server that said no, other than that there is no such thing: the address and the status.
    pub(crate) refused: Option<(String, u16)>,
}

/// Does something whose requests go through the host, and says what went wrong with them.
///
/// # Errors
/// No client can be made.
pub(crate) async fn through<T>(
    host: &dyn Host,
    channels: &Channels,
    work: impl AsyncFnOnce(ClientWithMiddleware) -> T,
) -> Result<(T, Trouble), Problem> {
    let (sender, mut asked) = mpsc::unbounded_channel::<Asked>();
    let client = reqwest_middleware::ClientBuilder::new(unused_client()?)
        .with_arc(Arc::new(ToHost(sender)))
        .build();
    let mut trouble = Trouble::default();
    let mut running = FuturesUnordered::new();
    let work = work(client);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok((done, trouble)),
            Some(Asked { mut request, answer }) = asked.recv() => {
                let url = Url::parse(&request.url).ok();
                let path = url.as_ref().map(|url| url.path().to_owned()).unwrap_or_default();
                request.credential = url.and_then(|url| channels.credential(&url).cloned());
                running.push(async move {
                    let answered = match host.web(&request).await {
                        Ok(response) => inflated::bounded(path, response).await,
                        failed => failed,
                    };
                    (request.url, answered, answer)
                });
            }
            Some((url, answered, answer)) = running.next() => {
                match &answered {
                    Ok(response) if response.status >= 400 && response.status != 404 => {
                        trouble.refused.get_or_insert((url, response.status));
                    }
                    Ok(_) => {}
                    Err(problem) => {
                        trouble.problem.get_or_insert_with(|| (url, problem.clone()));
                    }
                }
                // Nobody waits for it any more if the work went on without it.
                drop(answer.send(answered.map_err(|problem| problem.to_string())));
            }
        }
    }
}

/// A client for the libraries to hold; it is never used, so it trusts nobody.
fn unused_client() -> Result<reqwest::Client, Problem> {
    let setup = |error: &dyn std::fmt::Display| Problem::failed("conda.web.setup", error.to_string());
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| setup(&error))
}
