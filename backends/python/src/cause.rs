//! Why package managers fail, and the words by which that is known.

/// Why a package manager failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A file is not what its digest says.
    HashMismatch,
    /// The disk or the quota is full.
    DiskFull,
    /// There is no `git`.
    NoGit,
    /// A build asked for the network, and builds have none.
    BuildNetwork,
    /// A package could not be built from source.
    Build,
    /// What a package is built with cannot be had.
    BuildRequires,
    /// The server wants a user name and a password.
    Unauthorized,
    /// The server refuses whoever asks.
    Forbidden,
    /// The server's certificate is not trusted.
    Certificate,
    /// The server's certificate is for another host.
    OtherHost,
    /// The server's certificate is not valid any more, or not yet.
    OutOfDate,
    /// The host is not one that installers may reach.
    NotGranted,
    /// The server is reached without encryption.
    Insecure,
    /// The name of the server is not known.
    UnknownHost,
    /// Nothing listens at the server's port.
    Refused,
    /// The server does not answer.
    Timeout,
    /// The connection broke off.
    Interrupted,
    /// What the server answers makes no sense.
    Unreadable,
    /// The server takes no more requests for some time.
    TooMany,
    /// The server failed.
    Server,
    /// The network must not be touched, and what is asked for is not at hand.
    Offline,
    /// No set of versions fits.
    Unsatisfiable,
    /// The server does not have it.
    NotFound,
}

impl Cause {
    /// Whether it is what one without a network has to say.
    pub(crate) const fn is_of_the_network(self) -> bool {
        matches!(
            self,
            Self::UnknownHost | Self::Refused | Self::Timeout | Self::Interrupted
        )
    }

    /// Whether it may be what one has to say whom a proxy did not let through.
    pub(crate) const fn may_be_of_a_proxy(self) -> bool {
        self.is_of_the_network()
            || matches!(
                self,
                Self::Forbidden | Self::Server | Self::Unreadable | Self::NotFound | Self::Unsatisfiable
            )
    }
}

/// Words, in lower case, and what they mean; the first that is found counts. What builds print may hold any of the
/// words below `Build`, and what resolvers say comes with the reason of an index.
pub(crate) const WORDS: &[(Cause, &[&str])] = &[
    (Cause::HashMismatch, &["hash mismatch", "do not match the hashes"]),
    (
        Cause::DiskFull,
        &["no space left on device", "disk quota exceeded"],
    ),
    (
        Cause::NoGit,
        &["git executable not found", "cannot find command 'git'"],
    ),
    (
        Cause::Build,
        &[
            "build backend returned an error",
            "metadata-generation-failed",
            "failed-wheel-build-for-install",
        ],
    ),
    (
        Cause::Unauthorized,
        &[
            "401 unauthorized",
            "401 client error",
            "http error 401",
            "could not read username",
            "authentication failed for",
        ],
    ),
    (
        Cause::Forbidden,
        &["403 forbidden", "403 client error", "http error 403"],
    ),
    (
        Cause::OtherHost,
        &[
            "certificate not valid for name",
            "certificate is not valid for",
            "hostname mismatch",
            "ip address mismatch",
        ],
    ),
    (
        Cause::OutOfDate,
        &[
            "certificate expired",
            "certificate has expired",
            "certificate not valid yet",
            "certificate is not yet valid",
        ],
    ),
    (
        Cause::Certificate,
        &[
            "invalid peer certificate",
            "certificate_verify_failed",
            "problem confirming the ssl certificate",
            "server certificate verification failed",
        ],
    ),
    (Cause::Insecure, &["is not a trusted or secure host"]),
    (
        Cause::UnknownHost,
        &[
            "dns error",
            "name or service not known",
            "nodename nor servname",
            "failed to resolve '",
            "name resolution",
            "could not resolve host",
        ],
    ),
    (Cause::Refused, &["connection refused"]),
    (Cause::Timeout, &["timed out", "didn't respond within"]),
    (
        Cause::Interrupted,
        &[
            "connection reset",
            "connection closed",
            "remote end closed",
            "incompleteread",
            "end of file before message",
            "error reading a body from connection",
            "jsondecodeerror",
        ],
    ),
    (
        Cause::Unreadable,
        &[
            "unicodedecodeerror",
            "exceeded 30 redirects",
            "too many redirects",
            "missing `content-type` header",
        ],
    ),
    (
        Cause::TooMany,
        &[
            "429 too many requests",
            "client error (429 ",
            "429 client error",
            "http error 429",
            "too many 429",
        ],
    ),
    (
        Cause::Server,
        &["http status server error", "too many 50", "server error: "],
    ),
    (
        Cause::Offline,
        &[
            "was not found in the cache",
            "were not found in the cache",
            "network connectivity is disabled",
            "packages were unavailable because the network was disabled",
        ],
    ),
    (
        Cause::BuildRequires,
        &["failed to resolve requirements from `build-system.requires`"],
    ),
    (
        Cause::Build,
        &[
            "failed to build",
            "failed building wheel",
            "subprocess-exited-with-error",
        ],
    ),
    (
        Cause::Unsatisfiable,
        &[
            "no solution found",
            "no matching distribution found",
            "resolutionimpossible",
            "could not find a version",
        ],
    ),
    (
        Cause::NotFound,
        &["404 not found", "404 client error", "http error 404"],
    ),
];
