//! Finding a command.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use wrun_core::outcome::Outcome;

/// Finds the program that a command names: a name with `/` is a path relative to `cwd`, any other is looked for in
/// the folders of the search path, in order (POSIX.1-2017, XBD 8.3 `PATH`). What is found and cannot be executed is
/// passed over, and is the answer only if nothing else is found.
///
/// # Errors
/// The outcome of a run without a program.
pub(super) fn find(name: &str, cwd: &Path, search_path: &[PathBuf]) -> Result<PathBuf, Outcome> {
    if name.contains('/') {
        // Whether it can be executed is for the system to say.
        return Ok(cwd.join(name));
    }
    let folders = search_path.iter().map(|folder| cwd.join(folder));
    let candidates = folders
        .map(|folder| folder.join(name))
        .filter(|_| !name.is_empty());
    let mut refused = None;
    for path in candidates.filter(|path| path.exists()) {
        match usable(&path) {
            Ok(()) => return Ok(path),
            Err(reason) => {
                refused.get_or_insert_with(|| not_executable(&path, reason));
            }
        }
    }
    Err(refused.unwrap_or_else(|| not_found(name, search_path)))
}

/// The outcome of a run whose command is nowhere.
pub(super) fn not_found(name: &str, searched: &[PathBuf]) -> Outcome {
    Outcome::NotFound {
        command: name.to_owned(),
        searched: searched
            .iter()
            .map(|folder| folder.to_string_lossy().into_owned())
            .collect(),
    }
}

/// The outcome of a run whose command is a path with nothing at it.
pub(super) fn not_there(name: &str, path: &Path) -> Outcome {
    not_found(name, path.parent().map(Path::to_owned).as_slice())
}

/// The outcome of a run whose command the system does not execute.
pub(super) fn not_executable(path: &Path, reason: impl Into<String>) -> Outcome {
    Outcome::NotExecutable {
        path: path.to_string_lossy().into_owned(),
        reason: reason.into(),
    }
}

fn usable(path: &Path) -> Result<(), &'static str> {
    if path.is_dir() {
        return Err("it is a folder");
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).map_err(|_| "it has no permission to be executed")
}
