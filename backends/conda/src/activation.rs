//! Activation: found out once, when an environment is built, and recorded in it. So no later start needs a shell.
//!
//! The scripts are code of packages, and the files of an environment are commonly those of the package cache under
//! another name: so scripts read the environment and cannot write it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rattler_conda_types::Subdir;
use rattler_shell::activation::Activator;
use rattler_shell::shell::Bash;
use wrun_core::backend::{Request, Slot};
use wrun_core::host::Host;
use wrun_core::launch::Recorded;
use wrun_core::plan::{Action, NetworkUse, Piece, Place, Program, Run, Step, Word};
use wrun_core::problem::{Advice, Problem, StepFailure};

use crate::beside::Beside;
use crate::files;
use crate::repodata::causes;
use crate::shell;

/// What was recorded, in the environment.
pub(crate) const RECORD: &str = "etc/wrun/activation.json";

/// The step that runs the scripts.
const LABEL: &str = "record the activation";

/// The variables before and after the scripts, in the folder that is theirs to write.
const BEFORE: &str = "before";
const AFTER: &str = "after";

/// The script that was run last, in the same folder.
const LAST: &str = "last";

/// What is wrong with that script, if it was not run, in the same folder.
const WHY: &str = "why";

/// What can be wrong with it.
const UNREADABLE: &str = "cannot be read";
const NO_SCRIPT: &str = "has a syntax error";

/// The code of an activation that failed.
const FAILED: &str = "conda.activation.failed";

/// The shell that runs the scripts.
const SHELL: &str = "activation-shell";

/// How long all scripts together may take, unless the caller says otherwise.
pub(crate) const TIME: Duration = Duration::from_mins(1);

/// The code by which the host says that a step took too long.
const STEP_TIMED_OUT: &str = "provision.step.timed-out";

/// Where programs of the machine are, for scripts.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables that a shell sets by itself.
const NOT_RECORDED: &[&str] = &["_", "SHLVL", "PWD", "OLDPWD", "PS1", "SHELLOPTS", "BASHOPTS"];

/// Folders of the build, which are gone when a task starts.
const OF_THE_BUILD: &[&str] = &["HOME", "TMPDIR"];

/// What is known about the activation of an environment without a shell.
#[derive(Debug)]
pub(crate) struct Activation {
    /// The environment.
    path: PathBuf,
    /// Variables that the environment sets: files of packages, and of the spec.
    variables: BTreeMap<String, String>,
    /// Scripts, in the order in which they are run.
    scripts: Vec<String>,
    /// How long all scripts together may take.
    time: Duration,
}

impl Activation {
    /// Reads what packages brought; `time` is for all scripts together.
    pub(crate) fn of(
        path: &Path,
        platform: Subdir,
        variables: &BTreeMap<String, String>,
        time: Duration,
    ) -> Result<Self, Problem> {
        let activator = Activator::from_path(path, Bash::default(), platform).map_err(|error| {
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
            path: path.to_path_buf(),
            variables: all,
            scripts: activator
                .activation_scripts
                .iter()
                .filter_map(|script| Some(script.strip_prefix(path).ok()?.to_string_lossy().into_owned()))
                .collect(),
            time,
        })
    }

    /// Runs the scripts, if there are any, and writes down in the tree of `slot` what came of them.
    pub(crate) async fn record(self, host: &dyn Host, request: &Request, slot: &Slot) -> Result<(), Problem> {
        let mut recorded = Recorded {
            variables: self.variables.clone(),
            ..Recorded::default()
        };
        if !self.scripts.is_empty() {
            let tool = shell::find(host, SHELL).await?;
            let made = host.scratch(LABEL)?;
            let activating = Beside {
                environment: &self.path,
                made: made.path(),
                tool,
                step: self.step(),
            };
            activating
                .run(host, request, slot, &|failure| {
                    self.failed(made.path(), &how_it_ended(failure))
                })
                .await
                .map_err(|problem| self.named(problem))?;
            if !files::is_there(&made.path().join(AFTER)) {
                let Advice {
                    code, message, help, ..
                } = self.failed(made.path(), "ended the shell of all scripts with exit code 0");
                return Err(Problem::Failed { code, message, help });
            }
            let brought = |name: &str| {
                let path = made.path().join(name);
                files::read_small(&path).map_err(|error| unreadable(&path, &error))
            };
            let Recorded {
                variables,
                search_path,
                reads: _,
            } = changed(&self.path, &brought(BEFORE)?, &brought(AFTER)?);
            recorded.variables.extend(variables);
            recorded.search_path = search_path;
        }
        // What a launch says of the tree itself holds for another environment too.
        if self.path != slot.prefix {
            let text = self.path.to_string_lossy().into_owned();
            for name in ["CONDA_PREFIX", "CONDA_DEFAULT_ENV"] {
                recorded.variables.insert(name.to_owned(), text.clone());
            }
            recorded.reads.push(text);
            let programs = self.path.join("bin").to_string_lossy().into_owned();
            recorded.search_path.push(programs);
        }
        write(&slot.prefix, &recorded)
    }

