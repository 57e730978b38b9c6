//! Logging in on the way to a server, in place of a run that is not to know how.
//!
//! Only what fetches is logged in (`GET` and `HEAD`): what is built beside an installer may get to the proxy, and is not to
//! change anything at the server in the user's name, or to have its own request told back (`TRACE`).
//!
//! A run asks for an address, without saying who it is; here the request gets its `Authorization` (RFC 7617). What is
//! encrypted has to be opened for that: the run speaks to a certificate that was made for it alone, and the connection
//! that goes on is encrypted anew, to the server's own certificate.

mod authority;
mod carry;

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use http::HeaderValue;
use rustls::RootCertStore;
use url::Url;
use wrun_core::credential::{Credential, Secret};

use crate::error::ProxyError;
use crate::target::{Host, Malformed, Target};
use authority::Encryption;
pub(crate) use carry::open;

/// The last part of the address of an index (PEP 503); what lies beside it is of the same index.
const SIMPLE: &str = "simple";

/// Who a run is, to the servers of some addresses.
#[derive(Clone, Default)]
pub struct Logins(Arc<Inner>);

#[derive(Default)]
struct Inner {
    each: Vec<Login>,
    encryption: Option<Encryption>,
}

struct Login {
    target: Target,
    encrypted: bool,
    /// The beginning of the paths that it is meant for.
    path: String,
    authorization: HeaderValue,
}

impl Logins {
    /// Logins to the servers of these addresses. `roots` are the authorities that those with `https` are proven by.
    ///
    /// # Errors
    /// An address is not one of `http` or `https`, a credential cannot be sent, or no certificate can be made.
    pub fn new(
        logins: impl IntoIterator<Item = (Url, Credential)>,
        roots: impl FnOnce() -> Result<RootCertStore, ProxyError>,
    ) -> Result<Self, ProxyError> {
        let each = logins
            .into_iter()
            .map(|(url, credential)| Login::new(&url, &credential))
            .collect::<Result<Vec<_>, _>>()?;
        let hosts: Vec<&Host> = each
            .iter()
            .filter(|login| login.encrypted)
            .map(|login| &login.target.host)
            .collect();
        let encryption = if hosts.is_empty() {
            None
        } else {
            Some(Encryption::new(&hosts, roots()?)?)
        };
        Ok(Self(Arc::new(Inner { each, encryption })))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.each.is_empty()
    }

    /// The certificate, as PEM (RFC 7468), that programs have to trust beside all others; `None` if nothing is encrypted.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        self.0.encryption.as_ref().map(Encryption::certificate)
    }

    /// What a plain request for a path of a server says of who asks.
    pub(crate) fn plain(&self, target: &Target, method: &str, path: &str) -> Option<&HeaderValue> {
        self.of(target, false, path).filter(|_| fetches(method))
    }

    /// What a request within a connection to a server says of who asks.
    fn within(&self, target: &Target, method: &str, path: &str) -> Option<&HeaderValue> {
        self.of(target, self.is_encrypted(target), path)
            .filter(|_| fetches(method))
    }

    /// The best fit for a path. Files of an index may lie beside it, so that of another path of the same server will do.
    fn of(&self, target: &Target, encrypted: bool, path: &str) -> Option<&HeaderValue> {
        let of_server = self.0.each.iter().filter(|login| login.is_for(target, encrypted));
        let best = of_server.max_by_key(|login| {
            let is_within = path.starts_with(&login.path);
            (is_within, if is_within { login.path.len() } else { 0 })
        });
        best.map(|login| &login.authorization)
    }

    /// Whether connections to a server are encrypted.
    fn is_encrypted(&self, target: &Target) -> bool {
        self.0.each.iter().any(|login| login.is_for(target, true))
    }

    /// Whether requests to a server have to be seen.
    fn concerns(&self, target: &Target) -> bool {
        self.0.each.iter().any(|login| login.target == *target)
    }

    /// How connections to a server are encrypted, if they are.
    fn encryption(&self, target: &Target) -> Option<&Encryption> {
        self.0.encryption.as_ref().filter(|_| self.is_encrypted(target))
    }
}

