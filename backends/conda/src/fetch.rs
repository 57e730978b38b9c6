//! Packages as files: fetched by the host, or on this machine already.

use std::path::{Path, PathBuf};

use rattler_conda_types::RepoDataRecord;
use url::Url;
use wrun_core::host::Host;
use wrun_core::id::Digest;
use wrun_core::plan::Fetch;
use wrun_core::problem::Problem;

use crate::archive;
use crate::channels::{self, Channels};
use crate::explicit::ExplicitFile;

/// What names packages: channels, or a file of exact addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The channels, with their credentials.
    pub(crate) channels: &'a Channels,
    /// The file, if it is one.
    pub(crate) list: Option<&'a ExplicitFile>,
}

/// The file of a locked package. One of a folder is not copied; what it is gets checked when it is unpacked.
pub(crate) async fn locked(
    host: &dyn Host,
    origin: Origin<'_>,
    record: &RepoDataRecord,
) -> Result<PathBuf, Problem> {
    if record.url.scheme() == "file" {
        return local(origin, &record.url);
    }
    let fetch = step(origin.channels, record)?;
    host.fetch(&label(&record.url), &fetch)
        .await
        .map_err(|problem| origin.told(&record.url, fetch.size.is_some(), problem))
}

/// What the host has to fetch for a locked package.
pub(crate) fn step(channels: &Channels, record: &RepoDataRecord) -> Result<Fetch, Problem> {
    let digest = digest(record)?;
    Ok(Fetch {
        url: record.url.to_string(),
        digest,
        size: record.package_record.size,
        credential: channels.credential(&record.url).cloned(),
        save_as: record.identifier.to_file_name(),
    })
}

/// The digest of a locked package.
pub(crate) fn digest(record: &RepoDataRecord) -> Result<Digest, Problem> {
    record
        .package_record
        .sha256
        .map(|sha256| Digest::from_bytes(sha256.into()))
        .ok_or_else(|| Problem::Failed {
            code: "conda.lock.digest".to_owned(),
            message: format!("the lock has no SHA-256 of `{}`", record.url),
            help: Some(crate::lock::ANEW.to_owned()),
        })
}

/// A package whose digest is not known, and its digest.
pub(crate) async fn unknown(
    host: &dyn Host,
    origin: Origin<'_>,
    url: &Url,
) -> Result<(PathBuf, Digest), Problem> {
    if url.scheme() == "file" {
        let path = local(origin, url)?;
        let digest = archive::digest(&path)?;
        return Ok((path, digest));
    }
    host.fetch_unknown(&label(url), url.as_str(), origin.channels.credential(url))
        .await
        .map_err(|problem| origin.told(url, false, problem))
}

fn label(url: &Url) -> String {
    format!("fetch {}", file_name(url))
}

/// The last part of an address.
pub(crate) fn file_name(url: &Url) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

fn local(origin: Origin<'_>, url: &Url) -> Result<PathBuf, Problem> {
    let path = url.to_file_path().map_err(|()| {
        Problem::failed(
            "conda.package.address",
            format!("`{url}` is not a path of this machine"),
        )
    })?;
    if Path::new(&path).is_file() {
        return Ok(path);
    }
    Err(Problem::Failed {
        code: MISSING.to_owned(),
        message: origin.about(url, &format!("there is no `{}`", path.display())),
        help: Some(origin.advice_where_missing()),
    })
}

/// The code of a package that is not where it is said to be.
const MISSING: &str = "conda.package.missing";

/// What to do about a package that is larger than any file that is taken.
const TOO_LARGE: &str =
    "no package is that large, so the server is broken or means harm: use another channel or a mirror of it";

impl Origin<'_> {
    /// A failed fetch in words about packages; `is_sized` says whether the size of the file was known.
    fn told(self, url: &Url, is_sized: bool, problem: Problem) -> Problem {
        let Problem::Failed { code, message, help } = problem else {
            return problem;
        };
        let (code, help) = match code.as_str() {
            "provision.http.missing" => (MISSING, Some(self.advice_where_missing())),
            "provision.http.unauthorized" => (
                "conda.channel.unauthorized",
                Some(self.channels.unauthorized(url.as_str())),
            ),
            "provision.http.busy" => ("conda.channel.busy", Some(channels::BUSY.to_owned())),
            "provision.http.failed" => ("conda.channel.failed", Some(channels::FAILED.to_owned())),
            "provision.http.unreachable" => (
                "conda.channel.unreachable",
                help.map(|help| format!("what was fetched is kept, so try again; {help}")),
            ),
            "provision.http.too-large" if !is_sized => {
                ("conda.package.too-large", Some(TOO_LARGE.to_owned()))
            }
            // A file that is larger than it was is another file.
            "provision.http.digest" | "provision.http.too-large" => {
                ("conda.package.digest", Some(archive::SOLVE_AGAIN.to_owned()))
            }
            other => (other, help),
        };
        Problem::Failed {
            code: code.to_owned(),
            message: self.about(url, &message),
            help,
        }
    }

    fn about(self, url: &Url, message: &str) -> String {
        let file = file_name(url);
        if let Some(list) = self.list {
            let line = list.line_of(url).map(|line| format!("line {line} of "));
            let line = line.unwrap_or_default();
            return format!(
                "`{file}`, which {line}`{}` lists, cannot be had: {message}",
                list.path
            );
        }
        let channel = self.channels.of(url);
        let channel = channel.map(|channel| format!(" of the channel `{}`", channels::name(channel)));
        format!("`{file}`{} cannot be had: {message}", channel.unwrap_or_default())
    }

    fn advice_where_missing(self) -> String {
        match self.list {
            Some(list) => format!(
                "the file is not there, whatever `{}` says: correct the line, or make the list again with \
                 `conda list --explicit --sha256`",
                list.path
            ),
            None => "the repodata names a file that the channel does not have any more, or that a mirror does not have yet: \
                     solve again with `--refresh`, or index the channel again if it is yours"
                .to_owned(),
        }
    }
}
