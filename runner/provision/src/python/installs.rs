//! Interpreters that version managers installed: pyenv's and uv's.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use super::candidate::Candidate;
use crate::files;

/// The folders of pyenv's versions: those that are chosen (`PYENV_VERSION`, else the file `version`) first, then the
/// newest first.
pub(crate) fn pyenv(root: &Path, chosen: Option<&str>) -> impl Iterator<Item = Candidate> + Send + use<> {
    let folder = root.join("versions");
    let chosen = chosen
        .map(str::to_owned)
        .or_else(|| files::read_small_text(&root.join("version")));
    let chosen: Vec<String> = chosen
        .unwrap_or_default()
        .split([':', '\n', ' '])
        .map(|name| name.trim().to_owned())
        .collect();
    let mut installs = installs(&folder, pyenv_name);
    // A stable sort: the chosen come forward, the others keep their order.
    installs.sort_by_key(|install| {
        chosen
            .iter()
            .position(|name| *name == install.name)
            .unwrap_or(usize::MAX)
    });
    installs.into_iter().filter_map(Install::candidate)
}

/// The interpreters that uv installed, newest first.
pub(crate) fn uv(home: &Path) -> impl Iterator<Item = Candidate> + Send + use<> {
    installs(&home.join(".local/share/uv/python"), uv_name)
        .into_iter()
        .filter_map(Install::candidate)
}

struct Install {
    name: String,
    folder: PathBuf,
    implementation: Option<String>,
    release: Vec<u64>,
}

impl Install {
    fn candidate(self) -> Option<Candidate> {
        Candidate::installed(&self.folder, self.implementation, self.release)
    }
}

type Name = (Option<String>, Vec<u64>);

fn installs(folder: &Path, read: fn(&str) -> Option<Name>) -> Vec<Install> {
    let mut installs: Vec<Install> = files::names(folder)
        .into_iter()
        .filter_map(|name| {
            let name = name.into_string().ok()?;
            let (implementation, release) = read(&name)?;
            Some(Install {
                folder: folder.join(&name),
                name,
                implementation,
                release,
            })
        })
        .collect();
    installs.sort_by(|left, right| {
        Reverse(&left.release)
            .cmp(&Reverse(&right.release))
            .then_with(|| left.name.cmp(&right.name))
    });
    installs
}

/// `3.11.7` is `CPython`, `pypy3.10-7.3.12` says so; any other name may be a virtual environment and says nothing.
fn pyenv_name(name: &str) -> Option<Name> {
    if let Some(rest) = name.strip_prefix("pypy") {
        return Some((Some("pypy".to_owned()), numbers(rest.split('-').next()?)));
    }
    let release = numbers(name);
    let implementation = (!release.is_empty()).then(|| "cpython".to_owned());
    Some((implementation, release))
}

/// `cpython-3.12.7-linux-x86_64-gnu`. A build with a variant (`+freethreaded`) is none that is meant by its version.
fn uv_name(name: &str) -> Option<Name> {
    let mut parts = name.split('-');
    let (implementation, version) = (parts.next()?, parts.next()?);
    let known = matches!(implementation, "cpython" | "pypy" | "graalpy") && !version.contains('+');
    known.then(|| (Some(implementation.to_owned()), numbers(version)))
}

/// The numbers of `3.11.7`; nothing if it is no such version.
fn numbers(text: &str) -> Vec<u64> {
    text.split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_installations_are_read() {
        assert_eq!(
            pyenv_name("3.11.7"),
            Some((Some("cpython".into()), vec![3, 11, 7]))
        );
        assert_eq!(
            pyenv_name("pypy3.10-7.3.12"),
            Some((Some("pypy".into()), vec![3, 10]))
        );
        assert_eq!(pyenv_name("my-venv"), Some((None, vec![])));
        assert_eq!(
            uv_name("cpython-3.12.7-linux-x86_64-gnu"),
            Some((Some("cpython".into()), vec![3, 12, 7]))
        );
        assert_eq!(uv_name("cpython-3.13.0+freethreaded-linux-x86_64-gnu"), None);
    }
}
