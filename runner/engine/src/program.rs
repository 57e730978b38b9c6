//! The program of an engine, and what this machine wants it to be called with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use tokio_util::sync::CancellationToken;
use wrun_core::image::Engine;
use wrun_process::{CaptureLimits, Captured, Command, Out, Stdin, run_captured};

use crate::arguments::is_rootless;
use crate::error::EngineError;

/// How long an engine may take for an answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);

/// How long it may take for an image.
pub(crate) const TRANSFER: Duration = Duration::from_hours(1);

/// The most that is kept of what it says.
const MOST: usize = 1024 * 1024;

/// An engine on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineProgram {
    /// Which it is.
    pub engine: Engine,
    /// Its program.
    pub path: PathBuf,
    /// What comes before every subcommand.
    pub options: Vec<String>,
    /// Whether its containers have a user namespace of the caller's own.
    pub is_rootless: bool,
    /// Variables of the caller, which it reads where it keeps things and whom it talks to.
    variables: BTreeMap<String, String>,
}

impl EngineProgram {
    /// Finds an engine. It is not asked anything.
    ///
    /// # Errors
    /// It is not there.
    pub fn find(engine: Engine, variables: &BTreeMap<String, String>) -> Result<Self, EngineError> {
        let search_path = variables.get("PATH").map_or("/usr/bin:/bin", String::as_str);
        let find = |name: &str| {
            std::env::split_paths(search_path)
                .map(|folder| folder.join(name))
                .find(|path| accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok() && path.is_file())
        };
        let path = find(engine.name()).ok_or(EngineError::Missing { engine })?;
        let options = match engine {
            Engine::Podman => podman_options(Machine::look(find("runc").is_some())),
            Engine::Docker | Engine::Builtin => Vec::new(),
        };
        Ok(Self {
            engine,
            path,
            options,
            is_rootless: is_rootless(engine),
            variables: variables.clone(),
        })
    }

    /// Asks the engine whether it works, and gives its version.
    ///
    /// # Errors
    /// It does not.
    pub async fn probe(&self, cancel: &CancellationToken) -> Result<String, EngineError> {
        let arguments: &[&str] = match self.engine {
            Engine::Podman => &["info", "--format", "{{.Version.Version}}"],
            Engine::Docker | Engine::Builtin => &["version", "--format", "{{.Server.Version}}"],
        };
        let said = self.call(arguments, ANSWER, cancel).await?;
        if said.is_success() {
            return Ok(said.stdout_text().trim().to_owned());
        }
        Err(EngineError::Unusable {
            engine: self.engine,
            reason: reason(&said),
        })
    }

    /// Removes a container, running or not. One that is gone is as good as removed.
    ///
    /// # Errors
    /// The engine cannot be asked.
    pub async fn remove(&self, name: &str) -> Result<(), EngineError> {
        // What ends the run does not end its cleaning up.
        let never = CancellationToken::new();
        // It is not asked to end and waited for: whoever wanted it to end has asked by now.
        let _killed = self.call(&["kill", name], ANSWER, &never).await;
        let said = self
            .call(&["rm", "--force", "--volumes", name], ANSWER, &never)
            .await?;
        let stderr = said.stderr_text().to_lowercase();
        let is_gone = ["no such container", "is already in progress"];
        if said.is_success() || is_gone.iter().any(|words| stderr.contains(words)) {
            return Ok(());
        }
        Err(EngineError::Unusable {
            engine: self.engine,
            reason: reason(&said),
        })
    }

    /// Calls a subcommand for what it says.
    pub(crate) async fn call(
        &self,
        arguments: &[&str],
        time: Duration,
        cancel: &CancellationToken,
    ) -> Result<Captured, EngineError> {
        let words = self
            .options
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied());
        let command = Command {
            program: self.path.clone(),
            args: words.map(OsString::from).collect(),
            env: self
                .environment()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            cwd: PathBuf::from("/"),
            stdin: Stdin::Null,
            stdout: Out::Piped,
            stderr: Out::Piped,
            die_with_parent: true,
            ..Command::default()
        };
        let limits = CaptureLimits {
            stdout_max: MOST,
            stderr_tail_max: MOST,
            timeout: time,
        };
        let said = run_captured(command, limits, cancel, &mut |_, _| {}).await?;
        if said.cancelled {
            return Err(EngineError::Cancelled);
        }
        if said.timed_out {
            return Err(EngineError::TooSlow {
                engine: self.engine,
                time,
            });
        }
        Ok(said)
    }

    /// One that is not looked for.
    #[cfg(test)]
    pub(crate) fn for_tests(engine: Engine, is_rootless: bool, variables: &[(&str, &str)]) -> Self {
        Self {
            engine,
            path: PathBuf::from(engine.name()),
            options: Vec::new(),
            is_rootless,
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    /// The variables of its own process.
    pub fn environment(&self) -> impl Iterator<Item = (String, String)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
    }
}

/// The last line that an engine wrote to its standard error, which is where it says what went wrong.
pub(crate) fn reason(said: &Captured) -> String {
    let text = said.stderr_text();
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map_or_else(|| format!("it ended with {}", said.status), str::to_owned)
}

/// What podman has to be told of a machine, because it takes for granted what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    /// Whether systemd manages the control groups.
    has_systemd: bool,
    /// Whether control groups of both versions are mounted, which `crun` refuses.
    is_hybrid: bool,
    has_runc: bool,
}

impl Machine {
    fn look(has_runc: bool) -> Self {
        let is_there = |path: &str| Path::new(path).exists();
        Self {
            has_systemd: is_there("/run/systemd/system"),
            is_hybrid: is_there("/sys/fs/cgroup/unified/cgroup.controllers")
                && !is_there("/sys/fs/cgroup/cgroup.controllers"),
            has_runc,
        }
    }
}

fn podman_options(machine: Machine) -> Vec<String> {
    let mut options = Vec::new();
    if !machine.has_systemd {
        options.push("--cgroup-manager=cgroupfs".to_owned());
    }
    if machine.is_hybrid && machine.has_runc {
        options.push("--runtime=runc".to_owned());
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_is_told_what_is_not_there() {
        let mut machine = Machine {
            has_systemd: true,
            is_hybrid: false,
            has_runc: true,
        };
        assert_eq!(podman_options(machine), Vec::<String>::new());
        machine.is_hybrid = true;
        assert_eq!(podman_options(machine), ["--runtime=runc"]);
        machine.has_runc = false;
        machine.has_systemd = false;
        assert_eq!(podman_options(machine), ["--cgroup-manager=cgroupfs"]);
    }
}
