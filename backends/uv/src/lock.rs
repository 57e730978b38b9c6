//! Locks: the standard's own (PEP 751) as uv writes it, and what a build needs beside it.

use std::collections::BTreeSet;

use serde_json::json;
use toml::{Table, Value};
use wrun_backend_python::gather::LINKS;
use wrun_backend_python::markers;
use wrun_backend_python::redact;
use wrun_backend_python::requirement::Requirement;
use wrun_backend_python::source::Source;
use wrun_backend_python::spec::with_builds;
use wrun_core::backend::Request;
use wrun_core::id::Digest;
use wrun_core::lock::{Lock, PackageRef};
use wrun_core::problem::Problem;

use crate::UV;
use crate::repository;
use crate::solve::PYLOCK;
use crate::understand::Understood;

/// The revision of the lock's content.
const REVISION: u32 = 1;

/// The lock of nothing.
pub(crate) const EMPTY: &str = "lock-version = \"1.0\"\ncreated-by = \"wrun\"\npackages = []\n";

/// Where the lock is, below the scratch folder: relative paths in it start there.
pub(crate) fn pylock_place(folder: &str) -> String {
    if folder.is_empty() {
        PYLOCK.to_owned()
    } else {
        format!("{folder}/{PYLOCK}")
    }
}

/// The lock from what uv wrote.
pub(crate) fn from_pylock(request: &Request, understood: &Understood, text: &str) -> Result<Lock, Problem> {
    let text = redact::strip(text);
    let mut document: Table = text
        .parse()
        .map_err(|error: toml::de::Error| unreadable(error.message()))?;
    let links = moved_links(&mut document, &understood.folder());
    let checked = allowed_hashes(&mut document, understood)?;
    let text = if links || checked {
        toml::to_string(&document).map_err(|error| unreadable(&error.to_string()))?
    } else {
        text
    };
    let sources = understood.sources(&request.inputs)?;
    let content = json!({
        "folder": understood.folder(),
        "pylock": text,
        "python": markers::interpreter(request)?.version,
        "sources": sources.iter().map(Source::to_json).collect::<Vec<_>>(),
    });
    Ok(Lock {
        backend: UV.to_owned(),
        revision: REVISION,
        content: with_builds(content, &understood.spec.variables, understood.spec.build_network),
        packages: packages(&document).iter().filter_map(package_ref).collect(),
    })
}

fn unreadable(why: &str) -> Problem {
    Problem::failed(
        "uv.lock.syntax",
        format!("the lock that uv wrote cannot be read: {why}"),
    )
}

/// What a build reads back from a lock.
#[derive(Debug)]
pub(crate) struct Content {
    /// The folder, below the scratch folder, that the lock's relative paths start at.
    pub(crate) folder: String,
    /// The lock (PEP 751).
    pub(crate) pylock: String,
    /// Local folders and archives.
    pub(crate) sources: Vec<Source>,
    /// Packages in it.
    pub(crate) count: usize,
    /// Whether one of them lies in a repository of another machine.
    pub(crate) repositories: bool,
    /// A digest for each package with all of its files, of the interpreter that chooses among them too.
    pub(crate) downloads: BTreeSet<Digest>,
    /// Bytes of the smallest files that will do: a lower bound of what the tree takes.
    pub(crate) bytes: u64,
}

impl Content {
    /// Reads a lock.
    pub(crate) fn of(lock: &Lock) -> Result<Self, Problem> {
        let foreign = |why: &str| Problem::Failed {
            code: "uv.lock.foreign".to_owned(),
            message: format!("the lock cannot be used: {why}"),
            help: Some("make a new one with `wrun plan TASK --lock FILE`".to_owned()),
        };
        if lock.backend != UV || lock.revision != REVISION {
            return Err(foreign(&format!(
                "it is of `{}`, revision {}",
                lock.backend, lock.revision
            )));
        }
        let text = |key: &str| {
            lock.content
                .get(key)
                .and_then(serde_json::Value::as_str)
                .map(str::to_owned)
        };
        let (Some(folder), Some(pylock)) = (text("folder"), text("pylock")) else {
            return Err(foreign("it has no `folder` or `pylock`"));
        };
        let python = text("python").unwrap_or_default();
        let listed = lock.content.get("sources").and_then(serde_json::Value::as_array);
        let sources: Option<Vec<Source>> = listed.into_iter().flatten().map(Source::from_json).collect();
        let document: Table = pylock
            .parse()
            .map_err(|error: toml::de::Error| foreign(error.message()))?;
        let packages = packages(&document);
        Ok(Self {
            folder,
            sources: sources.ok_or_else(|| foreign("one of its `sources` is not well formed"))?,
            count: packages.len(),
            repositories: repository::is_in(&document),
            downloads: packages
                .iter()
                .map(|package| Digest::of(format!("{python}\n{package}").as_bytes()))
                .collect(),
            bytes: packages.iter().filter_map(smallest_file).sum(),
            pylock,
        })
    }
}

fn packages(document: &Table) -> Vec<Table> {
    let listed = document.get("packages").and_then(Value::as_array);
    listed
        .into_iter()
        .flatten()
        .filter_map(Value::as_table)
        .cloned()
        .collect()
}

/// The files of a package: wheels, then the source distribution, then an archive.
fn files(package: &Table) -> impl Iterator<Item = &Table> {
    let wheels = package
        .get("wheels")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let others = ["sdist", "archive"]
        .into_iter()
        .filter_map(|key| package.get(key));
    wheels.chain(others).filter_map(Value::as_table)
}

