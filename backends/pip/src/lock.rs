//! Locks: what pip's report of a resolution says, as far as a build needs it.
//!
//! The report is specified in <https://pip.pypa.io/en/stable/reference/installation-report/>, version 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use wrun_backend_python::gather::LINKS;
use wrun_backend_python::markers;
use wrun_backend_python::redact;
use wrun_backend_python::repository;
use wrun_backend_python::source::Source;
use wrun_backend_python::spec::{normalised_name, with_builds};
use wrun_core::backend::Request;
use wrun_core::lock::{Lock, PackageRef};
use wrun_core::problem::Problem;

use crate::PIP;
use crate::line::for_pip;
use crate::understand::Understood;

/// The revision of the lock's content.
const REVISION: u32 = 1;

/// A package of a lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Package {
    /// Its name (PEP 503).
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// A file of an index.
    Index {
        /// Its address.
        url: String,
        /// 64 hexadecimal digits.
        sha256: String,
    },
    /// A file that a requirement names.
    Url {
        /// Its address.
        url: String,
        /// 64 hexadecimal digits.
        sha256: String,
    },
    /// An archive that was copied.
    Archive {
        /// The copy, below the scratch folder.
        place: String,
        /// 64 hexadecimal digits.
        sha256: String,
    },
    /// A folder that was copied.
    Folder {
        /// The copy, below the scratch folder.
        place: String,
    },
    /// A commit of a repository.
    Commit {
        /// The version control system: `git`.
        vcs: String,
        /// The repository.
        url: String,
        /// The commit.
        commit: String,
        /// The folder in it, if it is not the topmost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subdirectory: Option<String>,
    },
}

impl Package {
    /// The line that makes pip install exactly this, in the scratch folder.
    pub(crate) fn line(&self) -> String {
        let Self {
            name,
            version,
            origin,
        } = self;
        match origin {
            Origin::Index { url: _, sha256 } => format!("{name}=={version} --hash=sha256:{sha256}"),
            Origin::Url { url, sha256 } => format!("{name} @ {url} --hash=sha256:{sha256}"),
            Origin::Archive { place, sha256 } => format!("./{place} --hash=sha256:{sha256}"),
            Origin::Folder { place } => format!("./{place}"),
            Origin::Commit {
                vcs,
                url,
                commit,
                subdirectory,
            } => {
                let folder = subdirectory
                    .as_ref()
                    .map(|folder| format!("#subdirectory={folder}"))
                    .unwrap_or_default();
                for_pip(&format!("{name} @ {vcs}+{url}@{commit}{folder}"))
            }
        }
    }

    /// Whether pip can check a digest of it.
    pub(crate) const fn has_digest(&self) -> bool {
        !matches!(self.origin, Origin::Folder { .. } | Origin::Commit { .. })
    }

    /// Whether it lies in a repository of another machine.
    pub(crate) fn is_in_repository(&self) -> bool {
        matches!(&self.origin, Origin::Commit { url, .. } if repository::is_elsewhere(url))
    }

