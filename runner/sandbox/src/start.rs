//! Starting a command in the strongest sandbox that is asked for and can be had.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio_util::sync::{CancellationToken, DropGuard};
use wrun_core::sandbox::{Demand, Tier};
use wrun_process::{Command, ProcessError, Tree, open_terminal, spawn, streams};

use crate::channel::Channel;
use crate::confined::{Confined, receive};
use crate::confinement::Confinement;
use crate::error::SandboxError;
use crate::held::Held;
use crate::helper::{AheadNetwork, Helper};
use crate::job;
use crate::message::{Facts, Failure, Message, Step};
use crate::policy::Policy;
use crate::ready::Ready;
use crate::refusal::Refusal;
use crate::report::{report, report_nothing};
use crate::watch::{SocketGuard, Watcher};

/// How often a start is made again whose failure another one does not have.
const AGAIN: usize = 2;

/// What became of a start.
#[derive(Debug)]
pub enum Start {
    /// It runs.
    Running(Box<Confined>),
    /// Nothing was run, because it cannot be held as it has to be.
    Refused(Refusal),
    /// Nothing was run, because the start was cancelled.
    Cancelled,
}

/// Starts a command. Nothing of it runs before everything that is asked for is in force.
///
/// # Errors
/// A grant cannot be given, the helper cannot be started, or it ended without a word.
pub async fn start(
    confinement: &Confinement,
    command: Command,
    cancel: &CancellationToken,
) -> Result<Start, SandboxError> {
    begin(confinement, None, command, cancel).await
}

/// As [`start`], for a job of the helper itself ([`crate::Job`]) in place of the command's program.
///
/// # Errors
/// As for [`start`].
pub async fn start_job(
    confinement: &Confinement,
    job: &str,
    command: Command,
    cancel: &CancellationToken,
) -> Result<Start, SandboxError> {
    begin(confinement, Some(job), command, cancel).await
}

async fn begin(
    confinement: &Confinement,
    job: Option<&str>,
    command: Command,
    cancel: &CancellationToken,
) -> Result<Start, SandboxError> {
    let mut before: Option<String> = None;
    let mut refused = None;
    for tier in tiers(confinement.demand) {
        let refusal = if let Some(refusal) = Refusal::of_image(*tier, confinement) {
            refusal
        } else if *tier == Tier::None {
            let command = match (job, &confinement.helper) {
                (None, _) => command,
                (Some(job), Some(helper)) => by_itself(helper, job, command),
                (Some(_), None) => return Ok(Start::Refused(Refusal::no_helper())),
            };
            return without(confinement, command, before);
        } else {
            let wanted = Wanted {
                tier: *tier,
                confinement,
                job,
                command: &command,
                cancel,
                reason: before.clone(),
            };
            match wanted.attempt().await? {
                Attempt::Running(confined) => return Ok(Start::Running(confined)),
                Attempt::Cancelled => return Ok(Start::Cancelled),
                Attempt::Refused(refusal) => refusal,
                Attempt::Failed(failure) if failure.step.is_of_the_grants() => {
                    return Err(SandboxError::SetUp { failure });
                }
                Attempt::Failed(failure) => Refusal::unavailable(*tier, &failure, confinement),
            }
        };
        tracing::debug!(%tier, reason = refusal.reason, "not in this tier");
        before.get_or_insert_with(|| refusal.why.clone());
        refused = Some(match refused {
            None => refusal,
            Some(first) => refusal.after(first),
        });
    }
    Ok(refused.map_or(Start::Cancelled, Start::Refused))
}

/// A helper that does a job with nothing around it.
fn by_itself(helper: &Helper, job: &str, command: Command) -> Command {
    Command {
        program: helper.path().to_owned(),
        args: job::arguments(job, &command.inherit, command.args),
        ..command
    }
}

