//! What the tests of process trees share.
#![expect(clippy::disallowed_methods, reason = "tests read and write scratch files")]

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wrun_process::{Command, Out, OutputPipe, Tree, spawn};

/// Long enough to never be waited for.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A shell script as a command, with standard output as a pipe.
pub(crate) fn script(text: &str) -> Command {
    Command {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), text.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        stdout: Out::Piped,
        ..Command::default()
    }
}

/// A script that starts 100 processes, each in a session of its own and without its parent, none of which minds
/// `SIGTERM`. It writes their numbers to the file, `ready` to standard output, and then does what `after` says.
pub(crate) fn forker(file: &Path, after: &str) -> String {
    let file = file.display();
    format!(
        "trap '' TERM
        for i in $(seq 100); do (setsid sh -c 'echo $$ >> {file}; exec sleep 1000' > /dev/null 2>&1 < /dev/null &); done
        while [ $(wc -l < {file}) -lt 100 ]; do :; done
        echo ready
        {after}"
    )
}

/// The numbers that a script wrote.
pub(crate) fn numbers(file: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(file).unwrap();
    text.split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

/// Whether a process runs.
pub(crate) fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !matches!(
            stat.rsplit(") ").next().and_then(|rest| rest.chars().next()),
            Some('Z' | 'X')
        )
    })
}

/// Asserts that there were 100 and that none is left.
pub(crate) fn assert_all_gone(file: &Path) {
    let numbers = numbers(file);
    assert_eq!(numbers.len(), 100);
    let left: Vec<u32> = numbers.into_iter().filter(|pid| is_running(*pid)).collect();
    assert_eq!(left, Vec::<u32>::new());
}

/// Reads standard output up to and with a text.
pub(crate) async fn read_until(pipe: &mut OutputPipe, text: &str) -> String {
    let ended = CancellationToken::new();
    let mut got = String::new();
    while !got.contains(text) {
        let bytes = pipe.next(&ended).await.unwrap();
        assert!(!bytes.is_empty(), "ended after {got:?}");
        got.push_str(std::str::from_utf8(bytes).unwrap());
    }
    got
}

/// Starts a script and waits until it says `ready`.
pub(crate) async fn started(text: &str) -> (Tree, OutputPipe) {
    let mut tree = spawn(script(text)).unwrap();
    let mut stdout = tree.take_stdout().unwrap();
    read_until(&mut stdout, "ready").await;
    (tree, stdout)
}
