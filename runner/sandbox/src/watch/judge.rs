//! Whether a path was refused.
//!
//! What a process in the tier `full` sees is looked at itself, through its root: a path was refused if it is on the
//! machine and not there, or if it is on a mount that cannot be written to. In the tier `restricted` everything is
//! there, and the entries of the policy say what Landlock lets it do.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    Access as Permission, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, StatVfsMountFlags,
    accessat, fstat, fstatvfs, openat2, statat,
};
use wrun_core::grants::Access;
use wrun_core::sandbox::Tier;

use crate::policy::{Entry, Network, Policy};
use crate::resolve::resolve;

use super::call::{Need, Place};
use super::caller::Caller;

/// What every process has of its own, and what runtimes ask for at every start and do without.
const UNINTERESTING: &[&str] = &[
    "/proc",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/fd",
    "/dev/stdin",
    "/dev/stdout",
    "/dev/stderr",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/etc/ld.so.preload",
    "/etc/locale.alias",
    "/usr/share/locale/locale.alias",
    "/run/nscd",
    "/var/run/nscd",
];

/// What the resolver of names reads, which a process without the machine's network does not need.
const RESOLVER: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
];

/// Folders of the system, which in an image are the image's: what is not there is nothing that the machine could give.
const OF_AN_IMAGE: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/run", "/sbin", "/sys",
    "/usr", "/var",
];

/// Where Python keeps compiled modules; it does without where it cannot.
const COMPILED: &str = "__pycache__";

/// A path that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// As it was asked for.
    pub(super) asked: PathBuf,
    /// What was to be done with it.
    pub(super) access: Access,
    /// What has to be granted.
    pub(super) grant: PathBuf,
    /// Whether it was only looked at.
    pub(super) glance: bool,
    /// Whether the caller of `wrun` may do it.
    pub(super) permitted: bool,
}

/// Knows what a process may do with files.
pub(super) struct Judge {
    tier: Tier,
    network: Network,
    /// The user and group of the process, where that is not the caller's.
    other: Option<(u32, u32)>,
    granted: Vec<(PathBuf, Access)>,
    /// Whether its system is that of an image.
    of_image: bool,
    /// Where it works.
    folder: PathBuf,
    root: Option<OwnedFd>,
}

