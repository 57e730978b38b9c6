//! Compiled code: where it is kept, and how it is opened.
//!
//! Opening compiled code means to run it as it is, so nothing is opened that another user could have written, and
//! nothing that the caller brings. Whatever is wrong with kept code, the guest is compiled anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rustix::fs::{FileType, Mode, OFlags};
use tracing::{debug, warn};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};
use wrun_store::{FlightKey, Store};

use super::engine::Flavour;
use super::error::WasiError;
use super::kind::GuestKind;

/// Why a store of compiled code failed. It is logged, and the run goes on without the store.
pub type CodeStoreError = Box<dyn std::error::Error + Send + Sync>;

/// The right to compile under a key; given back when it is dropped.
pub type CodeLock = Box<dyn std::any::Any + Send>;

/// Where compiled code is kept. Keys are lower-case hexadecimal digits and a hyphen.
///
/// Kept code runs without any of a guest's limits: it has to be in a folder that only its owner may enter, in files
/// that belong to the user and that nobody may write to, and it must not change while it is there.
#[async_trait]
pub trait CodeStore: Send + Sync {
    /// The file that is kept under a key.
    ///
    /// # Errors
    /// The store cannot be read.
    fn get(&self, key: &str) -> Result<Option<PathBuf>, CodeStoreError>;

    /// Keeps code under a key, in the place of what is there, and returns the file.
    ///
    /// # Errors
    /// The store cannot be written to.
    fn put(&self, key: &str, code: &[u8]) -> Result<PathBuf, CodeStoreError>;

    /// Waits for the right to compile under a key, which one caller of all processes has at a time.
    ///
    /// # Errors
    /// The lock cannot be had.
    async fn exclusive(&self, key: &str) -> Result<CodeLock, CodeStoreError>;
}

#[async_trait]
impl CodeStore for Store {
    fn get(&self, key: &str) -> Result<Option<PathBuf>, CodeStoreError> {
        Ok(self.code(key)?)
    }

    fn put(&self, key: &str, code: &[u8]) -> Result<PathBuf, CodeStoreError> {
        Ok(self.put_code(key, code)?)
    }

    async fn exclusive(&self, key: &str) -> Result<CodeLock, CodeStoreError> {
        let (store, key) = (self.clone(), FlightKey::Code(key.to_owned()));
        let given_up = GivenUp::default();
        let asked = Arc::clone(&given_up.0);
        let wait = move || store.flight(&key, &|| asked.load(Ordering::Relaxed), &mut |_| {});
        Ok(Box::new(tokio::task::spawn_blocking(wait).await??))
    }
}

/// Tells a thread that waits for a lock that nobody waits for the thread any more.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A guest that is ready to be linked.
pub(super) enum Program {
    Module(Module),
    Component(Component),
}

/// Opens the code that is kept for a guest, if there is any that can be used.
pub(super) fn kept(flavour: &Flavour, kind: GuestKind, key: &str, store: &dyn CodeStore) -> Kept {
    let path = match store.get(key) {
        Ok(Some(path)) => path,
        Ok(None) => return Kept::Nothing,
        Err(error) => {
            warn!(key, %error, "cannot look for compiled code");
            return Kept::Nothing;
        }
    };
    open(&flavour.engine, kind, &path).map_or_else(
        |reason| {
            debug!(key, reason, "kept code cannot be used");
            Kept::Unusable
        },
        Kept::Program,
    )
}

/// What is kept for a guest.
pub(super) enum Kept {
    /// Code for this engine.
    Program(Program),
    /// Code that this engine refuses.
    Unusable,
    /// No code.
    Nothing,
}

/// Compiles a guest on a thread of the blocking pool.
///
/// # Errors
/// The guest is not valid.
pub(super) async fn compile(engine: &Engine, kind: GuestKind, bytes: &[u8]) -> Result<Vec<u8>, WasiError> {
    let (engine, bytes) = (engine.clone(), bytes.to_vec());
    let compile = move || match kind {
        GuestKind::Module => engine.precompile_module(&bytes),
        GuestKind::Component => engine.precompile_component(&bytes),
    };
    match tokio::task::spawn_blocking(compile).await {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => Err(WasiError::Invalid {
            reason: format!("{error:#}"),
        }),
        Err(error) => Err(WasiError::Engine {
            reason: format!("the compiler ended early: {error}"),
        }),
    }
}

/// Keeps code that was compiled right now and opens it: mapped from the store, or from memory where there is no
/// keeping it.
///
/// # Errors
/// The engine refuses it, in words.
pub(super) fn keep(
    engine: &Engine,
    kind: GuestKind,
    key: &str,
    code: &[u8],
    store: &dyn CodeStore,
) -> Result<Program, String> {
    match store.put(key, code) {
        Ok(path) => match open(engine, kind, &path) {
            Ok(program) => return Ok(program),
            Err(reason) => debug!(key, reason, "code that was just kept cannot be used"),
        },
        Err(error) => warn!(key, %error, "cannot keep compiled code"),
    }
    from_memory(engine, kind, code).map_err(|error| format!("{error:#}"))
}

#[expect(unsafe_code, reason = "compiled code is trusted by its nature")]
fn from_memory(engine: &Engine, kind: GuestKind, code: &[u8]) -> wasmtime::Result<Program> {
    match kind {
        // SAFETY: `code` is what this process has just compiled, or its helper, which is gone; nobody else could write
        // to it.
        GuestKind::Module => unsafe { Module::deserialize(engine, code) }.map(Program::Module),
        // SAFETY: as above.
        GuestKind::Component => unsafe { Component::deserialize(engine, code) }.map(Program::Component),
    }
}

#[expect(unsafe_code, reason = "compiled code is trusted by its nature")]
fn open(engine: &Engine, kind: GuestKind, path: &Path) -> Result<Program, String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| error.to_string())?;
    let status = rustix::fs::fstat(&file).map_err(|error| error.to_string())?;
    if !FileType::from_raw_mode(status.st_mode).is_file() {
        return Err("it is not a file".into());
    }
    if status.st_uid != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user".into());
    }
    if Mode::from_raw_mode(status.st_mode).intersects(Mode::WUSR | Mode::WGRP | Mode::WOTH) {
        return Err("it can be written to".into());
    }
    // What was looked at is what is mapped, even if the name gets another file.
    #[cfg(target_os = "linux")]
    let path = PathBuf::from(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&file)
    ));
    let program = match kind {
        // SAFETY: the file is one that this program wrote for itself: it lies in the folder of the store, which only
        // its owner may enter, it belongs to this user, and nobody may write to it. The engine checks that it was
        // written for the same version, settings and processor.
        GuestKind::Module => unsafe { Module::deserialize_file(engine, path) }.map(Program::Module),
        // SAFETY: as above.
        GuestKind::Component => unsafe { Component::deserialize_file(engine, path) }.map(Program::Component),
    };
    program.map_err(|error| format!("{error:#}"))
}
