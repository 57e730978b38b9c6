//! Downloads into the store: checked by digest, and gone on with where a connection was cut.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::{Client, StatusCode};
use url::Url;
use wrun_core::id::Digest;
use wrun_store::{ArtifactWriter, Store, StoreError};

use super::failure::{Failure, retry_after};
use super::room::Room;
use super::{ATTEMPTS, Arrival, Authorization, Http, authenticated, shown};
use crate::error::ProvisionError;

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// A file to bring into the store.
pub(crate) struct Download<'a> {
    /// The address.
    pub(crate) url: &'a Url,
    /// What it must be.
    pub(crate) digest: Digest,
    /// Its size in bytes, if known; nothing larger is taken. Without it there are bounds too ([`Room`]).
    pub(crate) size: Option<u64>,
    /// The credential to send.
    pub(crate) credential: Option<Authorization<'a>>,
    /// Told bytes received and bytes in all, now and then.
    pub(crate) progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
    /// Told the attempt that follows, from 2, and why.
    pub(crate) retried: &'a (dyn Fn(u32, &str) + Sync),
}

/// What there is of a file so far, also from an earlier run.
struct Part {
    writer: ArtifactWriter,
    /// The entity tag or the date of the file that the first bytes are of (RFC 9110, 13.1.5).
    validator: Option<HeaderValue>,
    /// Whether it was put together from more than one answer.
    joined: bool,
}

/// Bytes that an attempt has to bring for the attempts to be counted anew.
const PROGRESS: u64 = 1024 * 1024;

/// An attempt that did not bring the file.
enum Interrupted {
    Server(Failure),
    Store(StoreError),
}