    fn reference(&self) -> PackageRef {
        let Self {
            name,
            version,
            origin,
        } = self;
        let (source, sha256) = match origin {
            Origin::Index { url, sha256 } | Origin::Url { url, sha256 } => (url.clone(), Some(sha256)),
            Origin::Archive { place, sha256 } => (place.clone(), Some(sha256)),
            Origin::Folder { place } => (place.clone(), None),
            Origin::Commit {
                vcs,
                url,
                commit,
                subdirectory: _,
            } => (format!("{vcs}+{url}@{commit}"), None),
        };
        let digest = sha256.and_then(|hex| format!("sha256:{hex}").parse().ok());
        PackageRef {
            name: name.clone(),
            version: version.clone(),
            source,
            digest,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Report {
    version: String,
    install: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    metadata: Metadata,
    download_info: DownloadInfo,
    #[serde(default)]
    is_direct: bool,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct DownloadInfo {
    url: String,
    archive_info: Option<ArchiveInfo>,
    vcs_info: Option<VcsInfo>,
    subdirectory: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ArchiveInfo {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct VcsInfo {
    vcs: String,
    commit_id: String,
}

/// The lock of nothing.
pub(crate) fn empty(request: &Request, understood: &Understood) -> Result<Lock, Problem> {
    lock(request, understood, &[], &[])
}

/// The lock from pip's report.
pub(crate) fn from_report(request: &Request, understood: &Understood, text: &str) -> Result<Lock, Problem> {
    let unreadable = |why: String| {
        Problem::failed(
            "pip.report.syntax",
            format!("the report that pip wrote cannot be read: {why}"),
        )
    };
    let report: Report = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    if report.version != "1" {
        return Err(unreadable(format!(
            "it is of version {}, and 1 is known",
            report.version
        )));
    }
    let sources = understood.gathered.sources(&request.inputs)?;
    let mut packages = report
        .install
        .iter()
        .map(|item| package(item, &sources))
        .collect::<Result<Vec<_>, _>>()?;
    packages.sort();
    lock(request, understood, &packages, &sources)
}

fn lock(
    request: &Request,
    understood: &Understood,
    packages: &[Package],
    sources: &[Source],
) -> Result<Lock, Problem> {
    let content = json!({
        "packages": packages,
        "python": markers::interpreter(request)?.version,
        "sources": sources.iter().map(Source::to_json).collect::<Vec<_>>(),
    });
    Ok(Lock {
        backend: PIP.to_owned(),
        revision: REVISION,
        content: with_builds(content, &understood.spec.variables, understood.spec.build_network),
        packages: packages.iter().map(Package::reference).collect(),
    })
}

fn package(item: &Item, sources: &[Source]) -> Result<Package, Problem> {
    let Item {
        metadata,
        download_info,
        is_direct,
    } = item;
    let name = normalised_name(&metadata.name);
    let place = sources
        .iter()
        .map(|source| source.place.as_str())
        .filter(|place| !place.starts_with(LINKS))
        .find(|place| {
            download_info.url.starts_with("file:") && download_info.url.ends_with(&format!("/{place}"))
        })
        .map(str::to_owned);
    let url = redact::strip(&download_info.url);
    let origin = match (&download_info.vcs_info, &download_info.archive_info, place) {
        (Some(VcsInfo { vcs, commit_id }), _, _) => Origin::Commit {
            vcs: vcs.clone(),
            url,
            commit: commit_id.clone(),
            subdirectory: download_info.subdirectory.clone(),
        },
        (None, None, Some(place)) => Origin::Folder { place },
        (None, Some(archive), place) => {
            let sha256 = archive
                .hashes
                .get("sha256")
                .cloned()
                .ok_or_else(|| Problem::Failed {
                    code: "pip.hash.missing".to_owned(),
                    message: format!("pip gave no digest for `{name}`"),
                    help: Some("use an index that gives digests, or a newer pip".to_owned()),
                })?;
            match (place, is_direct) {
                (Some(place), _) => Origin::Archive { place, sha256 },
                (None, true) => Origin::Url { url, sha256 },
                (None, false) => Origin::Index {
                    url: moved(&url),
                    sha256,
                },
            }
        }
        (None, None, None) => {
            return Err(Problem::failed(
                "pip.report.origin",
                format!("pip did not say where `{name}` comes from in a way that is known: `{url}`"),
            ));
        }
    };
    Ok(Package {
        name,
        version: metadata.version.clone(),
        origin,
    })
}

/// The address of a loose file without the scratch folder that its copy was in.
fn moved(url: &str) -> String {
    match url.split_once(&format!("/{LINKS}/")) {
        Some((_, rest)) if url.starts_with("file:") => format!("{LINKS}/{rest}"),
        _ => url.to_owned(),
    }
}

/// What a build reads back from a lock.
pub(crate) fn read(lock: &Lock) -> Result<(Vec<Package>, Vec<Source>), Problem> {
    let foreign = |why: String| Problem::Failed {
        code: "pip.lock.foreign".to_owned(),
        message: format!("the lock cannot be used: {why}"),
        help: Some("make a new one with `wrun plan TASK --lock FILE`".to_owned()),
    };
    if lock.backend != PIP || lock.revision != REVISION {
        return Err(foreign(format!(
            "it is of `{}`, revision {}",
            lock.backend, lock.revision
        )));
    }
    let packages = lock.content.get("packages").cloned().unwrap_or_default();
    let packages = serde_json::from_value(packages).map_err(|error| foreign(error.to_string()))?;
    let listed = lock.content.get("sources").and_then(serde_json::Value::as_array);
    let sources: Option<Vec<Source>> = listed.into_iter().flatten().map(Source::from_json).collect();
    Ok((
        packages,
        sources.ok_or_else(|| foreign("one of its `sources` is not well formed".to_owned()))?,
    ))
}
