//! Finding packages that go together.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rattler_conda_types::{
    ChannelUrl, GenericVirtualPackage, MatchSpec, RepoDataRecord, SolverResult, Subdir,
};
use rattler_repodata_gateway::RepoData;
use rattler_solve::{
    CancellationToken, ChannelPriority, ExcludeNewer, SolveError, SolverImpl as _, SolverTask, resolvo,
};
use wrun_core::host::Host;
use wrun_core::problem::Problem;

use crate::cut_off::CutOff;
use crate::explain::{self, Asked};
use crate::narrow::narrowed;
use crate::repodata::{self, Freshness};
use crate::spec::Priority;
use crate::understand::Understood;
use crate::virtual_packages::Virtual;
use crate::{archive, fetch};

/// How long the solver may think.
const SOLVE_TIMEOUT: Duration = Duration::from_mins(10);

/// Files that are looked at side by side.
const CONCURRENT: usize = 8;

/// Stops the solver when nobody waits for it any more.
struct StopOnDrop(CancellationToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// All that a solution is looked for in.
struct Field {
    repodata: Vec<RepoData>,
    virtual_packages: Vec<GenericVirtualPackage>,
    priority: ChannelPriority,
    exclude: Option<ExcludeNewer>,
    token: CancellationToken,
}

impl Field {
    fn solve(&self, specs: &[MatchSpec], timeout: Duration) -> Result<SolverResult, SolveError> {
        resolvo::Solver.solve(SolverTask {
            specs: specs.to_vec(),
            virtual_packages: self.virtual_packages.clone(),
            timeout: Some(timeout),
            channel_priority: self.priority,
            exclude_newer: self.exclude.clone(),
            cancellation_token: Some(self.token.clone()),
            ..SolverTask::from_iter(&self.repodata)
        })
    }
}

/// Does on a thread of its own what takes the solver.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::failed("conda.solve.failed", format!("the solver ended early: {error}")))
}

/// The packages for specs, sorted by name, each with its digest.
pub(crate) async fn solve(
    host: &dyn Host,
    understood: &Understood,
    specs: &[MatchSpec],
    virtual_packages: &Virtual,
    freshness: Freshness,
) -> Result<Vec<RepoDataRecord>, Problem> {
    let platform = understood.platform;
    let platforms = if platform == Subdir::NoArch {
        vec![Subdir::NoArch]
    } else {
        vec![platform, Subdir::NoArch]
    };
    // A channel is asked for everything of a name, not only for what fits: what the first channel has decides what may
    // come from the next.
    let mut asked_for = specs.to_vec();
    asked_for.extend(specs.iter().filter_map(explain::bare));
    let repodata = repodata::query(
        host,
        &understood.channels,
        platforms.clone(),
        asked_for,
        freshness,
    )
    .await?;
    let cut_off = CutOff::of(understood)?;
    let priority = match understood.spec.channel_priority {
        Priority::Strict => ChannelPriority::Strict,
        Priority::Flexible => ChannelPriority::Flexible,
        Priority::Disabled => ChannelPriority::Disabled,
    };
    let token = CancellationToken::new();
    let _stop = StopOnDrop(token.clone());
    let field = Arc::new(Field {
        repodata,
        virtual_packages: virtual_packages.0.clone(),
        priority,
        exclude: cut_off.as_ref().map(|cut_off| cut_off.exclude.clone()),
        token,
    });
    let (thread_field, thread_specs) = (Arc::clone(&field), specs.to_vec());
    let solved = beside(move || thread_field.solve(&thread_specs, SOLVE_TIMEOUT)).await?;
    match solved {
        Ok(solved) => {
            let mut records = with_digests(host, understood, solved.records).await?;
            records.sort_by(|left, right| left.package_record.name.cmp(&right.package_record.name));
            Ok(records)
        }
        Err(SolveError::Unsolvable(said)) => {
            tracing::debug!(said = %said.join("\n"), "the solver finds no solution");
            // Both only make a message better, so it matters little if they cannot be had.
            let names = repodata::names(host, &understood.channels, platforms).await;
            let elsewhere = elsewhere(host, understood, specs, &field.repodata).await;
            let asked = Asked {
                understood,
                specs,
                repodata: &field.repodata,
                names: &names,
                virtual_packages,
                cut_off: cut_off.as_ref(),
                elsewhere: &elsewhere,
            };
            let blocked = asked.all_blocked();
            let mut reasons = asked.each_alone(&blocked);
            if reasons.is_empty() {
                let (thread_field, thread_specs) = (Arc::clone(&field), specs.to_vec());
                let fewest = beside(move || {
                    narrowed(&thread_specs, |some, time| {
                        matches!(thread_field.solve(some, time), Err(SolveError::Unsolvable(_)))
                    })
                })
                .await?;
                let asked = Asked {
                    specs: &fewest,
                    ..asked
                };
                reasons.push(asked.conflict(&blocked));
            }
            Err(explain::unsatisfiable(reasons))
        }
        Err(SolveError::Cancelled) => Err(Problem::Failed {
            code: "conda.solve.timeout".to_owned(),
            message: format!(
                "no solution was found within {} minutes",
                SOLVE_TIMEOUT.as_secs() / 60
            ),
            help: Some("ask for fewer or narrower versions".to_owned()),
        }),
        Err(other) => Err(Problem::failed(
            "conda.solve.failed",
            format!("the solver failed: {}", repodata::causes(&other)),
        )),
    }
}

