//! Guests from text, run as a caller runs them.

mod components;
mod folders;
mod kept_code;
mod limits;
mod modules;
mod refused;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rustix::fs::Mode;
use tempfile::{NamedTempFile, TempDir};
use tokio_util::sync::CancellationToken;
use wrun_core::event::Stream;
use wrun_core::grants::{Grants, Limits};
use wrun_core::outcome::Outcome;

use crate::{
    CodeLock, CodeStore, CodeStoreError, Guest, Output, OutputSink, RuntimeOptions, Stdin, Stdio, WasiError,
    WasiRuntime, WasiTask,
};

/// Keeps code in a folder and counts what is asked of it.
pub(super) struct SpyStore {
    folder: TempDir,
    found: AtomicUsize,
    kept: AtomicUsize,
}

impl SpyStore {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            found: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
        }
    }

    /// How often code was found, and how often it was compiled and kept.
    fn counts(&self) -> (usize, usize) {
        (
            self.found.load(Ordering::SeqCst),
            self.kept.load(Ordering::SeqCst),
        )
    }

    fn write(&self, key: &str, code: &[u8], mode: u32) -> PathBuf {
        let path = self.folder.path().join(key);
        let mut file = NamedTempFile::new_in(&self.folder).unwrap();
        file.write_all(code).unwrap();
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).unwrap();
        file.persist(&path).unwrap();
        path
    }

    /// The one key that there is code under.
    fn key(&self) -> String {
        let mut names = self.folder.path().read_dir().unwrap();
        let name = names.next().unwrap().unwrap().file_name().into_string().unwrap();
        assert!(names.next().is_none());
        name
    }
}

#[async_trait]
impl CodeStore for SpyStore {
    fn get(&self, key: &str) -> Result<Option<PathBuf>, CodeStoreError> {
        let path = self.folder.path().join(key);
        let there = path.exists();
        self.found.fetch_add(usize::from(there), Ordering::SeqCst);
        Ok(there.then_some(path))
    }

    fn put(&self, key: &str, code: &[u8]) -> Result<PathBuf, CodeStoreError> {
        self.kept.fetch_add(1, Ordering::SeqCst);
        Ok(self.write(key, code, 0o400))
    }

    async fn exclusive(&self, _key: &str) -> Result<CodeLock, CodeStoreError> {
        Ok(Box::new(()))
    }
}

/// Collects what a guest writes.
#[derive(Default)]
pub(super) struct Collected {
    out: Mutex<Vec<u8>>,
    err: Mutex<Vec<u8>>,
}

impl OutputSink for Collected {
    fn write(&self, stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
        let target = match stream {
            Stream::Stdout => &self.out,
            Stream::Stderr => &self.err,
        };
        target.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Ran {
    outcome: Outcome,
    out: String,
    err: String,
}

pub(super) fn runtime(pooling: bool) -> WasiRuntime {
    WasiRuntime::new(RuntimeOptions {
        pooling,
        ..RuntimeOptions::default()
    })
    .unwrap()
}

pub(super) async fn load(runtime: &WasiRuntime, text: &str) -> Result<Guest, WasiError> {
    runtime
        .load(&wat::parse_str(text).unwrap(), &SpyStore::new())
        .await
}

/// Runs a guest in each kind of engine; both have to come to the same.
pub(super) async fn run_with(text: &str, task: WasiTask, stdin: Stdin) -> Ran {
    let mut last: Option<Ran> = None;
    for pooling in [false, true] {
        let runtime = runtime(pooling);
        let guest = load(&runtime, text).await.unwrap();
        let ran = run_guest(
            &runtime,
            &guest,
            task.clone(),
            stdin.clone(),
            CancellationToken::new(),
        )
        .await
        .unwrap();
        if let Some(last) = &last {
            assert_eq!(last.outcome, ran.outcome, "with pooling");
        }
        last = Some(ran);
    }
    last.unwrap()
}

pub(super) async fn run_guest(
    runtime: &WasiRuntime,
    guest: &Guest,
    task: WasiTask,
    stdin: Stdin,
    cancel: CancellationToken,
) -> Result<Ran, WasiError> {
    let collected = Arc::new(Collected::default());
    let streams = Stdio {
        stdin,
        output: Output::Sink(collected.clone()),
        terminal: None,
    };
    let report = runtime.run(guest, task, streams, cancel).await?;
    let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
    Ok(Ran {
        outcome: report.outcome,
        out: text(&collected.out),
        err: text(&collected.err),
    })
}

pub(super) async fn run(text: &str, limits: Limits) -> Ran {
    run_with(text, limited(limits), Stdin::Null).await
}

pub(super) fn limited(limits: Limits) -> WasiTask {
    WasiTask {
        name: "guest".into(),
        args: Vec::new(),
        env: BTreeMap::new(),
        grants: Grants {
            limits,
            ..Grants::default()
        },
    }
}

pub(super) const fn exited(code: i32) -> Outcome {
    Outcome::Exited { code }
}

/// A component whose `run` is this core function body, next to further core module fields.
pub(super) fn component(fields: &str, body: &str) -> String {
    format!(
        r#"(component
            (core module $main {fields} (func $run (export "run") (result i32) {body}))
            (core instance $main (instantiate $main))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $command)))"#
    )
}