impl Login {
    fn new(url: &Url, credential: &Credential) -> Result<Self, ProxyError> {
        let invalid = |reason| ProxyError::Login {
            address: url.to_string(),
            reason,
        };
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(invalid("it is of neither `http` nor `https`")),
        };
        let host = url.host_str().ok_or_else(|| invalid("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().unwrap_or_default();
        let target = Host::parse_bare(host)
            .and_then(|host| Target::new(host, port))
            .map_err(|Malformed(reason)| invalid(reason))?;
        let mut authorization = HeaderValue::try_from(basic(&credential.username, &credential.password))
            .map_err(|_| invalid("the credential cannot be sent"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            target,
            encrypted,
            path: around(url.path()),
            authorization,
        })
    }

    fn is_for(&self, target: &Target, encrypted: bool) -> bool {
        self.encrypted == encrypted && self.target == *target
    }
}

/// How a user name and a password are sent (RFC 7617).
pub(crate) fn basic(username: &str, password: &Secret) -> String {
    let pair = format!("{username}:{}", password.expose());
    format!("Basic {}", BASE64.encode(pair.as_bytes()))
}

fn fetches(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// The path of what an index is a part of, with `/` at its end.
fn around(path: &str) -> String {
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(SIMPLE).unwrap_or(path).trim_end_matches('/');
    format!("{path}/")
}

impl fmt::Debug for Logins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = self.0.each.iter().map(|login| login.target.to_string());
        formatter.debug_list().entries(targets).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(all: &[(&str, &str)]) -> Logins {
        let all = all.iter().map(|(url, username)| {
            let credential = Credential {
                username: (*username).to_owned(),
                password: Secret::new("p"),
            };
            (url.parse().unwrap(), credential)
        });
        Logins::new(all, || Ok(RootCertStore::empty())).unwrap()
    }

    #[test]
    fn the_login_of_the_nearest_index_is_taken() {
        let logins = logins(&[
            ("https://h/first/simple/", "first"),
            ("https://h/first/inner/simple", "inner"),
            ("http://h:443/simple", "plain"),
            ("https://other/", "other"),
        ]);
        let target = Target::parse("h:443", None).unwrap();
        let user = |encrypted, path: &str| {
            let value = logins.of(&target, encrypted, path)?.to_str().ok()?.to_owned();
            let pair = BASE64.decode(value.strip_prefix("Basic ")?.as_bytes()).ok()?;
            Some(String::from_utf8(pair).ok()?.trim_end_matches(":p").to_owned())
        };
        for (path, expected) in [
            ("/first/simple/six/", "first"),
            ("/first/files/six.whl", "first"),
            ("/first/inner/files/six.whl", "inner"),
        ] {
            assert_eq!(user(true, path).as_deref(), Some(expected), "{path}");
        }
        assert!(user(true, "/elsewhere/six.whl").is_some());
        assert_eq!(user(false, "/first/simple/").as_deref(), Some("plain"));
        assert!(
            logins
                .of(&Target::parse("h:8443", None).unwrap(), true, "/")
                .is_none()
        );
    }

    #[test]
    fn nothing_shows_a_credential() {
        let logins = logins(&[("https://h/simple", "someone")]);
        let shown = format!("{logins:?} {:?}", logins.0.each[0].authorization);
        assert!(!shown.contains(&BASE64.encode(b"someone:p")), "{shown}");
    }

    #[test]
    fn addresses_that_nobody_can_be_logged_in_to_are_refused() {
        let credential = || Credential {
            username: "a".to_owned(),
            password: Secret::new("p"),
        };
        for url in ["ftp://h/simple", "file:///simple", "http://h:0/"] {
            let made = Logins::new([(url.parse().unwrap(), credential())], || {
                Ok(RootCertStore::empty())
            });
            assert!(matches!(made, Err(ProxyError::Login { .. })), "{url}");
        }
    }
}
