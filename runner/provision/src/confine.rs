//! What an installer may touch: the environment that it builds, its downloads, its tool, the interpreter, what the spec
//! refers to, and the hosts of its index. Nothing of the user's home, and none of the user's variables.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::net::TcpStream;

use tokio_util::sync::CancellationToken;
use url::Url;
use wrun_core::event::Event;
use wrun_core::grants::{Access, Limits};
use wrun_core::net::{Net, NetRule};
use wrun_core::plan::{CHILDREN_OFFLINE, NOT_GRANTED, NetworkUse};
use wrun_core::sandbox::{Demand, Tier};
use wrun_process::{CaptureLimits, Captured, Command, Out, capture};
use wrun_proxy::{Gate, Outside, Pace, PrivateAddresses, System, Upstream};
use wrun_sandbox::{Confinement, NotExecuted, Refusal, Start, start};

use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::http::LEAST;
use crate::patience::patiently;
use crate::places::Places;
use crate::way_out::WayOut;

/// Where the Python package index has its files.
const PACKAGE_INDEX: &[&str] = &["https://pypi.org/", "https://files.pythonhosted.org/"];

/// Beginnings of addresses in the texts that an installer is given.
const SCHEMES: &[&str] = &["https://", "http://"];

/// Failures outside that are kept of one installer.
const MOST_FAILURES: usize = 16;

/// The beginning of the address of a file.
const FILE: &str = "file://";

impl TaskHost {
    /// What a run may touch.
    pub(crate) fn confinement(
        &self,
        places: &Places<'_>,
        mentioned: &[&OsStr],
        network: NetworkUse,
    ) -> Confinement {
        let mut paths: Vec<(PathBuf, Access)> = places
            .readable(self.inside.is_none())
            .into_iter()
            .map(|path| (path, Access::Read))
            .collect();
        let mut rules = BTreeSet::new();
        let named = places.mentioned();
        let texts = mentioned
            .iter()
            .map(|text| text.as_bytes())
            .chain(named.iter().map(String::as_bytes));
        for text in texts {
            let text = String::from_utf8_lossy(text);
            rules.extend(hosts(&text));
            paths.extend(files(&text).into_iter().map(|path| (path, Access::Read)));
        }
        for (name, value) in &self.settings.passthrough {
            if name.starts_with("SSL_CERT") {
                paths.extend(
                    std::env::split_paths(value)
                        .filter(|path| path.exists())
                        .map(|path| (path, Access::Read)),
                );
            }
        }
        rules.extend(PACKAGE_INDEX.iter().flat_map(|url| hosts(url)));
        rules.extend(self.settings.installer_hosts.iter().cloned());
        paths.extend(
            places
                .writable_folders()
                .into_iter()
                .map(|path| (path, Access::Write)),
        );
        let mut gate = Gate::new(if network == NetworkUse::None {
            Net::None
        } else {
            Net::Listed(rules.into_iter().collect())
        });
        // These hosts were named by the user, and an index commonly lies in the inner network.
        gate.private = PrivateAddresses::Allow;
        // Installers wait for the next byte only: an answer that drips would have no end.
        gate.limits.pace = Some(Pace {
            bytes: LEAST,
            time: self.settings.timing.idle,
        });
        Confinement {
            helper: self.settings.helper.clone(),
            demand: Demand::Strongest,
            paths,
            shared: Some(self.store.root().to_owned()),
            loopback: true,
            // Installers make programs executable.
            changes_modes: true,
            scratch: places.scratch_path().to_owned(),
            gate,
            children_offline: network == NetworkUse::Program,
            limits: Limits::default(),
            terminal: None,
            image: self.inside.as_ref().map(|inside| inside.root.clone()),
            observer: None,
        }
    }

