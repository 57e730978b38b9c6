//! Time, memory, cancellation.

use std::time::{Duration, Instant};

use wrun_core::outcome::Outcome;

use super::*;

const LIMIT: Duration = Duration::from_millis(50);
const PAGE: u64 = 65536;

const LOOP: &str = r#"(module (func (export "_start") (loop $again br $again)))"#;

const LOOP_IN_START_FUNCTION: &str =
    r#"(module (func $start (loop $again br $again)) (start $start) (func (export "_start")))"#;

/// Sleeps for an hour in the host.
const SLEEP: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store8 (i32.const 8) (i32.const 0))
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 3600000000000))
        (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512)))))"#;

#[tokio::test]
async fn whatever_a_guest_does_its_time_ends() {
    let guests = [
        LOOP.to_owned(),
        LOOP_IN_START_FUNCTION.to_owned(),
        SLEEP.to_owned(),
        component("", "(loop $again br $again) i32.const 0"),
    ];
    for text in guests {
        let started = Instant::now();
        let ran = run(
            &text,
            Limits {
                time: Some(LIMIT),
                ..Limits::default()
            },
        )
        .await;
        assert_eq!(ran.outcome, Outcome::TimedOut { limit: LIMIT }, "{text}");
        assert!(started.elapsed() >= 2 * LIMIT);
    }
}

#[tokio::test]
async fn a_limit_that_is_not_reached_changes_nothing() {
    let limits = Limits {
        time: Some(Duration::from_mins(10)),
        memory: Some(PAGE),
        output: Some(0),
        ..Limits::default()
    };
    let ran = run(r#"(module (memory 1) (func (export "_start")))"#, limits).await;
    assert_eq!(ran.outcome, exited(0));
    let endless = Limits {
        time: Some(Duration::MAX),
        ..Limits::default()
    };
    assert_eq!(
        run(r#"(module (func (export "_start")))"#, endless).await.outcome,
        exited(0)
    );
}

#[tokio::test]
async fn a_busy_guest_can_be_cancelled_from_its_own_thread() {
    for text in [LOOP, LOOP_IN_START_FUNCTION, SLEEP] {
        let runtime = runtime(false);
        let guest = load(&runtime, text).await.unwrap();
        let cancel = CancellationToken::new();
        let run = run_guest(
            &runtime,
            &guest,
            limited(Limits::default()),
            Stdin::Null,
            cancel.clone(),
        );
        let (ran, ()) = tokio::join!(run, async { cancel.cancel() });
        assert_eq!(ran.unwrap().outcome, Outcome::Cancelled);
    }
}

#[tokio::test]
async fn a_cancelled_run_does_not_begin() {
    let runtime = runtime(true);
    let guest = load(&runtime, LOOP).await.unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ran = run_guest(&runtime, &guest, limited(Limits::default()), Stdin::Null, cancel)
        .await
        .unwrap();
    assert_eq!(ran.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn more_guests_than_slots_wait_for_each_other() {
    let runtime = runtime(true);
    let guest = load(&runtime, r#"(module (memory 1) (func (export "_start")))"#)
        .await
        .unwrap();
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (runtime, guest) = (runtime.clone(), guest.clone());
        runs.spawn(async move {
            let task = limited(Limits {
                time: Some(Duration::from_mins(10)),
                ..Limits::default()
            });
            run_guest(&runtime, &guest, task, Stdin::Null, CancellationToken::new())
                .await
                .unwrap()
                .outcome
        });
    }
    assert!(runs.join_all().await.iter().all(|outcome| *outcome == exited(0)));
}

fn memory(pages: u64) -> Limits {
    Limits {
        memory: Some(pages * PAGE),
        ..Limits::default()
    }
}

#[tokio::test]
async fn an_initial_memory_above_the_limit_does_not_start() {
    let text = r#"(module (memory 3) (func (export "_start")))"#;
    assert_eq!(
        run(text, memory(2)).await.outcome,
        Outcome::OutOfMemory { limit: 2 * PAGE }
    );
    assert_eq!(run(text, memory(3)).await.outcome, exited(0));
}

#[tokio::test]
async fn the_limit_is_on_the_sum_of_memories_and_tables() {
    let two = r#"(module (memory 2) (memory 2) (func (export "_start")))"#;
    assert_eq!(
        run(two, memory(3)).await.outcome,
        Outcome::OutOfMemory { limit: 3 * PAGE }
    );
    assert_eq!(run(two, memory(4)).await.outcome, exited(0));
    let with_table = r#"(module (memory 1) (table 16384 funcref) (func (export "_start")))"#;
    assert_eq!(
        run(with_table, memory(2)).await.outcome,
        Outcome::OutOfMemory { limit: 2 * PAGE }
    );
    assert_eq!(run(with_table, memory(3)).await.outcome, exited(0));
    let instances = r#"(component
        (core module $store (memory 2))
        (core instance (instantiate $store))
        (core instance (instantiate $store))
        (core module $main (func (export "run") (result i32) i32.const 0))
        (core instance $main (instantiate $main))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;
    assert_eq!(
        run(instances, memory(3)).await.outcome,
        Outcome::OutOfMemory { limit: 3 * PAGE }
    );
    assert_eq!(run(instances, memory(4)).await.outcome, exited(0));
}

/// Grows by one page until that fails, then does this.
fn grows(then: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (loop $again (br_if $again (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
                {then}))"#
    )
}

#[tokio::test]
async fn a_guest_that_copes_with_the_limit_succeeds_and_one_that_does_not_is_out_of_memory() {
    let out_of_memory = Outcome::OutOfMemory { limit: 8 * PAGE };
    assert_eq!(run(&grows(""), memory(8)).await.outcome, exited(0));
    assert_eq!(
        run(&grows("(call $exit (i32.const 0))"), memory(8)).await.outcome,
        exited(0)
    );
    assert_eq!(run(&grows("unreachable"), memory(8)).await.outcome, out_of_memory);
    assert_eq!(
        run(&grows("(call $exit (i32.const 7))"), memory(8)).await.outcome,
        out_of_memory
    );
}

#[tokio::test]
async fn a_trap_within_the_limit_stays_a_trap() {
    let text =
        r#"(module (memory 1 2) (func (export "_start") (drop (memory.grow (i32.const 5))) unreachable))"#;
    assert!(matches!(
        run(text, memory(4)).await.outcome,
        Outcome::Trapped { .. }
    ));
}

#[tokio::test]
async fn each_run_starts_from_nothing() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\01")
        (global $calls (mut i32) (i32.const 0))
        (func (export "_start")
            (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 1)) (then (call $exit (i32.const 1))))
            (if (i32.ne (memory.size) (i32.const 1)) (then (call $exit (i32.const 2))))
            (if (i32.ne (i32.load (i32.const 60000)) (i32.const 0)) (then (call $exit (i32.const 3))))
            (if (global.get $calls) (then (call $exit (i32.const 4))))
            (global.set $calls (i32.const 1))
            (i32.store8 (i32.const 0) (i32.const 9))
            (i32.store (i32.const 60000) (i32.const 9))
            (drop (memory.grow (i32.const 3)))
            (i32.store (i32.const 130000) (i32.const 9))))"#;
    for pooling in [false, true] {
        let runtime = runtime(pooling);
        let guest = load(&runtime, text).await.unwrap();
        for _ in 0..100 {
            let task = limited(Limits::default());
            let ran = run_guest(&runtime, &guest, task, Stdin::Null, CancellationToken::new())
                .await
                .unwrap();
            assert_eq!(ran.outcome, exited(0));
        }
    }
}
