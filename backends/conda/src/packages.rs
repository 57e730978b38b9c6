//! Unpacked packages, shared by all environments.
//!
//! rattler's own cache is held by one lock while an environment is installed, so environments are installed one after
//! the other, and it names packages without their platform. Here a package is a folder named after the digest of its
//! archive, and it is there or it is not:
//!
//! - It is unpacked under another name and renamed when it is whole, checked and on the disk. What has its name is never
//!   changed again, so it is used without a lock.
//! - What was done to it from outside is seen (`condition`): it is unpacked anew then, and so is what lost its files. An archive
//!   that is not what it was when it was fetched is fetched anew, once.
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

use crate::archive::Fault;
use crate::fetch::Origin;
use crate::files::{self, Locked};
use crate::{archive, condition, fetch};

/// Downloads that go on side by side.
const DOWNLOADS: usize = 8;

/// How often those that others are at are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The folders of the cache; the number is raised when what is in them changes.
const PACKAGES: &str = "packages-2";
const UNFINISHED: &str = "unfinished-2";
const LOCKS: &str = "locks-2";

/// What was unpacked, in the folder of a package.
const TREE: &str = "tree";

/// The end of the name of a package that is on its way out.
const DAMAGED: &str = "damaged";

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
    /// Whether the archive was fetched a second time.
    is_fetched_anew: bool,
}

impl Missing {
    /// Whether there is a server to ask for the archive, and it was not asked already.
    fn can_be_fetched_anew(&self) -> bool {
        !self.is_fetched_anew && self.record.url.scheme() != "file"
    }
}

/// What came of the packages that were to be unpacked.
#[derive(Debug, Default)]
struct Round {
    /// Those that others are at.
    others: Vec<Missing>,
    /// Those whose archive in the store is not what it was when it was fetched.
    spoilt: Vec<Missing>,
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

