//! From a spec to a leased environment: two look-ups when it is known, a solve and a build when it is not.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use wrun_core::backend::{Assessed, Backend, Slot};
use wrun_core::canon::Canon;
use wrun_core::event::{Event, Phase};
use wrun_core::id::{EnvId, LockId, SpecId};
use wrun_core::lock::Lock;
use wrun_core::plan::{Check, Place, Root};
use wrun_core::problem::Problem;
use wrun_core::task::EnvRequest;
use wrun_core::text::harmless;
use wrun_store::{CommitInfo, Environment, Flight, FlightFailure, FlightKey, Lease, Pointer};

use crate::Error;
use crate::context::Context;
use crate::index::with_default_index;
use crate::lock_file::LockFile;

/// A request with its keys, before anything is solved or built.
pub(crate) struct Keyed {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) project: PathBuf,
    pub(crate) assessed: Assessed,
    pub(crate) spec: Canon,
    pub(crate) spec_id: SpecId,
}

/// A lock, and whether it was known.
pub(crate) struct Locked {
    pub(crate) lock: Lock,
    pub(crate) lock_id: LockId,
    pub(crate) hit: bool,
}

/// An environment that can be used for as long as the lease is held.
pub(crate) struct Leased {
    pub(crate) lease: Lease,
    pub(crate) environment: Environment,
}

/// How the lock is found.
#[derive(Debug, Clone, Default)]
pub(crate) enum LockPolicy {
    /// The one stored for the spec, else a new one.
    #[default]
    Stored,
    /// A new one.
    Refresh,
    /// This one.
    Given(Box<LockFile>),
}

/// Reads what the spec refers to and makes its keys.
#[tracing::instrument(name = "assess", skip_all, fields(backend = request.backend))]
pub(crate) async fn key(context: &Context, request: &EnvRequest, project: &Path) -> Result<Keyed, Error> {
    let backend = context.inner.backend(&request.backend)?;
    let manifest = backend.manifest();
    let host = context.host(project.to_owned());
    let spec = with_default_index(&request.spec, &manifest, &context.inner.settings)
        .map_err(|problem| failed(&*backend, problem))?;
    let assessed = backend
        .assess(&host, &spec)
        .await
        .map_err(|problem| failed(&*backend, problem))?;
    for warning in &assessed.warnings {
        context.emit(Event::Notice {
            code: warning.code.clone(),
            message: warning.message.clone(),
        });
    }
    let spec = Canon::map([
        ("backend", Canon::text(backend.id())),
        ("form", assessed.form.clone()),
        ("platform", assessed.request.platform.canon()),
        ("revision", Canon::integer(i64::from(manifest.canonical_revision))),
    ]);
    let spec_id = SpecId::of(&spec);
    context.emit(Event::Keyed {
        spec_id: spec_id.clone(),
    });
    Ok(Keyed {
        backend,
        project: project.to_owned(),
        assessed,
        spec,
        spec_id,
    })
}

/// Finds the lock of a request.
pub(crate) async fn lock(context: &Context, keyed: &Keyed, policy: &LockPolicy) -> Result<Locked, Error> {
    let store = &context.inner.store;
    let locked = match policy {
        LockPolicy::Given(file) if file.lock.backend != keyed.backend.id() => {
            return Err(Error::LockOfOther {
                found: file.lock.backend.clone(),
                wanted: keyed.backend.id().to_owned(),
            });
        }
        LockPolicy::Given(file) if file.spec_id != keyed.spec_id => {
            return Err(Error::LockOfOtherRequest {
                differences: file.differences(&keyed.spec.to_json()),
            });
        }
        LockPolicy::Given(file) => Locked {
            lock: file.lock.clone(),
            lock_id: store.put_lock(&file.lock)?,
            hit: true,
        },
        LockPolicy::Stored => match stored_lock(context, &keyed.spec_id)? {
            Some(known) => known,
            None => solve(context, keyed, false).await?,
        },
        LockPolicy::Refresh => solve(context, keyed, true).await?,
    };
    context.emit(Event::Locked {
        lock_id: locked.lock_id.clone(),
        hit: locked.hit,
        packages: locked.lock.packages.len(),
    });
    Ok(locked)
}

