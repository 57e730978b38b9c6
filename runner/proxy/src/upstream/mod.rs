//! The proxy that has to be used to get out.

pub(crate) mod connect;

mod problem;

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use wrun_core::credential::{Credential, Secret};

use crate::error::ProxyError;
use crate::failure::Failure;
use crate::target::{Host, Target};
pub(crate) use problem::Problem;

/// What a login can hold of a user and of a password (RFC 1929).
const LOGIN: usize = 255;

/// The proxies that the caller's variables name, and for what they are used.
#[derive(Clone)]
pub struct Upstream(Arc<Matcher>);

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// The proxy for a target.
pub(crate) struct Hop {
    pub(crate) at: Target,
    pub(crate) protocol: Protocol,
}

/// What a proxy speaks.
pub(crate) enum Protocol {
    Http {
        /// The value of `Proxy-Authorization`.
        authorization: Option<HeaderValue>,
    },
    Socks5 {
        login: Option<Credential>,
        /// Whether it is given names (`socks5h`) and not addresses.
        resolves_names: bool,
    },
}

impl Upstream {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case; of several that differ only in
    /// case the first one counts. Other variables are passed over. `None` if they name no proxy.
    ///
    /// Proxies that speak HTTP are told names, and so are those of `socks5h://`; for those of `socks5://`, names are
    /// resolved and checked here. This machine itself (`localhost`, loopback addresses) is always reached without.
    ///
    /// # Errors
    /// A variable does not hold the address of a proxy, or that of a kind that cannot be used.
    pub fn from_variables<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Self>, ProxyError> {
        let variables: Vec<_> = variables.into_iter().collect();
        let get = |wanted: &str| {
            variables
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map_or("", |(_, value)| value.trim())
        };
        let kinds = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|variable| (variable, get(variable)));
        let mut any = false;
        for (variable, value) in kinds {
            if !value.is_empty() {
                check(variable, value)?;
                any = true;
            }
        }
        let [(_, http), (_, https), (_, all)] = kinds;
        let matcher = Matcher::builder()
            .http(http)
            .https(https)
            .all(all)
            .no(get("NO_PROXY"))
            .build();
        Ok(any.then(|| Self(Arc::new(matcher))))
    }

    /// The proxy for a target; `None` if it is to be reached without.
    pub(crate) fn hop(&self, target: &Target, scheme: Scheme) -> Result<Option<Hop>, Failure> {
        let unusable = || Failure::Upstream {
            target: target.clone(),
            problem: "cannot be asked for it".to_owned(),
        };
        let address = Uri::builder()
            .scheme(match scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            })
            .authority(target.to_string())
            .path_and_query("/")
            .build()
            .map_err(|_| unusable())?;
        match self.0.intercept(&address) {
            None => Ok(None),
            Some(proxy) => Hop::new(&proxy).map(Some).ok_or_else(unusable),
        }
    }
}

/// Sees that a value is the address of a proxy that can be used: the matcher passes over what it does not
/// understand, and would then go without.
fn check(variable: &str, value: &str) -> Result<(), ProxyError> {
    let invalid = || ProxyError::UpstreamInvalid {
        variable: variable.to_owned(),
    };
    let anywhere = Uri::from_static("http://host.invalid/");
    let Some(proxy) = Matcher::builder().http(value).build().intercept(&anywhere) else {
        return Err(invalid());
    };
    match proxy.uri().scheme_str() {
        Some("http" | "socks5" | "socks5h") => Hop::new(&proxy).map(|_| ()).ok_or_else(invalid),
        scheme => Err(ProxyError::UpstreamUnsupported {
            variable: variable.to_owned(),
            scheme: scheme.unwrap_or_default().to_owned(),
        }),
    }
}

impl Hop {
    fn new(proxy: &Intercept) -> Option<Self> {
        let (default_port, protocol) = match proxy.uri().scheme_str()? {
            "http" => (
                80,
                Protocol::Http {
                    authorization: proxy.basic_auth().cloned(),
                },
            ),
            scheme @ ("socks5" | "socks5h") => (
                1080,
                Protocol::Socks5 {
                    login: match proxy.raw_auth() {
                        None => None,
                        Some((user, password)) if user.len() <= LOGIN && password.len() <= LOGIN => {
                            Some(Credential {
                                username: user.to_owned(),
                                password: Secret::new(password),
                            })
                        }
                        Some(_) => return None,
                    },
                    resolves_names: scheme == "socks5h",
                },
            ),
            _ => return None,
        };
        let host = proxy.uri().host()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = Host::parse_bare(bare).ok()?;
        let at = Target::new(host, proxy.uri().port_u16().unwrap_or(default_port)).ok()?;
        Some(Self { at, protocol })
    }
}

/// Says nothing: the addresses may hold a user and a password.
impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(variables: &[(&str, &str)], target: &str, scheme: Scheme) -> Option<Hop> {
        let upstream = Upstream::from_variables(variables.iter().copied())
            .unwrap()
            .unwrap();
        upstream
            .hop(&Target::parse(target, None).unwrap(), scheme)
            .unwrap()
    }

    #[test]
    fn each_kind_has_its_proxy() {
        let variables = [
            ("PATH", "/bin"),
            ("http_proxy", "plain.example"),
            ("HTTPS_PROXY", "http://Ada:pa%40ss@proxy.example:3128"),
            ("NO_PROXY", "inner.example, 10.0.0.0/8"),
        ];
        let plain = hop(&variables, "example.org:80", Scheme::Http).unwrap();
        assert_eq!(plain.at.to_string(), "plain.example:80");
        let secure = hop(&variables, "example.org:443", Scheme::Https).unwrap();
        assert_eq!(secure.at.to_string(), "proxy.example:3128");
        let Protocol::Http {
            authorization: Some(value),
        } = secure.protocol
        else {
            panic!("there is no authorization");
        };
        assert_eq!(value, "Basic QWRhOnBhQHNz");
        for direct in ["a.inner.example:443", "10.1.2.3:443"] {
            assert!(hop(&variables, direct, Scheme::Https).is_none(), "{direct}");
        }
        let socks = hop(
            &[("all_proxy", "socks5h://u:p@[::1]")],
            "[2001:db8::1]:1",
            Scheme::Https,
        )
        .unwrap();
        assert_eq!(socks.at.to_string(), "[::1]:1080");
        assert!(matches!(
            socks.protocol,
            Protocol::Socks5 {
                login: Some(_),
                resolves_names: true
            }
        ));
    }

    #[test]
    fn no_proxy_is_none() {
        for variables in [vec![], vec![("HTTPS_PROXY", " ")], vec![("NO_PROXY", "*")]] {
            assert!(Upstream::from_variables(variables).unwrap().is_none());
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_without_its_password() {
        for (value, code) in [
            ("ftp://u:hunter2@proxy:1", "invalid"),
            ("http://u:hunter2@", "invalid"),
            ("http://u:hunter2@pro xy:1", "invalid"),
            ("socks5h://u:hunter2@proxy:0", "invalid"),
            ("https://u:hunter2@proxy:1", "unsupported"),
            ("socks4://u:hunter2@proxy:1", "unsupported"),
        ] {
            let error = Upstream::from_variables([("HTTPS_PROXY", value)]).unwrap_err();
            let found = miette::Diagnostic::code(&error).unwrap().to_string();
            assert_eq!(found, format!("proxy.upstream.{code}"), "{value}");
            assert!(!format!("{error:?} {error}").contains("hunter2"));
        }
    }
}
