//! What goes wrong with a request, and whether it may go right when tried again.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::Url;

use super::error::{HttpError, StatusError};
use super::shown;

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether the same may work later.
    pub(crate) transient: bool,
    /// How long the server asked to wait.
    pub(crate) pause: Option<Duration>,
    /// What happened.
    pub(crate) reason: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Connection { timed_out: bool },
    Certificate,
    Address,
    Redirects,
    TooSlow { received: u64, time: Duration },
    Status(u16),
    TooLarge(u64),
    NoRoom { free: u64, reserve: u64 },
    Content(String),
}

impl Failure {
    /// An error of the client. Certificates and impossible addresses stay as they are; everything else on the wire
    /// may be a matter of luck.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        let kind = if is_certificate(error) {
            Kind::Certificate
        } else if error.is_redirect() {
            Kind::Redirects
        } else if error.is_builder() {
            Kind::Address
        } else {
            Kind::Connection {
                timed_out: error.is_timeout(),
            }
        };
        let transient = matches!(kind, Kind::Connection { .. });
        Self {
            transient,
            pause: None,
            reason: innermost(error),
            kind,
        }
    }

    /// A status that may change when tried again: 408, 429 and above 500 (RFC 9110, 15.5.9 and 15.6; RFC 6585, 4).
    pub(crate) fn of_status(status: u16, pause: Option<Duration>) -> Option<Self> {
        (status == 408 || status == 429 || status >= 500).then(|| Self {
            transient: true,
            pause,
            reason: format!("status {status}"),
            kind: Kind::Status(status),
        })
    }

    /// A status that says no for good.
    pub(crate) fn refused(status: u16) -> Self {
        Self::permanent(format!("status {status}"), Kind::Status(status))
    }

    pub(crate) fn too_large(maximum: u64) -> Self {
        Self::permanent("too large".to_owned(), Kind::TooLarge(maximum))
    }

    /// The disk has so many bytes left, and keeps a reserve.
    pub(crate) fn no_room(free: u64, reserve: u64) -> Self {
        Self::permanent("no room".to_owned(), Kind::NoRoom { free, reserve })
    }

    pub(crate) fn address(reason: &impl ToString) -> Self {
        Self::permanent(reason.to_string(), Kind::Address)
    }

    /// The body ended before it was complete.
    pub(crate) fn cut_off(received: u64, expected: u64) -> Self {
        Self {
            transient: true,
            pause: None,
            reason: format!("the connection ended after {received} of {expected} bytes"),
            kind: Kind::Connection { timed_out: false },
        }
    }

    /// The body comes, but so slowly that it has no end.
    pub(crate) fn too_slow(received: u64, time: Duration) -> Self {
        Self {
            transient: true,
            pause: None,
            reason: format!("only {received} bytes came in {} seconds", time.as_secs_f64()),
            kind: Kind::TooSlow { received, time },
        }
    }

    /// The body begins like something else than what was asked for.
    pub(crate) fn content(begins: String) -> Self {
        Self::permanent("something else came".to_owned(), Kind::Content(begins))
    }

    fn permanent(reason: String, kind: Kind) -> Self {
        Self {
            transient: false,
            pause: None,
            reason,
            kind,
        }
    }

    pub(crate) fn into_error(self, url: &Url, attempts: u32) -> HttpError {
        let (url, reason) = (shown(url), self.reason);
        match self.kind {
            Kind::Connection { timed_out } => HttpError::Unreachable {
                url,
                attempts,
                reason,
                timed_out,
            },
            Kind::Certificate => HttpError::Certificate { url, reason },
            Kind::Address => HttpError::Address { url, reason },
            Kind::Redirects => HttpError::Redirects { url, reason },
            Kind::TooSlow { received, time } => HttpError::TooSlow {
                url,
                received,
                seconds: time.as_secs_f64(),
                attempts,
            },
            Kind::Status(status) => HttpError::Status(StatusError { url, status }),
            Kind::Content(begins) => HttpError::Content { url, begins },
            Kind::TooLarge(maximum) => HttpError::TooLarge { url, maximum },
            Kind::NoRoom { free, reserve } => HttpError::NoRoom { url, free, reserve },
        }
    }
}

/// The pause of `Retry-After` in seconds. The form with a date is rare and needs a clock that is right; it is left
/// to the usual pause.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// Whether TLS refused the server's certificate.
fn is_certificate(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| matches!(of_tls(cause), Some(rustls::Error::InvalidCertificate(_))))
}

/// What TLS says, if that is what an error is about. An `io::Error` does not show what it wraps as its source, only the
/// source of that, and it may wrap another one.
fn of_tls<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    loop {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        error = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
}

/// The cause at the bottom, which is the one that says something.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    chain(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), source)
}

fn source<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    (**error).source()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_tls_says_is_found_however_deep_it_is_wrapped() {
        let refused = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let once = io::Error::other(refused.clone());
        let twice = io::Error::other(io::Error::other(refused.clone()));
        assert_eq!(of_tls(&refused), Some(&refused));
        assert_eq!(of_tls(&once), Some(&refused));
        assert_eq!(of_tls(&twice), Some(&refused));
        assert_eq!(of_tls(&io::Error::other("reset")), None);
    }
}
