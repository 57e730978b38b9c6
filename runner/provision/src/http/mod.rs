//! HTTP for questions, tools and plans: one client, made when it is first needed.

mod arrival;
mod client;
mod content;
mod download;
mod error;
mod failure;
mod room;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use url::Url;
use wrun_core::credential::{Credential, Secret};

use crate::error::ProvisionError;
use crate::host::Events;
use crate::patience::patiently;
use crate::settings::Settings;

use arrival::Arrival;
pub(crate) use arrival::LEAST;
pub(crate) use client::authorities;
use content::Expected;
pub(crate) use download::Download;
pub use error::{HttpError, StatusError};
use failure::Failure;

/// Attempts in all for what may work when tried again.
const ATTEMPTS: u32 = 3;

/// The longest wait that a server may ask for (`Retry-After`, RFC 9110, 10.2.3).
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Fetches over HTTP, unless the run is offline.
pub(crate) struct Http {
    settings: Settings,
    cancel: CancellationToken,
    events: Events,
    client: OnceCell<Client>,
    /// Posts, and goes nowhere else with what it posted.
    poster: OnceCell<Client>,
}

/// A GET whose answer is held in memory.
pub(crate) struct Get<'a> {
    /// The address.
    pub(crate) url: &'a Url,
    /// Headers to send.
    pub(crate) headers: &'a [(String, String)],
    /// The credential to send.
    pub(crate) credential: Option<Authorization<'a>>,
    /// The largest answer that is taken, in bytes.
    pub(crate) maximum: u64,
    /// Whether only the headers are wanted.
    pub(crate) head: bool,
    /// What the body of a good answer begins with: one of these, after blanks. Without any it may be anything.
    pub(crate) begins_with: &'a [&'a [u8]],
    /// Told the attempt that follows, from 2, and why.
    pub(crate) retried: &'a (dyn Fn(u32, &str) + Sync),
}

/// For requests of which people are not told that they are made again.
pub(crate) const fn untold(_attempt: u32, _reason: &str) {}

/// What a request says of who makes it. A redirection to another host loses it.
#[derive(Clone, Copy)]
pub(crate) enum Authorization<'a> {
    /// A user name and a password (RFC 7617).
    Basic(&'a Credential),
    /// A token (RFC 6750).
    Bearer(&'a Secret),
}

impl<'a> From<&'a Credential> for Authorization<'a> {
    fn from(credential: &'a Credential) -> Self {
        Self::Basic(credential)
    }
}

/// What a server said.
pub(crate) struct Response {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The media type, without parameters; empty if there is none.
    pub(crate) media_type: String,
    /// The address after redirections.
    pub(crate) url: Url,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn new(settings: Settings, cancel: CancellationToken, events: Events) -> Self {
        Self {
            settings,
            cancel,
            events,
            client: OnceCell::new(),
            poster: OnceCell::new(),
        }
    }

    /// Gets an answer, whatever its status. What may work when tried again is tried three times in all.
    ///
    /// # Errors
    /// Offline, cancelled, unreachable or too large.
    pub(crate) async fn get(&self, request: &Get<'_>) -> Result<Response, ProvisionError> {
        let client = self.client(request.url).await?;
        let mut attempt = 1;
        loop {
            let received = AtomicU64::new(0);
            let getting = Box::pin(self.get_once(client, request, &received));
            let result = self.patiently(request.url, &received, getting).await?;
            let failure = match result {
                Ok((response, pause)) => match Failure::of_status(response.status, pause) {
                    Some(failure) if attempt < ATTEMPTS => failure,
                    _ => return Ok(response),
                },
                Err(failure) => failure,
            };
            if !failure.transient || attempt == ATTEMPTS {
                return Err(failure.into_error(request.url, attempt).into());
            }
            attempt += 1;
            (request.retried)(attempt, &failure.reason);
            self.pause(attempt - 1, &failure).await?;
        }
    }

    /// Posts a form and gives the answer, whatever its status. It is tried once: it may have been heard. A redirection is
    /// an answer like any other: what is posted may be a secret.
    ///
    /// # Errors
    /// Offline, cancelled, unreachable or too large.
    pub(crate) async fn post_form(
        &self,
        url: &Url,
        fields: &[(&str, String)],
        maximum: u64,
    ) -> Result<Response, ProvisionError> {
        self.refuse_offline(url)?;
        let client = self
            .poster
            .get_or_try_init(|| async { client::build(&self.settings, Policy::none()) })
            .await?;
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let received = AtomicU64::new(0);
        let posting = Box::pin(self.answer(request, maximum, &[], &received));
        let answered = self.patiently(url, &received, posting).await?;
        answered
            .map(|(response, _)| response)
            .map_err(|failure| failure.into_error(url, 1).into())
    }

