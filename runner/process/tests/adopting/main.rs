//! Trees of a process that adopts orphans.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
#[expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]
mod support;

use std::time::{Duration, Instant};

use support::{LONG, assert_all_gone, forker, is_running, numbers, script, started};
use wrun_process::{Command, Out, adopt_orphans, spawn};

#[tokio::test]
async fn adopted_daemons_are_ended_and_reaped() {
    adopt_orphans().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let (mut tree, _stdout) = started(&forker(&file, "exit 0")).await;
    assert!(tree.wait().await.unwrap().success());
    tree.end(Duration::from_millis(50)).await.unwrap();
    assert_all_gone(&file);
}

#[tokio::test]
async fn the_end_of_one_tree_leaves_another_alone() {
    adopt_orphans().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let (mut ended, _stdout) = started(&forker(&first, "exit 0")).await;
    let (mut kept, _other) = started(&forker(&second, "read line")).await;
    ended.wait().await.unwrap();
    ended.end(Duration::from_millis(50)).await.unwrap();
    assert_all_gone(&first);
    assert!(numbers(&second).into_iter().all(is_running));
    kept.end(Duration::ZERO).await.unwrap();
    assert_all_gone(&second);
}

#[tokio::test]
async fn a_clean_run_costs_little_more_than_a_plain_one() {
    const RUNS: u32 = 50;
    adopt_orphans().unwrap();
    let program = "/bin/true";
    let command = || Command {
        program: program.into(),
        args: Vec::new(),
        stdout: Out::Null,
        stderr: Out::Null,
        ..script("")
    };
    let mut best = [Duration::MAX; 2];
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut plain = std::process::Command::new(program);
        assert!(
            plain
                .stdin(std::process::Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        best[0] = best[0].min(start.elapsed());
        let start = Instant::now();
        let mut tree = spawn(command()).unwrap();
        assert!(tree.wait().await.unwrap().success());
        tree.end(LONG).await.unwrap();
        best[1] = best[1].min(start.elapsed());
    }
    println!("plain {:?}, as a tree {:?}", best[0], best[1]);
    assert!(best[1] < best[0] + Duration::from_millis(5), "{best:?}");
}
