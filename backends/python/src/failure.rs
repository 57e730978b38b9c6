//! What the output of a package manager means.
//!
//! pip and uv say what went wrong in words only, so words are what is looked for. Both say the same of a server, since
//! both pass on what HTTP, TLS and the system say.

use wrun_core::plan::{CHILDREN_OFFLINE, NOT_GRANTED};
use wrun_core::problem::Problem;

pub use crate::advice::{advice, exit_words, refused};
pub use crate::cause::Cause;
use crate::cause::WORDS;
use crate::index::Index;
use crate::redact;

/// What to do where only wheels are taken and none fits.
pub const NO_BUILD_HELP: &str = "`no-build` takes wheels only: leave it out for this package, or ask for a version that has a wheel for this Python";

/// Words of git, and of pip about what it started.
const CHILD_FAILED: &[&str] = &["could not resolve host", "subprocess-exited-with-error"];

/// A failure that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// The address that it is about, without user information.
    pub address: Option<String>,
}

/// How far from the words that tell a cause its address may be, in bytes.
const ADDRESS_REACH: usize = 400;

/// What the output means, if it is known. White space does not count, since some versions break lines anywhere.
#[must_use]
pub fn classify(output: &str) -> Option<Failure> {
    let text = output.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = text.to_ascii_lowercase();
    let found = WORDS.iter().find_map(|(cause, words)| {
        words
            .iter()
            .filter_map(|word| lower.find(word))
            .min()
            .map(|position| (*cause, position))
    });
    if found.is_none_or(|(cause, _)| cause.may_be_of_a_proxy())
        && let Some(host) = not_granted(&text)
    {
        return Some(Failure {
            cause: Cause::NotGranted,
            address: Some(host),
        });
    }
    let (cause, position) = match (lower.find(CHILDREN_OFFLINE), found) {
        (Some(position), None) | (Some(_), Some((Cause::Build, position))) => (Cause::BuildNetwork, position),
        // What a build or git says of the network, both of which the installer starts.
        (Some(_), Some((cause, position)))
            if cause.is_of_the_network() && CHILD_FAILED.iter().any(|words| lower.contains(words)) =>
        {
            (Cause::BuildNetwork, position)
        }
        (_, found) => found?,
    };
    let (before, after) = text.split_at_checked(position)?;
    let near = before
        .get(text.floor_char_boundary(position.saturating_sub(ADDRESS_REACH))..)
        .unwrap_or_default();
    let address = near
        .rfind("https://")
        .max(near.rfind("http://"))
        .and_then(|start| near.get(start..))
        .or_else(|| {
            after
                .find("http")
                .filter(|start| *start < ADDRESS_REACH)
                .and_then(|start| after.get(start..))
        })
        .and_then(address_at_start);
    Some(Failure { cause, address })
}

/// The first host and port that was not let through.
fn not_granted(text: &str) -> Option<String> {
    let (_, after) = text.split_once(NOT_GRANTED)?;
    Some(
        after
            .trim_start()
            .strip_prefix('`')?
            .split_once('`')?
            .0
            .to_owned(),
    )
}

fn address_at_start(text: &str) -> Option<String> {
    let scheme = ["https://", "http://"]
        .iter()
        .find(|scheme| text.starts_with(**scheme))?;
    let end = text
        .find(|letter: char| letter.is_whitespace() || "'\"`)>,".contains(letter))
        .unwrap_or(text.len());
    let address = text.get(..end)?.trim_end_matches(['.', ':']);
    (address.len() > scheme.len()).then(|| redact::strip(address))
}

impl Failure {
    /// The stable code, for instance `uv.index.unauthorized`.
    #[must_use]
    pub fn code(&self, backend: &str) -> String {
        let topic = match self.cause {
            Cause::HashMismatch => "hash.mismatch",
            Cause::DiskFull => "disk.full",
            Cause::NoGit => "git.missing",
            Cause::BuildNetwork => "build.network",
            Cause::Build => "build.failed",
            Cause::BuildRequires => "build.requires",
            Cause::Unauthorized => "index.unauthorized",
            Cause::Forbidden => "index.forbidden",
            Cause::Certificate => "index.certificate",
            Cause::OtherHost => "index.certificate.host",
            Cause::OutOfDate => "index.certificate.time",
            Cause::NotGranted => "index.not-granted",
            Cause::Insecure => "index.insecure",
            Cause::UnknownHost => "index.unknown-host",
            Cause::Refused => "index.refused",
            Cause::Timeout => "index.timeout",
            Cause::Interrupted => "index.interrupted",
            Cause::Unreadable => "index.unreadable",
            Cause::TooMany => "index.too-many-requests",
            Cause::Server => "index.server",
            Cause::Offline => "offline",
            Cause::Unsatisfiable => "unsatisfiable",
            Cause::NotFound => "index.not-found",
        };
        format!("{backend}.{topic}")
    }