    /// A script that failed; `made` is the folder in which the name of the last one is.
    fn failed(&self, made: &Path, how: &str) -> Advice {
        let last = files::small_text(&made.join(LAST)).unwrap_or_default();
        let script = self.scripts.iter().find(|script| **script == last);
        let who = script.map_or_else(
            || "the activation of the environment".to_owned(),
            |script| format!("the activation script `{script}`"),
        );
        let why = files::small_text(&made.join(WHY)).unwrap_or_default();
        let (how, help) = match why.as_str() {
            UNREADABLE => (
                UNREADABLE,
                "let this user read the script (`chmod a+r`), or leave out the package that brings it",
            ),
            NO_SCRIPT => (
                NO_SCRIPT,
                "correct the script, leave out the package that brings it, or ask for another build of it",
            ),
            _ => (
                how,
                "leave out the package that brings the script, or ask for another build of it; a script that is not to be \
                 used must not end the shell (`exit`)",
            ),
        };
        Advice {
            code: FAILED.to_owned(),
            message: format!("{who} {how}"),
            help: Some(help.to_owned()),
            retry: false,
        }
    }

    /// What went wrong, in words about scripts.
    fn named(&self, problem: Problem) -> Problem {
        let Problem::Failed { code, message, .. } = &problem else {
            return problem;
        };
        if code != STEP_TIMED_OUT {
            return problem;
        }
        let output = message.split_once('\n').map(|(_, output)| format!("\n{output}"));
        Problem::Failed {
            code: "conda.activation.time".to_owned(),
            message: format!(
                "the activation scripts of the environment were not done after {} seconds, which is their limit: {}{}",
                self.time.as_secs_f64(),
                self.scripts.join(", "),
                output.unwrap_or_default()
            ),
            help: Some(
                "leave out the package whose script waits for something; if it only takes long set \
                 `WRUN_ACTIVATION_TIME`, for instance to `5m`"
                    .to_owned(),
            ),
        }
    }

    /// A folder of the environment.
    fn folder(&self, rel: &str) -> Word {
        let path = self.path.join(rel).to_string_lossy().into_owned();
        path.trim_end_matches('/').into()
    }

    /// The step that runs the scripts.
    fn step(&self) -> Step {
        // What scripts write is not what is recorded, and one whose last command fails has its say all the same, as in conda.
        // The names are ones that no script has. A script may end in failure for any reason, so what it says is asked again
        // of a shell that runs nothing.
        let script = format!(
            "_wrun_prefix=$1; _wrun_after=$3; _wrun_last=$4; _wrun_why=$5; _wrun_shell=$BASH; command -p env -0 > \"$2\"; \
             shift 5; \
             for _wrun_script; do \
             printf %s \"$_wrun_script\" > \"$_wrun_last\"; \
             ( : < \"$_wrun_prefix/$_wrun_script\" ) || {{ printf %s '{UNREADABLE}' > \"$_wrun_why\"; exit 1; }}; \
             . \"$_wrun_prefix/$_wrun_script\" >&2; \
             case $? in 0) ;; *) \
             if [ -n \"$_wrun_shell\" ] && \
             ! \"$_wrun_shell\" -O extglob -n \"$_wrun_prefix/$_wrun_script\" 2> /dev/null; then \
             printf %s '{NO_SCRIPT}' > \"$_wrun_why\"; exit 1; fi ;; esac; \
             done; \
             command -p env -0 > \"$_wrun_after\""
        );
        let mut args: Vec<Word> = vec!["-c".into(), script.as_str().into(), "activate".into()];
        args.push(self.folder(""));
        args.push(Place::prefix(BEFORE).into());
        args.push(Place::prefix(AFTER).into());
        args.push(Place::prefix(LAST).into());
        args.push(Place::prefix(WHY).into());
        args.extend(self.scripts.iter().map(|script| Word::from(script.as_str())));
        let mut env: Vec<(String, Word)> = self
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let mut path = self.folder("bin");
        path.0.push(Piece::Text(format!(":{SYSTEM_PATH}")));
        env.extend([
            ("PATH".to_owned(), path),
            ("CONDA_PREFIX".to_owned(), self.folder("")),
            ("CONDA_DEFAULT_ENV".to_owned(), self.folder("")),
            ("CONDA_SHLVL".to_owned(), "1".into()),
        ]);
        Step {
            label: LABEL.to_owned(),
            weight: 1,
            after: Vec::new(),
            action: Action::Run(Run {
                program: Program::Tool(SHELL.to_owned()),
                args,
                env,
                logins: Vec::new(),
                cwd: Place::scratch(""),
                network: NetworkUse::None,
                offline: None,
                timeout: self.time,
            }),
        }
    }
}

/// How the shell of the scripts ended.
fn how_it_ended(failure: &StepFailure) -> String {
    match (failure.exit, failure.signal) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// Writes a record into an environment.
fn write(prefix: &Path, recorded: &Recorded) -> Result<(), Problem> {
    let path = prefix.join(RECORD);
    let content =
        serde_json::to_vec_pretty(recorded).map_err(|error| Problem::failed(FAILED, error.to_string()))?;
    files::write(&path, &content).map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::failed(
        FAILED,
        format!(
            "the activation cannot be recorded in `{}`: {error}",
            path.display()
        ),
    )
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::failed(
        FAILED,
        format!(
            "what the activation scripts left in `{}` cannot be read: {error}",
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
        let shells = NOT_RECORDED.contains(&name) || name.starts_with("BASH") || name.starts_with("_wrun_");
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
