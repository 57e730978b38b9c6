//! What a command is held to, and the policy that comes of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use wrun_core::grants::{Access, Limits};
use wrun_core::net::Net;
use wrun_core::sandbox::{Demand, Tier};
use wrun_process::{Command, TerminalSize};
use wrun_proxy::Gate;

use crate::error::SandboxError;
use crate::generated::{generated_entries, generated_for_image};
use crate::helper::Helper;
use crate::image::ImageRoot;
use crate::platform::{links_between_folders, may_administer};
use crate::policy::{Answered, Entry, Identity, Network, Policy, Resources};
use crate::resolve::{Resolved, resolve};
use crate::system::system_entries;
use crate::watch::Observer;

/// The user and group that a process of root becomes: those that own nothing (`nobody`).
pub(crate) const NOBODY: u32 = 65_534;

/// The first port that can be taken without rights (`ip(7)`, `ip_unprivileged_port_start`).
const PRIVILEGED_PORTS: u16 = 1024;

/// Bytes that `/tmp` and `/dev/shm` may each hold where nothing else is said.
const TEMPORARY: u64 = 512 * 1024 * 1024;

/// What a command is held to.
#[derive(Debug, Clone)]
pub struct Confinement {
    /// Sets the sandbox up; without one nothing can be held.
    pub helper: Option<Helper>,
    /// How strongly it has to be held.
    pub demand: Demand,
    /// Files and folders beside the machine's own system.
    pub paths: Vec<(PathBuf, Access)>,
    /// A folder that some of the paths lie in, and between which files are to be linked: a link cannot be made from one
    /// mount to another. Of what else is in it the command sees the names at most.
    pub shared: Option<PathBuf>,
    /// Whether programs on the machine's own loopback are reached through the proxy too, if they are listed; those that are
    /// listed by their port are reached without it as well.
    pub loopback: bool,
    /// A folder of its own, to write in; with a limit of its size it is one in memory at that address. An empty path is
    /// none.
    pub scratch: PathBuf,
    /// What it reaches of the network, and how hosts that are listed by name are reached.
    pub gate: Gate,
    /// Whether the network is for the program's own process alone, and what it starts has none. Whether that is held says
    /// [`crate::Confined::children_offline`].
    pub children_offline: bool,
    /// Limits; `time` and `output` are the business of the one who waits for it.
    pub limits: Limits,
    /// Whether a command of root may change modes and owners where it stays user 0, without its rights, and Landlock alone
    /// holds it: Landlock has no rights for these, so they reach every file of root's.
    pub changes_modes: bool,
    /// How large the terminal is that it is given in place of its standard streams, if it is to have one. The other side is
    /// [`crate::Confined::terminal`].
    pub terminal: Option<TerminalSize>,
    /// The files that it has in place of the machine's system, if not that. Needs the tier [`Tier::Full`].
    pub image: Option<ImageRoot>,
    /// Has it watched, and hears what it was refused once it ended.
    pub observer: Option<Observer>,
}

impl Confinement {
    /// Holds a command to nothing but limits of the one who waits for it.
    #[must_use]
    pub fn none() -> Self {
        Self {
            helper: None,
            demand: Demand::Off,
            paths: Vec::new(),
            shared: None,
            loopback: false,
            changes_modes: false,
            scratch: PathBuf::new(),
            gate: Gate::new(Net::None),
            children_offline: false,
            limits: Limits::default(),
            terminal: None,
            image: None,
            observer: None,
        }
    }

    /// What it reaches of the network.
    pub(crate) const fn network(&self) -> Network {
        Network::of(&self.gate.net)
    }

