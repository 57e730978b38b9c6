//! Unpacked packages, shared by all environments.
//!
//! rattler's own cache is held by one lock while an environment is installed, so environments are installed one after
//! the other, and it names packages without their platform. Here a package is a folder named after the digest of its
//! archive, and it is there or it is not:
//!
//! - It is unpacked under another name and renamed when it is whole, checked and on the disk. What has its name is never
//!   changed again, so it is used without a lock.
//! - One lock for each package sees to it that it is unpacked once. Nobody waits for a lock while holding one: those that
//!   others are at are passed over, and looked at again when one's own are done and let go. So no two builds can wait for
//!   each other.
//! - What a killed process left is thrown away by the next one that holds the lock. Locks go with their process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rattler_conda_types::RepoDataRecord;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wrun_core::host::Host;
use wrun_core::problem::Problem;

use crate::channels::Channels;
use crate::files::{self, Locked};
use crate::{archive, fetch};

/// Downloads that go on side by side.
const DOWNLOADS: usize = 8;

/// How often those that others are at are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The folders of the cache; the number is raised when what is in them changes.
const PACKAGES: &str = "packages-1";
const UNFINISHED: &str = "unfinished-1";
const LOCKS: &str = "locks-1";

/// The cache of unpacked packages.
#[derive(Debug, Clone)]
pub(crate) struct Packages {
    folder: PathBuf,
}

/// An archive that has to be unpacked.
#[derive(Debug, Clone)]
struct Missing {
    record: RepoDataRecord,
    archive: PathBuf,
    name: String,
}

impl Packages {
    /// The cache of a host.
    pub(crate) fn open(host: &dyn Host) -> Result<Self, Problem> {
        let folder = host.downloads("conda")?;
        for name in [PACKAGES, UNFINISHED, LOCKS] {
            files::make_folder(&folder.join(name))
                .map_err(|error| failed("make", &folder.join(name), &error))?;
        }
        Ok(Self { folder })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(PACKAGES).join(name)
    }

    /// The folders of the packages, in the order of the records; what is missing is fetched and unpacked.
    pub(crate) async fn provide(
        &self,
        host: &dyn Host,
        channels: &Channels,
        records: &[RepoDataRecord],
    ) -> Result<Vec<PathBuf>, Problem> {
        let names = records
            .iter()
            .map(|record| {
                archive::check_names(record)?;
                Ok(fetch::digest(record)?.hex())
            })
            .collect::<Result<Vec<String>, Problem>>()?;
        let wanted: Vec<(&RepoDataRecord, &String)> = records
            .iter()
            .zip(&names)
            .filter(|(_, name)| !self.place(name).is_dir())
            .collect();
        let fetched = wanted.into_iter().map(async |(record, name)| {
            Ok::<_, Problem>(Missing {
                record: record.clone(),
                archive: fetch::locked(host, channels, record).await?,
                name: name.clone(),
            })
        });
        let fetched: Vec<_> = fetched.collect();
        // Everything is fetched before anything is locked: nobody waits for somebody else's slow server.
        let mut missing: Vec<Missing> = stream::iter(fetched)
            .buffer_unordered(DOWNLOADS)
            .try_collect()
            .await?;
        if !missing.is_empty() {
            host.progress(&format!(
                "unpack {} package{}",
                missing.len(),
                if missing.len() == 1 { "" } else { "s" }
            ));
        }
        while !missing.is_empty() {
            let before = missing.len();
            missing = self.unpack_free(missing).await?;
            if missing.len() == before {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(names.iter().map(|name| self.place(name)).collect())
    }

    /// Unpacks those that nobody else is at, and gives back the others.
    async fn unpack_free(&self, missing: Vec<Missing>) -> Result<Vec<Missing>, Problem> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let permits = Arc::new(Semaphore::new(threads));
        let mut tasks = JoinSet::new();
        let mut others: Vec<Missing> = Vec::new();
        for package in missing {
            let Some(lock) = self.lock(&package.name)? else {
                others.push(package);
                continue;
            };
            // Somebody else may have been at it until now.
            if self.place(&package.name).is_dir() {
                continue;
            }
            let to = self.folder.join(UNFINISHED).join(&package.name);
            let permits = Arc::clone(&permits);
            tasks.spawn(async move {
                let _permit = permits.acquire_owned().await;
                // A thread cannot be stopped, so it holds the lock itself until it is done.
                tokio::task::spawn_blocking(move || {
                    let unpacked = files::remove_folder(&to)
                        .map_err(|error| failed("clear", &to, &error))
                        .and_then(|()| archive::unpack(&package.archive, &package.record, &to));
                    if unpacked.is_err()
                        && let Err(error) = files::remove_folder(&to)
                    {
                        tracing::warn!(path = %to.display(), %error, "a package was not cleared away");
                    }
                    unpacked.map(|()| (package.name, lock))
                })
                .await
            });
        }
        let (mut held, mut first_problem) = (Vec::new(), None);
        while let Some(done) = tasks.join_next().await {
            let ended =
                |error: &dyn std::fmt::Display| Problem::failed("conda.package.failed", error.to_string());
            let done = done
                .map_err(|error| ended(&error))
                .and_then(|done| done.map_err(|error| ended(&error))?);
            match done {
                Ok(unpacked) => held.push(unpacked),
                Err(problem) => {
                    first_problem.get_or_insert(problem);
                }
            }
        }
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.publish(&held))
            .await
            .map_err(|error| Problem::failed("conda.package.failed", error.to_string()))??;
        if let Some(problem) = first_problem {
            return Err(problem);
        }
        Ok(others)
    }

    /// Gives the packages their names. Everything in them is on the disk first, so that a name is never there without
    /// its content, whatever becomes of the machine. The locks are the caller's to let go afterwards.
    fn publish(&self, held: &[(String, Locked)]) -> Result<(), Problem> {
        if held.is_empty() {
            return Ok(());
        }
        let unfinished = self.folder.join(UNFINISHED);
        files::write_through(&unfinished).map_err(|error| failed("write through", &unfinished, &error))?;
        for (name, _lock) in held {
            let place = self.place(name);
            files::rename(&unfinished.join(name), &place)
                .map_err(|error| failed("put in place", &place, &error))?;
        }
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<Option<Locked>, Problem> {
        let path = self.folder.join(LOCKS).join(name);
        files::try_lock(&path).map_err(|error| failed("lock", &path, &error))
    }
}

fn failed(operation: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::failed(
        "conda.cache.failed",
        format!("cannot {operation} `{}`: {error}", path.display()),
    )
}
