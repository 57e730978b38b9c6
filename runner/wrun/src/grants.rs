//! From what a task may touch, as written, to what a run gets.

use std::path::{Component, Path, PathBuf};

use wrun_core::diagnostic::Finding;
use wrun_core::grants::{Access, Grants, Limits, PathGrant};
use wrun_core::task::{Run, Task};

use crate::Error;

/// What to do about a path that is not there.
pub(crate) const PATH_HELP: &str = "relative paths begin at the task file's folder, those of options at the current folder; check \
                                    the spelling, or make the path first";

/// The task's folder on this machine.
///
/// # Errors
/// It is not there or is no folder.
pub(crate) fn task_folder(task: &Task) -> Result<PathBuf, Error> {
    let path = task.base.join(&task.dir);
    let missing = |reason: String| Error::Path {
        what: "the task's folder",
        path: path.clone(),
        reason,
    };
    let resolved = |path: &Path| path.canonicalize().map_err(|error| missing(error.to_string()));
    let (base, real) = (resolved(&task.base)?, resolved(&path)?);
    if !real.is_dir() {
        return Err(missing("it is not a folder".to_owned()));
    }
    // A link may come with the files of somebody else.
    if !task.dir.is_absolute() && !real.starts_with(&base) {
        let reason = format!(
            "it leads to `{}`, outside of `{}`; grant that folder with `read` under `[allow]`",
            real.display(),
            base.display()
        );
        return Err(missing(reason));
    }
    Ok(real)
}

/// What of the paths that a task names is not there, as findings that point into its file.
pub(crate) fn missing_paths(task: &Task) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |code: &str, at: String, what: &str, path: &Path| {
        let absolute = task.base.join(path);
        if let Err(error) = absolute.metadata() {
            let message = format!("{what} `{}`: {error}", absolute.display());
            findings.push(Finding::error(code, at, message).with_help(PATH_HELP));
        }
    };
    look(
        "task.path.missing",
        "/run/dir".to_owned(),
        "the task's folder",
        &task.dir,
    );
    if let Run::Module { path, .. } = &task.run {
        look(
            "exec.module.unreadable",
            "/run/module".to_owned(),
            "the program",
            path,
        );
    }
    for (index, path) in task.allow.read.iter().enumerate() {
        let at = format!("/allow/read/{index}");
        look("task.path.missing", at, "a path of `allow.read`", path);
    }
    findings
}

/// Everything that a run gets: its folder to look at, a scratch folder to write in, and what its task lists.
///
/// # Errors
/// A listed path is not there. A folder to write in that is not there is made instead, since a task's output folder
/// commonly is not.
pub(crate) fn grants(task: &Task, folder: &Path, scratch: &Path) -> Result<Grants, Error> {
    let mut paths = vec![
        PathGrant {
            host: folder.to_owned(),
            guest: ".".to_owned(),
            access: Access::Read,
        },
        PathGrant {
            host: scratch.to_owned(),
            guest: "/tmp".to_owned(),
            access: Access::Write,
        },
    ];
    for (path, access) in listed(task) {
        let host = resolve(&path, access)?;
        let guest = guest_name(folder, &path, &host);
        match paths.iter_mut().find(|grant| grant.guest == guest) {
            Some(grant) => grant.access = grant.access.max(access),
            None => paths.push(PathGrant { host, guest, access }),
        }
    }
    Ok(Grants {
        paths,
        net: task.allow.net.clone(),
        limits: task.limits.clone(),
    })
}

/// The listed paths, absolute, each with what may be done with it. They are relative to the task's file.
fn listed(task: &Task) -> impl Iterator<Item = (PathBuf, Access)> {
    // A base that is not there has no folder either, and that is told.
    let base = task.base.canonicalize().unwrap_or_else(|_| task.base.clone());
    let read = task.allow.read.iter().map(|path| (path, Access::Read));
    let write = task.allow.write.iter().map(|path| (path, Access::Write));
    read.chain(write)
        .map(move |(path, access)| (clean(&base.join(path)), access))
}

#[expect(
    clippy::disallowed_methods,
    reason = "an output folder lies outside of the store"
)]
fn resolve(path: &Path, access: Access) -> Result<PathBuf, Error> {
    let what = match access {
        Access::Read => "a path of `allow.read`",
        Access::Write => "a path of `allow.write`",
    };
    let missing = |error: std::io::Error| Error::Path {
        what,
        path: path.to_owned(),
        reason: error.to_string(),
    };
    if access == Access::Write && !path.exists() {
        std::fs::create_dir_all(path).map_err(missing)?;
    }
    path.canonicalize().map_err(missing)
}

/// The name that a guest knows a path by: relative to the task's folder if it lies in there, else its address.
fn guest_name(folder: &Path, path: &Path, host: &Path) -> String {
    let inside = path.strip_prefix(folder).or_else(|_| host.strip_prefix(folder));
    match inside {
        Ok(rel) if rel.as_os_str().is_empty() => ".".to_owned(),
        Ok(rel) => rel.to_string_lossy().into_owned(),
        Err(_) => host.to_string_lossy().into_owned(),
    }
}

