//! Components of WASI 0.2.

use wrun_core::net::Net;
use wrun_core::outcome::Outcome;

use super::*;
use crate::GuestKind;

#[tokio::test]
async fn the_result_of_run_is_the_exit_code() {
    assert_eq!(
        run(&component("", "i32.const 0"), Limits::default())
            .await
            .outcome,
        exited(0)
    );
    assert_eq!(
        run(&component("", "i32.const 1"), Limits::default())
            .await
            .outcome,
        exited(1)
    );
}

#[tokio::test]
async fn kinds_are_told_apart() {
    let runtime = runtime(false);
    assert_eq!(
        load(&runtime, &component("", "i32.const 0"))
            .await
            .unwrap()
            .kind(),
        GuestKind::Component
    );
    let module = r#"(module (func (export "_start")))"#;
    assert_eq!(load(&runtime, module).await.unwrap().kind(), GuestKind::Module);
}

#[tokio::test]
async fn a_component_traps_with_a_backtrace() {
    let text = component("(func $inner unreachable)", "call $inner i32.const 0");
    let Outcome::Trapped { message, backtrace } = run(&text, Limits::default()).await.outcome else {
        panic!()
    };
    assert_eq!(message, "wasm `unreachable` instruction executed");
    assert_eq!(backtrace, ["main!inner", "main!run"]);
}

#[tokio::test]
async fn exit_ends_a_component() {
    let text = r#"(component
        (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
        (core func $exit (canon lower (func $exit "exit")))
        (core module $main
            (import "host" "exit" (func $exit (param i32)))
            (func (export "run") (result i32) (call $exit (i32.const 1)) unreachable))
        (core instance $main (instantiate $main (with "host" (instance (export "exit" (func $exit))))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;
    assert_eq!(run(text, Limits::default()).await.outcome, exited(1));
}

/// Writes to standard output until the stream fails.
const WRITES: &str = r#"(component
    (import "wasi:io/error@0.2.0" (instance $error-api (export "error" (type (sub resource)))))
    (alias export $error-api "error" (type $error))
    (import "wasi:io/streams@0.2.0" (instance $streams
        (alias outer 1 $error (type $outer-error))
        (export "error" (type $stream-io-error (eq $outer-error)))
        (export "output-stream" (type $stream (sub resource)))
        (type $failure-variant (variant (case "last-operation-failed" (own $stream-io-error)) (case "closed")))
        (export "stream-error" (type $failure (eq $failure-variant)))
        (export "[method]output-stream.blocking-write-and-flush" (func
            (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $failure)))))))
    (alias export $streams "output-stream" (type $stream))
    (import "wasi:cli/stdout@0.2.0" (instance $stdout
        (alias outer 1 $stream (type $outer-stream))
        (export "output-stream" (type $own-stream (eq $outer-stream)))
        (export "get-stdout" (func (result (own $own-stream))))))
    (core module $memory (memory (export "memory") 1) (data (i32.const 0) "0123456789"))
    (core instance $memory (instantiate $memory))
    (core func $get-stdout (canon lower (func $stdout "get-stdout")))
    (core func $write (canon lower
        (func $streams "[method]output-stream.blocking-write-and-flush")
        (memory (core memory $memory "memory"))))
    (core module $main
        (import "host" "get-stdout" (func $get-stdout (result i32)))
        (import "host" "write" (func $write (param i32 i32 i32 i32)))
        (import "host" "memory" (memory 1))
        (func (export "run") (result i32) (local $stream i32)
            (local.set $stream (call $get-stdout))
            (loop $again
                (call $write (local.get $stream) (i32.const 0) (i32.const 10) (i32.const 64))
                (br_if $again (i32.eqz (i32.load8_u (i32.const 64)))))
            i32.const 1))
    (core instance $main (instantiate $main (with "host" (instance
        (export "get-stdout" (func $get-stdout))
        (export "write" (func $write))
        (export "memory" (memory $memory "memory"))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $command (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $command)))"#;

#[tokio::test]
async fn the_output_limit_ends_a_component() {
    let ran = run(
        WRITES,
        Limits {
            output: Some(25),
            ..Limits::default()
        },
    )
    .await;
    assert_eq!(
        (ran.outcome, ran.out.as_str()),
        (Outcome::OutputLimit { limit: 25 }, "0123456789012345678901234")
    );
}

/// Resolves a name; fails if that is refused.
fn resolves(name: &str) -> String {
    format!(
        r#"(component
        (import "wasi:sockets/network@0.2.0" (instance $network-api
            (export "network" (type (sub resource)))
            (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
                "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
                "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
                "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
                "permanent-resolver-failure"))
            (export "error-code" (type (eq $codes)))))
        (alias export $network-api "network" (type $network))
        (alias export $network-api "error-code" (type $code))
        (import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
            (alias outer 1 $network (type $outer-network))
            (export "network" (type $own-network (eq $outer-network)))
            (export "instance-network" (func (result (own $own-network))))))
        (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
            (alias outer 1 $network (type $outer-network))
            (export "network" (type $own-network (eq $outer-network)))
            (alias outer 1 $code (type $outer-code))
            (export "error-code" (type $own-code (eq $outer-code)))
            (export "resolve-address-stream" (type $stream (sub resource)))
            (export "resolve-addresses" (func
                (param "network" (borrow $own-network)) (param "name" string)
                (result (result (own $stream) (error $own-code)))))))
        (core module $memory (memory (export "memory") 1) (data (i32.const 0) "{name}"))
        (core instance $memory (instantiate $memory))
        (core func $network (canon lower (func $instance-network "instance-network")))
        (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory (core memory $memory "memory"))))
        (core module $main
            (import "host" "network" (func $network (result i32)))
            (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
            (import "host" "memory" (memory 1))
            (func (export "run") (result i32)
                (call $resolve (call $network) (i32.const 0) (i32.const {length}) (i32.const 512))
                (i32.load8_u (i32.const 512))))
        (core instance $main (instantiate $main (with "host" (instance
            (export "network" (func $network))
            (export "resolve" (func $resolve))
            (export "memory" (memory $memory "memory"))))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#,
        length = name.len()
    )
}

#[tokio::test]
async fn only_listed_names_are_resolved() {
    let with = |net: Net| {
        let mut task = limited(Limits::default());
        task.grants.net = net;
        task
    };
    let listed = Net::Listed(vec![
        "localhost:*".parse().unwrap(),
        "127.0.0.1:80".parse().unwrap(),
    ]);
    for (name, net, expected) in [
        ("localhost", listed.clone(), 0),
        ("127.0.0.1", listed.clone(), 0),
        ("127.0.0.2", listed.clone(), 1),
        ("localhost.example.org", listed, 1),
        ("127.0.0.2", Net::All, 0),
        ("127.0.0.1", Net::None, 1),
    ] {
        let ran = run_with(&resolves(name), with(net), Stdin::Null).await;
        assert_eq!(ran.outcome, exited(expected), "{name}");
    }
}