fn smallest_file(package: &Table) -> Option<u64> {
    files(package)
        .filter_map(|file| u64::try_from(file.get("size")?.as_integer()?).ok())
        .min()
}

fn sha256(file: &Table) -> Option<Digest> {
    let hex = file.get("hashes")?.get("sha256")?.as_str()?;
    format!("sha256:{hex}").parse().ok()
}

fn package_ref(package: &Table) -> Option<PackageRef> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let only = match files(package).collect::<Vec<_>>().as_slice() {
        [file] => sha256(file),
        _ => None,
    };
    let first = files(package).next();
    let source = text(package.get("index"))
        .or_else(|| first.and_then(|file| text(file.get("url")).or_else(|| text(file.get("path")))))
        .or_else(|| {
            let vcs = package.get("vcs")?;
            let commit = text(vcs.get("commit-id")).unwrap_or_default();
            let from = text(vcs.get("url")).or_else(|| text(vcs.get("path")))?;
            Some(format!(
                "{}+{from}@{commit}",
                text(vcs.get("type")).unwrap_or_default()
            ))
        })
        .or_else(|| {
            text(
                package
                    .get("directory")
                    .and_then(|directory| directory.get("path")),
            )
        })
        .unwrap_or_default();
    Some(PackageRef {
        name: text(package.get("name"))?,
        version: text(package.get("version")).unwrap_or_default(),
        source,
        digest: only,
    })
}

/// Loose files were found in a copy in a scratch folder that is gone by the time of a build: their addresses become
/// paths to the copy that the build makes. Says whether there was one.
fn moved_links(document: &mut Table, folder: &str) -> bool {
    let up = if folder.is_empty() {
        String::new()
    } else {
        "../".repeat(folder.split('/').count())
    };
    let marker = format!("/{LINKS}/");
    let mut moved = false;
    for file in files_mut(document) {
        let place = file
            .get("url")
            .and_then(Value::as_str)
            .filter(|url| url.starts_with("file:"))
            .and_then(|url| url.rsplit_once(&marker))
            .map(|(_, rest)| format!("{up}{LINKS}/{rest}"));
        if let Some(place) = place {
            file.remove("url");
            file.insert("path".to_owned(), Value::String(place));
            moved = true;
        }
    }
    moved
}

fn files_mut(document: &mut Table) -> impl Iterator<Item = &mut Table> {
    let listed = document.get_mut("packages").and_then(Value::as_array_mut);
    listed
        .into_iter()
        .flatten()
        .filter_map(Value::as_table_mut)
        .flat_map(|package| {
            package
                .iter_mut()
                .flat_map(|(key, value)| match (key.as_str(), value) {
                    ("wheels", Value::Array(wheels)) => wheels
                        .iter_mut()
                        .filter_map(Value::as_table_mut)
                        .collect::<Vec<_>>(),
                    ("sdist" | "archive", Value::Table(file)) => vec![file],
                    _ => Vec::new(),
                })
        })
}

/// uv does not look at the digests of requirements when it resolves: files that they do not allow are taken out here.
/// Says whether there were digests.
fn allowed_hashes(document: &mut Table, understood: &Understood) -> Result<bool, Problem> {
    let gathered = &understood.gathered;
    if !gathered.has_hashes() && !gathered.require_hashes {
        return Ok(false);
    }
    let listed = document.get_mut("packages").and_then(Value::as_array_mut);
    for package in listed.into_iter().flatten().filter_map(Value::as_table_mut) {
        let name = package
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let allowed: Vec<&str> = gathered
            .requirements
            .iter()
            .chain(&gathered.constraints)
            .filter(|entry| matches!(&entry.requirement, Requirement::Named(named) if named.name == name))
            .flat_map(|entry| entry.hashes.iter().map(String::as_str))
            .collect();
        if allowed.is_empty() {
            let is_listed_file = package.contains_key("archive");
            if gathered.require_hashes && !is_listed_file {
                return Err(no_digest(&name));
            }
            continue;
        }
        let fits = |file: &Value| {
            let hashes = file.get("hashes").and_then(Value::as_table);
            hashes.into_iter().flatten().any(|(algorithm, digits)| {
                digits
                    .as_str()
                    .is_some_and(|digits| allowed.contains(&format!("{algorithm}:{digits}").as_str()))
            })
        };
        if let Some(Value::Array(wheels)) = package.get_mut("wheels") {
            wheels.retain(fits);
        }
        for key in ["sdist", "archive"] {
            if package.get(key).is_some_and(|file| !fits(file)) {
                package.remove(key);
            }
        }
        if files(package).next().is_none() {
            return Err(Problem::Failed {
                code: "uv.hash.mismatch".to_owned(),
                message: format!("no file of `{name}` has a digest that the requirement allows"),
                help: Some("compare the digests with those that the index shows, and the version with the one they were made for".to_owned()),
            });
        }
    }
    Ok(true)
}

fn no_digest(name: &str) -> Problem {
    Problem::Unsatisfiable {
        code: "uv.hash.missing".to_owned(),
        message: format!(
            "`{name}` is needed too, no requirement gives its digests, and digests are required"
        ),
        help: Some(format!("add `{name}==… --hash=sha256:…` to the requirements")),
    }
}