/// The lock that the store knows for a spec.
pub(crate) fn stored_lock(context: &Context, spec_id: &SpecId) -> Result<Option<Locked>, Error> {
    let store = &context.inner.store;
    let Some(pointer) = store.pointer(spec_id)? else {
        return Ok(None);
    };
    let lock = store.lock(&pointer.lock_id)?;
    Ok(lock.map(|lock| Locked {
        lock,
        lock_id: pointer.lock_id,
        hit: true,
    }))
}

#[tracing::instrument(skip_all, fields(spec_id = %keyed.spec_id, refresh))]
async fn solve(context: &Context, keyed: &Keyed, refresh: bool) -> Result<Locked, Error> {
    let flight = fly(context, FlightKey::Spec(keyed.spec_id.clone()), Phase::Solve).await?;
    let previous = stored_lock(context, &keyed.spec_id)?;
    let previous = match previous {
        Some(known) if !refresh => return Ok(known),
        other => other.map(|known| known.lock),
    };
    if let Some(failure) = flight.shared_failure() {
        return Err(shared(failure));
    }
    let host = context
        .host(keyed.project.clone())
        .holding(vec![descriptor(&flight)?]);
    let solved = keyed
        .backend
        .solve(&host, &keyed.assessed, previous.as_ref())
        .await;
    let lock = note_failure(&flight, solved).map_err(|problem| failed(&*keyed.backend, problem))?;
    let store = &context.inner.store;
    let lock_id = store.put_lock(&lock)?;
    store.set_pointer(
        &keyed.spec_id,
        &Pointer {
            lock_id: lock_id.clone(),
            form: keyed.spec.to_json(),
            resolved_at: jiff::Timestamp::now(),
            tools: keyed
                .assessed
                .request
                .tools
                .iter()
                .map(|tool| (tool.id.clone(), tool.version.clone()))
                .collect(),
        },
    )?;
    Ok(Locked {
        lock,
        lock_id,
        hit: false,
    })
}

/// The key of the tree that a lock is built into.
pub(crate) fn env_id(context: &Context, keyed: &Keyed, lock_id: &LockId) -> (EnvId, Canon) {
    let materialiser = Canon::map([
        ("backend", Canon::text(keyed.backend.id())),
        ("with", keyed.assessed.materialiser.clone()),
        ("root", Canon::text(context.inner.store.root().to_string_lossy())),
        (
            "revision",
            Canon::integer(i64::from(keyed.backend.manifest().plan_revision)),
        ),
    ]);
    (EnvId::of(lock_id, &materialiser), materialiser)
}

/// Takes the lease of a lock's environment, and builds it first if it is not there.
pub(crate) async fn lease(
    context: &Context,
    keyed: &Keyed,
    locked: &Locked,
    label: &str,
) -> Result<Leased, Error> {
    let store = &context.inner.store;
    let (id, materialiser) = env_id(context, keyed, &locked.lock_id);
    // The lease is taken before the build, so that nothing can be collected between its end and the first use.
    let lease = store.lease(&id)?;
    let (environment, built) = match lease.environment()? {
        Some(environment) => (environment, false),
        None => build(context, keyed, locked, &lease, &id, materialiser, label).await?,
    };
    store.touch(&id);
    context.emit(Event::EnvironmentReady {
        env_id: id,
        built,
        milliseconds: milliseconds(context.submitted),
    });
    Ok(Leased { lease, environment })
}

