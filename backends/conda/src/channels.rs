//! Channels, in the order in which they are looked at.

use std::path::Path;

use rattler_conda_types::{Channel, ChannelConfig};
use url::Url;
use wrun_backend_python::{index, redact};
use wrun_core::canon::Canon;
use wrun_core::credential::CredentialId;
use wrun_core::diagnostic::Finding;

use crate::spec::ChannelEntry;

/// The channel of a spec that names none.
const DEFAULT: &str = "conda-forge";

/// What conda calls `defaults`, on Unix.
const DEFAULTS: &[&str] = &[
    "https://repo.anaconda.com/pkgs/main",
    "https://repo.anaconda.com/pkgs/r",
];

/// A word in environment files that stands for no channel: "and not the defaults".
const NO_DEFAULTS: &str = "nodefaults";

/// What to do where a server wants to know who asks.
const UNAUTHORIZED: &str = "write the channel as a table with `credentials = \"name\"`, and set `WRUN_INDEX_NAME_USERNAME` and \
                                       `WRUN_INDEX_NAME_PASSWORD`";

/// What to do where a server has too much to do.
pub(crate) const BUSY: &str = "the server asks to come back later; try again, or use a mirror";

/// What to do where a server fails.
pub(crate) const FAILED: &str = "the server itself fails; try again later, or use a mirror";

/// A channel that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownChannel {
    /// The channel.
    pub(crate) channel: Channel,
    /// The credential to use.
    pub(crate) credentials: Option<CredentialId>,
}

/// The channels of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Channels(Vec<KnownChannel>);

impl Channels {
    /// The channels of a spec and of its environment file; `folder` is what relative paths start from.
    pub(crate) fn understand<'a>(
        entries: &'a [ChannelEntry],
        of_file: impl IntoIterator<Item = &'a str>,
        folder: &Path,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut channels = Self::default();
        let config = ChannelConfig::default_with_root_dir(folder.to_path_buf());
        for (position, entry) in entries.iter().enumerate() {
            let at = format!("/channels/{position}");
            let (text, credentials, at) = match entry {
                ChannelEntry::Name(text) => (text, None, at),
                ChannelEntry::Table(table) => (&table.url, table.credentials.as_ref(), format!("{at}/url")),
            };
            channels.add(text, credentials, &at, &config, findings);
        }
        for text in of_file {
            channels.add(text, None, "/file", &config, findings);
        }
        if channels.0.is_empty() && findings.is_empty() {
            channels.add(DEFAULT, None, "/channels", &config, findings);
        }
        channels
    }

    fn add(
        &mut self,
        text: &str,
        credentials: Option<&CredentialId>,
        at: &str,
        config: &ChannelConfig,
        findings: &mut Vec<Finding>,
    ) {
        let texts: &[&str] = match text {
            NO_DEFAULTS => return,
            "defaults" => DEFAULTS,
            _ => &[text],
        };
        for text in texts {
            match channel(text, at, config) {
                Ok(channel) => self.push(channel, credentials.cloned()),
                Err(finding) => findings.push(finding),
            }
        }
    }

    /// Adds a channel at the end, unless it is there.
    pub(crate) fn push(&mut self, channel: Channel, credentials: Option<CredentialId>) {
        match self
            .0
            .iter_mut()
            .find(|known| known.channel.base_url == channel.base_url)
        {
            Some(known) => known.credentials = known.credentials.take().or(credentials),
            None => self.0.push(KnownChannel { channel, credentials }),
        }
    }

    /// The channels.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Channel> {
        self.0.iter().map(|known| &known.channel)
    }

    /// The addresses for people.
    pub(crate) fn names(&self) -> Vec<String> {
        self.all().map(name).collect()
    }

    /// The credential for an address, by the channel that it is below.
    pub(crate) fn credential(&self, url: &Url) -> Option<&CredentialId> {
        self.above(url)?.credentials.as_ref()
    }

    /// What to do where the server of an address refuses.
    pub(crate) fn unauthorized(&self, url: &str) -> String {
        let credential = Url::parse(url)
            .ok()
            .and_then(|url| self.credential(&url).cloned());
        credential.map_or_else(
            || UNAUTHORIZED.to_owned(),
            |name| {
                let variable = index::variable_part(&name);
                format!(
                    "the credential `{name}` was refused: correct `WRUN_INDEX_{variable}_USERNAME` and \
                     `WRUN_INDEX_{variable}_PASSWORD`"
                )
            },
        )
    }

    /// The channel that an address is below.
    pub(crate) fn of(&self, url: &Url) -> Option<&Channel> {
        Some(&self.above(url)?.channel)
    }

    fn above(&self, url: &Url) -> Option<&KnownChannel> {
        self.0
            .iter()
            .filter(|known| url.as_str().starts_with(known.channel.base_url.as_str()))
            .max_by_key(|known| known.channel.base_url.as_str().len())
    }

    /// As part of a key: the addresses in order. Who asks is not part of a key.
    pub(crate) fn canon(&self) -> Canon {
        Canon::list(
            self.all()
                .map(|channel| Canon::text(channel.base_url.as_str().trim_end_matches('/'))),
        )
    }
}

/// What people call a channel: its name on the public server, else its address.
pub(crate) fn name(channel: &Channel) -> String {
    let address = channel.base_url.as_str().trim_end_matches('/');
    address
        .strip_prefix("https://conda.anaconda.org/")
        .unwrap_or(address)
        .to_owned()
}

fn channel(text: &str, at: &str, config: &ChannelConfig) -> Result<Channel, Finding> {
    let wrong = |why: &dyn std::fmt::Display| {
        let shown = redact::strip(text);
        Finding::error(
            "conda.channel.syntax",
            at,
            format!("`{shown}` is no channel: {why}"),
        )
        .with_help("write a name such as `conda-forge`, an address, or a folder such as `./channel`")
    };
    if text.trim().is_empty() {
        return Err(wrong(&"it is empty"));
    }
    if text.contains('[') {
        return Err(wrong(&"platforms are chosen with `platform`"));
    }
    let channel = Channel::from_str(text, config).map_err(|error| wrong(&error))?;
    let url = channel.base_url.url();
    if !matches!(url.scheme(), "https" | "http" | "file") {
        return Err(wrong(&format!(
            "channels of the scheme `{}` are not read",
            url.scheme()
        )));
    }
    secret(url, at).map_or(Ok(channel), Err)
}

/// What is wrong with an address that was written with a secret in it. anaconda.org takes tokens as a part of the path:
/// `/t/TOKEN/channel`.
pub(crate) fn secret(url: &Url, at: &str) -> Option<Finding> {
    let has_token = url.path().starts_with("/t/");
    if !has_token && !redact::has_secret(url) {
        return None;
    }
    let shown = if has_token {
        format!("{}://{}/t/…", url.scheme(), url.host_str().unwrap_or_default())
    } else {
        redact::strip(url.as_str())
    };
    let finding = Finding::error(
        "conda.channel.secret",
        at,
        format!("the address `{shown}` was written with a secret in it"),
    );
    Some(finding.with_help(
        "write the channel as a table with `credentials = \"name\"`, and set the variables \
         `WRUN_INDEX_NAME_USERNAME` and `WRUN_INDEX_NAME_PASSWORD` when running",
    ))
}