    /// The policy of a command at a tier.
    pub(crate) fn policy(
        &self,
        tier: Tier,
        command: &Command,
        resources: Resources,
        groups: &[OwnedFd],
        keep: &[OwnedFd],
    ) -> Result<Policy, SandboxError> {
        let identity = self.identity(tier);
        let image = self.image.as_ref().map(ImageRoot::policy).transpose()?;
        let mut entries = Entries::default();
        if image.is_some() {
            for entry in generated_for_image(self.network()) {
                entries.add(entry);
            }
        } else {
            for entry in system_entries() {
                entries.add(entry);
            }
            for entry in generated_entries(tier, &identity, &self.scratch, self.network()) {
                entries.add(entry);
            }
        }
        let shared = self
            .shared
            .as_deref()
            // The whole root of an image can be written to, so what is brought in there has to be granted.
            .filter(|_| tier == Tier::Full && image.is_none() && links_between_folders());
        if let Some(shared) = shared {
            entries.share(shared)?;
        }
        for (path, access) in &self.paths {
            entries.resolve(path, *access)?;
        }
        match self.limits.scratch {
            Some(bytes) if tier == Tier::Full => entries.add(Entry::Memory {
                at: self.scratch.clone(),
                bytes,
            }),
            _ if self.scratch.as_os_str().is_empty() => {}
            _ => entries.resolve(&self.scratch, Access::Write)?,
        }
        if image.is_none() {
            entries.link_to(&command.cwd)?;
        }
        let programs: Vec<SocketAddr> = self.gate.net.loopback().into_iter().map(|(at, _)| at).collect();
        let proxy = proxy_port(&programs);
        let mut env = command.env.clone();
        if self.network() == Network::Served && tier == Tier::Full {
            let given: Vec<(OsString, OsString)> = wrun_proxy::variables(proxy)
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            env.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
            let loopback = self.loopback;
            env.extend(
                given
                    .into_iter()
                    .filter(|(name, _)| !loopback || !name.eq_ignore_ascii_case("NO_PROXY")),
            );
        }
        Ok(Policy {
            tier,
            program: command.program.clone(),
            job: None,
            args: command.args.clone(),
            env,
            cwd: command.cwd.clone(),
            entries: entries.into_list(),
            image,
            network: self.network(),
            proxy,
            programs,
            identity,
            resources,
            // What nothing counts as memory is bounded by itself.
            temporary: [self.limits.scratch, resources.data]
                .into_iter()
                .flatten()
                .fold(TEMPORARY, u64::min),
            groups: groups.iter().map(AsRawFd::as_raw_fd).collect(),
            keep: keep.iter().map(AsRawFd::as_raw_fd).collect(),
            terminal: self.terminal.map(|size| (size.rows, size.columns)),
            strict: shared.is_some(),
            keeps_modes: tier == Tier::Restricted && geteuid().is_root() && !self.changes_modes,
            answered: if self.observer.is_some() {
                Answered::Watched
            } else if self.children_offline && self.network() != Network::None {
                Answered::Sockets
            } else {
                Answered::Nothing
            },
        })
    }

    /// Who the process is: the caller, or nobody where the caller is root, so that root's rights are out of reach.
    fn identity(&self, tier: Tier) -> Identity {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        let privileged = tier == Tier::Full && is_privileged();
        let other = |id: u32| if id == 0 { NOBODY } else { id };
        let outside = (other(user), if user == 0 { NOBODY } else { other(group) });
        let (user, group) = self
            .image
            .as_ref()
            .map_or(outside, |image| (image.user, image.group));
        Identity {
            user,
            group,
            becomes: privileged.then_some(outside),
        }
    }
}

/// The port of the proxy: the highest that the process cannot take first, because it is one of those that need rights, and
/// that nothing else is served at.
fn proxy_port(programs: &[SocketAddr]) -> u16 {
    (1..PRIVILEGED_PORTS)
        .rev()
        .find(|port| programs.iter().all(|program| program.port() != *port))
        .unwrap_or(PRIVILEGED_PORTS - 1)
}

/// Whether this process can set a sandbox up with the rights of root, and have the command be nobody.
pub(crate) fn is_privileged() -> bool {
    geteuid().is_root() && may_administer() && is_mapped("uid_map") && is_mapped("gid_map")
}