    /// Refuses before anything is waited for if the run is offline.
    pub(crate) fn refuse_offline(&self, url: &Url) -> Result<(), ProvisionError> {
        if self.settings.offline {
            return Err(ProvisionError::Offline {
                what: format!("fetching `{}`", shown(url)),
            });
        }
        Ok(())
    }

    async fn get_once(
        &self,
        client: &Client,
        request: &Get<'_>,
        received: &AtomicU64,
    ) -> Result<(Response, Option<Duration>), Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|error| Failure::address(&error))?;
            headers.append(
                name,
                HeaderValue::try_from(value.as_str()).map_err(|error| Failure::address(&error))?,
            );
        }
        let method = if request.head { Method::HEAD } else { Method::GET };
        let getting = authenticated(
            client.request(method, request.url.clone()).headers(headers),
            request.credential,
        );
        self.answer(getting, request.maximum, request.begins_with, received)
            .await
    }

    /// Sends a request and takes its answer.
    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        maximum: u64,
        begins_with: &[&[u8]],
        received: &AtomicU64,
    ) -> Result<(Response, Option<Duration>), Failure> {
        let mut answer = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = answer.status().as_u16();
        let pause = failure::retry_after(answer.headers());
        let media_type = media_type(answer.headers());
        let url = answer.url().clone();
        let headers = answer.headers().clone();
        let mut body = Vec::new();
        let mut arrival = Arrival::new(self.settings.timing.idle, received);
        let mut expected = Expected::of(&answer, begins_with);
        while let Some(chunk) = answer.chunk().await.map_err(|error| Failure::of(&error))? {
            if body.len() as u64 + chunk.len() as u64 > maximum {
                return Err(Failure::too_large(maximum));
            }
            arrival.brings(&chunk)?;
            body.extend_from_slice(&chunk);
            expected.check(&body)?;
        }
        Ok((
            Response {
                status,
                media_type,
                url,
                headers,
                body,
            },
            pause,
        ))
    }

    /// The client; refused before any socket is opened if the run is offline.
    async fn client(&self, url: &Url) -> Result<&Client, ProvisionError> {
        self.refuse_offline(url)?;
        if !matches!(url.scheme(), "http" | "https") {
            let reason = format!("`{}` is not a scheme of the web", url.scheme());
            return Err(HttpError::Address {
                url: shown(url),
                reason,
            }
            .into());
        }
        self.client
            .get_or_try_init(|| async { client::build(&self.settings, Policy::default()) })
            .await
    }

    /// Waits before the next attempt.
    async fn pause(&self, attempt: u32, failure: &Failure) -> Result<(), ProvisionError> {
        let backoff = self
            .settings
            .timing
            .backoff
            .saturating_mul(1 << (attempt - 1).min(8));
        let pause = failure.pause.unwrap_or(backoff).min(LONGEST_PAUSE);
        tracing::debug!(attempt, reason = failure.reason, ?pause, "trying again");
        self.unless_cancelled(tokio::time::sleep(pause)).await
    }

    /// Waits for what comes from an address, and says so if little comes of it for long. `received` is what came since
    /// that was last looked at, in bytes.
    async fn patiently<T>(
        &self,
        url: &Url,
        received: &AtomicU64,
        work: impl Future<Output = T>,
    ) -> Result<T, ProvisionError> {
        let awaited = || {
            let is_slow = received.swap(0, Ordering::Relaxed) < LEAST;
            let host = url.host_str().filter(|_| is_slow);
            let port = url.port_or_known_default().unwrap_or_default();
            host.map(|host| format!("{host}:{port}"))
                .into_iter()
                .collect::<BTreeSet<_>>()
        };
        let what = format!("fetching `{}`", shown(url));
        let work = self.unless_cancelled(work);
        patiently(&self.events, self.settings.timing.patience, &what, awaited, work).await
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, ProvisionError> {
        self.cancel
            .run_until_cancelled(work)
            .await
            .ok_or(ProvisionError::Cancelled)
    }
}

fn authenticated(
    request: reqwest::RequestBuilder,
    authorization: Option<Authorization<'_>>,
) -> reqwest::RequestBuilder {
    match authorization {
        Some(Authorization::Basic(credential)) => {
            request.basic_auth(&credential.username, Some(credential.password.expose()))
        }
        Some(Authorization::Bearer(token)) => request.bearer_auth(token.expose()),
        None => request,
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// An address for people: without user information and without a fragment.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = crate::index::take_credential(&mut url);
    url.set_fragment(None);
    url.into()
}

/// The error of a server that said no.
pub(crate) fn said_no(url: &Url, status: u16) -> ProvisionError {
    let url = shown(url);
    HttpError::Status(StatusError { url, status }).into()
}

/// Reads an address of a plan, a question or an index.
///
/// # Errors
/// It is none.
pub(crate) fn parse(url: &str) -> Result<Url, ProvisionError> {
    Url::parse(url).map_err(|error| {
        let (url, reason) = (url.to_owned(), error.to_string());
        HttpError::Address { url, reason }.into()
    })
}
