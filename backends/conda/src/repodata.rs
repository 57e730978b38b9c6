//! What channels have: their repodata, sharded where a channel offers it.

use std::path::PathBuf;

use rattler::package_cache::PackageCache;
use rattler_conda_types::{Channel, MatchSpec, Subdir};
use rattler_repodata_gateway::fetch::CacheAction;
use rattler_repodata_gateway::{ChannelConfig, Gateway, GatewayError, RepoData, SourceConfig};
use reqwest_middleware::ClientWithMiddleware;
use url::Url;
use wrun_core::host::Host;
use wrun_core::problem::Problem;

use crate::channels::{self, Channels};
use crate::inflated;
use crate::web::{self, Trouble};

/// Requests that go on side by side.
const CONCURRENT: usize = 16;

/// Where repodata is kept, below the folder of downloads.
const FOLDER: &str = "repodata";

/// The code by which the host says that something else came than what was asked for.
const SOMETHING_ELSE: &str = "provision.http.content";

/// The code by which the host says that an answer is larger than what is taken.
const LARGER: &str = "provision.http.too-large";

/// The code of repodata that makes no sense.
const BROKEN: &str = "conda.repodata.broken";

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

/// What is asked of channels.
struct Asking<'a> {
    host: &'a dyn Host,
    channels: &'a Channels,
    platforms: Vec<Subdir>,
    specs: Vec<MatchSpec>,
}

/// Everything that the channels have for some specs and what those depend on.
pub(crate) async fn query(
    host: &dyn Host,
    channels: &Channels,
    platforms: Vec<Subdir>,
    specs: Vec<MatchSpec>,
    freshness: Freshness,
) -> Result<Vec<RepoData>, Problem> {
    let asking = Asking {
        host,
        channels,
        platforms,
        specs,
    };
    let sources: Vec<Channel> = channels.all().cloned().collect();
    let (answered, trouble) = asking.ask(sources, asking.platforms.clone(), freshness).await?;
    match answered {
        Ok(repodata) => Ok(repodata),
        Err(error) => Err(match problem(host, channels, &error, trouble) {
            Some(problem) => problem,
            None => asking.broken(&causes(&error)).await,
        }),
    }
}

impl Asking<'_> {
    async fn ask(
        &self,
        sources: Vec<Channel>,
        platforms: Vec<Subdir>,
        freshness: Freshness,
    ) -> Result<(Result<Vec<RepoData>, GatewayError>, Trouble), Problem> {
        let Self {
            host,
            channels,
            platforms: _,
            specs,
        } = self;
        let cache = cache(*host)?;
        web::through(*host, channels, async |client| {
            let asked = gateway(*host, cache, client, freshness)
                .query(sources, platforms, specs.clone())
                .recursive(true)
                .channel_notices(false);
            asked.execute().await.map(|output| output.repodata)
        })
        .await
    }

    /// Repodata that makes no sense. The libraries do not say whose it is, so each is read by itself once more, out of what
    /// is kept.
    async fn broken(&self, why: &str) -> Problem {
        for channel in self.channels.all() {
            for platform in &self.platforms {
                let asked = self.ask(vec![channel.clone()], vec![*platform], Freshness::Kept);
                if let Ok((Err(error), _)) = asked.await
                    && causes(&error) == why
                {
                    return broken(
                        &format!("the channel `{}` for `{platform}`", channels::name(channel)),
                        why,
                    );
                }
            }
        }
        broken(
            &format!("one of the channels `{}`", self.channels.names().join("`, `")),
            why,
        )
    }
}

fn broken(whose: &str, why: &str) -> Problem {
    Problem::Failed {
        code: BROKEN.to_owned(),
        message: format!("the repodata of {whose} cannot be used: {why}"),
        help: Some(
            "the channel is damaged, or something between changes what it sends; `--refresh` fetches it anew"
                .to_owned(),
        ),
    }
}

