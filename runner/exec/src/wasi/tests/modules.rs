//! Core modules of WASI 0.1.

use wrun_core::outcome::Outcome;

use super::*;

fn exits_with(code: i32) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") i32.const {code} call $exit unreachable))"#
    )
}

/// Writes `length` bytes at address 64 to a descriptor; the result of the call is dropped.
fn writes(descriptor: u32, times: u32, text: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\40\00\00\00\{:02x}\00\00\00")
            (data (i32.const 64) "{text}")
            (func (export "_start") (local $left i32)
                (local.set $left (i32.const {times}))
                (loop $again
                    (drop (call $write (i32.const {descriptor}) (i32.const 0) (i32.const 1) (i32.const 16)))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $again (local.get $left)))))"#,
        text.len()
    )
}

#[tokio::test]
async fn a_module_that_returns_has_succeeded() {
    let ran = run(r#"(module (func (export "_start")))"#, Limits::default()).await;
    assert_eq!(ran.outcome, exited(0));
}

#[tokio::test]
async fn exit_codes_are_handed_on_as_they_are() {
    for code in [0, 1, 42, 125, 126, 255, 256, -1] {
        assert_eq!(
            run(&exits_with(code), Limits::default()).await.outcome,
            exited(code)
        );
    }
}

#[tokio::test]
async fn both_streams_reach_the_sink() {
    let out = run(&writes(1, 2, "hello"), Limits::default()).await;
    assert_eq!(
        (out.outcome, out.out.as_str(), out.err.as_str()),
        (exited(0), "hellohello", "")
    );
    let err = run(&writes(2, 1, "hello"), Limits::default()).await;
    assert_eq!(
        (err.outcome, err.out.as_str(), err.err.as_str()),
        (exited(0), "", "hello")
    );
}

#[tokio::test]
async fn a_trap_has_a_readable_backtrace() {
    let text = r#"(module $guest
        (func $inner (@name "_ZN4core9panicking5panic17h0123456789abcdefE") unreachable)
        (func $middle call $inner)
        (func $outer (export "_start") call $middle))"#;
    let Outcome::Trapped { message, backtrace } = run(text, Limits::default()).await.outcome else {
        panic!()
    };
    assert_eq!(message, "wasm `unreachable` instruction executed");
    assert_eq!(
        backtrace,
        ["guest!core::panicking::panic", "guest!middle", "guest!outer"]
    );
}

#[tokio::test]
async fn a_stack_overflow_is_a_trap_with_a_bounded_backtrace() {
    let text = r#"(module $guest (func $deeper (export "_start") call $deeper))"#;
    let Outcome::Trapped { message, backtrace } = run(text, Limits::default()).await.outcome else {
        panic!()
    };
    assert_eq!(message, "call stack exhausted");
    assert_eq!(backtrace, vec!["guest!deeper"; 32]);
}

#[tokio::test]
async fn traps_are_named() {
    for (body, expected) in [
        (
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "integer divide by zero",
        ),
        ("(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
        ("(call_indirect (i32.const 0))", "uninitialized element"),
    ] {
        let text = format!(r#"(module (memory 1) (table 1 funcref) (func (export "_start") {body}))"#);
        let Outcome::Trapped { message, .. } = run(&text, Limits::default()).await.outcome else {
            panic!()
        };
        assert_eq!(message, expected);
    }
}

#[tokio::test]
async fn a_data_segment_out_of_bounds_is_the_guests_own_trap() {
    let text = r#"(module (memory 1) (data (i32.const 65536) "x") (func (export "_start")))"#;
    let Outcome::Trapped { message, .. } = run(text, Limits::default()).await.outcome else {
        panic!()
    };
    assert_eq!(message, "out of bounds memory access");
}

/// Prints what `args_get` or `environ_get` write into the buffer.
fn prints(list: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "{list}_sizes_get" (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "{list}_get" (func $get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (drop (call $sizes (i32.const 0) (i32.const 12)))
                (drop (call $get (i32.const 1024) (i32.const 4096)))
                (i32.store (i32.const 8) (i32.const 4096))
                (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))))"#
    )
}

#[tokio::test]
async fn arguments_and_variables_are_those_of_the_task_and_no_others() {
    let mut task = limited(Limits::default());
    task.args = vec!["one".into(), "two words".into()];
    task.env = BTreeMap::from([("B".into(), "2".into()), ("A".into(), "1".into())]);
    let args = run_with(&prints("args"), task.clone(), Stdin::Null).await;
    assert_eq!(args.out, "guest\0one\0two words\0");
    let variables = run_with(&prints("environ"), task, Stdin::Null).await;
    assert_eq!(variables.out, "A=1\0B=2\0");
    assert_eq!(run(&prints("environ"), Limits::default()).await.out, "");
}

/// Copies up to 64 bytes of standard input to standard output, and exits with the number of bytes.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\40\00\00\00")
    (func (export "_start")
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
        (call $exit (i32.load (i32.const 4)))))"#;

#[tokio::test]
async fn standard_input_is_bytes_or_nothing() {
    let bytes = run_with(ECHO, limited(Limits::default()), Stdin::Bytes(b"hello".to_vec())).await;
    assert_eq!((bytes.outcome, bytes.out.as_str()), (exited(5), "hello"));
    let nothing = run_with(ECHO, limited(Limits::default()), Stdin::Null).await;
    assert_eq!((nothing.outcome, nothing.out.as_str()), (exited(0), ""));
}

#[tokio::test]
async fn output_up_to_the_limit_is_fine_and_one_byte_more_is_not() {
    let limits = |bytes| Limits {
        output: Some(bytes),
        ..Limits::default()
    };
    let fits = run(&writes(1, 2, "hello"), limits(10)).await;
    assert_eq!((fits.outcome, fits.out.as_str()), (exited(0), "hellohello"));
    let too_much = run(&writes(2, 1_000_000, "hello"), limits(9)).await;
    assert_eq!(
        (too_much.outcome, too_much.err.as_str()),
        (Outcome::OutputLimit { limit: 9 }, "hellohell")
    );
}

struct Broken;

impl OutputSink for Broken {
    fn write(&self, _stream: Stream, _bytes: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }
}

#[tokio::test]
async fn a_guest_is_told_that_its_sink_is_gone() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\40\00\00\00\01\00\00\00")
        (func (export "_start")
            (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;
    let runtime = runtime(false);
    let guest = load(&runtime, text).await.unwrap();
    let stdio = Stdio {
        stdin: Stdin::Null,
        output: Output::Sink(Arc::new(Broken)),
        terminal: None,
    };
    let report = runtime
        .run(
            &guest,
            limited(Limits::default()),
            stdio,
            CancellationToken::new(),
        )
        .await
        .unwrap();
    assert!(
        matches!(report.outcome, Outcome::Exited { code } if code != 0),
        "{report:?}"
    );
}
