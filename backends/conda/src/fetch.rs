//! Packages as files: fetched by the host, or on this machine already.

use std::path::{Path, PathBuf};

use rattler_conda_types::RepoDataRecord;
use url::Url;
use wrun_core::host::Host;
use wrun_core::id::Digest;
use wrun_core::plan::Fetch;
use wrun_core::problem::Problem;

use crate::archive;
use crate::channels::Channels;

/// The file of a locked package. One of a folder is not copied; what it is gets checked when it is unpacked.
pub(crate) async fn locked(
    host: &dyn Host,
    channels: &Channels,
    record: &RepoDataRecord,
) -> Result<PathBuf, Problem> {
    if record.url.scheme() == "file" {
        return local(&record.url);
    }
    let fetch = step(channels, record)?;
    host.fetch(&label(&record.url), &fetch).await
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
        .ok_or_else(|| {
            Problem::failed(
                "conda.lock.digest",
                format!("the lock has no SHA-256 of `{}`", record.url),
            )
        })
}

/// A package whose digest is not known, and its digest.
pub(crate) async fn unknown(
    host: &dyn Host,
    channels: &Channels,
    url: &Url,
) -> Result<(PathBuf, Digest), Problem> {
    if url.scheme() == "file" {
        let path = local(url)?;
        let digest = archive::digest(&path)?;
        return Ok((path, digest));
    }
    host.fetch_unknown(&label(url), url.as_str(), channels.credential(url))
        .await
}

fn label(url: &Url) -> String {
    format!("fetch {}", file_name(url))
}

/// The last part of an address.
pub(crate) fn file_name(url: &Url) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

fn local(url: &Url) -> Result<PathBuf, Problem> {
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
        code: "conda.package.missing".to_owned(),
        message: format!("there is no `{}`", path.display()),
        help: Some(
            "the channel's repodata names it; index the channel again, or solve again with `--refresh`"
                .to_owned(),
        ),
    })
}
