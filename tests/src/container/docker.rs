//! A docker engine of a test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::command::Collected;
use crate::{files, machine, skipped};

/// How long the engine may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the engine says when it can be talked to.
const READY: &str = "API listen on";

/// A running `dockerd` with all that it keeps in a folder of its own, and without a network of its own. It ends with this.
pub struct Docker {
    engine: Child,
    folder: tempfile::TempDir,
}

impl Docker {
    /// Starts one. `mirror` is a registry (`127.0.0.1:5000`) that it asks for what is of `docker.io`. `None` where it cannot
    /// be started, after saying why.
    #[must_use]
    pub fn start(mirror: Option<&str>) -> Option<Self> {
        if !machine::is_root() {
            skipped("dockerd: only root can start it");
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("wrun-docker-")
            .tempdir()
            .expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        files::write(&at("daemon.json"), "{}");
        let mut command = Command::new("dockerd");
        let option = |name: &str, value: PathBuf| format!("--{name}={}", value.display());
        command
            .arg(option("config-file", at("daemon.json")))
            .arg(option("data-root", at("data")))
            .arg(option("exec-root", at("exec")))
            .arg(option("pidfile", at("pid")))
            .arg(format!("--host=unix://{}", at("socket").display()))
            .args([
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ]);
        if let Some(mirror) = mirror {
            command.arg(format!("--registry-mirror=http://{mirror}"));
        }
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut engine = match started {
            Ok(engine) => engine,
            Err(error) => {
                skipped(&format!("dockerd: {error}"));
                return None;
            }
        };
        let said = Collected::from(engine.stderr.take().expect("standard error is a pipe"));
        let holds = |said: &[u8]| String::from_utf8_lossy(said).contains(READY);
        let said = said.wait(PATIENCE, |said, is_all| is_all || holds(said));
        let docker = Self { engine, folder };
        if holds(&said) {
            return Some(docker);
        }
        let text = String::from_utf8_lossy(&said).into_owned();
        skipped(&format!("dockerd: {}", text.lines().last().unwrap_or_default()));
        None
    }

    /// Where it is reached: the value of `DOCKER_HOST`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // It ends its containers and what it mounted.
        let _ = kill_process(Pid::from_child(&self.engine), Signal::TERM);
        let _ = self.engine.wait();
    }
}
