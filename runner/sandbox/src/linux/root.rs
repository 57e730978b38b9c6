//! The file system of a process in [`wrun_core::sandbox::Tier::Full`]: an empty root in memory, or the files of an image,
//! with what was granted.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, open, statx};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::message::{Failure, Step};
use crate::policy::{Entry, Image, Policy};
use wrun_core::grants::Access;

use super::identity::Owners;
use super::mounts::{attach, clone_at, clone_exactly, fresh, lay_over_root, restrict};
use super::overlay;
use super::step::{Try as _, failure};
use super::tree::Tree;
use super::users;

/// What the root itself may hold: folders, links and small files.
const ROOT_BYTES: &str = "16m";

/// Devices that everyone may use (Filesystem Hierarchy Standard 3.0, 6.1.3).
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// The device of the terminal that a process is on (Filesystem Hierarchy Standard 3.0, 6.1.3).
const TERMINAL: &str = "tty";

/// Links in `/dev` (Filesystem Hierarchy Standard 3.0, 6.1.3; `pts(4)`).
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Files of `/proc` that say something of the machine beyond this process, and that few programs read.
const HIDDEN: &[&str] = &["kcore", "keys", "key-users", "timer_list", "kallsyms", "kmsg"];

/// What mounts may not have unless it is granted.
const SAFE: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Bytes of the smallest file in memory that is not empty.
const PAGE: u64 = 4096;

/// Files and folders that the smallest folder in memory may hold.
const LEAST_FILES: u64 = 64;

/// The beginning of a root, which does not depend on a policy: with a `/proc` and a `/dev`. It lies over the root of the
/// machine, out of sight of this process.
pub(super) struct Staged {
    pub(super) root: OwnedFd,
    /// Whether `/proc` is one of its own.
    own_proc: bool,
}

impl Staged {
    /// Unmounts it, as nothing may lie over the root of the machine but the next one: what does would come to lie over that.
    fn take_away(self) -> Result<(), Failure> {
        fchdir(&self.root).or_fail(Step::Pivot)?;
        unmount(".", UnmountFlags::DETACH).or_fail(Step::Pivot)?;
        chdir("/").or_fail(Step::Pivot)
    }
}

/// Makes the beginning of a root.
pub(super) fn stage() -> Result<Staged, Failure> {
    be_private()?;
    let devices = devices_of_machine(DEVICES.iter().copied())?;
    let proc = own_proc()?;
    let root = folder_of_root()?;
    lay_over_root(&root).or_fail(Step::Pivot)?;
    let tree = Tree::empty(root.try_clone().or_fail(Step::Root)?);
    fill_devices(&tree, &devices)?;
    place_proc(&tree, proc.as_ref(), &devices)?;
    Ok(Staged {
        root,
        own_proc: proc.is_some(),
    })
}

/// Changes to the root that the policy describes. Returns whether `/proc` is one of its own.
pub(super) fn change(policy: &Policy, owners: &Owners, staged: Option<Staged>) -> Result<bool, Failure> {
    if let Some(image) = &policy.image {
        staged.map(Staged::take_away).transpose()?;
        return change_to_image(image, policy, owners);
    }
    let Staged { root, own_proc } = staged.map_or_else(stage, Ok)?;
    let binds = binds(policy, owners)?;
    let terminal = devices_of_machine(policy.terminal.map(|_| TERMINAL))?;
    let tree = Tree::empty(enter(&root)?);
    put_devices(&tree, &terminal)?;
    put_memory(&tree, policy)?;
    fill(&tree, policy, &binds)?;
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
    restrict(tree.root(), read_only, None, false).or_fail(Step::Root)?;
    Ok(own_proc)
}

/// The same, to the files of an image.
fn change_to_image(image: &Image, policy: &Policy, owners: &Owners) -> Result<bool, Failure> {
    be_private()?;
    let binds = binds(policy, owners)?;
    let names = DEVICES.iter().copied().chain(policy.terminal.map(|_| TERMINAL));
    let devices = devices_of_machine(names)?;
    let proc = own_proc()?;
    let root = overlay::join(image, policy, owners)?;
    lay_over_root(&root).or_fail(Step::Pivot)?;
    let tree = Tree::of_image(enter(&root)?, policy.identity.becomes);
    let own = folder_of_root()?;
    attach(&own, tree.folder("dev").map_err(at(Step::Devices))?).or_fail(Step::Devices)?;
    fill_devices(&tree, &devices)?;
    put_memory(&tree, policy)?;
    place_proc(&tree, proc.as_ref(), &devices)?;
    users::name(&tree, policy)?;
    tree.place(&policy.cwd, true).map_err(at(Step::WorkingFolder))?;
    fill(&tree, policy, &binds)?;
    restrict(&own, MountAttrFlags::MOUNT_ATTR_RDONLY, None, false).or_fail(Step::Root)?;
    Ok(proc.is_some())
}