/// The path without `.` and with `..` taken away by name.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// The paths that a native task may touch beside its own folder, as they are listed: it knows them by their addresses.
///
/// # Errors
/// As for [`grants`].
pub(crate) fn native_paths(task: &Task) -> Result<Vec<(PathBuf, Access)>, Error> {
    listed(task)
        .map(|(path, access)| {
            resolve(&path, access)?;
            Ok((path, access))
        })
        .collect()
}

/// Why a guest is refused, if it is, with a stable code: it asks for what it cannot be given or held to.
pub(crate) fn refused_guest(task: &Task) -> Option<(&'static str, String)> {
    if let Some(reason) = unenforceable(&task.limits) {
        return Some(("exec.wasi.limit", reason));
    }
    // The whole file system would stand before the guest's own folder and its scratch folder.
    let everything =
        listed(task).any(|(path, _)| path.canonicalize().is_ok_and(|real| real == Path::new("/")));
    everything.then(|| {
        let reason = "the whole file system, `/`, cannot be granted; list the folders that the task needs";
        ("exec.wasi.everything", reason.to_owned())
    })
}

/// Why a guest cannot be held to the limits that only a process has.
fn unenforceable(limits: &Limits) -> Option<String> {
    let name = match limits {
        Limits {
            file_size: Some(_), ..
        } => "file-size",
        Limits { scratch: Some(_), .. } => "scratch",
        // A guest has one thread, which is one processor at most.
        Limits {
            cpu: Some(..1000), ..
        } => "cpu",
        _ => return None,
    };
    Some(format!(
        "`limits.{name}` cannot be held on a WebAssembly guest; take it out of the task, or run the task as a command"
    ))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests make folders of their own")]
mod tests {
    use super::*;

    fn task(base: &Path) -> Task {
        Task::command("t", base, vec!["true".to_owned()])
    }

    #[test]
    fn a_path_in_the_folder_keeps_its_name_and_one_outside_gets_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("task/data")).unwrap();
        std::fs::create_dir_all(base.join("other")).unwrap();
        let mut task = task(&base.join("task"));
        task.allow.read = vec!["./data".into(), "../other".into()];
        task.allow.write = vec!["out/deep".into(), "data".into()];
        let folder = task_folder(&task).unwrap();
        let grants = grants(&task, &folder, Path::new("/scratch")).unwrap();
        let seen: Vec<_> = grants
            .paths
            .iter()
            .map(|grant| (grant.guest.as_str(), grant.access))
            .collect();
        let other = base.join("other");
        assert_eq!(
            seen,
            [
                (".", Access::Read),
                ("/tmp", Access::Write),
                ("data", Access::Write),
                (other.to_str().unwrap(), Access::Read),
                ("out/deep", Access::Write),
            ]
        );
        assert!(folder.join("out/deep").is_dir());
    }

    #[test]
    fn a_folder_that_leads_out_of_the_file_s_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap().join("task");
        std::fs::create_dir_all(base.join("inner")).unwrap();
        let mut task = task(&base);
        for (name, leads_to) in [("out", "/etc"), ("up", ".."), ("in", "inner")] {
            std::os::unix::fs::symlink(leads_to, base.join(name)).unwrap();
        }
        for name in ["out", "up"] {
            task.dir = name.into();
            let error = task_folder(&task).unwrap_err().to_string();
            assert!(error.contains("outside of"), "{error}");
        }
        task.dir = "in".into();
        assert_eq!(task_folder(&task).unwrap(), base.join("inner"));
    }

    #[test]
    fn listed_paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("src/data")).unwrap();
        std::fs::create_dir_all(base.join("data")).unwrap();
        let mut task = task(&base);
        task.dir = "src".into();
        task.allow.read = vec!["src/data".into(), "data".into()];
        let folder = task_folder(&task).unwrap();
        let grants = grants(&task, &folder, Path::new("/scratch")).unwrap();
        let seen: Vec<_> = grants
            .paths
            .iter()
            .skip(2)
            .map(|grant| (grant.guest.clone(), grant.host.clone()))
            .collect();
        let outside = base.join("data");
        assert_eq!(
            seen,
            [
                ("data".to_owned(), base.join("src/data")),
                (outside.display().to_string(), outside),
            ]
        );
    }

    #[test]
    fn the_whole_file_system_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("all")).unwrap();
        for path in ["/", "/..", "all", "all/."] {
            let mut task = task(folder.path());
            task.allow.read = vec![path.into()];
            assert_eq!(refused_guest(&task).unwrap().0, "exec.wasi.everything", "{path}");
        }
    }

    #[test]
    fn a_missing_path_to_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut task = task(folder.path());
        task.allow.read = vec!["nothing-here".into()];
        let base = task_folder(&task).unwrap();
        let error = grants(&task, &base, Path::new("/scratch")).unwrap_err();
        assert!(error.to_string().contains("nothing-here"), "{error}");
    }

    #[test]
    fn only_what_cannot_be_enforced_is_refused() {
        let mut limits = Limits {
            time: Some(std::time::Duration::from_secs(1)),
            memory: Some(1),
            processes: Some(1),
            cpu: Some(1000),
            output: Some(1),
            ..Limits::default()
        };
        assert_eq!(unenforceable(&limits), None);
        limits.cpu = Some(999);
        assert!(unenforceable(&limits).unwrap().contains("limits.cpu"));
        limits.scratch = Some(1);
        assert!(unenforceable(&limits).unwrap().contains("limits.scratch"));
    }
}
