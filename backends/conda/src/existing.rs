//! Environments that are there already, made by conda, mamba or pixi.

use std::path::{Path, PathBuf};

use wrun_core::canon::Canon;
use wrun_core::host::Host;
use wrun_core::problem::Problem;

use crate::files;

/// Folders in a home folder where installers put conda.
const INSTALLATIONS: &[&str] = &[
    "miniforge3",
    "miniconda3",
    "anaconda3",
    "mambaforge",
    "micromamba",
    ".conda",
    ".local/share/mamba",
];

/// Installations for all users.
const SYSTEM: &[&str] = &["/opt/conda", "/opt/miniforge3", "/opt/miniconda3"];

/// An environment that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Existing {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// Changes whenever packages or activation scripts come or go.
    pub(crate) state: Vec<String>,
}

impl Existing {
    /// Finds an environment by its name or path.
    pub(crate) fn find(host: &dyn Host, text: &str) -> Result<Self, Problem> {
        let is_path = text.contains('/') || text.starts_with('.');
        let candidates = if is_path {
            let written = home(host)
                .zip(text.strip_prefix("~/"))
                .map(|(home, rest)| home.join(rest));
            vec![written.unwrap_or_else(|| host.project().unwrap_or(Path::new("/")).join(text))]
        } else {
            by_name(host, text)
        };
        let mut closed = None;
        let mut found = None;
        for path in &candidates {
            match files::leads_to_folder(&path.join("conda-meta")) {
                Ok(false) => {}
                Ok(true) => {
                    found = Some(path);
                    break;
                }
                Err(error) => {
                    closed.get_or_insert((path, error));
                }
            }
        }
        let found = match (found, closed) {
            (Some(found), _) => found,
            (None, Some((path, error))) => return Err(unreadable(path, &error)),
            (None, None) => return Err(missing(text, is_path, &candidates)),
        };
        let path = found.canonicalize().map_err(|error| unreadable(found, &error))?;
        let mut state = Vec::new();
        for folder in ["conda-meta", "etc/conda/activate.d", "etc/conda/env_vars.d"] {
            let names = files::names_with_times(&path, folder).map_err(|error| unreadable(&path, &error))?;
            state.extend(names);
        }
        state.sort();
        Ok(Self { path, state })
    }

    /// As part of a key.
    pub(crate) fn canon(&self) -> Canon {
        Canon::map([
            ("path", Canon::text(self.path.to_string_lossy())),
            ("state", Canon::list(self.state.iter().map(Canon::text))),
        ])
    }
}

fn home(host: &dyn Host) -> Option<PathBuf> {
    host.variable("HOME").map(PathBuf::from)
}

/// Where an environment of that name may be: where conda's variables point to, in the list that conda keeps, and
/// where installers put it.
fn by_name(host: &dyn Host, name: &str) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for variable in ["CONDA_ENVS_DIRS", "CONDA_ENVS_PATH"] {
        if let Some(value) = host.variable(variable) {
            roots.extend(std::env::split_paths(&value));
        }
    }
    let mut installations: Vec<PathBuf> = Vec::new();
    if let Some(value) = host.variable("MAMBA_ROOT_PREFIX") {
        installations.push(value.into());
    }
    if let Some(program) = host.variable("CONDA_EXE") {
        installations.extend(Path::new(&program).ancestors().nth(2).map(Path::to_path_buf));
    }
    let home = home(host);
    if let Some(home) = &home {
        installations.extend(INSTALLATIONS.iter().map(|folder| home.join(folder)));
    }
    installations.extend(SYSTEM.iter().map(PathBuf::from));
    roots.extend(installations.iter().map(|folder| folder.join("envs")));
    let mut candidates: Vec<PathBuf> = roots.iter().map(|root| root.join(name)).collect();
    if let Some(listed) = home.and_then(|home| files::small_text(&home.join(".conda/environments.txt"))) {
        let named = |path: &&str| Path::new(path).file_name().is_some_and(|last| last == name);
        candidates.extend(listed.lines().map(str::trim).filter(named).map(PathBuf::from));
    }
    if name == "base" {
        candidates.extend(installations);
    }
    candidates
}

/// An environment that may be there; which of the folders above it is closed is said.
fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
    let open = path
        .ancestors()
        .find(|folder| files::leads_to_folder(folder).is_ok());
    let closed = open.unwrap_or(path).display();
    Problem::Failed {
        code: "conda.existing.unreadable".to_owned(),
        message: format!("the environment `{}` cannot be read: {error}", path.display()),
        help: denied.then(|| {
            format!(
                "this user may not look into `{closed}`: ask its owner for it (`chmod a+rx`), or run `wrun` as a user who may"
            )
        }),
    }
}

fn missing(text: &str, is_path: bool, candidates: &[PathBuf]) -> Problem {
    let looked: Vec<String> = candidates
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let message = if is_path {
        format!("there is no conda environment at {}", looked.join(", "))
    } else {
        format!(
            "there is no conda environment named `{text}`; looked at {}",
            looked.join(", ")
        )
    };
    Problem::Failed {
        code: "conda.existing.missing".to_owned(),
        message,
        help: Some(
            "write the path of a folder that holds `conda-meta`, or make the environment from `packages`"
                .to_owned(),
        ),
    }
}
