//! Starting this program again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which role a child has.
const ROLE: &str = "WRUN_STORE_TEST_ROLE";
/// Where its store is.
const ROOT: &str = "WRUN_STORE_TEST_ROOT";
/// What a child says when it is where it should be.
const READY: &str = "ready";

/// A child holds copies of all descriptors between fork and exec, also those of locks of other tests.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The arguments that make a test program run the one test that plays roles.
pub(crate) const ARGUMENTS: [&str; 3] = ["--exact", "roles::role", "--nocapture"];

/// Plays a role, in a child; does nothing in the tests themselves.
#[test]
fn role() {
    let (Ok(role), Some(root)) = (std::env::var(ROLE), std::env::var_os(ROOT)) else {
        return;
    };
    let root = Path::new(&root);
    match role.as_str() {
        "build" => crate::killed::build_half(root),
        "flight" => crate::killed::hold_flight(root),
        "part" => crate::killed::make_half_a_part(root),
        "race" => crate::killed::race_for_a_part(root),
        "parts" => crate::killed::use_environment_with_parts(root),
        "lease" => crate::killed::lease_for_a_child(root),
        "install" => crate::killed::flight_for_a_child(root),
        "full" => crate::disk::fill(root),
        "unprivileged" => crate::unprivileged::use_store(root),
        other => panic!("no role `{other}`"),
    }
}

/// Says that the point is reached, and stays there.
pub(crate) fn stay() -> ! {
    println!("\n{READY}");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

pub(crate) fn command(program: &str, arguments: &[&str], role: &str, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env(ROLE, role).env(ROOT, root);
    command
}

/// Runs a command to its end and shows what it said if it fails.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A child that has reached its point.
pub(crate) struct Actor {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Actor {
    pub(crate) fn start(role: &str, root: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = command(program.to_str().unwrap(), &ARGUMENTS, role, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line.trim_end() != READY {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "the child ended early");
        }
        Self { child, stdin, stdout }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the child as nothing can be ended more abruptly. Its own children live on, with both pipes.
    pub(crate) fn kill(mut self) -> Orphans {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Orphans {
            stdin: self.stdin,
            stdout: self.stdout,
        }
    }
}

/// The children of a child that was killed; they read to the end of their input.
pub(crate) struct Orphans {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Orphans {
    /// Lets them end and waits until they have closed their output.
    pub(crate) fn end(mut self) {
        drop(self.stdin);
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).unwrap();
    }
}
