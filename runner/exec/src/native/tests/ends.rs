//! How tasks end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wrun_core::outcome::Outcome;

use super::{LONG, Memory, outcome_of, run, script, task};
use crate::stdio::{Output, OutputSink, Stdio};

fn is_running(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !matches!(
            stat.rsplit(") ").next().and_then(|rest| rest.chars().next()),
            Some('Z' | 'X')
        )
    })
}

fn into(sink: Arc<Memory>) -> Stdio {
    Stdio {
        output: Output::Sink(sink as Arc<dyn OutputSink>),
        ..Stdio::default()
    }
}

#[tokio::test]
async fn every_exit_code_is_exact() {
    for code in 0..=255 {
        let report = run(
            script(&format!("exit {code}")),
            Stdio::default(),
            CancellationToken::new(),
            None,
        )
        .await
        .unwrap();
        assert_eq!(report.outcome, Outcome::Exited { code });
    }
}

#[tokio::test]
async fn signals_have_names() {
    for (signal, name) in [(6, "SIGABRT"), (9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM")] {
        let (outcome, _) = outcome_of(script(&format!("kill -{signal} $$"))).await;
        assert_eq!(
            outcome,
            Outcome::Signalled {
                signal,
                name: name.into()
            }
        );
    }
}

#[tokio::test]
async fn a_task_out_of_time_is_gone_with_every_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let path = file.display();
    let limit = Duration::from_secs(5);
    let mut forker = script(&format!(
        "trap '' TERM
        for i in $(seq 100); do (setsid sh -c 'echo $$ >> {path}; exec sleep 1000' &); done
        while [ $(wc -l < {path}) -lt 100 ]; do :; done
        echo ready
        while :; do sleep 1; done"
    ));
    forker.confinement.limits.time = Some(limit);
    forker.grace = Duration::from_millis(100);
    let (outcome, sink) = outcome_of(forker).await;
    assert_eq!(outcome, Outcome::TimedOut { limit });
    assert_eq!(sink.text(), "ready\n");
    let pids = std::fs::read_to_string(file).unwrap();
    assert_eq!(pids.lines().count(), 100);
    assert_eq!(pids.lines().filter(|pid| is_running(pid)).count(), 0);
}

#[tokio::test]
async fn a_background_child_that_holds_the_pipes_does_not_hold_the_run() {
    let (outcome, sink) = outcome_of(script("sleep 1000 & echo $!; exit 3")).await;
    assert_eq!(outcome, Outcome::Exited { code: 3 });
    assert!(!is_running(sink.text().trim_end()));
}

#[tokio::test]
async fn a_cancelled_task_is_ended_and_its_last_words_are_kept() {
    let cancel = CancellationToken::new();
    let now = cancel.clone();
    let sink = Memory::with_hook(move |_| {
        now.cancel();
        Ok(())
    });
    let waits = script("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    let report = run(waits, into(Arc::clone(&sink)), cancel, None).await.unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert_eq!(sink.text(), "ready\nbye\n");
}

#[tokio::test]
async fn a_task_cancelled_before_its_start_does_not_start() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let report = run(task(&["no-such-command"]), Stdio::default(), cancel, None)
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn signals_are_passed_on() {
    let (send, receive) = mpsc::channel(4);
    let sink = Memory::with_hook(move |text| {
        if text == b"ready\n" {
            // A number that is no signal is passed over.
            send.try_send(12345).unwrap();
            send.try_send(12).unwrap();
        }
        Ok(())
    });
    let waits = script("trap 'echo got; exit 9' USR2; echo ready; while :; do sleep 0.01; done");
    let report = tokio::time::timeout(
        LONG,
        run(
            waits,
            into(Arc::clone(&sink)),
            CancellationToken::new(),
            Some(receive),
        ),
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(report.outcome, Outcome::Exited { code: 9 });
    // The shell tells of the background process that the signal ended on standard error.
    assert!(
        sink.text().starts_with("ready\ngot\n"),
        "{}",
        String::from_utf8_lossy(&sink.stderr())
    );
}
