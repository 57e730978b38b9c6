//! Package archives: what they are, what is in them, and unpacking them.

use std::path::{Component, Path, PathBuf};

use rattler_conda_types::package::{
    CondaArchiveType, DistArchiveIdentifier, DistArchiveType, IndexJson, LinkJson, NoArchLinks,
    PackageFile as _, PathType, PathsEntry, PathsJson,
};
use rattler_conda_types::{PackageRecord, RepoDataRecord};
use rattler_digest::{Md5, Sha256};
use rattler_package_streaming::{ExtractError, fs as unpacking, read, seek};
use url::Url;
use wrun_core::id::Digest;
use wrun_core::problem::Problem;

use crate::explicit::{Hash, hex};
use crate::fetch;
use crate::files;
use crate::repodata::causes;

/// What to do where a file is not what a channel's repodata said.
pub(crate) const SOLVE_AGAIN: &str =
    "the file was replaced, or something between changes it; solve again with `--refresh` if that is meant";

/// The digest of a file.
pub(crate) fn digest(path: &Path) -> Result<Digest, Problem> {
    let digest =
        rattler_digest::compute_file_digest::<Sha256>(path).map_err(|error| unreadable(path, &error))?;
    Ok(Digest::from_bytes(digest.into()))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::failed(
        "conda.package.unreadable",
        format!("`{}` cannot be read: {error}", path.display()),
    )
}

/// Checks the MD5 of a file, where that is all that a channel says of it.
pub(crate) fn check_md5(path: &Path, url: &Url, expected: [u8; 16]) -> Result<(), Problem> {
    compare_md5(path, url, expected, SOLVE_AGAIN)
}

fn compare_md5(path: &Path, url: &Url, expected: [u8; 16], help: &str) -> Result<(), Problem> {
    let found = rattler_digest::compute_file_digest::<Md5>(path).map_err(|error| unreadable(path, &error))?;
    let found: [u8; 16] = found.into();
    if found == expected {
        return Ok(());
    }
    let [expected, found] = [expected, found].map(|md5| format!("md5:{}", hex(&md5)));
    Err(wrong_digest(url, &expected, &found, help))
}

/// Checks what a file of exact addresses says of a file.
pub(crate) fn check(path: &Path, url: &Url, found: Digest, expected: &Hash) -> Result<(), Problem> {
    const HELP: &str = "the file was replaced, or something between changes it; if that is meant correct the digest behind \
                        its address";
    match expected {
        Hash::Unknown => Ok(()),
        Hash::Md5(expected) => compare_md5(path, url, *expected, HELP),
        Hash::Sha256(expected) if *expected == found => Ok(()),
        Hash::Sha256(expected) => Err(wrong_digest(url, &expected.to_string(), &found.to_string(), HELP)),
    }
}

fn wrong_digest(url: &Url, expected: &str, found: &str, help: &str) -> Problem {
    Problem::Failed {
        code: "conda.package.digest".to_owned(),
        message: format!(
            "`{url}` is not the file that was expected: its digest is {found} instead of {expected}"
        ),
        help: Some(help.to_owned()),
    }
}

/// The record of a package that no repodata speaks of, out of the archive itself.
pub(crate) fn record(path: &Path, url: &Url, digest: Digest) -> Result<RepoDataRecord, Problem> {
    let broken = |why: String| broken(url, &why);
    let archive_type = CondaArchiveType::try_from(url.path())
        .ok_or_else(|| broken("it is neither `.conda` nor `.tar.bz2`".to_owned()))?;
    let file = files::open(path).map_err(|error| unreadable(path, &error))?;
    let index = seek::read_package_file_content(file, archive_type, IndexJson::package_path())
        .map_err(|error| broken(causes(&error)))?;
    let index =
        IndexJson::from_slice(&index).map_err(|error| broken(format!("`info/index.json`: {error}")))?;
    let size = files::length(path).map_err(|error| unreadable(path, &error))?;
    let identifier: DistArchiveIdentifier = fetch::file_name(url)
        .parse()
        .map_err(|error| broken(format!("its name is not `name-version-build`: {error}")))?;
    // Two packages of one name are told by the names of their files.
    if !identifier
        .identifier
        .name
        .eq_ignore_ascii_case(index.name.as_normalized())
    {
        return Err(broken(format!(
            "it says that it is `{}`, and its file is named otherwise",
            index.name.as_normalized()
        )));
    }
    let package_record =
        PackageRecord::from_index_json(index, Some(size), Some((*digest.as_bytes()).into()), None)
            .map_err(|error| broken(causes(&error)))?;
    Ok(RepoDataRecord {
        package_record,
        identifier,
        url: url.clone(),
        channel: crate::solve::channel_of(url).map(|channel| channel.to_string()),
    })
}