    /// What happened, in words.
    #[must_use]
    pub fn message(&self) -> String {
        let server = self.server();
        match self.cause {
            Cause::HashMismatch => "a file is not what its digest says".to_owned(),
            Cause::DiskFull => "there is no space left on the disk".to_owned(),
            Cause::NoGit => "a package comes from a Git repository, and there is no `git`".to_owned(),
            Cause::BuildNetwork => {
                "a package could not be built from its source; what was started for that asked for the network, which \
                 builds do not have"
                    .to_owned()
            }
            Cause::Build => "a package could not be built from its source".to_owned(),
            Cause::BuildRequires => "a package could not be built, because what it is built with cannot be had".to_owned(),
            Cause::Unauthorized => format!("{server} wants a user name and a password (401)"),
            Cause::Forbidden => format!("{server} refuses this user (403)"),
            Cause::Certificate => format!("the certificate of {server} is not trusted"),
            Cause::OtherHost => format!("the certificate of {server} is that of another host"),
            Cause::OutOfDate => format!("the certificate of {server} is not valid at this time"),
            Cause::NotGranted => format!(
                "an index leads to {server}, which installers are not let through to: it is no host of the request"
            ),
            Cause::Insecure => format!("{server} is reached without encryption, which pip refuses"),
            Cause::UnknownHost => format!("the host of {server} is not known"),
            Cause::Refused => format!("{server} refuses connections"),
            Cause::Timeout => format!("{server} does not answer"),
            Cause::Interrupted => format!("{server} broke off the connection"),
            Cause::Unreadable => format!("{server} gives an answer that is no page of a package index"),
            Cause::TooMany => format!("{server} takes no more requests for now (429)"),
            Cause::Server => format!("{server} failed (5xx)"),
            Cause::Offline => {
                "a package is not in the download cache, and the run is offline: the network must not be touched".to_owned()
            }
            Cause::Unsatisfiable => "no set of versions fits".to_owned(),
            Cause::NotFound => format!("{server} is not there (404)"),
        }
    }

    fn server(&self) -> String {
        self.address
            .as_deref()
            .map_or_else(|| "the package index".to_owned(), |url| format!("`{url}`"))
    }

