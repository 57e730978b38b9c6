//! What is known of a file beside its content.

use crate::Attempt;
use crate::call::{HERE, call};
use crate::descriptor::look_at;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "chmod",
        usage: "PATH",
        run: chmod,
    },
    Attempt {
        name: "chown",
        usage: "PATH",
        run: chown,
    },
    Attempt {
        name: "touch",
        usage: "PATH",
        run: touch,
    },
    Attempt {
        name: "set-attribute",
        usage: "CANARY",
        run: set_attribute,
    },
    Attempt {
        name: "get-attribute",
        usage: "PATH",
        run: get_attribute,
    },
];

/// Gives a file the permissions that it has.
fn chmod(words: &Words) -> Verdict {
    let path = words.path(0)?;
    let mode = look_at(&path).during("statx")?.mode & 0o7777;
    call!(libc::SYS_fchmodat, HERE, &path, mode).during("fchmodat")?;
    Ok("could be changed".to_owned())
}

/// Gives a file to those whose it is.
fn chown(words: &Words) -> Verdict {
    let path = words.path(0)?;
    let look = look_at(&path).during("statx")?;
    call!(libc::SYS_fchownat, HERE, &path, look.user, look.group, 0).during("fchownat")?;
    Ok("could be given away".to_owned())
}

/// Says that a file was changed now.
fn touch(words: &Words) -> Verdict {
    call!(libc::SYS_utimensat, HERE, &words.path(0)?, 0, 0).during("utimensat")?;
    Ok("could be touched".to_owned())
}

/// Sets an attribute and removes it again.
fn set_attribute(words: &Words) -> Verdict {
    const NAME: &std::ffi::CStr = c"user.wrun-attempt";
    let path = words.path(0)?;
    match call!(libc::SYS_setxattr, &path, NAME, c"x", 1, 0) {
        Err(errno) if errno.0 == libc::EOPNOTSUPP => {
            Err(Stop::unavailable("the file system has no attributes"))
        }
        result => {
            result.during("setxattr")?;
            call!(libc::SYS_removexattr, &path, NAME).during("removexattr")?;
            Ok("could be set".to_owned())
        }
    }
}

fn get_attribute(words: &Words) -> Verdict {
    let mut value = [0_u8; 256];
    match call!(libc::SYS_listxattr, &words.path(0)?, &mut value, 256) {
        Err(errno) if errno.0 == libc::EOPNOTSUPP => {
            Err(Stop::unavailable("the file system has no attributes"))
        }
        result => {
            let length = result.during("listxattr")?;
            Ok(format!("{length} bytes of names"))
        }
    }
}
