//! What channels have: their repodata, sharded where a channel offers it.

use std::path::PathBuf;

use rattler::package_cache::PackageCache;
use rattler_conda_types::{Channel, MatchSpec, Subdir};
use rattler_repodata_gateway::fetch::CacheAction;
use rattler_repodata_gateway::{ChannelConfig, Gateway, GatewayError, RepoData, SourceConfig};
use reqwest_middleware::ClientWithMiddleware;
use wrun_core::host::Host;
use wrun_core::problem::Problem;

use crate::channels::{self, Channels};
use crate::web::{self, Trouble};

/// Requests that go on side by side.
const CONCURRENT: usize = 16;

/// Where repodata is kept, below the folder of downloads.
const FOLDER: &str = "repodata";

/// How far kept repodata is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// As long as its channel says.
    AsKept,
    /// Not at all.
    Refreshed,
    /// Whatever it is, and nothing is fetched: for what was fetched a moment ago.
    Kept,
}

/// Everything that the channels have for some specs and what those depend on.
pub(crate) async fn query(
    host: &dyn Host,
    channels: &Channels,
    platforms: Vec<Subdir>,
    specs: Vec<MatchSpec>,
    freshness: Freshness,
) -> Result<Vec<RepoData>, Problem> {
    let sources: Vec<Channel> = channels.all().cloned().collect();
    let cache = cache(host)?;
    let (answered, trouble) = web::through(host, channels, async |client| {
        gateway(host, cache, client, freshness)
            .query(sources, platforms, specs)
            .recursive(true)
            .channel_notices(false)
            .execute()
            .await
    })
    .await?;
    match answered {
        Ok(output) => Ok(output.repodata),
        Err(error) => Err(problem(host, &error, trouble)),
    }
}

/// The names of everything that the channels have, as far as it is kept; nothing is fetched.
pub(crate) async fn names(
    host: &dyn Host,
    channels: &Channels,
    platforms: Vec<Subdir>,
) -> Result<Vec<String>, Problem> {
    let sources: Vec<Channel> = channels.all().cloned().collect();
    let cache = cache(host)?;
    let (answered, trouble) = web::through(host, channels, async |client| {
        gateway(host, cache, client, Freshness::Kept)
            .names(sources, platforms)
            .channel_notices(false)
            .execute()
            .await
    })
    .await?;
    match answered {
        Ok(found) => Ok(found
            .names
            .iter()
            .map(|name| name.as_normalized().to_owned())
            .collect()),
        Err(error) => Err(problem(host, &error, trouble)),
    }
}

fn cache(host: &dyn Host) -> Result<PathBuf, Problem> {
    Ok(host.downloads("conda")?.join(FOLDER))
}

fn gateway(host: &dyn Host, cache: PathBuf, client: ClientWithMiddleware, freshness: Freshness) -> Gateway {
    let cache_action = match freshness {
        Freshness::Kept => CacheAction::ForceCacheOnly,
        _ if host.offline() => CacheAction::ForceCacheOnly,
        Freshness::AsKept => CacheAction::CacheOrFetch,
        Freshness::Refreshed => CacheAction::NoCache,
    };
    Gateway::builder()
        .with_package_cache(PackageCache::new(cache.join("packages")))
        .with_cache_dir(cache)
        .with_client(client)
        .with_max_concurrent_requests(CONCURRENT)
        .with_channel_config(ChannelConfig {
            default: SourceConfig {
                cache_action,
                missing_shards_are_empty: freshness == Freshness::Kept,
                ..SourceConfig::default()
            },
            ..ChannelConfig::default()
        })
        .finish()
}

/// Why repodata could not be had.
fn problem(host: &dyn Host, error: &GatewayError, trouble: Trouble) -> Problem {
    if let Some(problem) = trouble.problem {
        return problem;
    }
    if let Some((url, status)) = trouble.refused {
        let (code, help) = match status {
            401 | 403 => (
                "conda.channel.unauthorized",
                "write the channel as a table with `credentials = \"name\"`, and set `WRUN_INDEX_NAME_USERNAME` and \
                 `WRUN_INDEX_NAME_PASSWORD`",
            ),
            429 => (
                "conda.channel.busy",
                "the server asks to come back later; try again, or use a mirror",
            ),
            _ => (
                "conda.channel.failed",
                "the server itself fails; try again later, or use a mirror",
            ),
        };
        return Problem::Failed {
            code: code.to_owned(),
            message: format!("`{url}` answered with status {status}"),
            help: Some(help.to_owned()),
        };
    }
    if let GatewayError::SubdirNotFoundError(missing) = error {
        let name = channels::name(&missing.channel);
        return Problem::Failed {
            code: "conda.channel.missing".to_owned(),
            message: format!(
                "there is no channel `{name}`: it has no `{}/repodata.json`",
                missing.subdir
            ),
            help: Some(
                "correct the name or the address; a channel is the folder above `noarch` and `linux-64`"
                    .to_owned(),
            ),
        };
    }
    let chain = causes(error);
    if host.offline() {
        return Problem::Failed {
            code: "conda.solve.offline".to_owned(),
            message: format!("solving needs the network, and this run is offline: {chain}"),
            help: Some("run once without `--offline`, or start at a lock with `--locked FILE`".to_owned()),
        };
    }
    Problem::Failed {
        code: "conda.repodata.broken".to_owned(),
        message: format!("the repodata of a channel cannot be used: {chain}"),
        help: Some(
            "the channel is damaged, or something between changes what it sends; `--refresh` fetches it anew"
                .to_owned(),
        ),
    }
}

/// An error with what caused it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(current) = cause {
        let text = current.to_string();
        // Errors that only pass on another one repeat its words.
        if said.last().is_none_or(|last| !last.contains(&text)) {
            said.push(text);
        }
        cause = current.source();
    }
    wrun_backend_python::redact::strip(&said.join(": "))
}