/// Whether nobody's number means anything in this user namespace (`user_namespaces(7)`).
#[expect(clippy::disallowed_methods, reason = "a file of the kernel")]
fn is_mapped(file: &str) -> bool {
    let Ok(map) = std::fs::read_to_string(format!("/proc/self/{file}")) else {
        return false;
    };
    map.lines().any(|line| {
        let numbers: Vec<u64> = line
            .split_ascii_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        matches!(numbers.as_slice(), [inside, _, count]
            if (*inside..inside.saturating_add(*count)).contains(&u64::from(NOBODY)))
    })
}

/// Entries by address; of two grants of one path the wider counts.
#[derive(Default)]
struct Entries {
    all: BTreeMap<PathBuf, Entry>,
    /// What is said of paths in a shared folder.
    rights: BTreeMap<PathBuf, Entry>,
    shared: Option<PathBuf>,
}

impl Entries {
    /// Brings a folder in as one mount, of which only what is granted can be used.
    fn share(&mut self, path: &Path) -> Result<(), SandboxError> {
        let Resolved { target, links } = resolve(path, Access::Write, true)?;
        for link in links {
            self.add(link);
        }
        if let Entry::Bind {
            path,
            access,
            folder,
            identity,
            reach: _,
            owner,
        } = target
        {
            self.shared = Some(path.clone());
            self.add(Entry::Bind {
                path,
                access,
                folder,
                identity,
                reach: false,
                owner,
            });
        }
        Ok(())
    }

    fn resolve(&mut self, path: &Path, access: Access) -> Result<(), SandboxError> {
        let Resolved { target, links } = resolve(path, access, true)?;
        for link in links {
            self.add(link);
        }
        match (target, &self.shared) {
            (
                Entry::Bind {
                    path,
                    access,
                    folder,
                    identity,
                    ..
                },
                Some(shared),
            ) if path.starts_with(shared) => {
                self.rights.insert(
                    path.clone(),
                    Entry::Right {
                        path,
                        access,
                        folder,
                        identity,
                    },
                );
            }
            (target, _) => self.add(target),
        }
        Ok(())
    }

    /// Makes a path lead where it leads on the machine, without granting what is there.
    fn link_to(&mut self, path: &Path) -> Result<(), SandboxError> {
        if path == Path::new("/") {
            return Ok(());
        }
        for link in resolve(path, Access::Read, false)?.links {
            self.add(link);
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry) {
        let address = entry.address().to_owned();
        if let (Some(Entry::Bind { access: held, .. }), Entry::Bind { access, .. }) =
            (self.all.get_mut(&address), &entry)
        {
            *held = (*held).max(*access);
            return;
        }
        self.all.insert(address, entry);
    }

    /// All entries, without those that a folder above brings in with the same rights, and without the files that are made in
    /// place of what such a folder has.
    fn into_list(self) -> Vec<Entry> {
        let Self {
            all,
            rights,
            shared: _,
        } = self;
        let covered = |path: &Path, access: Access, owner: Option<(u32, u32)>| {
            let above = path.ancestors().skip(1).find_map(|above| match all.get(above) {
                Some(Entry::Bind { access, owner, .. }) => Some(Some((*access, *owner))),
                Some(Entry::Memory { .. }) => Some(None),
                _ => None,
            });
            above == Some(Some((access, owner)))
        };
        all.iter()
            .filter(|(path, entry)| match entry {
                Entry::Bind { access, owner, .. } => !covered(path, *access, *owner),
                Entry::File { .. } => !path
                    .ancestors()
                    .skip(1)
                    .any(|above| matches!(all.get(above), Some(Entry::Bind { .. }))),
                Entry::Right { .. } | Entry::Link { .. } | Entry::Memory { .. } => true,
            })
            .map(|(_, entry)| entry.clone())
            .chain(rights.into_values())
            .collect()
    }
}