/// What channels have for other platforms under the names that nothing here has: the usual reason for a name that is
/// not found. Fails silently: it only makes a message better.
async fn elsewhere(
    host: &dyn Host,
    understood: &Understood,
    specs: &[MatchSpec],
    repodata: &[RepoData],
) -> Vec<(String, Subdir)> {
    const USUAL: [Subdir; 5] = [
        Subdir::Linux64,
        Subdir::LinuxAarch64,
        Subdir::Osx64,
        Subdir::OsxArm64,
        Subdir::Win64,
    ];
    let missing: Vec<MatchSpec> = specs
        .iter()
        .filter(|spec| {
            let records = repodata.iter().flat_map(RepoData::iter);
            explain::name(spec).is_some_and(|name| {
                !name.as_normalized().starts_with("__")
                    && !records
                        .into_iter()
                        .any(|record| record.package_record.name == *name)
            })
        })
        .cloned()
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let platforms: Vec<Subdir> = USUAL
        .into_iter()
        .filter(|platform| *platform != understood.platform)
        .collect();
    let found = repodata::query(
        host,
        &understood.channels,
        platforms,
        missing.clone(),
        Freshness::AsKept,
    )
    .await;
    let Ok(found) = found else { return Vec::new() };
    let mut pairs: Vec<(String, Subdir)> = found
        .iter()
        .flat_map(RepoData::iter)
        .filter(|record| {
            missing
                .iter()
                .any(|spec| explain::name(spec) == Some(&record.package_record.name))
        })
        .filter_map(|record| {
            let name = record.package_record.name.as_normalized().to_owned();
            Some((name, record.package_record.subdir.parse().ok()?))
        })
        .collect();
    pairs.sort();
    pairs.dedup();
    pairs
}

/// The records, each with its SHA-256. Old channels only know MD5; then the file itself is asked.
async fn with_digests(
    host: &dyn Host,
    understood: &Understood,
    records: Vec<RepoDataRecord>,
) -> Result<Vec<RepoDataRecord>, Problem> {
    let completed = records.into_iter().map(async |mut record| {
        if record.package_record.sha256.is_none() {
            let (path, digest) = fetch::unknown(host, understood.origin(), &record.url).await?;
            if let Some(expected) = record.package_record.md5 {
                archive::check_md5(&path, &record.url, expected.into())?;
            }
            record.package_record.sha256 = Some((*digest.as_bytes()).into());
        }
        Ok::<_, Problem>(record)
    });
    let completed: Vec<_> = completed.collect();
    stream::iter(completed).buffered(CONCURRENT).try_collect().await
}

/// The channel of an address: the folder above that of its platform.
pub(crate) fn channel_of(url: &url::Url) -> Option<ChannelUrl> {
    let mut channel = url.clone();
    channel.path_segments_mut().ok()?.pop().pop();
    Some(channel.into())
}