    const fn status(&self) -> &'static str {
        match self.cause {
            Cause::Unauthorized => " (401)",
            Cause::Forbidden => " (403)",
            _ => "",
        }
    }

    /// The credential that a server did not accept, if it was given one.
    fn rejected<'index>(&self, indexes: &'index [Index]) -> Option<&'index str> {
        if !matches!(self.cause, Cause::Unauthorized | Cause::Forbidden) {
            return None;
        }
        let address = self.address.as_deref()?;
        let index = indexes.iter().find(|index| index.serves(address))?;
        index.credentials.as_deref()
    }

    /// What to do. `indexes` are those of the request, if it is known.
    #[must_use]
    pub fn help(&self, backend: &str, indexes: &[Index]) -> String {
        match self.cause {
            Cause::HashMismatch => {
                "solve again with `--refresh`; if it stays, the file was changed on its server: do not use it"
            }
            Cause::DiskFull => "free some space: `wrun cache ls` shows what the store holds, `wrun cache rm` removes from it",
            Cause::NoGit => "install git, or use a released version of the package",
            Cause::BuildNetwork => {
                return format!(
                    "read what the build said; if it needs the network, and you trust all that is built, \
                     `build-network = true` in `[env.{backend}]` gives builds the network of their installer"
                );
            }
            Cause::Build => {
                "read what the build said: often a compiler or a header is missing, or the package has no wheel for this \
                 version of Python: try another one with `python = \"3.12\"`"
            }
            Cause::BuildRequires => {
                "the indexes of the request have to hold what `build-system.requires` of the package lists: add one under `indexes`"
            }
            Cause::Unauthorized | Cause::Forbidden => return self.credential_help(indexes),
            Cause::Certificate => {
                "if the index has a certificate of your own authority, set `SSL_CERT_FILE` to the file with that authority's \
                 certificate"
            }
            Cause::OtherHost => "use the name of the host that its certificate is for, or give the server one for this name",
            Cause::OutOfDate => "renew the server's certificate, or set this machine's clock",
            Cause::NotGranted => {
                let host = self.address.as_deref().unwrap_or_default();
                return format!(
                    "if the index keeps its files there, or has moved there, set `WRUN_INSTALL_HOSTS={host}`; \
                     credentials are not sent there"
                );
            }
            Cause::Insecure => "use the `https://` address of the index",
            Cause::UnknownHost => "check the spelling of the address, and whether this machine has a network",
            Cause::Refused => "check the port of the address, and whether the server runs",
            Cause::Timeout => {
                "try again later, or wait longer: set `WRUN_HTTP_TIMEOUT`, for instance `5m`; behind a proxy, set `HTTPS_PROXY`"
            }
            Cause::Interrupted | Cause::TooMany | Cause::Server => "try again later; behind a proxy, set `HTTPS_PROXY`",
            Cause::Offline => OFFLINE_HELP,
            Cause::Unsatisfiable => UNSATISFIABLE_HELP,
            Cause::NotFound | Cause::Unreadable => "check the address of the index: it commonly ends with `/simple`",
        }
        .to_owned()
    }

    fn credential_help(&self, indexes: &[Index]) -> String {
        match self.rejected(indexes) {
            Some(name) => format!(
                "set `{}` and `{}` to a user name and a password or token that the index accepts",
                Index::credential_variable(name, "USERNAME"),
                Index::credential_variable(name, "PASSWORD"),
            ),
            None => "give the index `credentials = \"name\"` and set `WRUN_INDEX_NAME_USERNAME` and \
                     `WRUN_INDEX_NAME_PASSWORD`"
                .to_owned(),
        }
    }

    /// Whether the same may work when tried again.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.cause,
            Cause::Timeout | Cause::Interrupted | Cause::TooMany | Cause::Server | Cause::Refused
        )
    }

    /// As a problem of solving. `explanation` are the tool's own words.
    #[must_use]
    pub fn problem(&self, backend: &str, indexes: &[Index], explanation: &str) -> Problem {
        let code = self.code(backend);
        let help = Some(self.help(backend, indexes));
        let explanation = redact::strip(explanation.trim());
        if self.cause == Cause::Unsatisfiable {
            let message = if explanation.is_empty() {
                self.message()
            } else {
                explanation
            };
            return Problem::Unsatisfiable { code, message, help };
        }
        let shown = matches!(
            self.cause,
            Cause::BuildNetwork | Cause::Build | Cause::BuildRequires | Cause::HashMismatch | Cause::Offline
        ) && !explanation.is_empty();
        let message = match self.rejected(indexes) {
            Some(credential) => format!(
                "{} does not accept the credential `{credential}`{}",
                self.server(),
                self.status()
            ),
            None if shown => format!("{}\n{explanation}", self.message()),
            None => self.message(),
        };
        Problem::Failed { code, message, help }
    }
}

/// A problem of a request with a cut-off, which nobody suspects who asks for what is there today.
#[must_use]
pub fn with_cut_off(problem: Problem, exclude_newer: Option<&str>) -> Problem {
    match (problem, exclude_newer) {
        (Problem::Unsatisfiable { code, message, help }, Some(instant)) => {
            let cut_off = format!(
                "`exclude-newer` leaves out what was published after {instant}, and what an index gives no time for"
            );
            let help: Vec<String> = [Some(cut_off), help].into_iter().flatten().collect();
            Problem::Unsatisfiable {
                code,
                message,
                help: Some(help.join("; ")),
            }
        }
        (problem, _) => problem,
    }
}

/// What to do when the network is needed and must not be touched.
pub(crate) const OFFLINE_HELP: &str = "run once without `--offline`, or give a lock with `--locked`";

