//! From a spec to a leased environment: two look-ups when it is known, a solve and a build when it is not.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use wrun_core::backend::{Assessed, Backend, Slot};
use wrun_core::canon::Canon;
use wrun_core::event::{Event, Phase};
use wrun_core::id::{EnvId, LockId, SpecId};
use wrun_core::image::BACKEND;
use wrun_core::launch::TaskKind;
use wrun_core::lock::Lock;
use wrun_core::problem::Problem;
use wrun_core::task::{EnvRequest, Task};
use wrun_core::text::harmless;
use wrun_provision::TaskHost;
use wrun_store::{CommitInfo, Environment, Flight, FlightFailure, FlightKey, Lease, Pointer};

use crate::Error;
use crate::context::Context;
use crate::image::Base;
use crate::index::with_default_index;
use crate::lock_file::LockFile;

/// A request with its keys, before anything is solved or built.
pub(crate) struct Keyed {
    /// The container image that it is for, if it is for one.
    pub(crate) base: Option<Arc<Base>>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) project: PathBuf,
    pub(crate) assessed: Assessed,
    pub(crate) spec: Canon,
    pub(crate) spec_id: SpecId,
}

impl Keyed {
    /// What kind of run its environment is entered for: what an image runs by itself is a command to the environment that
    /// is built inside of it.
    pub(crate) fn kind(&self, task: &Task) -> TaskKind {
        match (&self.base, task.kind()) {
            (Some(_), TaskKind::Image) => TaskKind::Command,
            (_, kind) => kind,
        }
    }
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

impl LockPolicy {
    /// How the lock of the image is found that an environment is built inside of.
    fn of_image(&self) -> Self {
        match self {
            Self::Stored => Self::Stored,
            Self::Refresh => Self::Refresh,
            Self::Given(file) => match &file.image {
                Some(image) => Self::Given(image.clone()),
                None => Self::Stored,
            },
        }
    }
}

/// Reads what the spec refers to and makes its keys. The image that it is for is brought first: what is in it decides what
/// the spec means.
///
/// # Errors
/// The spec is wrong, or the image cannot be had.
#[tracing::instrument(name = "assess", skip_all, fields(backend = request.backend))]
pub(crate) async fn key(
    context: &Context,
    request: &EnvRequest,
    project: &Path,
    policy: &LockPolicy,
    label: &str,
) -> Result<Keyed, Error> {
    if let Some(image) = &request.image {
        let base = Arc::new(base(context, image, project, policy, label).await?);
        return key_in(context, &request.backend, &request.spec, project, Some(base)).await;
    }
    key_in(context, &request.backend, &request.spec, project, None).await
}

/// Brings the image that something is built inside of.
async fn base(
    context: &Context,
    image: &Value,
    project: &Path,
    policy: &LockPolicy,
    label: &str,
) -> Result<Base, Error> {
    let keyed = key_in(context, BACKEND, image, project, None).await?;
    let locked = lock(context, &keyed, &policy.of_image()).await?;
    let launch = keyed
        .backend
        .enter(&locked.lock, TaskKind::Command)
        .map_err(|problem| failed(&*keyed.backend, problem))?;
    let leased = lease(context, &keyed, &locked, label).await?;
    let lock_file = LockFile {
        spec_id: keyed.spec_id,
        spec: keyed.spec.to_json(),
        lock: locked.lock,
        image: None,
    };
    Base::new(&launch, locked.lock_id, lock_file, leased)
}

/// The same for what is built inside of an image, if there is one.
async fn key_in(
    context: &Context,
    backend: &str,
    spec: &Value,
    project: &Path,
    base: Option<Arc<Base>>,
) -> Result<Keyed, Error> {
    let backend = context.inner.backend(backend)?;
    let manifest = backend.manifest();
    let host = host(context, project, base.as_deref());
    let spec = with_default_index(spec, &manifest, &context.inner.settings)
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
    let image = base
        .as_ref()
        .map(|base| ("image", Canon::text(base.lock_id.to_string())));
    let members = [
        ("backend", Canon::text(backend.id())),
        ("form", assessed.form.clone()),
        ("platform", assessed.request.platform.canon()),
        ("revision", Canon::integer(i64::from(manifest.canonical_revision))),
    ];
    let spec = Canon::map(members.into_iter().chain(image));
    let spec_id = SpecId::of(&spec);
    context.emit(Event::Keyed {
        spec_id: spec_id.clone(),
    });
    Ok(Keyed {
        base,
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
    let host = host(context, &keyed.project, keyed.base.as_deref()).holding(held(&flight, keyed)?);
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
    let image = keyed
        .base
        .as_ref()
        .map(|base| ("image", Canon::text(base.lock_id.to_string())));
    let members = [
        ("backend", Canon::text(keyed.backend.id())),
        ("with", keyed.assessed.materialiser.clone()),
        ("root", Canon::text(context.inner.store.root().to_string_lossy())),
        (
            "revision",
            Canon::integer(i64::from(keyed.backend.manifest().plan_revision)),
        ),
    ];
    let materialiser = Canon::map(members.into_iter().chain(image));
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
    let host = host(context, &keyed.project, keyed.base.as_deref()).holding(held(&flight, keyed)?);
    let result = keyed
        .backend
        .build(&host, &keyed.assessed, &locked.lock, &slot)
        .await;
    note_failure(&flight, result).map_err(|problem| failed(&*keyed.backend, problem))?;
    let required = keyed.backend.required(&keyed.assessed, &locked.lock);
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
    let sealed = context.blocking(move |_| build.seal(info)).await??;
    let environment = sealed.environment().clone();
    // The host holds the leases of the parts until this one does.
    lease.hold_parts(&environment)?;
    drop(host);
    let leases = lease
        .inheritable_fds()
        .map_err(|error| Error::Internal(error.to_string()))?;
    context.settling.begin(context, sealed, flight, leases).await?;
    Ok((environment, true))
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

/// The acting half for a backend, inside of an image if there is one.
fn host(context: &Context, project: &Path, base: Option<&Base>) -> TaskHost {
    let host = context.host(project.to_owned());
    match base {
        Some(base) => host.inside(base.inside()),
        None => host,
    }
}

/// Descriptors that installers inherit: of the flight's lock, so that, should this process be killed, it is held until the
/// last of them is gone and nobody builds at the same address meanwhile; and of the lease of the image that they run in.
fn held(flight: &Flight, keyed: &Keyed) -> Result<Vec<OwnedFd>, Error> {
    let descriptors = || {
        let mut descriptors = vec![flight.inheritable_fd()?];
        if let Some(base) = &keyed.base {
            descriptors.extend(base.leased.lease.inheritable_fds()?);
        }
        Ok::<_, std::io::Error>(descriptors)
    };
    descriptors().map_err(|error| Error::Internal(error.to_string()))
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
