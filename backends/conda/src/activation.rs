//! Activation: found out once, when an environment is built, and recorded in it. So no later start needs a shell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rattler_conda_types::Subdir;
use rattler_shell::activation::Activator;
use rattler_shell::shell::Bash;
use wrun_core::host::Host;
use wrun_core::launch::Recorded;
use wrun_core::plan::{Action, Place, Program, Run, Step, Word};
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};

use crate::files;
use crate::repodata::causes;

/// What was recorded, in the environment.
pub(crate) const RECORD: &str = "etc/wrun/activation.json";

/// The variables after the scripts, before they are read; those before the scripts are in a file beside it.
const VARIABLES: &str = "etc/wrun/activation.after";
const VARIABLES_BEFORE: &str = "etc/wrun/activation.before";

/// The shell that runs the scripts.
const SHELL: &str = "activation-shell";

/// How long all scripts together may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Where programs of the machine are, for scripts.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables that a shell sets by itself.
const NOT_RECORDED: &[&str] = &["_", "SHLVL", "PWD", "OLDPWD", "PS1", "SHELLOPTS", "BASHOPTS"];

/// Folders of the build, which are gone when a task starts.
const OF_THE_BUILD: &[&str] = &["HOME", "TMPDIR"];

/// What is known about the activation of an environment without a shell.
#[derive(Debug, Default)]
pub(crate) struct Activation {
    /// Variables that the environment sets: files of packages, and of the spec.
    variables: BTreeMap<String, String>,
    /// Scripts, in the order in which they are run.
    scripts: Vec<String>,
    /// The environment, if it is not the tree that is built.
    outside: Option<PathBuf>,
}

