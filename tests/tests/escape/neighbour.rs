//! A process beside the task, with something of everything that can be got at from outside of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The process, and where its things are.
pub(crate) struct Neighbour {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    /// What it is known by: its sockets, its key, its message queue, its file in `/dev/shm`.
    pub(crate) name: String,
    /// Its number.
    pub(crate) pid: u64,
    /// Where it has the marker in memory.
    pub(crate) address: String,
    /// The descriptor of the secret that it has open.
    pub(crate) descriptor: u64,
    /// The port that it answers on, through TCP.
    pub(crate) tcp: u64,
    /// The port that it answers on, through UDP.
    pub(crate) udp: u64,
    /// The key of what it shares after System V.
    pub(crate) ipc: String,
}

impl Neighbour {
    /// Starts one, as a user if this is root.
    pub(crate) fn start(program: &Path, prefix: &[String], name: &str, marker: &str, folder: &Path) -> Self {
        let mut words = prefix.to_vec();
        words.extend([program.display().to_string(), "decoy".to_owned()]);
        words.extend([name.to_owned(), marker.to_owned(), folder.display().to_string()]);
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .env("SECRET", marker)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {words:?}: {error}"));
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let found: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {words:?} said `{line}`"));
        assert!(found["pid"].is_u64(), "{words:?} said {found}");
        let number = |name: &str| {
            found[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name} of {found}"))
        };
        let text = |name: &str| {
            found[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name} of {found}"))
                .to_owned()
        };
        Self {
            child,
            stdin,
            stdout: Some(stdout),
            name: name.to_owned(),
            pid: number("pid"),
            address: text("address"),
            descriptor: number("descriptor"),
            tcp: number("tcp"),
            udp: number("udp"),
            ipc: text("ipc"),
        }
    }

    /// Ends it, and gives what it has said since it was started.
    pub(crate) fn end(&mut self) -> String {
        self.stdin = None;
        let mut said = String::new();
        if let Some(mut stdout) = self.stdout.take() {
            std::io::Read::read_to_string(&mut stdout, &mut said).unwrap();
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the neighbour ended with {status}");
        said
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.stdin = None;
        // It ends with its input, and takes with it what it has shared.
        drop(self.child.wait());
    }
}
