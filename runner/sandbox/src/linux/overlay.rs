//! The layers of an image as one file system, with a folder in memory above them that takes what is written.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, mkdirat, open, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};

use crate::message::{Failure, Step};
use crate::policy::{Entry, Image, Layer, Policy};

use super::identity::Owners;
use super::mounts::{attach, find_exactly, fresh, restrict};
use super::root::folder_in_memory;
use super::step::{Try as _, failure};
use super::tree::Tree;

/// Where they are until the root is changed; one of these folders is on every machine. Not over the root, where only what
/// becomes the next root may lie.
const STAGING: &[&str] = &["/tmp", "/dev"];

/// What the mounts are arranged in, until the root is changed, may hold: folders.
const STAGING_BYTES: &str = "4m";

/// The folder in memory among them.
const UPPER: &str = "upper";

/// In that, what is written to the image.
const FILES: &str = "files";

/// Beside it, what the kernel needs to make changes at once.
const WORK: &str = "work";

const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// Joins the layers of an image. What is generated for the process lies above them.
pub(super) fn join(image: &Image, policy: &Policy, owners: &Owners) -> Result<OwnedFd, Failure> {
    // All that lies on the machine is opened before anything is mounted over it.
    let layers: Vec<Opened<'_>> = image
        .layers
        .iter()
        .map(|layer| Opened::new(layer, owners))
        .collect::<Result<_, _>>()?;
    let staging = staging()?;
    for (number, layer) in layers.iter().enumerate() {
        layer.arrange(number, &staging)?;
    }
    let upper = upper(policy, &staging)?;
    overlay(&layers, &upper).or_fail(Step::Overlay)
}

/// A layer, as it is to be joined.
struct Opened<'l> {
    layer: &'l Layer,
    found: OwnedFd,
    /// Whether it is a mount of its own, which shows its files as another user's.
    is_mount: bool,
}

impl<'l> Opened<'l> {
    fn new(layer: &'l Layer, owners: &Owners) -> Result<Self, Failure> {
        let path = &layer.path;
        let found = find_exactly(path, layer.identity).or_fail_at(Step::Layer, path)?;
        let Some(namespace) = owners.namespace(layer.owner) else {
            return Ok(Self {
                layer,
                found,
                is_mount: false,
            });
        };
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let mount = open_tree(&found, "", flags).or_fail_at(Step::Layer, path)?;
        restrict(&mount, MountAttrFlags::MOUNT_ATTR_RDONLY, Some(namespace), false)
            .or_fail_at(Step::IdentityMount, path)?;
        Ok(Self {
            layer,
            found: mount,
            is_mount: true,
        })
    }

    /// Puts a mount of its own among the mounts of this process, as layers have to be on kernels before 6.15.
    fn arrange(&self, number: usize, staging: &OwnedFd) -> Result<(), Failure> {
        if !self.is_mount {
            return Ok(());
        }
        let place = folder(staging, &number.to_string()).or_fail_at(Step::Layer, &self.layer.path)?;
        attach(&self.found, place).or_fail_at(Step::Layer, &self.layer.path)
    }
}

/// A place for mounts that is gone with the root of the machine.
fn staging() -> Result<OwnedFd, Failure> {
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let staging = fresh("tmpfs", &[("size", STAGING_BYTES), ("mode", "0700")], safe).or_fail(Step::Upper)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = STAGING
        .iter()
        .find_map(|path| open(*path, flags, Mode::empty()).ok())
        .ok_or_else(|| failure(Step::Upper, libc::ENOENT))?;
    attach(&staging, place).or_fail(Step::Upper)?;
    Ok(staging)
}

/// The folder in memory, with what is generated for the process.
fn upper(policy: &Policy, staging: &OwnedFd) -> Result<OwnedFd, Failure> {
    let owner = policy.identity.becomes;
    let upper = folder_in_memory(policy.temporary, "0755", owner).or_fail(Step::Upper)?;
    attach(&upper, folder(staging, UPPER).or_fail(Step::Upper)?).or_fail(Step::Upper)?;
    folder(&upper, WORK).or_fail(Step::Upper)?;
    let files = folder(&upper, FILES).or_fail(Step::Upper)?;
    if let Some((user, group)) = owner {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        chownat(&upper, FILES, Some(user), Some(group), AtFlags::empty()).or_fail(Step::Upper)?;
    }
    let tree = Tree::of_image(files, owner);
    for entry in &policy.entries {
        if let Entry::File { at, content } = entry {
            tree.file(at, content.as_bytes())?;
        }
    }
    Ok(upper)
}

/// Makes a folder and opens it.
fn folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    mkdirat(parent, name, FOLDER)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(parent.as_fd(), name, flags, Mode::empty())
}

fn overlay(layers: &[Opened<'_>], upper: &OwnedFd) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // What layers take away is said in attributes that need no rights.
    fsconfig_set_flag(&context, "userxattr")?;
    let mut paths = layers.iter().rev().map(|layer| address(&layer.found));
    let first = paths.next().unwrap_or_default();
    match fsconfig_set_string(&context, "lowerdir+", &first) {
        Ok(()) => {
            for path in paths {
                fsconfig_set_string(&context, "lowerdir+", &path)?;
            }
        }
        // Before Linux 6.7 all of them are one text, which cannot be long.
        Err(Errno::INVAL) => {
            let all: Vec<String> = std::iter::once(first).chain(paths).collect();
            fsconfig_set_string(&context, "lowerdir", all.join(":"))?;
        }
        Err(error) => return Err(error),
    }
    let upper = address(upper);
    fsconfig_set_string(&context, "upperdir", format!("{upper}/{FILES}"))?;
    fsconfig_set_string(&context, "workdir", format!("{upper}/{WORK}"))?;
    fsconfig_create(&context)?;
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, safe)
}

/// A short name of a folder that is open: options of mounts have 255 characters at most.
fn address(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}
