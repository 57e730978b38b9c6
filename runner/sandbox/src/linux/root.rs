//! The file system of a process in [`wrun_core::sandbox::Tier::Full`]: an empty root in memory, or the files of an image,
//! with what was granted.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::message::{Failure, Step};
use crate::policy::{Entry, Policy};
use wrun_core::grants::Access;

use super::identity::Owners;
use super::mounts::{attach, clone_at, clone_exactly, fresh, restrict};
use super::overlay;
use super::step::{Try as _, failure};
use super::tree::Tree;
use super::users;

/// Where the new root is mounted until it is the root; one of them is on every machine.
pub(super) const STAGING: &[&str] = &["/tmp", "/proc"];

/// What the root itself may hold: folders, links and small files.
const ROOT_BYTES: &str = "16m";

/// Devices that everyone may use (Filesystem Hierarchy Standard 3.0, 6.1.3).
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

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

/// Bytes of the smallest file in memory that is not empty.
const PAGE: u64 = 4096;

/// Files and folders that the smallest folder in memory may hold.
const LEAST_FILES: u64 = 64;

/// Everything that comes from the machine, taken before its root is left.
struct Sources {
    binds: Vec<OwnedFd>,
    devices: Vec<(&'static str, OwnedFd)>,
}

/// Changes to the root that the policy describes. Returns whether `/proc` is one of its own.
pub(super) fn change(policy: &Policy, owners: &Owners) -> Result<bool, Failure> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .or_fail(Step::PrivateMounts)?;
    let sources = sources(policy, owners)?;
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let proc = match fresh(
        "proc",
        &[],
        safe | MountAttrFlags::MOUNT_ATTR_NOEXEC | MountAttrFlags::MOUNT_ATTR_RDONLY,
    ) {
        Ok(proc) => Some(proc),
        // Inside of a container that hides parts of /proc a fresh one is refused (`mount_namespaces(7)`).
        Err(Errno::PERM) => None,
        Err(error) => return Err(error).or_fail(Step::Proc),
    };
    let own = || fresh("tmpfs", &[("size", ROOT_BYTES), ("mode", "0755")], safe).or_fail(Step::Root);
    let tree = match &policy.image {
        Some(image) => {
            let root = overlay::join(image, policy, owners)?;
            Tree::of_image(enter(&root)?, policy.identity.becomes)
        }
        None => Tree::empty(enter(&own()?)?),
    };

    let memory = || folder_in_memory(policy.temporary, "1777", None).or_fail(Step::Root);
    tree.cover("tmp", &memory()?)?;
    let devices = devices(&tree, policy, &sources, &own)?;
    tree.put(Path::new("/dev/shm"), true, &memory()?)?;
    match &proc {
        Some(proc) => {
            tree.cover("proc", proc).map_err(at(Step::Proc))?;
            hide(&tree, &sources)?;
        }
        None => drop(tree.folder("proc")?),
    }
    if policy.image.is_some() {
        users::name(&tree, policy)?;
        tree.place(&policy.cwd, true).map_err(at(Step::WorkingFolder))?;
    }
    fill(&tree, policy, &sources.binds)?;
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
    restrict(devices.as_ref().unwrap_or(tree.root()), read_only, None, false).or_fail(Step::Root)?;
    Ok(proc.is_some())
}

/// Makes `/dev`: a mount of its own, which is returned, where the root is an image's.
fn devices(
    tree: &Tree,
    policy: &Policy,
    sources: &Sources,
    own: &dyn Fn() -> Result<OwnedFd, Failure>,
) -> Result<Option<OwnedFd>, Failure> {
    let folder = tree.folder("dev").map_err(at(Step::Devices))?;
    let mount = policy.image.as_ref().map(|_| own()).transpose()?;
    if let Some(mount) = &mount {
        attach(mount, &folder).or_fail(Step::Devices)?;
    }
    for (name, device) in &sources.devices {
        tree.put(&Path::new("/dev").join(name), false, device)
            .map_err(at(Step::Devices))?;
    }
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
    Ok(mount)
}

fn sources(policy: &Policy, owners: &Owners) -> Result<Sources, Failure> {
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
    let mut devices = Vec::new();
    let terminal = policy.terminal.map(|_| "tty");
    for name in DEVICES.iter().copied().chain(terminal) {
        let device = clone_at(&format!("/dev/{name}")).or_fail_at(Step::Devices, Path::new(name))?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        restrict(&device, attributes, None, false).or_fail_at(Step::Devices, Path::new(name))?;
        devices.push((name, device));
    }
    Ok(Sources { binds, devices })
}

/// Makes a mount the root and lets go of the one that was.
fn enter(root: &OwnedFd) -> Result<OwnedFd, Failure> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let staging = STAGING
        .iter()
        .find_map(|path| open(*path, folder, Mode::empty()).ok())
        .ok_or_else(|| failure(Step::Pivot, libc::ENOENT))?;
    attach(root, &staging).or_fail(Step::Pivot)?;
    fchdir(root).or_fail(Step::Pivot)?;
    // The old root comes to lie on top of the new one, and is taken away from there (`pivot_root(2)`).
    pivot_root(".", ".").or_fail(Step::Pivot)?;
    unmount(".", UnmountFlags::DETACH).or_fail(Step::Pivot)?;
    chdir("/").or_fail(Step::Pivot)?;
    open("/", folder, Mode::empty()).or_fail(Step::Pivot)
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
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fresh("tmpfs", &options, safe)
}

/// Puts nothing in place of files of `/proc`.
fn hide(tree: &Tree, sources: &Sources) -> Result<(), Failure> {
    let Some((_, null)) = sources.devices.iter().find(|(name, _)| *name == "null") else {
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