/// Has nothing that is mounted from here on seen on the machine.
fn be_private() -> Result<(), Failure> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .or_fail(Step::PrivateMounts)
}

/// A `/proc` of the process' own, if it can be had.
fn own_proc() -> Result<Option<OwnedFd>, Failure> {
    let attributes = SAFE | MountAttrFlags::MOUNT_ATTR_NOEXEC | MountAttrFlags::MOUNT_ATTR_RDONLY;
    match fresh("proc", &[], attributes) {
        Ok(proc) => Ok(Some(proc)),
        // Inside of a container that hides parts of /proc a fresh one is refused (`mount_namespaces(7)`).
        Err(Errno::PERM) => Ok(None),
        Err(error) => Err(error).or_fail(Step::Proc),
    }
}

/// Puts a `/proc` in place.
fn place_proc(tree: &Tree, proc: Option<&OwnedFd>, devices: &Devices) -> Result<(), Failure> {
    match proc {
        Some(proc) => {
            tree.cover("proc", proc).map_err(at(Step::Proc))?;
            hide(tree, devices)
        }
        None => tree.folder("proc").map(drop),
    }
}

/// A folder in memory for what is small.
fn folder_of_root() -> Result<OwnedFd, Failure> {
    fresh("tmpfs", &[("size", ROOT_BYTES), ("mode", "0755")], SAFE).or_fail(Step::Root)
}

/// Puts the folders in memory in place that every process has.
fn put_memory(tree: &Tree, policy: &Policy) -> Result<(), Failure> {
    let memory = || folder_in_memory(policy.temporary, "1777", None).or_fail(Step::Root);
    tree.cover("tmp", &memory()?)?;
    tree.put(Path::new("/dev/shm"), true, &memory()?)
}

/// Makes what is in `/dev`.
fn fill_devices(tree: &Tree, devices: &Devices) -> Result<(), Failure> {
    drop(tree.folder("dev").map_err(at(Step::Devices))?);
    put_devices(tree, devices)?;
    let terminals = fresh(
        "devpts",
        &[("mode", "0620"), ("ptmxmode", "0666")],
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )
    .or_fail(Step::Devices)?;
    tree.put(Path::new("/dev/pts"), true, &terminals)?;
    for (name, target) in DEVICE_LINKS {
        tree.link(&Path::new("/dev").join(name), Path::new(target))?;
    }
    Ok(())
}

fn put_devices(tree: &Tree, devices: &Devices) -> Result<(), Failure> {
    for (name, device) in devices {
        tree.put(&Path::new("/dev").join(name), false, device)
            .map_err(at(Step::Devices))?;
    }
    Ok(())
}

