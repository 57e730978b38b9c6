//! The program that sets a sandbox up around itself.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use wrun_core::net::Net;
use wrun_core::sandbox::{Demand, Tier};
use wrun_process::ProcessError;

use crate::job::{self, Job};
use crate::platform;
use crate::policy::Network;
use crate::ready::Ready;
use crate::start::tiers;

/// The first argument of a helper.
pub(crate) const ARGUMENT: &str = "__wrun-sandbox";

/// The build of this crate, which a helper that is a file of its own has to be of too.
pub(crate) const BUILD: &str = env!("WRUN_SANDBOX_BUILD");

/// The name of a helper that is a file of its own.
const SMALL: &str = "wrun-helper";

/// A program that can be started as the helper: one that calls [`Helper::enter`] before anything else.
#[derive(Debug, Clone)]
pub struct Helper {
    program: PathBuf,
    small: Option<PathBuf>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Helpers that were started before they are needed.
#[derive(Debug, Default)]
struct Waiting {
    started: u64,
    helpers: Vec<Waits>,
}

#[derive(Debug)]
struct Waits {
    number: u64,
    network: AheadNetwork,
    /// Whether it is for a run that is not known yet.
    is_spare: bool,
    ready: Ready,
}

/// The one helper that is started ahead of what a run will start next: while an environment is looked up for its task, while
/// an installer runs for the installer after it. If no start took it until this is dropped, it is ended.
#[derive(Debug, Clone, Default)]
pub struct HelperAhead(Arc<Mutex<Option<Prestarted>>>);

impl HelperAhead {
    /// Starts it for the strongest tier that is asked for and what is to be reached of the network; for no tier at all there is
    /// none to start. It ends with the thread that calls this, as one that a start begins does. What is wrong with it is
    /// told where it is needed.
    pub fn prestart(&self, helper: &Helper, demand: Demand, net: &Net) {
        let Some(network) = ahead_network(demand, net) else {
            return;
        };
        let prestarted = helper.prestart(network).ok();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *held, prestarted);
        drop(held);
        drop(before);
    }

    /// Starts one for a run of which no more is known than how strongly it has to be held. It goes to the first run that it
    /// fits.
    #[must_use]
    pub fn spare(helper: &Helper, demand: Demand) -> Self {
        let network = ahead_network(demand, &Net::None);
        let prestarted = network.and_then(|network| helper.spare(network).ok());
        Self(Arc::new(Mutex::new(prestarted)))
    }
}

/// The network of the helper that is started ahead, if one is.
fn ahead_network(demand: Demand, net: &Net) -> Option<AheadNetwork> {
    let tier = tiers(demand).first().filter(|tier| **tier != Tier::None)?;
    Some(AheadNetwork::of(*tier, Network::of(net)))
}

/// The network of a helper that waits for its policy. With an empty one goes all else that takes long and is the same for
/// every policy of [`wrun_core::sandbox::Tier::Full`] which does not grant the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AheadNetwork {
    /// An empty one, if the helper has the right to make one.
    Empty,
    /// The machine's.
    Machine,
}

impl AheadNetwork {
    /// What the start in a tier with this network can begin with.
    pub(crate) const fn of(tier: Tier, network: Network) -> Self {
        match (tier, network) {
            (Tier::Full, Network::None | Network::Served) => Self::Empty,
            (Tier::Full, Network::Host) | (Tier::Restricted | Tier::None, _) => Self::Machine,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Machine => "machine",
        }
    }
}

/// A helper that was started before it is needed. If no start took it until this is dropped, it is ended.
#[derive(Debug)]
struct Prestarted {
    number: u64,
    waiting: Arc<Mutex<Waiting>>,
}

impl Drop for Prestarted {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting
            .helpers
            .iter()
            .position(|waits| waits.number == self.number);
        let unneeded = at.map(|at| waiting.helpers.swap_remove(at));
        drop(waiting);
        // Ending it may take a moment, for which nobody is to wait.
        drop(unneeded);
    }
}

