//! What can go wrong before anything is served.

use std::io;

/// The proxy cannot be set up.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ProxyError {
    /// The listener cannot be accepted on.
    #[error("cannot accept connections of the run: {source}")]
    #[diagnostic(
        code("proxy.listener.unusable"),
        help("look at the limit on open files (`ulimit -n`)")
    )]
    Listener {
        /// The system's reason.
        source: io::Error,
    },
    /// What is to be stood in for is no host.
    #[error("`{host}` is no host: {reason}")]
    #[diagnostic(
        code("proxy.target.invalid"),
        help("name a host or an address, and a port from 1")
    )]
    Target {
        /// The host.
        host: String,
        /// Why not.
        reason: &'static str,
    },
    /// A run cannot be logged in to an address.
    #[error("cannot log in to `{address}`: {reason}")]
    #[diagnostic(
        code("proxy.login.invalid"),
        help("write an address of `https` or `http`, and a user name and password without line breaks")
    )]
    Login {
        /// The address.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// Connections cannot be encrypted.
    #[error("cannot make secure connections: {reason}")]
    #[diagnostic(
        code("proxy.encryption.unusable"),
        help(
            "look at the certificates that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or at those of the system"
        )
    )]
    Encryption {
        /// Why not.
        reason: String,
    },
    /// A variable does not hold the address of a proxy. Its value is not repeated, as it may hold a password.
    #[error("`{variable}` is not the address of a proxy")]
    #[diagnostic(
        code("proxy.upstream.invalid"),
        help("write it as `http://user:password@host:port` or `socks5h://host:port`, or unset it")
    )]
    UpstreamInvalid {
        /// The variable's name.
        variable: String,
    },
    /// A variable names a proxy of a kind that cannot be used.
    #[error("`{variable}` names a proxy of the kind `{scheme}`, which cannot be used")]
    #[diagnostic(
        code("proxy.upstream.unsupported"),
        help("use a proxy that speaks `http://`, `socks5://` or `socks5h://`")
    )]
    UpstreamUnsupported {
        /// The variable's name.
        variable: String,
        /// The scheme of its address.
        scheme: String,
    },
}
