//! Tools that are run for their output.

use std::time::Duration;

use crate::support::{LONG, assert_all_gone, forker, script};
use tokio_util::sync::CancellationToken;
use wrun_process::{CaptureLimits, Captured, Stream, run_captured};

const LIMITS: CaptureLimits = CaptureLimits {
    stdout_max: 1 << 20,
    stderr_tail_max: 10,
    timeout: LONG,
};

async fn run(text: &str, limits: CaptureLimits) -> (Captured, Vec<(Stream, String)>) {
    let mut lines = Vec::new();
    let captured = run_captured(
        script(text),
        limits,
        &CancellationToken::new(),
        &mut |stream, line| {
            lines.push((stream, line.to_owned()));
        },
    )
    .await
    .unwrap();
    (captured, lines)
}

#[tokio::test]
async fn output_lines_and_exit_are_kept() {
    let (captured, lines) = run("echo one; echo 0123456789abc >&2; printf two; exit 4", LIMITS).await;
    assert_eq!(captured.stdout_text(), "one\ntwo");
    assert_eq!(captured.stderr_text(), "456789abc\n");
    assert_eq!((captured.exit, captured.signal), (Some(4), None));
    assert!(!captured.is_success());
    for line in [
        (Stream::Stdout, "one"),
        (Stream::Stdout, "two"),
        (Stream::Stderr, "0123456789abc"),
    ] {
        assert!(lines.contains(&(line.0, line.1.to_owned())), "{lines:?}");
    }
}

#[tokio::test]
async fn too_much_output_ends_the_tool() {
    let limits = CaptureLimits {
        stdout_max: 1000,
        ..LIMITS
    };
    let (captured, _) = run("exec yes", limits).await;
    assert!(captured.too_large);
    assert_eq!(captured.stdout.len(), 1000);
    let (captured, _) = run("head -c 1000 /dev/zero", limits).await;
    assert!(captured.is_success());
    let (captured, _) = run("head -c 1001 /dev/zero", limits).await;
    assert!(captured.too_large && !captured.is_success());
}

#[tokio::test]
async fn a_tool_out_of_time_is_gone_with_its_daemons() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let limits = CaptureLimits {
        timeout: Duration::from_secs(5),
        ..LIMITS
    };
    let (captured, lines) = run(&forker(&file, "while :; do sleep 1; done"), limits).await;
    assert!(captured.timed_out);
    assert_eq!(captured.signal, Some(9));
    assert_eq!(lines, [(Stream::Stdout, "ready".to_owned())]);
    assert_all_gone(&file);
}

#[tokio::test]
async fn a_cancelled_tool_is_ended() {
    let cancel = CancellationToken::new();
    let mut on_line = |_: Stream, _: &str| cancel.cancel();
    let captured = run_captured(
        script("echo ready; exec sleep 1000"),
        LIMITS,
        &cancel,
        &mut on_line,
    )
    .await
    .unwrap();
    assert!(captured.cancelled);
    assert_eq!(captured.signal, Some(15));
}

#[tokio::test]
async fn a_daemon_that_holds_the_pipes_does_not_hold_the_run() {
    let (captured, _) = run("sleep 1000 & echo done", LIMITS).await;
    assert_eq!(captured.stdout_text(), "done\n");
    assert!(captured.is_success());
}

#[tokio::test]
async fn a_run_can_move_between_threads() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let cancel = CancellationToken::new();
    let mut on_line = |_: Stream, _: &str| {};
    let captured = assert_send(run_captured(script("exit 0"), LIMITS, &cancel, &mut on_line))
        .await
        .unwrap();
    assert!(captured.is_success());
}