impl From<Failure> for Interrupted {
    fn from(failure: Failure) -> Self {
        Self::Server(failure)
    }
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Part {
    fn new(store: &Store, digest: &Digest) -> Result<Self, StoreError> {
        let mut writer = store.artifact_writer();
        writer.resume(digest)?;
        Ok(Self {
            writer,
            validator: None,
            joined: false,
        })
    }

    /// Throws away what there is so far, for a file that is not to be had like this.
    fn refuse(&mut self, failure: Failure) -> Result<(), Interrupted> {
        self.writer.restart()?;
        Err(failure.into())
    }
}

impl Http {
    /// Brings a file into the store, if it is not there yet, and gives its path. Attempts are made as for
    /// [`Http::get`], and go on where the last one ended.
    ///
    /// # Errors
    /// Offline, cancelled, unreachable, refused, too large, of another digest, or the store failed.
    pub(crate) async fn download(
        &self,
        store: &Store,
        file: &Download<'_>,
    ) -> Result<PathBuf, ProvisionError> {
        if let Some(path) = store.artifact(&file.digest)? {
            return Ok(path);
        }
        let client = self.client(file.url).await?;
        let mut part = Part::new(store, &file.digest)?;
        let mut attempt = 1;
        loop {
            let had = part.writer.length();
            let failure = match self.attempt(store, client, file, &mut part).await? {
                Ok(()) => {
                    let joined = part.joined;
                    match part.writer.finish(&file.digest) {
                        Ok(path) => return Ok(path),
                        // The halves may be of two versions of the file; a whole one decides.
                        Err(StoreError::WrongDigest { .. }) if joined && attempt < ATTEMPTS => {
                            part = Part::new(store, &file.digest)?;
                            Failure::cut_off(0, file.size.unwrap_or_default())
                        }
                        Err(StoreError::WrongDigest { expected, found }) => {
                            return Err(ProvisionError::WrongDigest {
                                url: shown(file.url),
                                expected,
                                found,
                            });
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(Interrupted::Store(error)) => return Err(error.into()),
                Err(Interrupted::Server(failure)) => failure,
            };
            // A large file over a line that is cut now and then gets here, in the end.
            if part.writer.length() >= had.saturating_add(PROGRESS) {
                attempt = 1;
            }
            if !failure.transient || attempt == ATTEMPTS {
                return Err(failure.into_error(file.url, attempt).into());
            }
            attempt += 1;
            (file.retried)(attempt, &failure.reason);
            self.pause(attempt - 1, &failure).await?;
        }
    }
}

impl Http {
    /// Brings a file whose digest is not known into the store, and gives its path and digest. Each attempt starts from
    /// the beginning: nothing says that two halves are of one file.
    ///
    /// # Errors
    /// As for [`Http::download`].
    pub(crate) async fn download_unknown(
        &self,
        store: &Store,
        url: &Url,
        credential: Option<Authorization<'_>>,
        progress: &(dyn Fn(u64, Option<u64>) + Sync),
        retried: &(dyn Fn(u32, &str) + Sync),
    ) -> Result<(PathBuf, Digest), ProvisionError> {
        let client = self.client(url).await?;
        let file = Download {
            url,
            digest: Digest::of(&[]),
            size: None,
            credential,
            progress,
            retried,
        };
        let mut attempt = 1;
        loop {
            let mut part = Part {
                writer: store.artifact_writer(),
                validator: None,
                joined: false,
            };
            let failure = match self.attempt(store, client, &file, &mut part).await? {
                Ok(()) => {
                    let digest = part.writer.digest();
                    return Ok((part.writer.finish(&digest)?, digest));
                }
                Err(Interrupted::Store(error)) => return Err(error.into()),
                Err(Interrupted::Server(failure)) => failure,
            };
            if !failure.transient || attempt == ATTEMPTS {
                return Err(failure.into_error(url, attempt).into());
            }
            attempt += 1;
            retried(attempt, &failure.reason);
            self.pause(attempt - 1, &failure).await?;
        }
    }

    /// One request, whose answer has to arrive at a pace.
    async fn attempt(
        &self,
        store: &Store,
        client: &Client,
        file: &Download<'_>,
        part: &mut Part,
    ) -> Result<Result<(), Interrupted>, ProvisionError> {
        let received = AtomicU64::new(0);
        let arrival = Arrival::new(self.settings.timing.idle, &received);
        let transfer = Box::pin(transfer(
            client,
            file,
            part,
            arrival,
            Room::new(file.size, store.root()),
        ));
        self.patiently(file.url, &received, transfer).await
    }
}

/// One request, which adds to the part.
async fn transfer(
    client: &Client,
    file: &Download<'_>,
    part: &mut Part,
    mut arrival: Arrival<'_>,
    mut room: Room<'_>,
) -> Result<(), Interrupted> {
    let mut request = authenticated(client.get(file.url.clone()), file.credential);
    let start = part.writer.length();
    if start > 0 {
        request = request.header(RANGE, format!("bytes={start}-"));
        if let Some(validator) = &part.validator {
            request = request.header(IF_RANGE, validator.clone());
        }
    }
    let mut answer = request.send().await.map_err(|error| Failure::of(&error))?;
    let status = answer.status();
    let goes_on = status == StatusCode::PARTIAL_CONTENT && starts_at(answer.headers()) == Some(start);
    if goes_on {
        part.joined = true;
    } else if status == StatusCode::OK {
        part.writer.restart()?;
        part.joined = false;
        part.validator = validator(answer.headers());
    } else if matches!(
        status,
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT
    ) {
        // The bytes that are here are not the beginning of what is there.
        part.writer.restart()?;
        return Err(Failure::cut_off(0, file.size.unwrap_or_default()).into());
    } else {
        let pause = retry_after(answer.headers());
        let status = status.as_u16();
        return Err(Failure::of_status(status, pause)
            .unwrap_or_else(|| Failure::refused(status))
            .into());
    }

    let total = answer
        .content_length()
        .map(|rest| part.writer.length() + rest)
        .or(file.size);
    let rest = answer.content_length().unwrap_or_default();
    room.holds(part.writer.length(), rest)
        .or_else(|failure| part.refuse(failure))?;
    let mut told = Instant::now();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Failure::of(&error))? {
        part.writer.write(&chunk)?;
        arrival.brings(&chunk)?;
        room.holds(part.writer.length(), 0)
            .or_else(|failure| part.refuse(failure))?;
        if told.elapsed() >= TOLD_EVERY {
            (file.progress)(part.writer.length(), total);
            told = Instant::now();
        }
    }
    let received = part.writer.length();
    if let Some(size) = total
        && received < size
    {
        return Err(Failure::cut_off(received, size).into());
    }
    (file.progress)(received, total);
    Ok(())
}

/// The first byte of a partial answer (RFC 9110, 14.4): `bytes 100-199/200`.
fn starts_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers
        .get(CONTENT_RANGE)?
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// The strong entity tag of an answer, else its date.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let strong = |tag: &&HeaderValue| !tag.as_bytes().starts_with(b"W/");
    headers
        .get(ETAG)
        .filter(strong)
        .or_else(|| headers.get(LAST_MODIFIED))
        .cloned()
}
