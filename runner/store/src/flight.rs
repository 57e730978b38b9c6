//! Single flight: one builds, the others wait.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use cap_std::fs::File;
use serde::{Deserialize, Serialize};
use wrun_core::id::{EnvId, SpecId};

use crate::error::StoreError;
use crate::holder::Holder;
use crate::layout;
use crate::lease::inheritable;
use crate::lock_file::{self, Hold};
use crate::name;
use crate::part_id::PartId;
use crate::root::{Keep, Root};
use crate::store::Store;

/// How often one who waits looks whether it should go on waiting.
const POLL: Duration = Duration::from_millis(50);

/// What only one may do at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlightKey {
    /// Resolve a request.
    Spec(SpecId),
    /// Build an environment.
    Env(EnvId),
    /// Make a part of environments.
    Part(PartId),
    /// Fetch a tool.
    Tool(String),
    /// Compile a module.
    Code(String),
}

impl FlightKey {
    /// The name of its files.
    fn stem(&self) -> String {
        match self {
            Self::Spec(id) => format!("spec-{id}"),
            Self::Env(id) => format!("env-{id}"),
            Self::Part(id) => format!("part-{id}"),
            Self::Tool(key) => format!("tool-{}", name::hashed(key)),
            Self::Code(key) => format!("code-{}", name::hashed(key)),
        }
    }

    /// The lock's file.
    pub(crate) fn lock(&self) -> String {
        layout::build_lock(&self.stem())
    }

    fn failure(&self) -> String {
        layout::build_failure(&self.stem())
    }
}

impl fmt::Display for FlightKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(id) => write!(formatter, "request `{id}`"),
            Self::Env(id) => write!(formatter, "environment `{id}`"),
            Self::Part(id) => write!(formatter, "part `{id}`"),
            Self::Tool(key) => write!(formatter, "tool `{key}`"),
            Self::Code(key) => write!(formatter, "code `{key}`"),
        }
    }
}

/// Why a build failed, for those who waited for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlightFailure {
    /// Stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// A failure as it is kept beside the lock.
#[derive(Debug, Serialize, Deserialize)]
struct FailureRecord {
    /// Another one for each failure.
    sequence: String,
    failure: FlightFailure,
}

/// The right to build. It ends when it is dropped and every child that inherited it has ended.
#[derive(Debug)]
pub struct Flight {
    root: Arc<Root>,
    key: FlightKey,
    file: File,
    holder: Holder,
    shared: Option<FlightFailure>,
}

impl Flight {
    fn begin(root: Arc<Root>, key: FlightKey, file: File, shared: Option<FlightFailure>) -> Self {
        let holder = Holder::this(&key.to_string());
        let flight = Self {
            root,
            key,
            file,
            holder,
            shared,
        };
        flight.announce(&flight.holder);
        if flight.shared.is_none() {
            flight.forget_failure();
        }
        flight
    }

    /// What it is for.
    #[must_use]
    pub const fn key(&self) -> &FlightKey {
        &self.key
    }

    /// Tells those who wait what is being done now.
    pub fn set_phase(&self, phase: &str) {
        self.announce(&self.holder.with_phase(phase));
    }

    fn announce(&self, holder: &Holder) {
        if let Err(error) = holder.write(&self.file) {
            tracing::debug!(key = %self.key, %error, "those who wait were not told");
        }
    }

    /// Tells those who wait now that the build failed. Whoever comes later builds again.
    ///
    /// # Errors
    /// The failure cannot be written; those who wait will then build themselves.
    pub fn fail(&self, failure: &FlightFailure) -> Result<(), StoreError> {
        let rel = self.key.failure();
        let sequence = name::random().map_err(self.root.error("name", &rel))?;
        let record = FailureRecord {
            sequence,
            failure: failure.clone(),
        };
        self.root.write_json(
            &rel,
            &record,
            Keep {
                mode: 0o644,
                durable: false,
            },
        )
    }

    /// The failure of another builder that this one waited for. Whoever did not wait never sees one.
    #[must_use]
    pub fn shared_failure(&self) -> Option<FlightFailure> {
        self.shared.clone()
    }

    /// Another descriptor of the same lock, for an installer: the lock is then held until that one has ended too. It
    /// is closed on `execve(2)`; whoever starts the child clears that flag in the child.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn inheritable_fd(&self) -> io::Result<OwnedFd> {
        inheritable(self.file.as_fd())
    }

    /// Removes the failure of an earlier attempt.
    fn forget_failure(&self) {
        if let Err(error) = self.root.remove_file(&self.key.failure()) {
            tracing::debug!(key = %self.key, %error, "an old failure was not removed");
        }
    }
}

impl AsFd for Flight {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Store {
    /// Takes the right to build, or waits for it.
    ///
    /// While it waits, `on_wait` is told who holds the lock, and again when the holder or what it does changes, and
    /// `cancelled` is asked every 50 ms. Afterwards look first whether what was to be built is there now, then at
    /// [`Flight::shared_failure`]. Locks of requests are taken before
    /// those of environments, and those before the locks of parts, never after.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`], or the lock cannot be taken.
    pub fn flight(
        &self,
        key: &FlightKey,
        cancelled: &dyn Fn() -> bool,
        on_wait: &mut dyn FnMut(&Holder),
    ) -> Result<Flight, StoreError> {
        let lock = key.lock();
        // Before the attempt: if the attempt then fails, the holder failed after this moment or not at all.
        let before = self.failure(key)?;
        if let Some(file) = lock_file::attempt(&self.root, &lock)? {
            return Ok(Flight::begin(Arc::clone(&self.root), key.clone(), file, None));
        }
        let file = self.await_lock(key, cancelled, on_wait)?;
        let shared = self
            .failure(key)?
            .filter(|record| before.is_none_or(|before| before.sequence != record.sequence))
            .map(|record| record.failure);
        Ok(Flight::begin(Arc::clone(&self.root), key.clone(), file, shared))
    }

    fn failure(&self, key: &FlightKey) -> Result<Option<FailureRecord>, StoreError> {
        self.root.read_json(&key.failure())
    }

    /// Waits for the lock in a thread of its own, which the kernel wakes, so that no release is missed. A thread that
    /// nobody waits for any more lets the lock go as soon as it gets it.
    fn await_lock(
        &self,
        key: &FlightKey,
        cancelled: &dyn Fn() -> bool,
        on_wait: &mut dyn FnMut(&Holder),
    ) -> Result<File, StoreError> {
        let lock = key.lock();
        let (sender, receiver) = sync_channel(0);
        let waiter = {
            let root = Arc::clone(&self.root);
            let lock = lock.clone();
            move || drop(sender.send(lock_file::wait(&root, &lock, Hold::Exclusive)))
        };
        std::thread::Builder::new()
            .name("store lock".to_owned())
            .spawn(waiter)
            .map_err(self.root.error("start a thread for", &lock))?;
        let mut told = None;
        loop {
            if cancelled() {
                return Err(StoreError::Cancelled {
                    what: key.to_string(),
                });
            }
            let holder = Holder::read(&self.root, &lock);
            if let Some(holder) = &holder
                && told.as_ref() != Some(holder)
            {
                on_wait(holder);
                told = Some(holder.clone());
            }
            match receiver.recv_timeout(POLL) {
                Ok(locked) => return locked,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let ended = io::Error::other("the thread that waits has ended");
                    return Err(self.root.error("lock", &lock)(ended));
                }
            }
        }
    }
}