/// What to do when no set of versions fits.
pub const UNSATISFIABLE_HELP: &str = "check the spelling of the name; ask for other versions, or another Python with \
     `python = \"3.12\"`; a package of a private index needs that index under `indexes`";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn builds_may_print_anything() {
        let output = "error: Failed to build `x`\n cause: The build backend returned an error\n [stderr]\n Connection refused";
        assert_eq!(classify(output).unwrap().cause, Cause::Build);
    }

    #[test]
    fn what_a_build_requires_is_looked_for_in_indexes() {
        let cause = |why: &str| {
            let output = format!(
                "error: Failed to build `x @ file:///x`\n cause: Failed to resolve requirements from `build-system.requires`\n \
                 cause: No solution found when resolving: `setuptools`\n cause: Because setuptools was not found in the {why}"
            );
            classify(&output).unwrap().cause
        };
        assert_eq!(cause("package registry and you require it"), Cause::BuildRequires);
        assert_eq!(cause("cache and you require it"), Cause::Offline);
        assert_eq!(
            classify("Failed to resolve 'nowhere.example' ([Errno -2])")
                .unwrap()
                .cause,
            Cause::UnknownHost
        );
    }

    #[test]
    fn the_network_is_named_where_a_build_lacks_it() {
        let cause = |output: &str| {
            let failed = classify(&format!("{output}\n{CHILDREN_OFFLINE}"));
            failed.unwrap().cause
        };
        assert_eq!(cause("The build backend returned an error"), Cause::BuildNetwork);
        assert_eq!(cause("who knows"), Cause::BuildNetwork);
        assert_eq!(
            cause("fatal: unable to access: Could not resolve host: example.org"),
            Cause::BuildNetwork
        );
        // Of a name that it looks up, a build learns only that there is no answer.
        assert_eq!(
            cause("Temporary failure in name resolution error: subprocess-exited-with-error"),
            Cause::BuildNetwork
        );
        // A build that did without is not why.
        assert_eq!(cause("No solution found"), Cause::Unsatisfiable);
        assert_eq!(cause("dns error"), Cause::UnknownHost);
    }

    #[test]
    fn the_credential_that_is_missing_is_named() {
        let failure = classify("error: http://127.0.0.1:8399/auth/x: 401 Unauthorized").unwrap();
        let index = Index {
            name: Some("corp".to_owned()),
            url: "http://127.0.0.1:8399/auth".parse().unwrap(),
            credentials: Some("corp".to_owned()),
            default: true,
        };
        let problem = failure.problem("uv", std::slice::from_ref(&index), "");
        assert!(
            problem
                .to_string()
                .contains("does not accept the credential `corp`"),
            "{problem}"
        );
        assert!(
            failure
                .problem("uv", &[], "")
                .to_string()
                .contains("wants a user name")
        );
        assert!(
            failure
                .help("uv", &[index])
                .contains("`WRUN_INDEX_CORP_PASSWORD`")
        );
        assert!(failure.help("uv", &[]).contains("credentials"));
    }

    proptest! {
        #[test]
        fn no_output_panics(output in "(?s).*") {
            let _ = classify(&output);
        }
    }

    #[test]
    fn a_host_that_a_proxy_does_not_let_through_to_is_named() {
        for output in [
            "error: Failed to fetch: `http://h:1/x.whl`\n HTTP status client error (403 Forbidden) for url (http://h:1/x.whl)",
            "ERROR: No matching distribution found for x",
            "tunnel error: unsuccessful",
        ] {
            let failed =
                classify(&format!("{output}\n{NOT_GRANTED} `h:1`\n{NOT_GRANTED} `other:2`")).unwrap();
            assert_eq!(failed.code("uv"), "uv.index.not-granted", "{output}");
            assert!(failed.help("uv", &[]).contains("`WRUN_INSTALL_HOSTS=h:1`"));
        }
        let failed = classify(&format!("Hash mismatch for x\n{NOT_GRANTED} `h:1`")).unwrap();
        assert_eq!(
            failed.cause,
            Cause::HashMismatch,
            "what a build asked for is not why"
        );
    }

    #[test]
    fn a_certificate_has_more_than_one_way_to_be_wrong() {
        for (output, cause) in [
            ("invalid peer certificate: UnknownIssuer", Cause::Certificate),
            (
                "invalid peer certificate: certificate not valid for name \"a\"; certificate is only valid for DnsName(\"b\")",
                Cause::OtherHost,
            ),
            (
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch",
                Cause::OtherHost,
            ),
            (
                "invalid peer certificate: certificate expired: verification time",
                Cause::OutOfDate,
            ),
        ] {
            assert_eq!(
                classify(output).map(|failed| failed.cause),
                Some(cause),
                "{output}"
            );
        }
    }
}