/// The names of everything that the channels have, as far as it is kept; nothing is fetched.
pub(crate) async fn names(host: &dyn Host, channels: &Channels, platforms: Vec<Subdir>) -> Vec<String> {
    let sources: Vec<Channel> = channels.all().cloned().collect();
    let Ok(cache) = cache(host) else { return Vec::new() };
    let asked = web::through(host, channels, async |client| {
        gateway(host, cache, client, Freshness::Kept)
            .names(sources, platforms)
            .channel_notices(false)
            .execute()
            .await
    });
    let Ok((Ok(found), _)) = asked.await else {
        return Vec::new();
    };
    found
        .names
        .iter()
        .map(|name| name.as_normalized().to_owned())
        .collect()
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

/// Why repodata could not be had; nothing if it was had and makes no sense.
fn problem(host: &dyn Host, channels: &Channels, error: &GatewayError, trouble: Trouble) -> Option<Problem> {
    if let Some((url, problem)) = trouble.problem {
        let own_code = match &problem {
            Problem::Failed { code, .. } if code == SOMETHING_ELSE => Some(BROKEN),
            Problem::Failed { code, .. } if code == LARGER || code == inflated::TOO_LARGE => {
                Some(inflated::TOO_LARGE)
            }
            _ => None,
        };
        return Some(match (own_code, &problem) {
            (Some(code), Problem::Failed { message, help, .. }) => Problem::Failed {
                code: code.to_owned(),
                message: format!(
                    "the repodata of {} cannot be used: {message}",
                    whose(channels, &url)
                ),
                help: help.clone(),
            },
            _ => problem,
        });
    }
    if let Some((url, status)) = trouble.refused {
        let (code, help) = match status {
            401 | 403 => ("conda.channel.unauthorized", channels.unauthorized(&url)),
            429 => ("conda.channel.busy", channels::BUSY.to_owned()),
            _ => ("conda.channel.failed", channels::FAILED.to_owned()),
        };
        return Some(Problem::Failed {
            code: code.to_owned(),
            message: format!("`{url}` answered with status {status}"),
            help: Some(help),
        });
    }
    if let Some(path) = may_not_be_read(channels, error) {
        return Some(Problem::Failed {
            code: "conda.channel.permission".to_owned(),
            message: format!("the channel {path} may not be read: permission denied"),
            help: Some("give the folders and files of the channel to whoever runs this to read".to_owned()),
        });
    }
    if let GatewayError::SubdirNotFoundError(missing) = error {
        let name = channels::name(&missing.channel);
        return Some(Problem::Failed {
            code: "conda.channel.missing".to_owned(),
            message: format!(
                "there is no channel `{name}`: it has no `{}/repodata.json`",
                missing.subdir
            ),
            help: Some(
                "correct the name or the address; a channel is the folder above `noarch` and `linux-64`"
                    .to_owned(),
            ),
        });
    }
    if let GatewayError::DirectUrlQueryError(address, why) = error {
        return Some(Problem::Failed {
            code: "conda.package.address".to_owned(),
            message: format!("the package at `{address}` cannot be had: {}", causes(why)),
            help: Some(
                "correct the address in `packages`, or ask for the package by its name and its channel"
                    .to_owned(),
            ),
        });
    }
    host.offline().then(|| Problem::Failed {
        code: "conda.solve.offline".to_owned(),
        message: format!(
            "solving needs the network, and this run is offline: {}",
            causes(error)
        ),
        help: Some("run once without `--offline`, or start at a lock with `--locked FILE`".to_owned()),
    })
}

/// The channel whose folder may not be read, if that is why something is not to be had.
fn may_not_be_read(channels: &Channels, error: &GatewayError) -> Option<String> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = cause {
        let denied = current
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        if denied {
            let of_files: Vec<String> = channels
                .all()
                .filter(|channel| channel.base_url.url().scheme() == "file")
                .map(|channel| format!("`{}`", channels::name(channel)))
                .collect();
            return Some(of_files.join(" or ")).filter(|names| !names.is_empty());
        }
        cause = current.source();
    }
    None
}

/// The channel and the platform that an address of repodata is of.
fn whose(channels: &Channels, url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let channel = parsed.as_ref().and_then(|url| channels.of(url));
    let Some(channel) = channel else {
        return "a channel".to_owned();
    };
    let below = url.strip_prefix(channel.base_url.as_str()).unwrap_or_default();
    let platform = below.split('/').next().unwrap_or_default();
    format!("the channel `{}` for `{platform}`", channels::name(channel))
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
