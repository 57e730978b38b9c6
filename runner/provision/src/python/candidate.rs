//! Files that may be interpreters, and what their names say.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::request::{PythonRequest, Versions, dotted};
use crate::files;

/// A file that may be an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The file, under the name by which it was found.
    pub(crate) path: PathBuf,
    /// The implementation, where a name says so.
    pub(crate) implementation: Option<String>,
    /// The first numbers of its version, where a name says so.
    pub(crate) release: Vec<u64>,
}

impl Candidate {
    /// A file with what its own name and that of the file behind it say; `None` if nobody can execute it.
    pub(crate) fn file(path: PathBuf) -> Option<Self> {
        if !files::is_executable(&path) {
            return None;
        }
        let behind = path.canonicalize().ok().and_then(|behind| said_by(&behind));
        let (implementation, release) = behind.or_else(|| said_by(&path)).unwrap_or_default();
        Some(Self {
            path,
            implementation,
            release,
        })
    }

    /// The interpreter of an installation whose folder's name says more than the file's.
    pub(crate) fn installed(
        folder: &Path,
        implementation: Option<String>,
        release: Vec<u64>,
    ) -> Option<Self> {
        let path = ["bin/python3", "bin/python"]
            .map(|rel| folder.join(rel))
            .into_iter()
            .find(|path| path.exists())?;
        let candidate = Self::file(path)?;
        let known_better = candidate.release.len() >= release.len();
        Some(Self {
            implementation: implementation.or(candidate.implementation),
            release: if known_better { candidate.release } else { release },
            path: candidate.path,
        })
    }

    /// What the names say of it, for messages.
    pub(crate) fn said(&self) -> String {
        format!(
            "{} {}",
            self.implementation.as_deref().unwrap_or("Python"),
            dotted(&self.release)
        )
    }
}

/// The candidates of a folder of programs: those that fit the request best first. The folder is listed only when the
/// first ones were not taken.
pub(crate) fn in_folder(
    folder: PathBuf,
    request: &PythonRequest,
) -> impl Iterator<Item = Candidate> + Send + use<> {
    let stem = match request.implementation.as_deref() {
        Some("pypy") => "pypy",
        Some("graalpy") => "graalpy",
        _ => "python",
    };
    let mut names = Vec::new();
    if let Versions::Prefix(numbers) = &request.versions
        && let [major, minor, ..] = numbers.as_slice()
    {
        names.push(format!("{stem}{major}.{minor}"));
    }
    names.extend([format!("{stem}3"), stem.to_owned()]);
    if stem != "python" {
        names.extend(["python3".to_owned(), "python".to_owned()]);
    }
    let listed = folder.clone();
    names
        .into_iter()
        .map(move |name| folder.join(name))
        .chain(std::iter::once_with(move || versioned(&listed)).flatten())
        .filter(|path| !is_shim(path))
        .filter_map(Candidate::file)
}

/// The files `python3.11`, `pypy3.10` and the like of a folder, newest first.
fn versioned(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u64>, PathBuf)> = files::names(folder)
        .into_iter()
        .filter_map(|name| {
            let path = folder.join(name);
            let (_, release) = said_by(&path)?;
            (release.len() >= 2).then_some((release, path))
        })
        .collect();
    found.sort_by(|left, right| {
        Reverse(&left.0)
            .cmp(&Reverse(&right.0))
            .then_with(|| left.1.cmp(&right.1))
    });
    found.into_iter().map(|(_, path)| path).collect()
}

/// What the name of a file says: `python3.11` is `CPython` 3.11. `None` if it is not the name of an interpreter, as
/// `python3-config` is not.
fn said_by(path: &Path) -> Option<(Option<String>, Vec<u64>)> {
    let name = path.file_name()?.to_str()?;
    let digits = name
        .find(|character: char| character.is_ascii_digit())
        .unwrap_or(name.len());
    let (stem, numbers) = name.split_at(digits);
    let implementation = match stem {
        "python" => "cpython",
        "pypy" | "graalpy" => stem,
        _ => return None,
    };
    if numbers.is_empty() {
        return Some((None, Vec::new()));
    }
    let release = numbers
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<Vec<u64>>>()?;
    // `python3` says too little to tell what it is: distributions let it lead to anything.
    let implementation = (release.len() > 1).then(|| implementation.to_owned());
    Some((implementation, release))
}

/// Whether a file is a script of a version manager (pyenv, asdf, mise) that only decides which program to start.
pub(crate) fn is_shim(path: &Path) -> bool {
    let in_shims = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == "shims");
    in_shims && files::is_script(path)
}

/// Tells whether a file was met before under another name.
#[derive(Default)]
pub(crate) struct Seen(BTreeSet<PathBuf>);

impl Seen {
    /// Whether this is the first time.
    pub(crate) fn first(&mut self, path: &Path) -> bool {
        self.0
            .insert(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_versions() {
        let said = |name: &str| said_by(Path::new(name));
        assert_eq!(
            said("/bin/python3.11"),
            Some((Some("cpython".into()), vec![3, 11]))
        );
        assert_eq!(said("/bin/pypy3.10"), Some((Some("pypy".into()), vec![3, 10])));
        assert_eq!(said("/bin/python3"), Some((None, vec![3])));
        assert_eq!(said("/bin/python"), Some((None, vec![])));
        for other in [
            "python3-config",
            "python3.11-config",
            "pythonw",
            "python3.13t",
            "ruby3.1",
        ] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