/// Devices of the machine by their names.
type Devices = Vec<(&'static str, OwnedFd)>;

fn devices_of_machine(names: impl IntoIterator<Item = &'static str>) -> Result<Devices, Failure> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let device = |name: &'static str| {
        let device = clone_at(&format!("/dev/{name}"))?;
        restrict(&device, attributes, None, false)?;
        Ok::<_, Errno>((name, device))
    };
    names
        .into_iter()
        .map(|name| device(name).or_fail_at(Step::Devices, Path::new(name)))
        .collect()
}

/// What is granted, taken before the root of the machine is left.
fn binds(policy: &Policy, owners: &Owners) -> Result<Vec<OwnedFd>, Failure> {
    let mut binds = Vec::new();
    for entry in &policy.entries {
        let Entry::Bind {
            path,
            access,
            folder: _,
            identity,
            reach: _,
            owner,
        } = entry
        else {
            continue;
        };
        // A kernel or a container without these calls has no roots of their own; that is not the path's fault.
        let step_of = |errno| match errno {
            Errno::NOSYS | Errno::PERM => Step::Root,
            _ => Step::Grant,
        };
        let mount =
            clone_exactly(path, *identity).or_else(|errno| Err(errno).or_fail_at(step_of(errno), path))?;
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
        if !path.starts_with("/dev") {
            attributes |= MountAttrFlags::MOUNT_ATTR_NODEV;
        }
        if *access == Access::Read {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        let namespace = owner.and_then(|owner| owners.namespace(owner));
        restrict(&mount, attributes, namespace, true).or_else(|errno| {
            let step = namespace.map_or_else(|| step_of(errno), |_| Step::IdentityMount);
            Err(errno).or_fail_at(step, path)
        })?;
        binds.push(mount);
    }
    Ok(binds)
}

/// Makes a mount that lies over the root the root, and lets go of the one that was.
fn enter(root: &OwnedFd) -> Result<OwnedFd, Failure> {
    fchdir(root).or_fail(Step::Pivot)?;
    // The old root comes to lie on top of the new one, and is taken away from there (`pivot_root(2)`).
    pivot_root(".", ".").or_fail(Step::Pivot)?;
    unmount(".", UnmountFlags::DETACH).or_fail(Step::Pivot)?;
    chdir("/").or_fail(Step::Pivot)?;
    // Whatever still lay over the new root would be what is above it.
    if mount_at("/").or_fail(Step::Pivot)? != mount_at("/..").or_fail(Step::Pivot)? {
        return Err(failure(Step::Pivot, libc::EBUSY));
    }
    open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .or_fail(Step::Pivot)
}

/// The number of the mount that a path leads to, or 0 where the kernel does not say (before Linux 5.8).
fn mount_at(path: &str) -> Result<u64, Errno> {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID)?;
    Ok(found.stx_mnt_id)
}

/// Brings in what was granted, from the root down.
fn fill(tree: &Tree, policy: &Policy, binds: &[OwnedFd]) -> Result<(), Failure> {
    let mut mounts = binds.iter();
    let mut entries: Vec<(&Entry, Option<&OwnedFd>)> = policy
        .entries
        .iter()
        .map(|entry| {
            let mount = matches!(entry, Entry::Bind { .. })
                .then(|| mounts.next())
                .flatten();
            (entry, mount)
        })
        .collect();
    entries.sort_by_key(|(entry, _)| entry.address().components().count());
    for (entry, mount) in entries {
        match (entry, mount) {
            (Entry::Bind { path, folder, .. }, Some(mount)) => {
                tree.put(path, *folder, mount)?;
            }
            (Entry::Bind { path, .. }, None) => {
                return Err(Errno::NOENT).or_fail_at(Step::Grant, path);
            }
            (Entry::Right { .. }, _) => {}
            (Entry::Link { at, target }, _) => tree.link(at, target)?,
            // Those of an image lie above its layers.
            (Entry::File { .. }, _) if policy.image.is_some() => {}
            (Entry::File { at, content }, _) => tree.file(at, content.as_bytes())?,
            (Entry::Memory { at, bytes }, _) => {
                let owner = policy.identity.becomes;
                let memory = folder_in_memory(*bytes, "0700", owner).or_fail_at(Step::Fill, at)?;
                tree.put(at, true, &memory)?;
            }
        }
    }
    Ok(())
}

/// An empty folder in memory with a bound on its bytes and, with what each takes of the kernel's memory, on its files. It
/// belongs to this process, or to another user and group.
pub(super) fn folder_in_memory(bytes: u64, mode: &str, owner: Option<(u32, u32)>) -> Result<OwnedFd, Errno> {
    let files = (bytes / PAGE).max(LEAST_FILES).to_string();
    let bytes = bytes.to_string();
    let owner = owner.map(|(user, group)| (user.to_string(), group.to_string()));
    let mut options = vec![("size", bytes.as_str()), ("nr_inodes", &files), ("mode", mode)];
    if let Some((user, group)) = &owner {
        options.extend([("uid", user.as_str()), ("gid", group)]);
    }
    fresh("tmpfs", &options, SAFE)
}

/// Puts nothing in place of files of `/proc`.
fn hide(tree: &Tree, devices: &Devices) -> Result<(), Failure> {
    let Some((_, null)) = devices.iter().find(|(name, _)| *name == "null") else {
        return Err(failure(Step::Proc, libc::ENOENT));
    };
    for name in HIDDEN {
        let path = Path::new("/proc").join(name);
        let Ok(found) = tree.find(&path) else { continue };
        let nothing = rustix::mount::open_tree(
            null,
            "",
            rustix::mount::OpenTreeFlags::OPEN_TREE_CLONE
                | rustix::mount::OpenTreeFlags::OPEN_TREE_CLOEXEC
                | rustix::mount::OpenTreeFlags::AT_EMPTY_PATH,
        )
        .or_fail_at(Step::Proc, &path)?;
        attach(&nothing, &found).or_fail_at(Step::Proc, &path)?;
    }
    Ok(())
}

fn at(step: Step) -> impl Fn(Failure) -> Failure {
    move |failure| Failure { step, ..failure }
}