    /// Runs an installer under its confinement. Where this machine has no namespaces it is held by what is left and
    /// reaches the whole network, which is said; whom it waits for is not known then.
    pub(crate) async fn capture_confined(
        &self,
        label: &str,
        mut confinement: Confinement,
        command: Command,
        limits: CaptureLimits,
        cancel: &CancellationToken,
    ) -> Result<Captured, ProvisionError> {
        confinement.gate.upstream = self.upstream()?;
        let outside = Arc::new(Reported::default());
        confinement.gate.outside = Arc::clone(&outside) as Arc<dyn Outside>;
        let refused = Arc::clone(&outside);
        confinement.gate.observer = Arc::new(move |refusal| {
            if let Some(rule) = refusal.rule() {
                refused.keep(format!("{NOT_GRANTED} `{rule}`"));
            }
        });
        let attempts: &[Demand] = match self.settings.sandbox {
            // A program that embeds the library and has no helper is told so; its tasks are refused.
            Demand::Strongest if self.settings.helper.is_none() => &[Demand::Off],
            // What is in an image runs there, whatever else it may do.
            _ if confinement.image.is_some() => &[Demand::Full],
            Demand::Off => &[Demand::Off],
            Demand::BestEffort => &[Demand::Full, Demand::Restricted, Demand::Off],
            Demand::Full => &[Demand::Full],
            Demand::Restricted => &[Demand::Restricted],
            Demand::Strongest => &[Demand::Full, Demand::Restricted],
        };
        let mut refused: Option<Refusal> = None;
        for demand in attempts {
            confinement.demand = *demand;
            if *demand == Demand::Restricted && !matches!(confinement.gate.net, Net::None) {
                confinement.gate.net = Net::All;
            }
            let mut command = copy(&command)?;
            let way_out = self.way_out(*demand, &confinement.gate)?;
            if let Some(way_out) = &way_out {
                way_out.lead(&mut command.env);
            }
            match start(&confinement, command, cancel).await? {
                Start::Running(mut confined) => {
                    self.say_tier(confined.report.tier, refused.as_ref(), &confinement.gate.net);
                    if confinement.children_offline && !confined.children_offline {
                        self.say_children_online(confined.report.tier);
                    }
                    if let Some(helper) = &confinement.helper {
                        self.helper_ahead.prestart(helper, *demand, &confinement.gate.net);
                    }
                    let traffic = &confinement.gate.traffic;
                    let mut unread = |_, _: &str| {};
                    let running = Box::pin(capture(&mut confined.tree, limits, cancel, &mut unread));
                    let patience = self.settings.timing.patience;
                    let captured =
                        patiently(&self.events, patience, label, || traffic.awaited(), running).await?;
                    let status = captured.status;
                    let asked_in_vain = confined.has_refused_children();
                    let conclusion = confined.conclude(status);
                    let mut captured = captured.ended_with(conclusion.status);
                    if let Some(reason) = conclusion.not_executed {
                        captured
                            .stderr_tail
                            .extend_from_slice(not_executed(&reason).as_bytes());
                    }
                    let mut captured = outside.add_to(captured);
                    if asked_in_vain && !captured.is_success() {
                        captured
                            .stderr_tail
                            .extend_from_slice(format!("\n{CHILDREN_OFFLINE}").as_bytes());
                    }
                    return Ok(captured);
                }
                Start::Cancelled => return Err(ProvisionError::Cancelled),
                Start::Refused(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        let (code, reason) = refused.map_or_else(Default::default, |refusal| (refusal.code, refusal.reason));
        tracing::debug!(code, "installers cannot be held");
        Err(ProvisionError::Unconfined { reason })
    }

    /// The way out of a run that has the network of the machine, if it is not to see what it would need there.
    fn way_out(&self, demand: Demand, gate: &Gate) -> Result<Option<WayOut>, ProvisionError> {
        let has_secrets = !gate.logins.is_empty() || !self.proxy_credentials().is_empty();
        if demand == Demand::Full || matches!(gate.net, Net::None) || !has_secrets {
            return Ok(None);
        }
        WayOut::open(gate).map(Some)
    }

    /// Says once that installers are held by less than they could be.
    fn say_tier(&self, tier: Tier, refused: Option<&Refusal>, net: &Net) {
        let asked = match tier {
            Tier::Full => true,
            Tier::Restricted => refused.is_none(),
            Tier::None => self.settings.sandbox == Demand::Off,
        };
        if asked || self.said_tier() {
            return;
        }
        let network = if matches!(net, Net::All) && tier == Tier::Restricted {
            " and reach the whole network"
        } else {
            ""
        };
        let why = match refused {
            Some(refusal) => format!(": {}", refusal.reason),
            None => ": this program has no sandbox helper".to_owned(),
        };
        (self.events)(Event::Notice {
            code: "provision.sandbox.weaker".to_owned(),
            message: format!("installers run in the sandbox tier `{tier}`{network}{why}"),
        });
    }

    /// Says once that builds have the network of their installer. Where nothing is held at all that was said before.
    fn say_children_online(&self, tier: Tier) {
        if tier == Tier::None || self.said_children_online() {
            return;
        }
        (self.events)(Event::Notice {
            code: "provision.sandbox.build-network".to_owned(),
            message: "builds of packages have the network of their installer: this kernel tells nobody who makes a \
                      socket or tells another program, or has no Landlock"
                .to_owned(),
        });
    }

    /// The user's proxies, for the way out.
    fn upstream(&self) -> Result<Option<Upstream>, ProvisionError> {
        let variables = self
            .settings
            .passthrough
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(Upstream::from_variables(variables)?)
    }
}

/// The network outside, with what went wrong there: all that an installer hears of it is that its proxy has no answer.
#[derive(Default)]
struct Reported {
    system: System,
    failures: Mutex<BTreeSet<String>>,
}

impl Reported {
    fn keep(&self, failure: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < MOST_FAILURES {
            failures.insert(failure);
        }
    }

    fn note(&self, what: &str, error: std::io::Error) -> std::io::Error {
        self.keep(format!("{what}: {error}"));
        error
    }

    /// Adds what went wrong to what a failed installer said.
    fn add_to(&self, mut captured: Captured) -> Captured {
        if !captured.is_success() {
            for failure in &*self.failures.lock().unwrap_or_else(PoisonError::into_inner) {
                captured
                    .stderr_tail
                    .extend_from_slice(format!("\n{failure}").as_bytes());
            }
        }
        captured
    }
}

#[async_trait]
impl Outside for Reported {
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let found = self.system.resolve(name).await;
        found.map_err(|error| self.note(&format!("cannot resolve `{name}`"), error))
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let connected = self.system.connect(address).await;
        connected.map_err(|error| self.note(&format!("cannot connect to {address}"), error))
    }

    fn is_unusable(&self, reason: &str) {
        self.keep(reason.to_owned());
    }
}

/// Why a program was not executed.
fn not_executed(reason: &NotExecuted) -> String {
    let system = std::io::Error::from_raw_os_error(reason.errno);
    match (&reason.program, &reason.interpreter) {
        (Some(program), Some(interpreter)) => format!(
            "{program} cannot be executed: its first line asks for `{}`: {system}",
            interpreter.escape_debug()
        ),
        (Some(program), None) => format!("{program} cannot be executed: {system}"),
        (None, _) => "there is no such program".to_owned(),
    }
}

/// The same command with descriptors of its own.
fn copy(command: &Command) -> Result<Command, ProvisionError> {
    let inherit = command
        .inherit
        .iter()
        .map(std::os::fd::OwnedFd::try_clone)
        .collect::<std::io::Result<_>>()
        .map_err(|error| ProvisionError::Host {
            what: "descriptors for a process",
            reason: error.to_string(),
        })?;
    Ok(Command {
        program: command.program.clone(),
        args: command.args.clone(),
        env: command.env.clone(),
        cwd: command.cwd.clone(),
        stdin: command.stdin,
        stdout: Out::Piped,
        stderr: Out::Piped,
        terminal: None,
        inherit,
        die_with_parent: command.die_with_parent,
    })
}

/// The hosts of all addresses in a text, with their ports.
fn hosts(text: &str) -> Vec<NetRule> {
    addresses(text, SCHEMES)
        .filter_map(|address| Url::parse(address).ok())
        .filter_map(|url| {
            let port = url.port_or_known_default()?;
            format!("{}:{port}", url.host_str()?).parse().ok()
        })
        .collect()
}

/// The files and folders of all file addresses in a text that are there. What follows the path (a fragment, the name
/// of a commit) is left away.
fn files(text: &str) -> Vec<PathBuf> {
    addresses(text, &[FILE])
        .filter_map(|address| {
            let address = address.split(['#', '?']).next().unwrap_or(address);
            let whole = Url::parse(address).ok()?.to_file_path().ok()?;
            let before_commit = whole
                .to_str()
                .and_then(|text| text.rsplit_once('@'))
                .map(|(path, _)| PathBuf::from(path));
            [Some(whole), before_commit]
                .into_iter()
                .flatten()
                .find(|path| is_granted(path))
        })
        .collect()
}

fn is_granted(path: &Path) -> bool {
    path != Path::new("/") && path.exists()
}

/// What begins like an address, up to where it cannot go on.
fn addresses<'t>(text: &'t str, schemes: &'t [&str]) -> impl Iterator<Item = &'t str> {
    schemes.iter().flat_map(move |scheme| {
        text.match_indices(scheme).map(|(begin, _)| {
            let rest = text.get(begin..).unwrap_or_default();
            let end = rest
                .find(|letter: char| {
                    letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | ';' | '<' | '>' | '}' | ')')
                })
                .unwrap_or(rest.len());
            rest.get(..end).unwrap_or_default()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_any_text() {
        let text = "pkg @ https://User:secret@Example.org/a.whl#sha256=1, --index-url http://10.0.0.7:8080/simple\n\
                    url = \"https://cdn.example.org/x\" https://[::1]:99/ https://";
        let found: Vec<String> = hosts(text).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "example.org:443",
                "cdn.example.org:443",
                "[::1]:99",
                "10.0.0.7:8080"
            ]
        );
    }

    #[test]
    fn files_are_found_without_what_follows_the_path() {
        assert_eq!(
            files("a @ git+file:///usr/bin@main#egg=a"),
            [PathBuf::from("/usr/bin")]
        );
        assert_eq!(
            files("file:///usr/lib?x file:///nothing/here file:///"),
            [PathBuf::from("/usr/lib")]
        );
    }
}
