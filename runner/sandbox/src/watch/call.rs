//! What a call asks for, from its registers.

use std::path::PathBuf;

use libc::c_long;

use super::caller::Caller;

/// What is to be done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Need {
    /// Learn of it: that it is there, its size, where it leads.
    Look,
    /// Open it.
    Open {
        /// To change it.
        write: bool,
        /// Make it if it is not there.
        create: bool,
    },
    /// Execute it.
    Execute,
    /// Change its content.
    Change,
    /// Change its mode, owner or times.
    Attributes,
    /// Make it; it is not there yet.
    Make {
        /// Whether it is to be a folder.
        folder: bool,
    },
    /// Take it away.
    Remove,
}

/// A path that a call names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Absolute.
    pub(super) path: PathBuf,
    /// What is to be done with it.
    pub(super) need: Need,
    /// Whether a link at its end is followed.
    pub(super) follow: bool,
}

/// A path as the registers have it.
struct Raw {
    /// The descriptor of the folder.
    folder: i32,
    /// The address of the text.
    text: u64,
    need: Need,
    follow: bool,
}

/// The paths that a call names.
pub(super) fn places(caller: Caller, call: &libc::seccomp_data) -> Vec<Place> {
    raw(call.nr.into(), call.args)
        .into_iter()
        .filter_map(|raw| {
            let path = caller.path(raw.text)?;
            let path = if path.is_absolute() {
                path
            } else {
                caller.folder(raw.folder)?.join(path)
            };
            Some(Place {
                path,
                need: raw.need,
                follow: raw.follow,
            })
        })
        .collect()
}

/// The lower half of a register, where an `int` is.
pub(super) fn int(register: u64) -> i32 {
    let [a, b, c, d, ..] = register.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

const HERE: i32 = libc::AT_FDCWD;

fn raw(number: c_long, args: [u64; 6]) -> Vec<Raw> {
    let [first, second, third, fourth, fifth, _] = args;
    let folder = int(first);
    let follows = |flags: u64| int(flags) & libc::AT_SYMLINK_NOFOLLOW == 0;
    let one = |folder, text, need, follow| {
        vec![Raw {
            folder,
            text,
            need,
            follow,
        }]
    };
    match number {
        libc::SYS_openat => open(folder, second, int(third)),
        libc::SYS_execve => one(HERE, first, Need::Execute, true),
        libc::SYS_execveat => one(folder, second, Need::Execute, follows(fifth)),
        libc::SYS_newfstatat => one(folder, second, Need::Look, follows(fourth)),
        libc::SYS_statx => one(folder, second, Need::Look, follows(third)),
        libc::SYS_faccessat => one(folder, second, access(third), true),
        libc::SYS_faccessat2 => one(folder, second, access(third), follows(fourth)),
        libc::SYS_readlinkat => one(folder, second, Need::Look, false),
        libc::SYS_chdir => one(HERE, first, Need::Look, true),
        libc::SYS_mkdirat => one(folder, second, Need::Make { folder: true }, false),
        libc::SYS_mknodat => one(folder, second, Need::Make { folder: false }, false),
        libc::SYS_unlinkat => one(folder, second, Need::Remove, false),
        libc::SYS_renameat2 => moved((folder, second), (int(third), fourth)),
        libc::SYS_linkat => linked((folder, second), (int(third), fourth)),
        libc::SYS_symlinkat => one(int(second), third, Need::Make { folder: false }, false),
        libc::SYS_truncate => one(HERE, first, Need::Change, true),
        libc::SYS_fchmodat => one(folder, second, Need::Attributes, true),
        libc::SYS_fchownat => one(folder, second, Need::Attributes, follows(fifth)),
        FCHMODAT2 | libc::SYS_utimensat => one(folder, second, Need::Attributes, follows(fourth)),
        _ => plain(number, args),
    }
}

/// `fchmodat2` (Linux 6.6), which the library does not have.
const FCHMODAT2: c_long = 452;

/// Calls without first descriptor of first folder, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
fn plain(number: c_long, args: [u64; 6]) -> Vec<Raw> {
    let [first, second, third, fourth, ..] = args;
    let one = |text, need, follow| {
        vec![Raw {
            folder: HERE,
            text,
            need,
            follow,
        }]
    };
    match number {
        libc::SYS_open => open(HERE, first, int(second)),
        libc::SYS_creat => open(HERE, first, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC),
        libc::SYS_stat => one(first, Need::Look, true),
        libc::SYS_lstat | libc::SYS_readlink => one(first, Need::Look, false),
        libc::SYS_access => one(first, access(second), true),
        libc::SYS_mkdir => one(first, Need::Make { folder: true }, false),
        libc::SYS_mknod => one(first, Need::Make { folder: false }, false),
        libc::SYS_rmdir | libc::SYS_unlink => one(first, Need::Remove, false),
        libc::SYS_rename => moved((HERE, first), (HERE, second)),
        libc::SYS_renameat => moved((int(first), second), (int(third), fourth)),
        libc::SYS_link => linked((HERE, first), (HERE, second)),
        libc::SYS_symlink => one(second, Need::Make { folder: false }, false),
        libc::SYS_chmod | libc::SYS_chown => one(first, Need::Attributes, true),
        libc::SYS_lchown => one(first, Need::Attributes, false),
        _ => Vec::new(),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn plain(_number: c_long, _args: [u64; 6]) -> Vec<Raw> {
    Vec::new()
}

fn open(folder: i32, text: u64, flags: i32) -> Vec<Raw> {
    let kind = flags & libc::O_ACCMODE;
    let nameless = flags & libc::O_TMPFILE == libc::O_TMPFILE;
    let need = if flags & libc::O_PATH != 0 {
        Need::Look
    } else if nameless {
        Need::Change
    } else {
        Need::Open {
            write: kind != libc::O_RDONLY || flags & libc::O_TRUNC != 0,
            create: flags & libc::O_CREAT != 0,
        }
    };
    let follow = flags & libc::O_NOFOLLOW == 0;
    vec![Raw {
        folder,
        text,
        need,
        follow,
    }]
}

/// A look whether something could be changed fails where changing it would.
fn access(mode: u64) -> Need {
    if int(mode) & libc::W_OK == 0 {
        Need::Look
    } else {
        Need::Attributes
    }
}

fn moved(from: (i32, u64), to: (i32, u64)) -> Vec<Raw> {
    vec![
        Raw {
            folder: from.0,
            text: from.1,
            need: Need::Remove,
            follow: false,
        },
        Raw {
            folder: to.0,
            text: to.1,
            need: Need::Make { folder: false },
            follow: false,
        },
    ]
}

fn linked(from: (i32, u64), to: (i32, u64)) -> Vec<Raw> {
    let mut raw = moved(from, to);
    if let Some(source) = raw.first_mut() {
        source.need = Need::Look;
    }
    raw
}