#[tracing::instrument(skip_all, fields(env_id = %id))]
async fn build(
    context: &Context,
    keyed: &Keyed,
    locked: &Locked,
    lease: &Lease,
    id: &EnvId,
    materialiser: Canon,
    label: &str,
) -> Result<(Environment, bool), Error> {
    let started = Instant::now();
    let flight = fly(context, FlightKey::Env(id.clone()), Phase::Build).await?;
    if let Some(environment) = lease.environment()? {
        return Ok((environment, false));
    }
    if let Some(failure) = flight.shared_failure() {
        return Err(shared(failure));
    }
    let build = context.inner.store.begin(&flight, id)?;
    let slot = Slot {
        id: id.clone(),
        prefix: PathBuf::from(build.prefix()),
    };
    let host = context
        .host(keyed.project.clone())
        .holding(vec![descriptor(&flight)?]);
    let result = keyed
        .backend
        .build(&host, &keyed.assessed, &locked.lock, &slot)
        .await;
    note_failure(&flight, result).map_err(|problem| failed(&*keyed.backend, problem))?;
    let required = required(keyed, &locked.lock);
    let info = CommitInfo {
        lock_id: locked.lock_id.clone(),
        spec_id: keyed.spec_id.clone(),
        backend: keyed.backend.id().to_owned(),
        label: label.to_owned(),
        materialiser: materialiser.to_json(),
        milliseconds: milliseconds(started),
        packages: locked.lock.packages.clone(),
        required,
        parts: host.parts(),
    };
    let environment = context.blocking(move |_| build.commit(info)).await??;
    // The host holds the leases of the parts until this one does.
    lease.hold_parts(&environment)?;
    drop(host);
    drop(flight);
    // Left-overs of others that were killed are cleared after a build, never after a hit.
    context
        .blocking(|context| context.inner.store.sweep().map(|_| ()))
        .await?
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "left-overs could not be cleared");
        });
    Ok((environment, true))
}

/// What has to be in the tree for as long as the environment is used: what the plan checks after a build.
fn required(keyed: &Keyed, lock: &Lock) -> Vec<String> {
    let plan = keyed.backend.preview(&keyed.assessed, lock).ok().flatten();
    plan.into_iter()
        .flat_map(|plan| plan.checks)
        .filter_map(|check| match check {
            Check::Exists(Place {
                root: Root::Prefix,
                rel,
            }) => Some(rel),
            _ => None,
        })
        .collect()
}

/// Takes the single flight of a key, saying whom it waits for.
async fn fly(context: &Context, key: FlightKey, phase: Phase) -> Result<Flight, Error> {
    let flight = context
        .blocking(move |context| {
            context
                .inner
                .store
                .flight(&key, &|| context.cancel.is_cancelled(), &mut |holder| {
                    let holder = format!("process {} on {}", holder.pid, holder.host);
                    context.emit(Event::Waiting { phase, holder });
                })
        })
        .await?;
    match flight {
        Err(_) if context.cancel.is_cancelled() => Err(Error::Cancelled),
        other => Ok(other?),
    }
}

/// Leaves word of a failure for those who wait for the same.
fn note_failure<T>(flight: &Flight, result: Result<T, Problem>) -> Result<T, Problem> {
    if let Err(problem) = &result
        && !matches!(problem, Problem::Cancelled)
    {
        let failure = FlightFailure {
            code: problem.code().to_owned(),
            // Who reads it from the store shows it.
            message: harmless(&problem.to_string()).into_owned(),
            help: problem.help().map(|help| harmless(help).into_owned()),
        };
        if let Err(error) = flight.fail(&failure) {
            tracing::warn!(%error, "those who wait for the same are not told of the failure");
        }
    }
    result
}

/// A descriptor of the flight's lock that installers inherit: should this process be killed, the lock is held until
/// the last of them is gone, so nobody builds at the same address meanwhile.
fn descriptor(flight: &Flight) -> Result<OwnedFd, Error> {
    flight
        .inheritable_fd()
        .map_err(|error| Error::Internal(error.to_string()))
}

fn failed(backend: &dyn Backend, problem: Problem) -> Error {
    Error::Environment {
        backend: backend.id().to_owned(),
        problem,
    }
}

fn shared(failure: FlightFailure) -> Error {
    let FlightFailure { code, message, help } = failure;
    Error::SharedFailure { code, message, help }
}

/// Whole milliseconds since then.
pub(crate) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
