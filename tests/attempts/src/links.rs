//! Ways around a path: links, renames and another root.

use crate::Attempt;
use crate::call::{HERE, call};
use crate::descriptor::{create, open, read_file, remove, remove_folder};
use crate::guard;
use crate::verdict::{During as _, Verdict, open_if_marked};
use crate::words::{Words, c_string, own_name, scratch};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "read-through-own-link",
        usage: "TARGET MARKER",
        run: read_through_own_link,
    },
    Attempt {
        name: "write-through-own-link",
        usage: "TARGET",
        run: write_through_own_link,
    },
    Attempt {
        name: "create-through-own-link",
        usage: "FOLDER",
        run: create_through_own_link,
    },
    Attempt {
        name: "link-in",
        usage: "TARGET FOLDER",
        run: link_in,
    },
    Attempt {
        name: "link-in-descriptor",
        usage: "TARGET FOLDER",
        run: link_in_descriptor,
    },
    Attempt {
        name: "rename-out",
        usage: "FROM-FOLDER TO-FOLDER",
        run: rename_out,
    },
    Attempt {
        name: "rename-in",
        usage: "CANARY FOLDER",
        run: rename_in,
    },
    Attempt {
        name: "exchange",
        usage: "CANARY FOLDER",
        run: exchange,
    },
    Attempt {
        name: "chroot",
        usage: "FOLDER SECRET MARKER",
        run: chroot,
    },
];

/// Does something through a symbolic link in the scratch folder.
fn through_own_link(target: &str, attempt: impl FnOnce(&std::ffi::CStr) -> Verdict) -> Verdict {
    let link = own_name(&scratch()?, "link")?;
    call!(libc::SYS_symlinkat, &c_string(target)?, HERE, &link).during("make a link of its own")?;
    let verdict = attempt(&link);
    remove(&link);
    verdict
}

fn read_through_own_link(words: &Words) -> Verdict {
    through_own_link(words.text(0)?, |link| {
        let content = read_file(link).during("read through the link")?;
        open_if_marked(&content, words.text(1)?, "the file")
    })
}

fn write_through_own_link(words: &Words) -> Verdict {
    through_own_link(words.text(0)?, |link| {
        open(link, libc::O_WRONLY, 0).during("open to write through the link")?;
        Ok("could be written".to_owned())
    })
}

fn create_through_own_link(words: &Words) -> Verdict {
    let target = own_name(words.text(0)?, "through")?;
    through_own_link(&target.to_string_lossy(), |link| {
        open(link, libc::O_WRONLY | libc::O_CREAT, 0o600).during("create through the link")?;
        remove(&target);
        Ok("could be made".to_owned())
    })
}

/// Gives an outside file a name inside.
fn link_in(words: &Words) -> Verdict {
    let name = own_name(words.text(1)?, "hard")?;
    call!(libc::SYS_linkat, HERE, &words.path(0)?, HERE, &name, 0).during("linkat")?;
    remove(&name);
    Ok("has a name inside".to_owned())
}

/// The same by a descriptor that may only name the file.
fn link_in_descriptor(words: &Words) -> Verdict {
    let held = open(&words.path(0)?, libc::O_PATH, 0).during("open as a path")?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&held);
    let from = c_string(format!("/proc/self/fd/{number}"))?;
    let name = own_name(words.text(1)?, "hard")?;
    call!(
        libc::SYS_linkat,
        HERE,
        &from,
        HERE,
        &name,
        libc::AT_SYMLINK_FOLLOW
    )
    .during("linkat")?;
    remove(&name);
    Ok("has a name inside".to_owned())
}

fn rename(from: &std::ffi::CStr, to: &std::ffi::CStr, flags: u32) -> Result<i64, crate::errno::Errno> {
    call!(libc::SYS_renameat2, HERE, from, HERE, to, flags)
}

fn rename_out(words: &Words) -> Verdict {
    let from = own_name(words.text(0)?, "out")?;
    let to = own_name(words.text(1)?, "moved")?;
    create(&from).during("make a file of its own")?;
    let renamed = rename(&from, &to, libc::RENAME_NOREPLACE);
    remove(&from);
    renamed.during("renameat2")?;
    remove(&to);
    Ok("could be moved out".to_owned())
}

fn rename_in(words: &Words) -> Verdict {
    let (canary, inside) = (words.path(0)?, own_name(words.text(1)?, "in")?);
    rename(&canary, &inside, libc::RENAME_NOREPLACE).during("renameat2")?;
    rename(&inside, &canary, libc::RENAME_NOREPLACE).during("move it back")?;
    Ok("could be moved in".to_owned())
}

fn exchange(words: &Words) -> Verdict {
    let (canary, inside) = (words.path(0)?, own_name(words.text(1)?, "exchange")?);
    create(&inside).during("make a file of its own")?;
    let exchanged = rename(&canary, &inside, libc::RENAME_EXCHANGE);
    if exchanged.is_ok() {
        rename(&inside, &canary, libc::RENAME_EXCHANGE).during("exchange it back")?;
    }
    remove(&inside);
    exchanged.during("renameat2")?;
    Ok("could be exchanged".to_owned())
}

/// Leaves a root by entering another while a folder outside of that is held.
fn chroot(words: &Words) -> Verdict {
    guard::harmless()?;
    let folder = own_name(words.text(0)?, "root")?;
    let outside = open(c".", libc::O_PATH | libc::O_DIRECTORY, 0).during("hold the current folder")?;
    call!(libc::SYS_mkdirat, HERE, &folder, 0o700).during("make a folder of its own")?;
    let result = call!(libc::SYS_chroot, &folder);
    if result.is_err() {
        remove_folder(&folder);
    }
    result.during("chroot")?;
    call!(libc::SYS_fchdir, &outside).during("leave the new root")?;
    for _ in 0..40 {
        call!(libc::SYS_chdir, c"..").during("go up")?;
    }
    call!(libc::SYS_chroot, c".").during("chroot to the top")?;
    remove_folder(&folder);
    let content = read_file(&words.path(1)?).during("read")?;
    open_if_marked(&content, words.text(2)?, "the file")
}
