//! Mounts by descriptor: cloned or made apart from everything, given their attributes, then put in place.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// `AT_RECURSIVE` of `mount_setattr(2)`.
const RECURSIVE: libc::c_int = 0x8000;

/// A copy of the mounts at a path that must have no symbolic link in it, and must still be what it was.
pub(super) fn clone_exactly(path: &Path, identity: (u64, u64)) -> Result<OwnedFd, Errno> {
    clone_of(&find_exactly(path, identity)?)
}

/// What is at a path that must have no symbolic link in it, and must still be what it was.
pub(super) fn find_exactly(path: &Path, identity: (u64, u64)) -> Result<OwnedFd, Errno> {
    let found = openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?;
    let now = fstat(&found)?;
    if (now.st_dev, now.st_ino) != identity {
        return Err(Errno::STALE);
    }
    Ok(found)
}

/// A copy of the mounts at a path.
pub(super) fn clone_at(path: &str) -> Result<OwnedFd, Errno> {
    open_tree(
        CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE,
    )
}

fn clone_of(found: &OwnedFd) -> Result<OwnedFd, Errno> {
    open_tree(
        found,
        "",
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_EMPTY_PATH,
    )
}

/// A new mount of a file system of the kernel, with its options.
pub(super) fn fresh(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        fsconfig_set_string(&context, *name, *value)?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Adds attributes to a mount and all mounts below it, and shows its files as those of another user (id-mapped), if a
/// namespace is given.
pub(super) fn restrict(
    mount: impl AsFd,
    attributes: MountAttrFlags,
    owners: Option<&OwnedFd>,
    recursive: bool,
) -> Result<(), Errno> {
    let mut set = u64::from(attributes.bits());
    let mut namespace = 0;
    if let Some(owners) = owners {
        set |= u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits());
        namespace = u64::try_from(owners.as_raw_fd()).map_err(|_| Errno::BADF)?;
    }
    let change = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd: namespace,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { RECURSIVE } else { 0 };
    #[expect(unsafe_code, reason = "there is no safe mount_setattr")]
    // SAFETY: the descriptor is open, the path is empty and ends in NUL, and the structure is one of the size that is
    // given, which the kernel only reads (`mount_setattr(2)`).
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw_os_error(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EPERM),
        ))
    }
}

/// Puts a mount in place.
pub(super) fn attach(mount: impl AsFd, place: impl AsFd) -> Result<(), Errno> {
    move_mount(
        mount,
        "",
        place,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
}

/// Puts a mount over the root of this process, which goes on to see what is below: paths begin there, whatever lies on top
/// (`path_resolution(7)`).
pub(super) fn lay_over_root(mount: impl AsFd) -> Result<(), Errno> {
    let root = open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    attach(mount, root)
}
