//! Compiled code is kept, and kept code is not trusted blindly.

use super::*;

const MODULE: &str = r#"(module (memory 1) (func (export "_start")))"#;

async fn succeeds(runtime: &WasiRuntime, text: &str, store: &SpyStore) {
    let guest = runtime.load(&wat::parse_str(text).unwrap(), store).await.unwrap();
    let task = limited(Limits::default());
    let ran = run_guest(runtime, &guest, task, Stdin::Null, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(ran.outcome, exited(0));
}

#[tokio::test]
async fn a_guest_is_compiled_once() {
    for text in [MODULE.to_owned(), component("", "i32.const 0")] {
        for pooling in [false, true] {
            let store = SpyStore::new();
            let first = runtime(pooling);
            succeeds(&first, &text, &store).await;
            assert_eq!(store.counts(), (0, 1));
            succeeds(&first, &text, &store).await;
            assert_eq!(store.counts(), (0, 1), "the guest is still linked");
            succeeds(&runtime(pooling), &text, &store).await;
            assert_eq!(store.counts(), (1, 1), "another runtime opens the kept code");
        }
    }
}

#[tokio::test]
async fn code_that_is_broken_is_compiled_anew() {
    for text in [MODULE.to_owned(), component("", "i32.const 0")] {
        let store = SpyStore::new();
        succeeds(&runtime(false), &text, &store).await;
        let key = store.key();
        for broken in [&b"garbage"[..], b"", b"\x7fELF\x02\x01\x01\0\0"] {
            let (_, before) = store.counts();
            store.write(&key, broken, 0o400);
            succeeds(&runtime(false), &text, &store).await;
            succeeds(&runtime(true), &text, &store).await;
            assert_eq!(store.counts().1, before + 1);
        }
    }
}

#[tokio::test]
async fn code_of_the_other_kind_is_compiled_anew() {
    let (modules, components) = (SpyStore::new(), SpyStore::new());
    succeeds(&runtime(false), MODULE, &modules).await;
    succeeds(&runtime(false), &component("", "i32.const 0"), &components).await;
    let code = modules.folder.path().join(modules.key());
    let foreign = components.folder.path().join(components.key());
    NamedTempFile::new_in(&modules.folder).unwrap();
    rustix::fs::rename(&foreign, &code).unwrap();
    succeeds(&runtime(false), MODULE, &modules).await;
    assert_eq!(modules.counts().1, 2);
}

#[tokio::test]
async fn code_that_others_could_have_written_is_not_opened() {
    let store = SpyStore::new();
    succeeds(&runtime(false), MODULE, &store).await;
    let path = store.folder.path().join(store.key());
    for mode in [0o600, 0o420, 0o402] {
        let (_, before) = store.counts();
        rustix::fs::chmod(&path, Mode::from_raw_mode(mode)).unwrap();
        succeeds(&runtime(false), MODULE, &store).await;
        assert_eq!(store.counts().1, before + 1, "{mode:o}");
    }
    let (_, before) = store.counts();
    let moved = store.folder.path().join("moved");
    rustix::fs::rename(&path, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &path).unwrap();
    succeeds(&runtime(false), MODULE, &store).await;
    assert_eq!(store.counts().1, before + 1, "a link");
}

#[tokio::test]
async fn what_does_not_fit_the_pool_runs_outside_of_it() {
    let tables = "(table 1 funcref)".repeat(9);
    for text in [
        r#"(module (memory 1) (memory 1) (func (export "_start")))"#.to_owned(),
        format!(r#"(module {tables} (func (export "_start")))"#),
        component("(memory 1) (memory 1)", "i32.const 0"),
    ] {
        let store = SpyStore::new();
        succeeds(&runtime(true), &text, &store).await;
        let (_, kept) = store.counts();
        succeeds(&runtime(true), &text, &store).await;
        assert_eq!(
            store.counts().1,
            kept,
            "the code without a pool is found the second time"
        );
    }
}

struct FailingStore;

#[async_trait]
impl CodeStore for FailingStore {
    fn get(&self, _key: &str) -> Result<Option<PathBuf>, CodeStoreError> {
        Err("cannot read".into())
    }

    fn put(&self, _key: &str, _code: &[u8]) -> Result<PathBuf, CodeStoreError> {
        Err("the disk is full".into())
    }

    async fn exclusive(&self, _key: &str) -> Result<CodeLock, CodeStoreError> {
        Err("no locks".into())
    }
}

#[tokio::test]
async fn a_store_that_fails_does_not_keep_a_guest_from_running() {
    for text in [MODULE.to_owned(), component("", "i32.const 0")] {
        let runtime = runtime(false);
        let guest = runtime
            .load(&wat::parse_str(text).unwrap(), &FailingStore)
            .await
            .unwrap();
        let task = limited(Limits::default());
        let ran = run_guest(&runtime, &guest, task, Stdin::Null, CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(ran.outcome, exited(0));
    }
}

#[tokio::test]
async fn the_real_store_keeps_code_and_runtimes_that_meet_there_agree() {
    let folder = TempDir::new().unwrap();
    let store = wrun_store::Store::open(&folder.path().join("store")).unwrap();
    let bytes = wat::parse_str(MODULE).unwrap();
    let runtimes: Vec<_> = (0..4).map(|_| runtime(false)).collect();
    let mut loads = tokio::task::JoinSet::new();
    for runtime in &runtimes {
        let (runtime, store, bytes) = (runtime.clone(), store.clone(), bytes.clone());
        loads.spawn(async move { runtime.load(&bytes, &store).await.is_ok() });
    }
    assert!(loads.join_all().await.into_iter().all(|loaded| loaded));
    let kept: Vec<_> = folder.path().join("store/code").read_dir().unwrap().collect();
    assert_eq!(kept.len(), 1);
    let guest = runtime(true).load(&bytes, &store).await.unwrap();
    let task = limited(Limits::default());
    let ran = run_guest(&runtimes[0], &guest, task, Stdin::Null, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(ran.outcome, exited(0));
}
