//! Guests that are not run, and what is said about them.

use miette::Diagnostic as _;

use super::*;

async fn refusal(text: &str) -> (String, String) {
    let error = load(&runtime(false), text).await.unwrap_err();
    (error.to_string(), error.help().unwrap().to_string())
}

#[tokio::test]
async fn a_missing_import_is_named_with_what_it_means() {
    for (import, expected, hint) in [
        (r#""env" "puts""#, "env::puts", "Emscripten"),
        (r#""wasi" "thread-spawn""#, "wasi::thread-spawn", "threads"),
        (r#""wasi_unstable" "fd_write""#, "wasi_unstable::fd_write", "2019"),
        (
            r#""wasi_snapshot_preview1" "sock_connect""#,
            "wasi_snapshot_preview1::sock_connect",
            "no such function",
        ),
        (r#""host" "f""#, "host::f", "nothing else"),
    ] {
        let (message, help) = refusal(&format!(
            r#"(module (import {import} (func)) (func (export "_start")))"#
        ))
        .await;
        assert_eq!(
            message,
            format!("the guest imports `{expected}`, which this host does not have")
        );
        assert!(help.contains(hint), "{help}");
    }
    let (message, help) =
        refusal(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (func (export "_start")))"#)
            .await;
    assert!(
        message.contains("wasi_snapshot_preview1") && help.contains("another type"),
        "{message} {help}"
    );
}

#[tokio::test]
async fn a_component_for_another_host_is_named() {
    let (message, help) =
        refusal(r#"(component (import "wasi:http/types@0.2.0" (instance (export "f" (func)))))"#).await;
    assert_eq!(
        message,
        "the guest imports `wasi:http/types@0.2.0`, which this host does not have"
    );
    assert!(help.contains("wasi:sockets"), "{help}");
    let (message, _) = refusal(r#"(component (import "my:own/thing" (instance (export "f" (func)))))"#).await;
    assert_eq!(
        message,
        "the guest imports `my:own/thing`, which this host does not have"
    );
    let (message, help) =
        refusal(r#"(component (import "wasi:cli/nothing@0.2.0" (instance (export "f" (func)))))"#).await;
    assert!(message.contains("wasi:cli/nothing"), "{message} {help}");
}

#[tokio::test]
async fn a_missing_start_is_named_with_what_it_means() {
    let missing = "the guest does not export `_start`";
    for (text, hint) in [
        ("(module)", "with a `main`"),
        (r#"(module (func (export "_initialize")))"#, "reactor"),
        (
            r#"(module (func (export "_start") (param i32)))"#,
            "without parameters",
        ),
        (r#"(module (memory (export "_start") 1))"#, "without parameters"),
    ] {
        let (message, help) = refusal(text).await;
        assert_eq!(message, missing);
        assert!(help.contains(hint), "{help}");
    }
    let (message, help) = refusal("(component)").await;
    assert_eq!(message, "the guest does not export `wasi:cli/run`");
    assert!(help.contains("exports nothing"), "{help}");
    let (_, help) = refusal(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f"))) (export "serve" (func $f)))"#,
    )
    .await;
    assert!(help.contains("`serve`"), "{help}");
}

#[tokio::test]
async fn what_does_not_validate_is_named() {
    let runtime = runtime(false);
    let mut broken = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    broken.truncate(broken.len() - 3);
    let error = runtime.load(&broken, &SpyStore::new()).await.unwrap_err();
    assert!(
        matches!(&error, WasiError::Invalid { reason } if reason.contains("offset")),
        "{error}"
    );
    for text in [
        r#"(module (memory 1 1 shared) (func (export "_start")))"#,
        r#"(module (memory i64 1) (func (export "_start")))"#,
        r#"(module (func $f (export "_start") return_call $f))"#,
        r#"(module (tag) (func (export "_start")))"#,
        r#"(module (type (struct)) (func (export "_start")))"#,
    ] {
        let error = load(&runtime, text).await.unwrap_err();
        assert!(matches!(error, WasiError::Invalid { .. }), "{text}: {error}");
    }
}

#[tokio::test]
async fn code_from_outside_is_never_opened() {
    let (runtime, store) = (runtime(false), SpyStore::new());
    runtime
        .load(
            &wat::parse_str(r#"(module (func (export "_start")))"#).unwrap(),
            &store,
        )
        .await
        .unwrap();
    let code = compiled(&store);
    let error = runtime.load(&code, &store).await.unwrap_err();
    assert!(
        matches!(
            error,
            WasiError::NotWasm {
                found: "precompiled native code",
                ..
            }
        ),
        "{error}"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "the code is read as a caller would who passes it off as a guest"
)]
fn compiled(store: &SpyStore) -> Vec<u8> {
    std::fs::read(store.folder.path().join(store.key())).unwrap()
}

#[tokio::test]
async fn garbage_is_refused_without_a_panic() {
    let runtime = runtime(false);
    let valid =
        wat::parse_str(r#"(module (memory 1) (data (i32.const 0) "x") (func (export "_start")))"#).unwrap();
    for position in 0..valid.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = valid.clone();
            bytes[position] ^= flip;
            // Some changes leave a valid guest; none may do worse than an error.
            let _ = runtime.load(&bytes, &SpyStore::new()).await;
        }
    }
    assert!(runtime.load(&[0xff; 4096], &SpyStore::new()).await.is_err());
}