impl Activation {
    /// Reads what packages brought.
    pub(crate) fn of(
        prefix: &Path,
        platform: Subdir,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, Problem> {
        let activator = Activator::from_path(prefix, Bash::default(), platform).map_err(|error| {
            Problem::failed(
                "conda.activation.broken",
                format!(
                    "the activation of the environment cannot be read: {}",
                    causes(&error)
                ),
            )
        })?;
        let mut all: BTreeMap<String, String> = activator.env_vars.into_iter().collect();
        all.extend(variables.clone());
        Ok(Self {
            variables: all,
            scripts: activator
                .activation_scripts
                .iter()
                .filter_map(|path| Some(path.strip_prefix(prefix).ok()?.to_string_lossy().into_owned()))
                .collect(),
            outside: None,
        })
    }

    /// The same for an environment that is not the tree that is built.
    pub(crate) fn outside(mut self, path: &Path) -> Self {
        self.outside = Some(path.to_path_buf());
        self
    }

    /// A folder of the environment.
    fn folder(&self, rel: &str) -> Word {
        match &self.outside {
            None => Place::prefix(rel).into(),
            Some(path) => path.join(rel).to_string_lossy().trim_end_matches('/').into(),
        }
    }

    /// The shell for the scripts, if there are any.
    pub(crate) async fn shell(&self, host: &dyn Host) -> Result<Option<ToolFound>, Problem> {
        if self.scripts.is_empty() {
            return Ok(None);
        }
        let request = ToolRequest {
            id: SHELL.to_owned(),
            kind: ToolKind::Program {
                names: vec!["bash".to_owned(), "sh".to_owned()],
                // Not every shell says its version, and every one of them can be told to say one.
                version_args: ["-c", "echo 1.0"].map(str::to_owned).into(),
                minimum: None,
                wheel: None,
            },
        };
        host.find_tool(&request, &[]).await.map(Some)
    }

    /// The step that runs the scripts, if there are any.
    pub(crate) fn step(&self) -> Option<Step> {
        if self.scripts.is_empty() {
            return None;
        }
        // What scripts write is not what is recorded, and a script that fails is as if it had not been there, as in conda.
        let script = "prefix=$1; before=$2; after=$3; shift 3; command -p env -0 > \"$before\"; \
                      for script; do . \"$prefix/$script\" >&2; done; command -p env -0 > \"$after\"";
        let mut args: Vec<Word> = vec!["-c".into(), script.into(), "activate".into()];
        args.push(self.folder(""));
        args.push(Place::prefix(VARIABLES_BEFORE).into());
        args.push(Place::prefix(VARIABLES).into());
        args.extend(self.scripts.iter().map(|script| Word::from(script.as_str())));
        let mut env: Vec<(String, Word)> = self
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let mut path = self.folder("bin");
        path.0
            .push(wrun_core::plan::Piece::Text(format!(":{SYSTEM_PATH}")));
        env.extend([
            ("PATH".to_owned(), path),
            ("CONDA_PREFIX".to_owned(), self.folder("")),
            ("CONDA_DEFAULT_ENV".to_owned(), self.folder("")),
            ("CONDA_SHLVL".to_owned(), "1".into()),
        ]);
        Some(Step {
            label: "record the activation".to_owned(),
            weight: 1,
            after: Vec::new(),
            action: Action::Run(Run {
                program: Program::Tool(SHELL.to_owned()),
                args,
                env,
                secrets: Vec::new(),
                cwd: Place::scratch(""),
                network: false,
                timeout: TIMEOUT,
            }),
        })
    }

    /// Makes the folder that the step writes into.
    pub(crate) fn prepare(prefix: &Path) -> Result<(), Problem> {
        let folder = files::parent(&prefix.join(VARIABLES));
        files::make_folder(&folder).map_err(|error| unwritable(&folder, &error))
    }

    /// Writes down what came of it, after the step.
    pub(crate) fn record(self, prefix: &Path) -> Result<(), Problem> {
        let mut recorded = Recorded {
            variables: self.variables,
            ..Recorded::default()
        };
        if !self.scripts.is_empty() {
            let brought = |name: &str| {
                let path = prefix.join(name);
                let content = files::read(&path).map_err(|error| unwritable(&path, &error))?;
                files::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
                Ok::<_, Problem>(content)
            };
            let (before, after) = (brought(VARIABLES_BEFORE)?, brought(VARIABLES)?);
            let Recorded {
                variables,
                search_path,
                reads: _,
            } = changed(self.outside.as_deref().unwrap_or(prefix), &before, &after);
            recorded.variables.extend(variables);
            recorded.search_path = search_path;
        }
        // What a launch says of the tree itself holds for another environment too.
        if let Some(path) = &self.outside {
            let text = path.to_string_lossy().into_owned();
            recorded.variables.insert("CONDA_PREFIX".to_owned(), text.clone());
            recorded.variables.insert("CONDA_DEFAULT_ENV".to_owned(), text.clone());
            recorded.reads.push(text);
            recorded
                .search_path
                .push(path.join("bin").to_string_lossy().into_owned());
        }
        write(prefix, &recorded)
    }
}

/// Writes a record into an environment.
fn write(prefix: &Path, recorded: &Recorded) -> Result<(), Problem> {
    let path = prefix.join(RECORD);
    let content = serde_json::to_vec_pretty(recorded)
        .map_err(|error| Problem::failed("conda.activation.failed", error.to_string()))?;
    files::write(&path, &content).map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::failed(
        "conda.activation.failed",
        format!(
            "the activation cannot be recorded in `{}`: {error}",
            path.display()
        ),
    )
}

/// The variables that `env -0` wrote. Those that are no text are left out: a task's variables are text.
fn variables(content: &[u8]) -> BTreeMap<&str, &str> {
    content
        .split(|byte| *byte == 0)
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
        .collect()
}

/// What scripts changed. Variables of the caller that a build gets, such as proxies, are the same before and after.
fn changed(prefix: &Path, before: &[u8], after: &[u8]) -> Recorded {
    let (before, after) = (variables(before), variables(after));
    let of_the_build: Vec<&str> = OF_THE_BUILD
        .iter()
        .filter_map(|name| before.get(name).copied())
        .filter(|value| value.len() > 1)
        .collect();
    let own_folder = prefix.join("bin");
    let mut recorded = Recorded::default();
    for (name, value) in after {
        let shells = NOT_RECORDED.contains(&name) || name.starts_with("BASH");
        if shells
            || before.get(name) == Some(&value)
            || of_the_build.iter().any(|folder| value.contains(folder))
        {
            continue;
        }
        if name == "PATH" {
            recorded.search_path = value
                .split(':')
                .filter(|folder| !folder.is_empty() && !SYSTEM_PATH.split(':').any(|known| known == *folder))
                .filter(|folder| Path::new(folder) != own_folder)
                .map(str::to_owned)
                .collect();
        } else {
            recorded.variables.insert(name.to_owned(), value.to_owned());
        }
    }
    recorded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_changed_is_recorded_and_nothing_else() {
        let before = b"A=0\0HOME=/build/home\0HTTPS_PROXY=http://me:secret@proxy\0PATH=/p/bin:/usr/local/bin:/usr/bin:/bin\0";
        let after = b"A=1\0HOME=/build/home\0HTTPS_PROXY=http://me:secret@proxy\0CACHE=/build/home/cache\0\
            PATH=/p/special:/p/bin:/usr/local/bin:/usr/bin:/bin\0SHLVL=2\0_=/usr/bin/env\0B=x=y\nz\0BAD=\xff\0";
        let recorded = changed(Path::new("/p"), before, after);
        assert_eq!(recorded.search_path, ["/p/special"]);
        let expected = [("A", "1"), ("B", "x=y\nz")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(recorded.variables, BTreeMap::from(expected));
    }
}
