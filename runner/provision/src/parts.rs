//! Parts that environments share: looked up, or made under a single flight.

use std::path::PathBuf;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use wrun_core::event::{Event, Phase};
use wrun_core::host::{Fill, PartRequest};
use wrun_core::problem::Problem;
use wrun_core::text::harmless;
use wrun_store::{Flight, FlightFailure, FlightKey, PartId, PartLease, Store, StoreError};

use crate::error::ProvisionError;
use crate::host::{Events, TaskHost};

/// What making a part came to.
enum Made {
    /// It is there, at this address.
    Part(PathBuf),
    /// It was not made: this one says why.
    Failed(Problem),
}

impl TaskHost {
    /// A part by its digest; what is there already is no step.
    pub(crate) async fn shared_part(&self, request: &PartRequest, fill: Fill) -> Result<PathBuf, Problem> {
        let PartRequest { kind, digest, label } = request;
        let id = PartId::new(kind, *digest).map_err(ProvisionError::from)?;
        let lease = {
            let (store, id) = (self.store.clone(), id.clone());
            self.blocking("taking the lease of a part", move || store.part_lease(&id))
                .await?
                .map_err(ProvisionError::from)?
        };
        let found = lease.part().map_err(ProvisionError::from)?;
        let (lease, path) = match found {
            Some(part) => (lease, part.path),
            None => self.make_part(id.clone(), label, lease, fill).await?,
        };
        self.part_leases().insert(id, lease);
        Ok(path)
    }

    async fn make_part(
        &self,
        id: PartId,
        label: &str,
        lease: PartLease,
        fill: Fill,
    ) -> Result<(PartLease, PathBuf), Problem> {
        let progress = self.begin(Phase::Build, label.to_owned());
        let making = Making {
            store: self.store.clone(),
            cancel: self.cancel.clone(),
            events: self.events.clone(),
            id,
            label: label.to_owned(),
        };
        let work = self.blocking("making a part", move || {
            let made = making.make(&lease, fill);
            (lease, made)
        });
        // What fills cannot be interrupted. Should it go on after this, it ends by itself, and the part is complete or
        // nothing is left.
        let (lease, made) = tokio::select! {
            done = work => done?,
            () = self.cancel.cancelled() => return Err(Problem::Cancelled),
        };
        match made.map_err(ProvisionError::from)? {
            Made::Part(path) => {
                progress.finish();
                Ok((lease, path))
            }
            Made::Failed(problem) => Err(problem),
        }
    }
}

/// A part that is to be made, on a thread of its own.
struct Making {
    store: Store,
    cancel: CancellationToken,
    events: Events,
    id: PartId,
    label: String,
}

impl Making {
    fn make(&self, lease: &PartLease, fill: Fill) -> Result<Made, StoreError> {
        let flight = self.store.flight(
            &FlightKey::Part(self.id.clone()),
            &|| self.cancel.is_cancelled(),
            &mut |holder| {
                (self.events)(Event::Waiting {
                    phase: Phase::Build,
                    holder: format!("process {} on {}", holder.pid, holder.host),
                });
            },
        );
        let flight = match flight {
            Err(StoreError::Cancelled { .. }) => return Ok(Made::Failed(Problem::Cancelled)),
            other => other?,
        };
        if let Some(part) = lease.part()? {
            return Ok(Made::Part(part.path));
        }
        if let Some(FlightFailure { code, message, help }) = flight.shared_failure() {
            return Ok(Made::Failed(Problem::Failed { code, message, help }));
        }
        let started = Instant::now();
        let build = self.store.begin_part(&flight, &self.id)?;
        if let Err(problem) = fill(build.path()) {
            tell(&flight, &problem);
            return Ok(Made::Failed(problem));
        }
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let part = build.commit(&self.label, milliseconds)?;
        Ok(Made::Part(part.path))
    }
}

/// Leaves word of a failure for those who wait for the same.
fn tell(flight: &Flight, problem: &Problem) {
    if matches!(problem, Problem::Cancelled) {
        return;
    }
    let failure = FlightFailure {
        code: problem.code().to_owned(),
        message: harmless(&problem.to_string()).into_owned(),
        help: problem.help().map(|help| harmless(help).into_owned()),
    };
    if let Err(error) = flight.fail(&failure) {
        tracing::warn!(%error, "those who wait for the same part are not told of the failure");
    }
}
