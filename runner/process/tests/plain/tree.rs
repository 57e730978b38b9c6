//! Starting, signalling and ending trees.
#![expect(clippy::disallowed_methods, reason = "tests read and write scratch files")]

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use crate::support::{LONG, assert_all_gone, forker, is_running, read_until, script, started};
use tokio_util::sync::CancellationToken;
use wrun_process::{Command, MARK, Out, ProcessError, Signal, Stdin, spawn};

#[tokio::test]
async fn exit_codes_and_signals_are_exact() {
    for code in [0, 1, 2, 127, 128, 255] {
        let mut tree = spawn(script(&format!("exit {code}"))).unwrap();
        assert_eq!(tree.wait().await.unwrap().code(), Some(code));
        assert_eq!(tree.end(LONG).await.unwrap().code(), Some(code));
    }
    let mut tree = spawn(script("kill -SEGV $$")).unwrap();
    assert_eq!(tree.wait().await.unwrap().signal(), Some(11));
    assert!(tree.usage().is_some());
}

#[tokio::test]
async fn each_reason_not_to_start_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let start = |program: &Path, cwd: &Path| {
        spawn(Command {
            program: program.into(),
            cwd: cwd.into(),
            ..Command::default()
        })
        .unwrap_err()
    };
    let root = Path::new("/");
    let missing = folder.path().join("missing");
    assert!(matches!(start(&missing, root), ProcessError::NotFound { program } if program == missing));
    assert!(matches!(
        start(&file("f", "", 0o755).join("x"), root),
        ProcessError::NotFound { .. }
    ));
    let cwd = start(Path::new("/bin/sh"), &missing);
    assert!(
        matches!(&cwd, ProcessError::WorkingFolder { cwd, .. } if *cwd == missing),
        "{cwd}"
    );
    let broken = folder.path().join("broken");
    std::os::unix::fs::symlink("nowhere", &broken).unwrap();
    for (program, words) in [
        (folder.path().to_owned(), "it is a folder"),
        (file("plain", "#!/bin/sh\n", 0o644), "no permission"),
        (
            file("orphan", "#! /no/such/interpreter -x\n", 0o755),
            "`/no/such/interpreter` does not exist",
        ),
        (
            file("bare", "echo a shell ran this\n", 0o755),
            "neither a program",
        ),
        (file("empty", "", 0o755), "neither a program"),
        (broken, "symbolic link to `nowhere`"),
    ] {
        match start(&program, root) {
            ProcessError::NotExecutable { reason, .. } => assert!(reason.contains(words), "{reason}"),
            other => panic!("{program:?}: {other}"),
        }
    }
}

#[tokio::test]
async fn text_that_no_process_can_have_is_refused() {
    for command in [
        Command {
            args: vec!["a\0b".into()],
            ..script("")
        },
        Command {
            env: vec![("A=B".into(), "c".into())],
            ..script("")
        },
        Command {
            env: vec![("A".into(), "\0".into())],
            ..script("")
        },
    ] {
        assert!(matches!(
            spawn(command).unwrap_err(),
            ProcessError::InvalidText { .. }
        ));
    }
}

#[tokio::test]
async fn a_tree_has_its_own_session_and_exactly_its_environment() {
    let env = vec![("A".into(), "1".into()), ("B".into(), String::new().into())];
    let mut tree = spawn(Command {
        program: "/usr/bin/env".into(),
        args: vec!["-0".into()],
        env,
        ..script("")
    })
    .unwrap();
    let mut stdout = tree.take_stdout().unwrap();
    let text = read_until(&mut stdout, MARK).await;
    let (given, mark) = text.split_at(text.find(MARK).unwrap());
    assert_eq!(given, "A=1\0B=\0");
    assert_eq!(mark.split('\0').count(), 2, "{mark}");
    tree.end(LONG).await.unwrap();

    let mut tree = spawn(script("ps -o sid= -o pgid= -p $$; echo ready")).unwrap();
    let text = read_until(&mut tree.take_stdout().unwrap(), "ready").await;
    let pid = tree.pid().to_string();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), [&pid, &pid, "ready"]);
    tree.end(LONG).await.unwrap();
}

#[tokio::test]
async fn only_the_descriptors_that_are_given_are_handed_on() {
    let (kept, other): (OwnedFd, OwnedFd) = (
        tempfile::tempfile().unwrap().into(),
        tempfile::tempfile().unwrap().into(),
    );
    rustix::io::fcntl_setfd(&other, rustix::io::FdFlags::empty()).unwrap();
    let (yes, no) = (kept.as_raw_fd(), other.as_raw_fd());
    let test = format!("[ -e /proc/$$/fd/{yes} ] && [ ! -e /proc/$$/fd/{no} ]");
    let mut tree = spawn(Command {
        inherit: vec![kept],
        stdin: Stdin::Null,
        ..script(&test)
    })
    .unwrap();
    assert_eq!(tree.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_tree_of_daemons_is_gone_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let (mut tree, _stdout) = started(&forker(&file, "while :; do sleep 1; done")).await;
    let status = tree.end(Duration::from_millis(50)).await.unwrap();
    assert_eq!(status.signal(), Some(9));
    assert_all_gone(&file);
}

#[tokio::test]
async fn daemons_that_outlive_the_main_process_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let (mut tree, _stdout) = started(&forker(&file, "exit 3")).await;
    assert_eq!(tree.wait().await.unwrap().code(), Some(3));
    assert_eq!(tree.end(Duration::from_millis(50)).await.unwrap().code(), Some(3));
    assert_all_gone(&file);
}

#[tokio::test]
async fn a_dropped_tree_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let (tree, _stdout) = started(&forker(&file, "while :; do sleep 1; done")).await;
    let pid = tree.pid();
    drop(tree);
    assert!(!is_running(pid));
    assert_all_gone(&file);
}

#[tokio::test]
async fn a_tree_that_heeds_the_signal_ends_by_itself() {
    let (mut tree, mut stdout) =
        started("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done").await;
    // Stopped processes have to be woken to heed it.
    tree.signal(Signal::STOP);
    assert_eq!(tree.end(LONG).await.unwrap().code(), Some(7));
    let ended = CancellationToken::new();
    ended.cancel();
    assert_eq!(stdout.next(&ended).await.unwrap(), b"bye\n");
    assert_eq!(stdout.next(&ended).await.unwrap(), b"");
}

#[tokio::test]
async fn a_signal_goes_to_the_group() {
    let (mut tree, mut stdout) =
        started("trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.01; done").await;
    tree.signal(Signal::USR1);
    read_until(&mut stdout, "got").await;
    assert_eq!(tree.wait().await.unwrap().code(), Some(5));
}

#[test]
fn a_tree_dies_with_the_thread_that_started_it() {
    let (pid, watch) = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let command = Command {
                stdout: Out::Piped,
                die_with_parent: true,
                ..script("echo ready; exec sleep 1000")
            };
            let mut tree = spawn(command).unwrap();
            read_until(&mut tree.take_stdout().unwrap(), "ready").await;
            let pid = tree.pid();
            let number = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            let watch = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()).unwrap();
            std::mem::forget(tree);
            (pid, watch)
        })
    })
    .join()
    .unwrap();
    let timeout = rustix::event::Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    let ready = rustix::event::poll(
        &mut [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)],
        Some(&timeout),
    );
    assert_eq!(ready, Ok(1));
    assert!(!is_running(pid));
}
