//! Mounting: the old call and the new ones. Each is made in mounts of its own.

use std::ffi::CStr;

use crate::Attempt;
use crate::call::{HERE, call, words_of};
use crate::descriptor::{owned, remove_folder};
use crate::errno::Errno;
use crate::guard;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::{Words, c_string, own_name, scratch};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "mount",
        usage: "tmpfs|proc|sysfs|cgroup2|devpts|mqueue|overlay|bpf|debugfs",
        run: mount,
    },
    Attempt {
        name: "bind",
        usage: "FROM TO",
        run: bind,
    },
    Attempt {
        name: "remount",
        usage: "PATH",
        run: remount,
    },
    Attempt {
        name: "propagate",
        usage: "PATH",
        run: propagate,
    },
    Attempt {
        name: "unmount",
        usage: "PATH",
        run: unmount,
    },
    Attempt {
        name: "pivot",
        usage: "",
        run: pivot,
    },
    Attempt {
        name: "new-mount",
        usage: "open_tree|open_tree_attr|fsopen|fspick|mount_setattr|move_mount|statmount|listmount PATH",
        run: new_mount,
    },
];

/// `open_tree_attr(2)`, newer than the C library's list.
const SYS_OPEN_TREE_ATTR: i64 = 467;
/// `statmount(2)`, newer than the C library's list.
const SYS_STATMOUNT: i64 = 457;
/// `listmount(2)`, newer than the C library's list.
const SYS_LISTMOUNT: i64 = 458;

/// Mounts of this process' own where it can have them; where it cannot, there is nothing it could change.
fn own_mounts() -> Result<(), Stop> {
    guard::harmless()?;
    // Refused where the sandbox refuses it, and then what follows is made in the mounts that there are.
    let _ = call!(libc::SYS_unshare, libc::CLONE_NEWNS);
    Ok(())
}

fn mount_call(source: &CStr, target: &CStr, kind: &CStr, flags: u64) -> Result<i64, Errno> {
    call!(libc::SYS_mount, source, target, kind, flags, 0)
}

fn mount(words: &Words) -> Verdict {
    own_mounts()?;
    let kind = words.path(0)?;
    let folder = own_name(&scratch()?, "mount")?;
    call!(libc::SYS_mkdirat, HERE, &folder, 0o700).during("make a folder of its own")?;
    let result = mount_call(&kind, &folder, &kind, 0);
    // It goes with this process' mounts; the folder below goes now.
    let _ = call!(libc::SYS_umount2, &folder, libc::MNT_DETACH);
    remove_folder(&folder);
    match result {
        Err(errno) if [libc::ENODEV, libc::EINVAL, libc::EBUSY].contains(&errno.0) => Ok(format!(
            "the right to mount is there, what to mount is not: {errno}"
        )),
        result => {
            result.during("mount")?;
            Ok("could be mounted".to_owned())
        }
    }
}

fn bind(words: &Words) -> Verdict {
    own_mounts()?;
    mount_call(
        &words.path(0)?,
        &words.path(1)?,
        c"none",
        libc::MS_BIND | libc::MS_REC,
    )
    .during("mount")?;
    Ok("could be bound".to_owned())
}

/// Takes a read-only flag away.
fn remount(words: &Words) -> Verdict {
    own_mounts()?;
    mount_call(
        c"none",
        &words.path(0)?,
        c"none",
        libc::MS_REMOUNT | libc::MS_BIND,
    )
    .during("mount")?;
    Ok("could be mounted to write".to_owned())
}

/// Lets mounts be seen elsewhere.
fn propagate(words: &Words) -> Verdict {
    own_mounts()?;
    mount_call(c"none", &words.path(0)?, c"none", libc::MS_SLAVE | libc::MS_REC).during("mount")?;
    Ok("its propagation could be changed".to_owned())
}

fn unmount(words: &Words) -> Verdict {
    own_mounts()?;
    call!(libc::SYS_umount2, &words.path(0)?, libc::MNT_DETACH).during("umount2")?;
    Ok("could be unmounted".to_owned())
}

/// Another root. Its arguments do not allow it, which is found out after the check of rights.
fn pivot(_: &Words) -> Verdict {
    own_mounts()?;
    let result = call!(libc::SYS_pivot_root, c"/proc/self/no-such-folder", c"/");
    crate::verdict::open_if(result, &[libc::ENOENT, libc::EINVAL, libc::ENOTDIR], "pivot_root")
}

fn new_mount(words: &Words) -> Verdict {
    own_mounts()?;
    let way = words.text(0)?;
    let path = words.get(1).map_or_else(|| c_string("/"), c_string)?;
    // OPEN_TREE_CLONE
    let clone = 1_u32;
    // A struct mount_attr that sets MOUNT_ATTR_RDONLY.
    let attributes = words_of(&[1, 0, 0, 0]);
    match way {
        "open_tree" => call!(libc::SYS_open_tree, HERE, &path, clone)
            .and_then(owned)
            .map(drop)
            .during(way)?,
        "open_tree_attr" => {
            let tree = call!(
                SYS_OPEN_TREE_ATTR,
                HERE,
                &path,
                clone,
                &attributes,
                attributes.len()
            );
            tree.and_then(owned).map(drop).during(way)?;
        }
        "fsopen" => call!(libc::SYS_fsopen, c"tmpfs", 1)
            .and_then(owned)
            .map(drop)
            .during(way)?,
        "fspick" => call!(libc::SYS_fspick, HERE, &path, 1)
            .and_then(owned)
            .map(drop)
            .during(way)?,
        "mount_setattr" => call!(
            libc::SYS_mount_setattr,
            HERE,
            &path,
            0,
            &attributes,
            attributes.len()
        )
        .map(drop)
        .during(way)?,
        "move_mount" => {
            let result = call!(libc::SYS_move_mount, HERE, c"/no-such-folder", HERE, c"/", 0);
            return crate::verdict::open_if(result, &[libc::ENOENT, libc::EINVAL], way);
        }
        "listmount" | "statmount" => {
            // LSMT_ROOT for the one; for the other a mount that cannot be.
            let request = words_of(&[24, u64::MAX, 0]);
            let mut buffer = [0_u8; 4096];
            let result = if way == "listmount" {
                call!(SYS_LISTMOUNT, &request, &mut buffer, 512, 0)
            } else {
                call!(SYS_STATMOUNT, &request, &mut buffer, 4096, 0)
            };
            return crate::verdict::open_if(result, &[libc::ENOENT, libc::EINVAL], way);
        }
        _ => return Err(Stop::Misused(format!("`{way}` is no call for mounts"))),
    }
    Ok(format!("{way} worked"))
}