/// Starts a command that is held to nothing. `reason` is why it is not a stronger tier.
fn without(
    confinement: &Confinement,
    command: Command,
    reason: Option<String>,
) -> Result<Start, SandboxError> {
    let (shown, open) = confinement.terminal.map(open_terminal).transpose()?.unzip();
    let tree = spawn(Command {
        terminal: open.as_ref().map(OwnedFd::try_clone).transpose()?,
        ..command
    })?;
    Ok(Start::Running(Box::new(Confined {
        tree,
        report: report_nothing(reason, &confinement.limits),
        terminal: shown,
        channel: None,
        heard: Arc::default(),
        held: None,
        _served: Vec::new(),
        watcher: None,
        children_offline: false,
        sockets: None,
        observer: confinement.observer.clone(),
        _open: open,
    })))
}

/// The tiers to try, strongest first.
pub(crate) const fn tiers(demand: Demand) -> &'static [Tier] {
    match demand {
        Demand::Strongest => &[Tier::Full, Tier::Restricted],
        Demand::Full => &[Tier::Full],
        Demand::Restricted => &[Tier::Restricted],
        Demand::BestEffort => &[Tier::Full, Tier::Restricted, Tier::None],
        Demand::Off => &[Tier::None],
    }
}

enum Attempt {
    Running(Box<Confined>),
    Refused(Refusal),
    Failed(Failure),
    Cancelled,
}

/// A start in one tier.
struct Wanted<'a> {
    tier: Tier,
    confinement: &'a Confinement,
    job: Option<&'a str>,
    command: &'a Command,
    cancel: &'a CancellationToken,
    /// Why it is no stronger tier.
    reason: Option<String>,
}

impl Wanted<'_> {
    async fn attempt(&self) -> Result<Attempt, SandboxError> {
        for _ in 0..AGAIN {
            match self.once().await? {
                Attempt::Failed(failure) if failure.is_passing() => {
                    tracing::debug!(%failure, "once more");
                }
                attempted => return Ok(attempted),
            }
        }
        self.once().await
    }

    async fn once(&self) -> Result<Attempt, SandboxError> {
        let &Self {
            tier,
            confinement,
            job,
            ..
        } = self;
        let Some(helper) = &confinement.helper else {
            return Ok(Attempt::Refused(Refusal::no_helper()));
        };
        if let Some(refusal) = Refusal::by_design(tier, confinement) {
            return Ok(Attempt::Refused(refusal));
        }
        let network = AheadNetwork::of(tier, confinement.network());
        // The jobs are those of the whole program.
        if let Some(small) = helper.small().filter(|_| job.is_none()) {
            match self.by(helper.ready(small, network)).await {
                Ok(Attempt::Failed(Failure {
                    step: Step::Build, ..
                }))
                | Err(SandboxError::Helper { .. } | SandboxError::HelperEnded) => {
                    tracing::warn!(helper = %small.display(), "it is not of the build of this program, which does its work");
                }
                attempted => return attempted,
            }
        }
        self.by(helper.ready(helper.path(), network)).await
    }

    /// By a helper that was started.
    async fn by(&self, ready: Result<Ready, ProcessError>) -> Result<Attempt, SandboxError> {
        let Self {
            tier,
            confinement,
            job,
            command,
            cancel,
            reason,
        } = self;
        let ready = ready.map_err(|source| SandboxError::Helper { source })?;
        let held = Held::new(*tier, &confinement.limits)?;
        if confinement.demand != Demand::BestEffort
            && let Some(refusal) = held.refusal()
        {
            return Ok(Attempt::Refused(refusal));
        }
        let groups = held.groups()?;
        let keep: Vec<OwnedFd> = command
            .inherit
            .iter()
            .map(OwnedFd::try_clone)
            .collect::<io::Result<_>>()?;
        let policy = Policy {
            job: job.map(str::to_owned),
            ..confinement.policy(*tier, command, held.resources, &groups, &keep)?
        };
        let given: Vec<OwnedFd> = groups.into_iter().chain(keep).collect();
        let streams = streams(command.stdin, command.stdout, command.stderr)?;
        let (mut tree, channel) = ready.go(&policy, &given, streams)?;
        let channel = channel.watch()?;
        let listened = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            said = listen(&channel, &mut tree, confinement, &policy) => Some(said?),
        };
        match listened {
            Some(Ok(Heard {
                facts,
                terminal,
                served,
                watcher,
                sockets,
            })) => {
                let mut report = report(&facts, &policy, reason.clone());
                held.add_to(&mut report);
                Ok(Attempt::Running(Box::new(Confined {
                    tree,
                    report,
                    terminal,
                    channel: Some(Arc::new(channel)),
                    heard: Arc::default(),
                    held: Some(held),
                    _served: served,
                    watcher,
                    children_offline: facts.children_offline,
                    sockets,
                    observer: confinement.observer.clone(),
                    _open: None,
                })))
            }
            Some(Err(failure)) => {
                tree.end(Duration::ZERO).await?;
                Ok(Attempt::Failed(failure))
            }
            None => {
                tree.end(Duration::ZERO).await?;
                Ok(Attempt::Cancelled)
            }
        }
    }
}