    /// The folders of the packages, in the order of the records; what is missing or damaged is fetched and unpacked.
    pub(crate) async fn provide(
        &self,
        host: &dyn Host,
        origin: Origin<'_>,
        records: &[RepoDataRecord],
    ) -> Result<Vec<PathBuf>, Problem> {
        let names = records
            .iter()
            .map(|record| {
                archive::check_names(record)?;
                Ok(fetch::digest(record)?.hex())
            })
            .collect::<Result<Vec<String>, Problem>>()?;
        let whole = self.whole(&names).await?;
        let wanted: Vec<(&RepoDataRecord, &String)> = records
            .iter()
            .zip(&names)
            .zip(whole)
            .filter_map(|(wanted, whole)| (!whole).then_some(wanted))
            .collect();
        for (record, _) in wanted
            .iter()
            .filter(|(_, name)| files::is_there(&self.place(name)))
        {
            host.progress(&format!(
                "repair {}, whose unpacked files were changed",
                record.identifier.to_file_name()
            ));
        }
        let fetched = wanted.into_iter().map(async |(record, name)| {
            Ok::<_, Problem>(Missing {
                record: record.clone(),
                archive: fetch::locked(host, origin, record).await?,
                name: name.clone(),
                is_fetched_anew: false,
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
            let Round { others, spoilt } = self.unpack_free(missing).await?;
            missing = others;
            for package in spoilt {
                missing.push(fetch_anew(host, origin, package).await?);
            }
            if missing.len() == before {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(names.iter().map(|name| self.place(name).join(TREE)).collect())
    }

    /// Which of the packages are there as they were unpacked.
    async fn whole(&self, names: &[String]) -> Result<Vec<bool>, Problem> {
        let looked_at = names.iter().map(|name| {
            let place = self.place(name);
            tokio::task::spawn_blocking(move || condition::is_whole(&place, TREE))
        });
        stream::iter(looked_at.collect::<Vec<_>>())
            .buffered(threads())
            .try_collect()
            .await
            .map_err(|error| ended(&error))
    }

    /// Unpacks those that nobody else is at.
    async fn unpack_free(&self, missing: Vec<Missing>) -> Result<Round, Problem> {
        let permits = Arc::new(Semaphore::new(threads()));
        let mut tasks = JoinSet::new();
        let mut round = Round::default();
        for package in missing {
            let Some(lock) = self.lock(&package.name)? else {
                round.others.push(package);
                continue;
            };
            let (this, permits) = (self.clone(), Arc::clone(&permits));
            tasks.spawn(async move {
                let _permit = permits.acquire_owned().await;
                // A thread cannot be stopped, so it holds the lock itself until it is done.
                tokio::task::spawn_blocking(move || {
                    // Somebody else may have been at it until now.
                    if condition::is_whole(&this.place(&package.name), TREE) {
                        return Ok(None);
                    }
                    match this.unpack(&package) {
                        Ok(()) => Ok(Some((package.name, lock))),
                        Err(fault) => Err(Box::new((fault, package))),
                    }
                })
                .await
            });
        }
        let (mut held, mut first_problem) = (Vec::new(), None);
        while let Some(done) = tasks.join_next().await {
            let unpacked = match done {
                Ok(Ok(unpacked)) => unpacked,
                Ok(Err(error)) | Err(error) => {
                    first_problem.get_or_insert(ended(&error));
                    continue;
                }
            };
            match unpacked.map_err(|failed| *failed) {
                Ok(unpacked) => held.extend(unpacked),
                Err((Fault::Archive(_), package)) if package.can_be_fetched_anew() => {
                    round.spoilt.push(package);
                }
                Err((Fault::Archive(problem) | Fault::Package(problem), _)) => {
                    first_problem.get_or_insert(problem);
                }
            }
        }
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.publish(&held))
            .await
            .map_err(|error| ended(&error))??;
        if let Some(problem) = first_problem {
            return Err(problem);
        }
        Ok(round)
    }

    /// Unpacks a package under a name that is not its own yet.
    fn unpack(&self, package: &Missing) -> Result<(), Fault> {
        let to = self.folder.join(UNFINISHED).join(&package.name);
        let unpack = || {
            files::remove(&to).map_err(|error| failed("clear", &to, &error))?;
            archive::unpack(&package.archive, &package.record, &to.join(TREE))?;
            condition::record(&to, TREE)
                .map_err(|error| failed("write down the condition of", &to, &error))?;
            Ok(())
        };
        let unpacked = unpack();
        if unpacked.is_err()
            && let Err(error) = files::remove(&to)
        {
            tracing::warn!(path = %to.display(), %error, "a package was not cleared away");
        }
        unpacked
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
            let (place, damaged) = (self.place(name), unfinished.join(format!("{name}.{DAMAGED}")));
            if files::is_there(&place) {
                files::remove(&damaged)
                    .and_then(|()| files::rename(&place, &damaged))
                    .map_err(|error| failed("put aside", &place, &error))?;
            }
            files::rename(&unfinished.join(name), &place)
                .map_err(|error| failed("put in place", &place, &error))?;
            files::remove(&damaged).map_err(|error| failed("remove", &damaged, &error))?;
        }
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<Option<Locked>, Problem> {
        let path = self.folder.join(LOCKS).join(name);
        files::try_lock(&path).map_err(|error| failed("lock", &path, &error))
    }
}

/// A package whose archive in the store is not what it was, with one that is.
async fn fetch_anew(host: &dyn Host, origin: Origin<'_>, package: Missing) -> Result<Missing, Problem> {
    host.progress(&format!(
        "fetch {} again, whose download was changed",
        package.record.identifier.to_file_name()
    ));
    host.discard(&fetch::digest(&package.record)?)?;
    Ok(Missing {
        archive: fetch::locked(host, origin, &package.record).await?,
        is_fetched_anew: true,
        ..package
    })
}

/// Packages that are looked at or unpacked side by side.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn ended(error: &dyn std::fmt::Display) -> Problem {
    Problem::failed("conda.package.failed", error.to_string())
}

fn failed(operation: &str, path: &Path, error: &std::io::Error) -> Problem {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return archive::disk_full(&format!("cannot {operation}"), path);
    }
    Problem::failed(
        "conda.cache.failed",
        format!("cannot {operation} `{}`: {error}", path.display()),
    )
}