impl Helper {
    /// To be the first call of `main`, before any thread is started. If this process was started as a helper it becomes
    /// the process that it was asked for, and this does not return; else this program can be used as one.
    #[must_use]
    pub fn enter() -> Self {
        Self::enter_with(&[])
    }

    /// As [`Helper::enter`], for a program whose helper does jobs of its own too ([`crate::start_job`]).
    ///
    /// If a program `wrun-helper` of the same owner is in the folder of this one, sandboxes are set up by that. It does
    /// the same, and as it is small it starts in less time.
    #[must_use]
    pub fn enter_with(jobs: &'static [Job]) -> Self {
        job::offer(jobs);
        let mut arguments = std::env::args_os().skip(1);
        let first = arguments.next();
        if first.as_deref() == Some(OsStr::new(ARGUMENT)) {
            platform::become_process(&arguments.collect::<Vec<OsString>>());
        }
        if first.as_deref() == Some(OsStr::new(job::ARGUMENT)) {
            let code = job::work_alone(arguments);
            #[expect(
                clippy::disallowed_methods,
                reason = "this process was started for the job alone, and nothing of the program has run yet"
            )]
            std::process::exit(code);
        }
        Self {
            // The path by which the program was started may lead elsewhere by now; this always leads to it.
            program: PathBuf::from("/proc/self/exe"),
            small: platform::beside(SMALL),
            waiting: Arc::default(),
        }
    }

    /// Another program that is known to call [`Helper::enter`]: an installed `wrun`.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self {
            program: path.into(),
            small: None,
            waiting: Arc::default(),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.program
    }

    /// Has a helper for a start that is to come: a spare one, if there is one that fits.
    fn prestart(&self, network: AheadNetwork) -> Result<Prestarted, ProcessError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |waits: &Waits| waits.is_spare && waits.network == network;
        let spare = waiting.helpers.iter().position(fits);
        let ready = match spare.map(|at| waiting.helpers.swap_remove(at)) {
            Some(spare) => spare.ready,
            None => Ready::start(self.first_choice(), network)?,
        };
        // Those that are left were a wrong guess; nothing will take them.
        waiting.helpers.retain(|waits| !waits.is_spare);
        Ok(self.keep(&mut waiting, network, false, ready))
    }

    /// Has a helper for the first start that it fits.
    fn spare(&self, network: AheadNetwork) -> Result<Prestarted, ProcessError> {
        let ready = Ready::start(self.first_choice(), network)?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.keep(&mut waiting, network, true, ready))
    }

    /// Keeps a helper until a start takes it or what is returned is dropped.
    fn keep(&self, waiting: &mut Waiting, network: AheadNetwork, is_spare: bool, ready: Ready) -> Prestarted {
        waiting.started += 1;
        let number = waiting.started;
        waiting.helpers.push(Waits {
            number,
            network,
            is_spare,
            ready,
        });
        Prestarted {
            number,
            waiting: Arc::clone(&self.waiting),
        }
    }

    /// The program that is started as the helper, unless it turns out not to be of the same build.
    fn first_choice(&self) -> &Path {
        self.small.as_ref().unwrap_or(&self.program)
    }

    /// A helper that waits for its policy: one that was started before it was needed, if there is one with that network.
    pub(crate) fn ready(&self, program: &Path, network: AheadNetwork) -> Result<Ready, ProcessError> {
        if program == self.first_choice() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = waiting.helpers.iter().position(|waits| waits.network == network);
            if let Some(at) = fits {
                return Ok(waiting.helpers.swap_remove(at).ready);
            }
        }
        Ready::start(program, network)
    }

    /// The program that only sets sandboxes up, if there is one. Whether it is of the same build shows when it is started.
    pub(crate) fn small(&self) -> Option<&Path> {
        self.small.as_deref()
    }
}