impl Judge {
    pub(super) fn new(policy: &Policy) -> Self {
        let granted = policy
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Bind {
                    path,
                    access,
                    reach: true,
                    ..
                }
                | Entry::Right { path, access, .. } => Some((path.clone(), *access)),
                _ => None,
            })
            .collect();
        Self {
            tier: policy.tier,
            network: policy.network,
            other: policy.identity.becomes,
            granted,
            of_image: policy.image.is_some(),
            folder: policy.cwd.clone(),
            root: None,
        }
    }

    /// Whether a path was refused, and what would allow it.
    pub(super) fn judge(&mut self, caller: Caller, place: &Place) -> Option<Refused> {
        let path = &plain(&place.path)?;
        if path == Path::new("/") || self.is_uninteresting(path, place.need) {
            return None;
        }
        if let Some(missing) = self.missing_folder(path, place.need) {
            return Some(self.refused(path, Access::Write, missing, place.need));
        }
        if self.tier == Tier::Full {
            if self.root.is_none() {
                self.root = caller.root();
            }
            self.full(self.root.as_ref()?, path, place)
        } else {
            self.restricted(path, place)
        }
    }

    fn is_uninteresting(&self, path: &Path, need: Need) -> bool {
        let of_resolver =
            self.network != Network::Host && RESOLVER.iter().any(|known| path == Path::new(known));
        let of_image = self.of_image
            && OF_AN_IMAGE.iter().any(|known| path.starts_with(known))
            && !self.granted.iter().any(|(granted, _)| path.starts_with(granted));
        let compiled = need.writes()
            && path
                .components()
                .any(|part| part == Component::Normal(OsStr::new(COMPILED)));
        of_resolver || of_image || compiled || UNINTERESTING.iter().any(|known| path.starts_with(known))
    }

    /// The folder that something in the task's own folder was to be made in and that is not there. If it is granted it is
    /// made before the task starts.
    fn missing_folder(&self, path: &Path, need: Need) -> Option<PathBuf> {
        let makes = matches!(need, Need::Make { .. } | Need::Open { create: true, .. });
        if !makes || self.covers(path, Access::Write) || !path.starts_with(&self.folder) {
            return None;
        }
        path.ancestors()
            .skip(1)
            .take_while(|folder| real(folder, true).is_none())
            .last()
            .map(Path::to_owned)
    }

    fn full(&self, root: &OwnedFd, path: &Path, place: &Place) -> Option<Refused> {
        let seen = inside(root, path, place.follow);
        let access = place.need.access();
        match (place.need, seen) {
            (Need::Make { .. } | Need::Look, Some(_)) => None,
            (Need::Make { .. } | Need::Open { create: true, .. }, None) | (Need::Remove, _) => {
                self.names(root, path, place)
            }
            (_, Some(seen)) => {
                let refused =
                    (access == Access::Write && is_read_only(&seen)) || self.is_of_others(&seen, access);
                refused.then(|| self.refused(path, access, path.to_owned(), place.need))
            }
            (_, None) => {
                let grant = self.on_machine(path, place.follow)?;
                Some(self.refused(path, access, grant, place.need))
            }
        }
    }

    /// A name that is to be made in a folder or taken out of it.
    fn names(&self, root: &OwnedFd, path: &Path, place: &Place) -> Option<Refused> {
        let parent = path.parent()?;
        match inside(root, parent, true) {
            Some(seen) if !is_read_only(&seen) && !self.is_of_others(&seen, Access::Write) => return None,
            _ => {}
        }
        self.refused_name(path, parent, place)
    }

    fn restricted(&self, path: &Path, place: &Place) -> Option<Refused> {
        let access = place.need.access();
        let there = real(path, place.follow);
        match (place.need, there) {
            (Need::Remove, Some(_)) | (Need::Make { .. } | Need::Open { create: true, .. }, None) => {
                let parent = path.parent()?;
                let held = real(parent, true).is_none_or(|real| self.covers(&real, Access::Write));
                (!held).then(|| self.refused_name(path, parent, place)).flatten()
            }
            (Need::Look | Need::Attributes, _) | (Need::Make { .. }, Some(_)) | (_, None) => None,
            (_, Some(real)) => {
                let held = self.covers(&real, access);
                (!held).then(|| self.refused(path, access, path.to_owned(), place.need))
            }
        }
    }

    /// Whether a real path is granted by itself or with a folder above.
    fn covers(&self, real: &Path, access: Access) -> bool {
        self.granted
            .iter()
            .any(|(granted, held)| *held >= access && real.starts_with(granted))
    }

    fn refused_name(&self, path: &Path, parent: &Path, place: &Place) -> Option<Refused> {
        let there = real(path, place.follow);
        if place.need == Need::Remove && there.is_none() {
            return None;
        }
        real(parent, true)?;
        // A folder to write in that is not there is made before the task starts.
        let itself = match place.need {
            Need::Make { folder } => there.is_some() || (folder && parent == Path::new("/")),
            Need::Open { .. } => there.is_some(),
            _ => false,
        };
        let grant = if itself { path } else { parent };
        Some(self.refused(path, Access::Write, grant.to_owned(), place.need))
    }

    fn refused(&self, path: &Path, access: Access, grant: PathBuf, need: Need) -> Refused {
        let permission = match (access, need) {
            (_, Need::Look) => Permission::EXISTS,
            (Access::Read, _) => Permission::READ_OK,
            (Access::Write, _) => Permission::WRITE_OK,
        };
        let looked_at = if access == Access::Write { &grant } else { path };
        // A folder that is made before the task starts is not there yet.
        let looked_at = looked_at
            .ancestors()
            .find(|path| statat(CWD, *path, AtFlags::empty()).is_ok())
            .unwrap_or(looked_at);
        let permitted = accessat(CWD, looked_at, permission, AtFlags::EACCESS).is_ok()
            && (self.tier == Tier::Full || self.reaches(looked_at, access));
        Refused {
            asked: path.to_owned(),
            access,
            glance: need == Need::Look,
            permitted,
            grant,
        }
    }

    /// What to grant for a path that the process does not see and that is on the machine.
    fn on_machine(&self, path: &Path, follow: bool) -> Option<PathBuf> {
        let real = real(path, follow)?;
        // A link in a folder that it sees leads out of what it sees.
        let leads_out = self.granted.iter().any(|(granted, _)| path.starts_with(granted));
        Some(if leads_out { real } else { path.to_owned() })
    }

    /// Whether the modes of a path of the machine let the process there, where it is another user than its caller.
    fn reaches(&self, path: &Path, access: Access) -> bool {
        let Some(of) = self.other else { return true };
        let may =
            |path: &Path, bit| statat(CWD, path, AtFlags::empty()).is_ok_and(|found| may(&found, of, bit));
        may(path, bit(access)) && path.ancestors().skip(1).all(|folder| may(folder, SEARCH))
    }

    /// Whether something that is seen belongs to others, where the process is another user than its caller.
    fn is_of_others(&self, seen: &OwnedFd, access: Access) -> bool {
        let (Some((user, group)), Ok(found)) = (self.other, fstat(seen)) else {
            return false;
        };
        FileType::from_raw_mode(found.st_mode) != FileType::Symlink
            && !may(&found, (user, group), bit(access))
    }
}