/// Checks that what a record is called can be a part of a file's name: environments and caches name files after it, and a
/// channel can write anything there.
pub(crate) fn check_names(record: &RepoDataRecord) -> Result<(), Problem> {
    let PackageRecord {
        name, version, build, ..
    } = &record.package_record;
    let file = record.identifier.to_file_name();
    let version = version.to_string();
    let called = [
        ("name", name.as_normalized()),
        ("version", version.as_str()),
        ("build", build.as_str()),
        ("file name", file.as_str()),
    ];
    let wrong = called
        .into_iter()
        .find(|(_, text)| text.contains(['/', '\\']) || text.chars().any(char::is_control));
    match wrong {
        None => Ok(()),
        Some((what, text)) => Err(broken(
            &record.url,
            &format!("`{}` cannot be the {what} of a package", text.escape_debug()),
        )),
    }
}

/// Why an archive was not unpacked.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not the file that its digest stands for, or cannot be read.
    Archive(Problem),
    /// Anything else.
    Package(Problem),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Package(problem)
    }
}

/// Unpacks the archive of a record into a folder that is not there yet, and checks it: its digest, that it is the package
/// that it should be, and that nothing in it would be put outside of an environment.
pub(crate) fn unpack(archive: &Path, record: &RepoDataRecord, to: &Path) -> Result<(), Fault> {
    let url = &record.url;
    let unpacked = match record.identifier.archive_type {
        DistArchiveType::Conda(CondaArchiveType::Conda) => unpacking::extract_conda(archive, to),
        DistArchiveType::Conda(CondaArchiveType::TarBz2) => unpacking::extract_tar_bz2(archive, to),
        DistArchiveType::Wheel(_) => {
            return Err(Problem::Unsupported {
                code: "conda.package.wheel".to_owned(),
                message: format!("`{url}` is a wheel in a conda channel, which cannot be installed"),
                help: Some("install it with `pip`".to_owned()),
            }
            .into());
        }
    };
    let expected = fetch::digest(record)?;
    let (found, error) = match unpacked {
        Ok(result) => (Digest::from_bytes(result.sha256.into()), None),
        Err(error) => (digest(archive).map_err(Fault::Archive)?, Some(error)),
    };
    // What is wrong with a file that was changed is that it was changed.
    if found != expected {
        let problem = wrong_digest(url, &expected.to_string(), &found.to_string(), SOLVE_AGAIN);
        return Err(Fault::Archive(problem));
    }
    if let Some(error) = error {
        return Err(unpack_problem(url, to, &error).into());
    }
    let paths = check_content(record, to)?;
    Ok(check_kinds(archive, record, to, &paths)?)
}

/// The disk is full; `what` cannot be done at a path.
pub(crate) fn disk_full(what: &str, path: &Path) -> Problem {
    Problem::Failed {
        code: "conda.disk.full".to_owned(),
        message: format!("the disk is full: {what} `{}`", path.display()),
        help: Some("free some space: `wrun cache ls` shows what is kept".to_owned()),
    }
}

