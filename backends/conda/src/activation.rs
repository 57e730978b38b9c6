//! Activation: found out once, when an environment is built, and recorded in it. So no later start needs a shell.

use std::collections::BTreeMap;
use std::path::Path;
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

/// What the scripts left, before it is read.
const VARIABLES: &str = "etc/wrun/activation.variables";

/// The shell that runs the scripts.
const SHELL: &str = "activation-shell";

/// How long all scripts together may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Where programs of the machine are, for scripts.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables that belong to a shell or to the build, not to what a script did.
const NOT_RECORDED: &[&str] = &[
    "_", "SHLVL", "PWD", "OLDPWD", "HOME", "TMPDIR", "PS1", "SHELLOPTS", "BASHOPTS", "LC_ALL", "LANG",
];

/// What is known about the activation of an environment without a shell.
#[derive(Debug, Default)]
pub(crate) struct Activation {
    /// Variables that the environment sets: files of packages, and of the spec.
    variables: BTreeMap<String, String>,
    /// Scripts, in the order in which they are run.
    scripts: Vec<String>,
    /// Where the environment is in the tree that is built; an empty path is the tree itself.
    at: &'static str,
}

impl Activation {
    /// Reads what packages brought.
    pub(crate) fn of(prefix: &Path, platform: Subdir, variables: &BTreeMap<String, String>) -> Result<Self, Problem> {
        let activator = Activator::from_path(prefix, Bash::default(), platform).map_err(|error| {
            Problem::failed(
                "conda.activation.broken",
                format!("the activation of the environment cannot be read: {}", causes(&error)),
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
            at: "",
        })
    }

    /// The same for an environment that is a folder of the tree.
    pub(crate) const fn at(mut self, folder: &'static str) -> Self {
        self.at = folder;
        self
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
        let script = "prefix=$1; out=$2; shift 2; for script; do . \"$prefix/$script\" >&2; done; env -0 > \"$out\"";
        let mut args: Vec<Word> = vec!["-c".into(), script.into(), "activate".into()];
        args.push(Place::prefix(self.at).into());
        args.push(Place::prefix(VARIABLES).into());
        args.extend(self.scripts.iter().map(|script| Word::from(script.as_str())));
        let mut env: Vec<(String, Word)> = self
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let bin = if self.at.is_empty() { "bin".to_owned() } else { format!("{}/bin", self.at) };
        let mut path = Word::from(Place::prefix(bin));
        path.0.push(wrun_core::plan::Piece::Text(format!(":{SYSTEM_PATH}")));
        env.extend([
            ("PATH".to_owned(), path),
            ("CONDA_PREFIX".to_owned(), Place::prefix(self.at).into()),
            ("CONDA_DEFAULT_ENV".to_owned(), Place::prefix(self.at).into()),
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
            search_path: Vec::new(),
        };
        if !self.scripts.is_empty() {
            let path = prefix.join(VARIABLES);
            let content = files::read(&path).map_err(|error| unwritable(&path, &error))?;
            files::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
            recorded = understood(&prefix.join(self.at), &content);
        }
        write(prefix, &recorded)
    }
}

/// Writes a record into an environment.
pub(crate) fn write(prefix: &Path, recorded: &Recorded) -> Result<(), Problem> {
    let path = prefix.join(RECORD);
    let content = serde_json::to_vec_pretty(recorded)
        .map_err(|error| Problem::failed("conda.activation.failed", error.to_string()))?;
    files::write(&path, &content).map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::failed(
        "conda.activation.failed",
        format!("the activation cannot be recorded in `{}`: {error}", path.display()),
    )
}

/// What scripts changed: the variables of a shell after them, as `env -0` writes them. Those that are no text are left
/// out: a task's variables are text.
fn understood(prefix: &Path, content: &[u8]) -> Recorded {
    let own_folder = prefix.join("bin");
    let mut recorded = Recorded::default();
    for pair in content.split(|byte| *byte == 0) {
        let Some((name, value)) = std::str::from_utf8(pair).ok().and_then(|pair| pair.split_once('=')) else {
            continue;
        };
        match name {
            "PATH" => {
                recorded.search_path = value
                    .split(':')
                    .filter(|folder| !folder.is_empty() && !SYSTEM_PATH.split(':').any(|known| known == *folder))
                    .filter(|folder| Path::new(folder) != own_folder)
                    .map(str::to_owned)
                    .collect();
            }
            "CONDA_PREFIX" | "CONDA_DEFAULT_ENV" | "CONDA_SHLVL" => {}
            _ if NOT_RECORDED.contains(&name) || name.starts_with("BASH") => {}
            _ => {
                recorded.variables.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    recorded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_changed_is_recorded_and_nothing_else() {
        let content = b"A=1\0PATH=/p/special:/p/bin:/usr/local/bin:/usr/bin:/bin\0SHLVL=2\0_=/usr/bin/env\0B=x=y\nz\0BAD=\xff\0";
        let recorded = understood(Path::new("/p"), content);
        assert_eq!(recorded.search_path, ["/p/special"]);
        let expected = [("A", "1"), ("B", "x=y\nz")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(recorded.variables, BTreeMap::from(expected));
    }
}
