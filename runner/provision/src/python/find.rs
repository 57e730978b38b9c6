//! Finds the interpreter that a request asks for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use pep440_rs::Version;
use wrun_core::tool::ToolFound;

use super::candidate::{Candidate, Seen, in_folder, is_shim};
use super::installs;
use super::probe::{Probed, Verdict};
use super::request::PythonRequest;
use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::settings::Settings;

/// Candidates that a message lists.
const LISTED: usize = 24;

impl TaskHost {
    /// Finds the interpreter that a request asks for.
    ///
    /// # Errors
    /// It is no request, or no interpreter fits; the error lists what was looked at.
    pub(crate) async fn find_python(
        &self,
        id: &str,
        request: Option<&str>,
    ) -> Result<ToolFound, ProvisionError> {
        let request = PythonRequest::parse(request)?;
        if let Some(inside) = &self.inside {
            return self.find_python_inside(id, &request, inside).await;
        }
        let mut looked_at = Vec::new();
        let mut seen = Seen::default();
        let named = self.settings.python.as_ref().filter(|_| request.path.is_none());
        if let Some(path) = named
            && Candidate::file(path.clone()).is_none()
        {
            return Err(unusable(path, "there is no file that can be executed".to_owned()));
        }
        for candidate in candidates(&self.settings, &self.project, &request) {
            if !seen.first(&candidate.path) {
                continue;
            }
            if !request.may_accept(candidate.implementation.as_deref(), &candidate.release) {
                looked_at.push((
                    candidate.path.clone(),
                    format!("{} by its name", candidate.said()),
                ));
                continue;
            }
            match self.probe_python(&candidate.path).await? {
                Verdict::Unusable(reason) if named == Some(&candidate.path) => {
                    return Err(unusable(&candidate.path, reason));
                }
                Verdict::Unusable(reason) => looked_at.push((candidate.path, reason)),
                Verdict::Interpreter(probed) => {
                    let Probed {
                        interpreter,
                        executable: _,
                        wheel_folders: _,
                    } = *probed;
                    if accepted(&request, &interpreter.implementation, &interpreter.version) {
                        return Ok(ToolFound {
                            id: id.to_owned(),
                            path: candidate.path,
                            version: interpreter.version.clone(),
                            digest: None,
                            python: Some(interpreter),
                        });
                    }
                    looked_at.push((
                        candidate.path,
                        format!("{} {}", interpreter.implementation, interpreter.version),
                    ));
                }
            }
        }
        Err(not_found(&request, &looked_at))
    }

    /// Every interpreter of this machine that answers, best first, and each file once.
    pub(crate) async fn every_python(&self) -> Result<Vec<Probed>, ProvisionError> {
        let request = PythonRequest::parse(None)?;
        let mut seen = Seen::default();
        let mut all = Vec::new();
        for candidate in candidates(&self.settings, &self.project, &request) {
            if seen.first(&candidate.path)
                && request.may_accept(candidate.implementation.as_deref(), &candidate.release)
                && let Verdict::Interpreter(probed) = self.probe_python(&candidate.path).await?
            {
                all.push(*probed);
            }
        }
        Ok(all)
    }
}

/// The version of an interpreter that was built from sources ends with `+`.
pub(crate) fn version(text: &str) -> Option<Version> {
    text.trim_end_matches('+').parse().ok()
}

fn accepted(request: &PythonRequest, implementation: &str, text: &str) -> bool {
    version(text).is_some_and(|version| request.accepts(implementation, &version))
}

/// What may be an interpreter, best first. A named file stands alone.
fn candidates(
    settings: &Settings,
    project: &Path,
    request: &PythonRequest,
) -> Box<dyn Iterator<Item = Candidate> + Send> {
    if let Some(path) = &request.path {
        let path = project.join(path);
        let path = if path.is_dir() {
            path.join("bin/python")
        } else {
            path
        };
        return Box::new(Candidate::file(path).into_iter());
    }
    let request = request.clone();
    let explicit = settings.python.clone().into_iter().filter_map(Candidate::file);
    let pyenv_root = settings.pyenv_root.clone();
    let chosen = settings.pyenv_version.clone();
    let home = settings.home.clone();

    let (for_path, for_distribution) = (request.clone(), request);
    let (shim_root, shim_chosen) = (pyenv_root.clone(), chosen.clone());
    let on_path = settings
        .search_path
        .clone()
        .into_iter()
        .filter(|folder| folder.is_absolute())
        .flat_map(move |folder| -> Box<dyn Iterator<Item = Candidate> + Send> {
            if is_shim(&folder.join("python3")) || is_shim(&folder.join("python")) {
                let own_root = folder
                    .parent()
                    .filter(|root| root.join("versions").is_dir())
                    .map(Path::to_path_buf);
                let root = own_root.or_else(|| shim_root.clone());
                let chosen = shim_chosen.clone();
                return Box::new(
                    root.into_iter()
                        .flat_map(move |root| installs::pyenv(&root, chosen.as_deref())),
                );
            }
            Box::new(in_folder(folder, &for_path))
        });
    let by_pyenv = pyenv_root
        .into_iter()
        .flat_map(move |root| installs::pyenv(&root, chosen.as_deref()));
    let by_uv = home.into_iter().flat_map(|home| installs::uv(&home));
    let by_distribution = settings
        .python_folders
        .clone()
        .into_iter()
        .flat_map(move |folder| in_folder(folder, &for_distribution));
    Box::new(
        explicit
            .chain(on_path)
            .chain(by_pyenv)
            .chain(by_uv)
            .chain(by_distribution),
    )
}

/// What is set as the interpreter is none.
fn unusable(path: &Path, reason: String) -> ProvisionError {
    ProvisionError::ToolUnusable {
        tool: "python".to_owned(),
        path: path.to_owned(),
        reason,
    }
}

/// What was looked at, each on a line of its own.
pub(super) fn listed(looked_at: &[(PathBuf, String)]) -> String {
    let mut listed = "; looked at".to_owned();
    for (path, what) in looked_at.iter().take(LISTED) {
        let _ = write!(listed, "\n  {}: {what}", path.display());
    }
    if let Some(more @ 1..) = looked_at.len().checked_sub(LISTED) {
        let _ = write!(listed, "\n  and {more} more");
    }
    listed
}

fn not_found(request: &PythonRequest, looked_at: &[(PathBuf, String)]) -> ProvisionError {
    let mut listed = match looked_at {
        [] => "; there is no Python on this machine's search path".to_owned(),
        _ => listed(looked_at),
    };
    let name = match &request.path {
        Some(path) => {
            listed = if looked_at.is_empty() {
                ": there is no file that can be executed".to_owned()
            } else {
                listed
            };
            format!("`{}`", path.display())
        }
        None => request.describe(),
    };
    ProvisionError::PythonNotFound {
        request: name,
        looked_at: listed,
        help: request.advice(),
    }
}
