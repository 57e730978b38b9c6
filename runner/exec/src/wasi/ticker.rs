//! The clock that interrupts running guests.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use super::error::WasiError;

/// How often a running guest hands the thread back, and with it how late a limit or a cancellation may take effect.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Advances the epoch of one engine while guests run. Its thread starts with the first run, sleeps while nothing
/// runs, and ends with the ticker; it does not keep the engine alive.
pub(super) struct Ticker {
    engine: EngineWeak,
    state: Arc<State>,
    thread: Mutex<Option<Thread>>,
}

#[derive(Default)]
struct State {
    running: AtomicUsize,
    ended: AtomicBool,
}

/// One run that the ticker ticks for.
pub(super) struct Ticking<'a>(&'a State);

impl Ticker {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.weak(),
            state: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// Ticks until the returned value is dropped.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn enter(&self) -> Result<Ticking<'_>, WasiError> {
        let first = self.state.running.fetch_add(1, Ordering::SeqCst) == 0;
        let ticking = Ticking(&self.state);
        if first {
            self.wake()?;
        }
        Ok(ticking)
    }

    fn wake(&self) -> Result<(), WasiError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*thread {
            running.unpark();
            return Ok(());
        }
        let (engine, state) = (self.engine.clone(), Arc::clone(&self.state));
        let started = thread::Builder::new()
            .name("wrun-ticker".into())
            .spawn(move || tick(&engine, &state))
            .map_err(|error| WasiError::Engine {
                reason: format!("cannot start the ticker's thread: {error}"),
            })?;
        *thread = Some(started.thread().clone());
        Ok(())
    }
}

fn tick(engine: &EngineWeak, state: &State) {
    while !state.ended.load(Ordering::SeqCst) {
        if state.running.load(Ordering::SeqCst) == 0 {
            // A run that began since the load has left its token, so that this returns at once.
            thread::park();
            continue;
        }
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }
}
