//! Why a server did not give what it was asked for.

use std::fmt::Display;

use miette::Diagnostic;

use super::LEAST;

/// Why a server did not give what it was asked for.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum HttpError {
    /// An address that cannot be fetched.
    #[error("`{url}` cannot be fetched: {reason}")]
    #[diagnostic(
        code("provision.http.address"),
        help("use an `https://` or `http://` address")
    )]
    Address {
        /// The address, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// An address leads to another one, and that to the next, without an end.
    #[error("`{url}` cannot be fetched: {reason}")]
    #[diagnostic(
        code("provision.http.redirects"),
        help(
            "the server sends from one address to the next without an end; open the address in a browser to see where \
             that begins, and name the address at which the files really are"
        )
    )]
    Redirects {
        /// The address, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// A server could not be reached, or broke off.
    #[error("cannot reach `{url}` after {attempts} attempts: {reason}")]
    #[diagnostic(
        code("provision.http.unreachable"),
        help("check the network, `HTTPS_PROXY` and `NO_PROXY`; `--offline` uses only what is there")
    )]
    Unreachable {
        /// The address, without credentials.
        url: String,
        /// Attempts in all.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
        /// Whether it was a time-out.
        timed_out: bool,
    },
    /// A server answers, but so slowly that it has no end.
    #[error("`{url}` is too slow: {received} bytes in {seconds} s, at the last of {attempts} attempts")]
    #[diagnostic(
        code("provision.http.slow"),
        help(
            "{LEAST} bytes have to come in that time at least; use a mirror, or give it more time with \
             `WRUN_HTTP_TIMEOUT`, for instance `5m`"
        )
    )]
    TooSlow {
        /// The address, without credentials.
        url: String,
        /// What came at the last attempt, in bytes.
        received: u64,
        /// In how many seconds it came.
        seconds: f64,
        /// Attempts in all.
        attempts: u32,
    },
    /// A server's certificate was not accepted.
    #[error("the certificate of `{url}` was not accepted: {reason}")]
    #[diagnostic(
        code("provision.http.certificate"),
        help("if a proxy of yours signs connections, name its certificate in `SSL_CERT_FILE`")
    )]
    Certificate {
        /// The address, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// A server said no.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Status(StatusError),
    /// An answer is larger than what is taken.
    #[error("the answer of `{url}` is larger than {maximum} bytes")]
    #[diagnostic(code("provision.http.too-large"))]
    TooLarge {
        /// The address, without credentials.
        url: String,
        /// What is taken, in bytes.
        maximum: u64,
    },
    /// The disk has too little room for a file of a size that nobody said.
    #[error(
        "`{url}` is not fetched to its end, since nobody said how large it is and the disk has {free} bytes left, of which \
         {reserve} are kept free"
    )]
    #[diagnostic(
        code("provision.disk.full"),
        help(
            "free some space: `wrun cache ls` shows what is kept; or name the size of the file where that can be named"
        )
    )]
    NoRoom {
        /// The address, without credentials.
        url: String,
        /// What the disk has left, in bytes.
        free: u64,
        /// What is kept free of it, in bytes.
        reserve: u64,
    },
    /// An answer is something else than what was asked for.
    #[error("`{url}` is not what was asked for: it begins with `{begins}`")]
    #[diagnostic(
        code("provision.http.content"),
        help(
            "commonly a proxy or a page to log in answers in place of the server: open the address in a browser to see it"
        )
    )]
    Content {
        /// The address, without credentials.
        url: String,
        /// Its first bytes, as text.
        begins: String,
    },
}

/// A server said no.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` answered with status {status}")]
pub struct StatusError {
    /// The address, without credentials.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
}

impl Diagnostic for StatusError {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(match self.status {
            401 | 403 => "provision.http.unauthorized",
            404 | 410 => "provision.http.missing",
            429 => "provision.http.busy",
            500.. => "provision.http.failed",
            _ => "provision.http.status",
        }))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(match self.status {
            401 | 403 => {
                "the server wants a credential, or another one: name it with `credentials`, and set its variables"
            }
            404 | 410 => "the server has nothing at this address: correct it",
            429 => "the server asks to come back later: try again, or use a mirror",
            500.. => "the server itself fails: try again later, or use a mirror",
            _ => "see what the status means (RFC 9110, 15); another address or a mirror may be right",
        }))
    }
}
