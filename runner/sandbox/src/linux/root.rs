//! The file system of a process in [`wrun_core::sandbox::Tier::Full`]: an empty root in memory with what was granted.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, open, openat, openat2, symlinkat};
use rustix::io::{Errno, write};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::message::{Failure, Step};
use crate::policy::{Entry, Policy};
use wrun_core::grants::Access;

use super::identity::Owners;
use super::mounts::{attach, clone_at, clone_exactly, fresh, restrict};
use super::step::{Try as _, failure};

/// Where the new root is mounted until it is the root; one of them is on every machine.
const STAGING: &[&str] = &["/tmp", "/proc"];

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

const FOLDER: Mode = Mode::from_raw_mode(0o755);
const FILE: Mode = Mode::from_raw_mode(0o644);

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
    let root = fresh("tmpfs", &[("size", ROOT_BYTES), ("mode", "0755")], safe).or_fail(Step::Root)?;
    let root = enter(&root)?;

    let memory = || folder_in_memory(policy.temporary, "1777", safe).or_fail(Step::Root);
    put(&root, Path::new("/tmp"), true, &memory()?)?;
    for (name, device) in &sources.devices {
        put(&root, &Path::new("/dev").join(name), false, device).map_err(at(Step::Devices))?;
    }
    put(&root, Path::new("/dev/shm"), true, &memory()?)?;
    let terminals = fresh(
        "devpts",
        &[("mode", "0620"), ("ptmxmode", "0666")],
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )
    .or_fail(Step::Devices)?;
    put(&root, Path::new("/dev/pts"), true, &terminals)?;
    for (name, target) in DEVICE_LINKS {
        link(&root, &Path::new("/dev").join(name), Path::new(target))?;
    }
    place(&root, Path::new("/proc"), true)?;
    if let Some(proc) = &proc {
        put(&root, Path::new("/proc"), true, proc).map_err(at(Step::Proc))?;
        hide(&root, &sources)?;
    }
    fill(&root, policy, &sources.binds, safe)?;
    restrict(&root, MountAttrFlags::MOUNT_ATTR_RDONLY, None, false).or_fail(Step::Root)?;
    Ok(proc.is_some())
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
        let mount = clone_exactly(path, *identity).map_err(|errno| Failure {
            // A kernel or a container without these calls has no roots of their own; that is not the path's fault.
            step: if matches!(errno, Errno::NOSYS | Errno::PERM) {
                Step::Root
            } else {
                Step::Grant
            },
            subject: Some(path.to_string_lossy().into_owned()),
            errno: errno.raw_os_error(),
        })?;
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
        if !path.starts_with("/dev") {
            attributes |= MountAttrFlags::MOUNT_ATTR_NODEV;
        }
        if *access == Access::Read {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        let namespace = owner.and_then(|owner| owners.namespace(owner));
        let step = if namespace.is_some() {
            Step::IdentityMount
        } else {
            Step::Grant
        };
        restrict(&mount, attributes, namespace, true).or_fail_at(step, path)?;
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
fn fill(root: &OwnedFd, policy: &Policy, binds: &[OwnedFd], safe: MountAttrFlags) -> Result<(), Failure> {
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
                put(root, path, *folder, mount)?;
            }
            (Entry::Bind { path, .. }, None) => {
                return Err(Errno::NOENT).or_fail_at(Step::Grant, path);
            }
            (Entry::Right { .. }, _) => {}
            (Entry::Link { at, target }, _) => link(root, at, target)?,
            (Entry::File { at, content }, _) => file(root, at, content)?,
            (Entry::Memory { at, bytes }, _) => {
                let memory = folder_in_memory(*bytes, "0700", safe).or_fail_at(Step::Fill, at)?;
                put(root, at, true, &memory)?;
                chown(root, at, policy)?;
            }
        }
    }
    Ok(())
}

/// An empty folder in memory with a bound on its bytes and, with what each takes of the kernel's memory, on its files.
fn folder_in_memory(bytes: u64, mode: &str, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let files = (bytes / PAGE).max(LEAST_FILES);
    fresh(
        "tmpfs",
        &[
            ("size", &bytes.to_string()),
            ("nr_inodes", &files.to_string()),
            ("mode", mode),
        ],
        attributes,
    )
}

/// Gives a folder in memory to the process, which is another user than the one that made it.
fn chown(root: &OwnedFd, path: &Path, policy: &Policy) -> Result<(), Failure> {
    if !policy.identity.privileged {
        return Ok(());
    }
    let user = rustix::fs::Uid::from_raw(policy.identity.user);
    let group = rustix::fs::Gid::from_raw(policy.identity.group);
    rustix::fs::chownat(
        root,
        relative(path),
        Some(user),
        Some(group),
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )
    .or_fail_at(Step::Fill, path)
}

/// Puts nothing in place of files of `/proc`.
fn hide(root: &OwnedFd, sources: &Sources) -> Result<(), Failure> {
    let Some((_, null)) = sources.devices.iter().find(|(name, _)| *name == "null") else {
        return Err(failure(Step::Proc, libc::ENOENT));
    };
    for name in HIDDEN {
        let path = Path::new("/proc").join(name);
        let Ok(found) = find(root, &path) else { continue };
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

fn put(root: &OwnedFd, path: &Path, folder: bool, mount: &OwnedFd) -> Result<(), Failure> {
    let place = place(root, path, folder)?;
    attach(mount, &place).or_fail_at(Step::Grant, path)
}

fn link(root: &OwnedFd, at: &Path, target: &Path) -> Result<(), Failure> {
    let parent = parent(root, at)?;
    let name = at.file_name().unwrap_or_default();
    match symlinkat(target, &parent, name) {
        // What was brought in has it already.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error).or_fail_at(Step::Fill, at),
    }
}

fn file(root: &OwnedFd, at: &Path, content: &str) -> Result<(), Failure> {
    let parent = parent(root, at)?;
    let name = at.file_name().unwrap_or_default();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&parent, name, flags, FILE).or_fail_at(Step::Fill, at)?;
    let mut rest = content.as_bytes();
    while !rest.is_empty() {
        let written = write(&file, rest).or_fail_at(Step::Fill, at)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// A file or folder to mount on, made if it is not there.
fn place(root: &OwnedFd, path: &Path, folder: bool) -> Result<OwnedFd, Failure> {
    if let Ok(found) = find(root, path) {
        return Ok(found);
    }
    let parent = parent(root, path)?;
    let name = path.file_name().unwrap_or_default();
    let made = if folder {
        mkdirat(&parent, name, FOLDER)
    } else {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(&parent, name, flags, FILE).map(drop)
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => find(root, path).or_fail_at(Step::Fill, path),
        Err(error) => Err(error).or_fail_at(Step::Fill, path),
    }
}

/// The folder of a path, made with those above it.
fn parent(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Failure> {
    match path.parent().filter(|parent| parent.components().count() > 1) {
        Some(parent) => place(root, parent, true),
        None => rustix::io::fcntl_dupfd_cloexec(root, 3).or_fail_at(Step::Fill, path),
    }
}

/// What is at a path of the new root, without following any link.
fn find(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    openat2(
        root.as_fd(),
        relative(path),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

fn relative(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}

fn at(step: Step) -> impl Fn(Failure) -> Failure {
    move |failure| Failure { step, ..failure }
}