/// What a helper said when everything was in force.
struct Heard {
    facts: Facts,
    terminal: Option<OwnedFd>,
    served: Vec<DropGuard>,
    watcher: Option<Watcher>,
    sockets: Option<SocketGuard>,
}

/// What the helper says until everything is in force.
async fn listen(
    channel: &AsyncFd<Channel>,
    tree: &mut Tree,
    confinement: &Confinement,
    policy: &Policy,
) -> Result<Result<Heard, Failure>, SandboxError> {
    let (mut terminal, mut served) = (None, Vec::new());
    let (mut watcher, mut sockets) = (None, None);
    let meant: BTreeMap<SocketAddr, String> = confinement.gate.net.loopback().into_iter().collect();
    loop {
        let (message, descriptor) = receive(channel).await?.ok_or(SandboxError::HelperEnded)?;
        match (message, descriptor) {
            (Message::Begun { anchor: Some(anchor) }, _) => {
                if let Err(error) = tree.set_anchor(anchor) {
                    // It ended already; what it said of that comes next.
                    tracing::debug!(%error, anchor, "no anchor");
                }
            }
            (Message::Begun { anchor: None }, _) => {}
            (Message::Watched, Some(notifications)) => {
                watcher = Some(Watcher::start(notifications, policy)?);
            }
            (Message::Sockets, Some(notifications)) => {
                sockets = Some(SocketGuard::start(notifications)?);
            }
            (Message::Listener, Some(listener)) => served.push(serve(listener.into(), confinement, None)),
            (Message::Program(at), Some(listener)) => {
                let meant = meant.get(&at).cloned();
                served.push(serve(
                    listener.into(),
                    confinement,
                    meant.map(|host| (host, at.port())),
                ));
            }
            (Message::Terminal, Some(shown)) => terminal = Some(shown),
            (Message::Ready(facts), _) => {
                return Ok(Ok(Heard {
                    facts,
                    terminal,
                    served,
                    watcher,
                    sockets,
                }));
            }
            (Message::Failed(failure), _) => return Ok(Err(failure)),
            (
                Message::Listener
                | Message::Program(_)
                | Message::Watched
                | Message::Sockets
                | Message::Terminal
                | Message::Stopped
                | Message::NotExecuted(_)
                | Message::Ended { .. },
                _,
            ) => {
                return Err(SandboxError::HelperEnded);
            }
        }
    }
}

/// Serves a listener for as long as the guard lives: as the proxy, or in place of the program at a host and port.
fn serve(listener: TcpListener, confinement: &Confinement, program: Option<(String, u16)>) -> DropGuard {
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let gate = confinement.gate.clone();
    tokio::spawn(async move {
        let served = match program {
            None => wrun_proxy::serve(listener, gate, stop).await,
            Some((host, port)) => wrun_proxy::stand_in(listener, &host, port, gate, stop).await,
        };
        if let Err(error) = served {
            tracing::warn!(%error, "granted hosts cannot be reached");
        }
    });
    guard
}