fn unpack_problem(url: &Url, to: &Path, error: &ExtractError) -> Problem {
    let full =
        matches!(error, ExtractError::IoError(error) if error.kind() == std::io::ErrorKind::StorageFull);
    if full {
        return disk_full(
            &format!("`{}` cannot be unpacked below", fetch::file_name(url)),
            to,
        );
    }
    broken(url, &causes(error))
}

fn broken(url: &Url, why: &str) -> Problem {
    Problem::Failed {
        code: "conda.package.broken".to_owned(),
        message: format!("`{url}` is a broken package: {why}"),
        help: Some(
            "the file is as its channel has it, so the channel has to replace it; ask for another build"
                .to_owned(),
        ),
    }
}

/// Whether a package is made of files, folders and links alone. The library unpacks a device or a pipe as an empty file, so
/// an archive is looked through only if a file is empty that is not said to be.
fn check_kinds(
    archive: &Path,
    record: &RepoDataRecord,
    folder: &Path,
    paths: &PathsJson,
) -> Result<(), Problem> {
    let is_empty = |entry: &PathsEntry| {
        entry.path_type == PathType::HardLink
            && entry.size_in_bytes != Some(0)
            && files::length(&folder.join(&entry.relative_path)).is_ok_and(|length| length == 0)
    };
    if !paths.paths.iter().any(is_empty) {
        return Ok(());
    }
    let broken = |why: String| broken(&record.url, &why);
    let file = files::open(archive).map_err(|error| unreadable(archive, &error))?;
    let found = match record.identifier.archive_type {
        DistArchiveType::Conda(CondaArchiveType::Conda) => seek::stream_conda_content(file)
            .map_err(|error| broken(causes(&error)))
            .map(special),
        _ => Ok(special(read::stream_tar_bz2(file))),
    }?;
    match found.map_err(|error| broken(causes(&error)))? {
        None => Ok(()),
        Some(path) => Err(broken(format!(
            "`{}` is a device or a pipe, which no environment can have",
            path.display()
        ))),
    }
}

/// The path of a device or a pipe in an archive.
fn special(mut archive: tar::Archive<impl std::io::Read>) -> std::io::Result<Option<PathBuf>> {
    for entry in archive.entries()? {
        let entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_fifo() || kind.is_character_special() || kind.is_block_special() {
            return entry.path().map(|path| Some(path.into_owned()));
        }
    }
    Ok(None)
}

/// Whether an unpacked package is what its record says, and stays within an environment; with the paths that it brings.
fn check_content(record: &RepoDataRecord, folder: &Path) -> Result<PathsJson, Problem> {
    let broken = |why: String| broken(&record.url, &why);
    let index = IndexJson::from_package_directory(folder)
        .map_err(|error| broken(format!("`info/index.json`: {error}")))?;
    let PackageRecord {
        name, version, build, ..
    } = &record.package_record;
    if index.name != *name || index.version != *version || index.build != *build {
        return Err(broken(format!(
            "it says that it is `{} {} {}` and not `{} {version} {build}`",
            index.name.as_normalized(),
            index.version,
            index.build,
            name.as_normalized()
        )));
    }
    let paths = PathsJson::from_package_directory_with_deprecated_fallback(folder)
        .map_err(|error| broken(format!("`info/paths.json`: {error}")))?;
    for entry in &paths.paths {
        if !stays_within(&entry.relative_path) {
            return Err(broken(format!(
                "`{}` would be put outside of the environment",
                entry.relative_path.display()
            )));
        }
    }
    match LinkJson::from_package_directory(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(paths),
        Err(error) => Err(broken(format!("`info/link.json`: {error}"))),
        Ok(link) => match link.noarch {
            NoArchLinks::Generic => Ok(paths),
            NoArchLinks::Python(links) => {
                match links
                    .entry_points
                    .iter()
                    .find(|entry| entry.command.contains('/'))
                {
                    None => Ok(paths),
                    Some(entry) => Err(broken(format!(
                        "`{}` is not the name of a command",
                        entry.command
                    ))),
                }
            }
        },
    }
}

fn stays_within(path: &Path) -> bool {
    let mut parts = path.components();
    path.components().next().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