/// The bit of a mode that lets a folder be passed through.
const SEARCH: u32 = 0o1;

const fn bit(access: Access) -> u32 {
    match access {
        Access::Read => 0o4,
        Access::Write => 0o2,
    }
}

/// Whether a mode gives a right to a user with one group (`path_resolution(7)`).
const fn may(found: &Stat, (user, group): (u32, u32), bit: u32) -> bool {
    let shift = if found.st_uid == user {
        6
    } else if found.st_gid == group {
        3
    } else {
        0
    };
    found.st_mode & (bit << shift) != 0
}

impl Need {
    pub(super) const fn writes(self) -> bool {
        match self {
            Self::Look | Self::Execute => false,
            Self::Open { write, create } => write || create,
            Self::Change | Self::Attributes | Self::Make { .. } | Self::Remove => true,
        }
    }

    /// What has to be granted for something that is there.
    const fn access(self) -> Access {
        match self {
            Self::Look | Self::Execute | Self::Open { write: false, .. } => Access::Read,
            _ => Access::Write,
        }
    }
}

/// The path without `.` and `..`, as far as links on the machine let that be found out.
fn plain(path: &Path) -> Option<PathBuf> {
    if !path.components().any(|part| part == Component::ParentDir) {
        return Some(path.components().collect());
    }
    let name = path.file_name();
    let folder = match name {
        Some(_) => path.parent()?,
        None => path,
    };
    let mut real = real(folder, true)?;
    real.extend(name);
    Some(real)
}

/// Where a path of the machine leads, as the caller sees it; `None` if nothing is there.
pub(super) fn real(path: &Path, follow: bool) -> Option<PathBuf> {
    if path == Path::new("/") {
        return Some(path.to_owned());
    }
    if follow {
        return match resolve(path, Access::Read, false).ok()?.target {
            Entry::Bind { path, .. } => Some(path),
            _ => None,
        };
    }
    let real = real(path.parent()?, true)?.join(path.file_name()?);
    statat(CWD, &real, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(real)
}

/// What a process has at a path of its root.
fn inside(root: &OwnedFd, path: &Path, follow: bool) -> Option<OwnedFd> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let relative = path.strip_prefix("/").ok()?;
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    openat2(
        root.as_fd(),
        relative,
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
    .ok()
}

/// Whether it lies on a mount that cannot be written to. What is behind a device, a pipe or a socket is not on it.
fn is_read_only(seen: &OwnedFd) -> bool {
    let on_mount = fstat(seen).is_ok_and(|found| {
        matches!(
            FileType::from_raw_mode(found.st_mode),
            FileType::RegularFile | FileType::Directory | FileType::Symlink
        )
    });
    on_mount && fstatvfs(seen).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY))
}
