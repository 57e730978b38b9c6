//! New namespaces, and those of other processes.

use crate::Attempt;
use crate::call::{call, words_of};
use crate::children::{Child, End, end};
use crate::descriptor::{open, owned};
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::{Words, c_string};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "unshare",
        usage: "user|mount|pid|net|ipc|uts|cgroup|time|files",
        run: unshare,
    },
    Attempt {
        name: "clone",
        usage: "user|mount|pid|net|ipc|uts|cgroup",
        run: clone,
    },
    Attempt {
        name: "clone3",
        usage: "user|mount|pid|net|ipc|uts|cgroup",
        run: clone3,
    },
    Attempt {
        name: "join",
        usage: "PID user|mnt|pid|net|ipc|uts|cgroup|time",
        run: join,
    },
    Attempt {
        name: "join-process",
        usage: "PID",
        run: join_process,
    },
];

/// Flags of `clone(2)`.
pub(crate) const NAMESPACES: &[(&str, u32)] = &[
    ("time", 0x80),
    ("mount", 0x0002_0000),
    ("cgroup", 0x0200_0000),
    ("uts", 0x0400_0000),
    ("ipc", 0x0800_0000),
    ("user", 0x1000_0000),
    ("pid", 0x2000_0000),
    ("net", 0x4000_0000),
];

fn flag(words: &Words, index: usize) -> Result<u32, Stop> {
    let name = words.text(index)?;
    let known = NAMESPACES.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, flag)| *flag)
        .ok_or_else(|| Stop::Misused(format!("`{name}` is no namespace")))
}

fn unshare(words: &Words) -> Verdict {
    call!(libc::SYS_unshare, flag(words, 0)?).during("unshare")?;
    Ok("a namespace of its own".to_owned())
}

/// Waits for a process that a call made, or ends it where this is that process.
fn cloned(result: i64) -> Verdict {
    if result == 0 {
        end(42);
    }
    match Child(result).wait().during("wait")? {
        End::Code(42) => Ok("a process in a namespace of its own".to_owned()),
        other => Err(Stop::blocked(format!("the process ended with {other:?}"))),
    }
}

fn clone(words: &Words) -> Verdict {
    let flags = flag(words, 0)? | libc::SIGCHLD.cast_unsigned();
    let result = call!(libc::SYS_clone, flags, 0, 0, 0, 0).during("clone")?;
    cloned(result)
}

fn clone3(words: &Words) -> Verdict {
    let flags = u64::from(flag(words, 0)?);
    let signal = u64::from(libc::SIGCHLD.cast_unsigned());
    let arguments = words_of(&[flags, 0, 0, 0, signal, 0, 0, 0, 0, 0, 0]);
    let result = call!(libc::SYS_clone3, &arguments, arguments.len()).during("clone3")?;
    cloned(result)
}

/// Enters the namespace of another process.
fn join(words: &Words) -> Verdict {
    let path = format!("/proc/{}/ns/{}", words.process(0)?, words.text(1)?);
    let namespace = open(&c_string(path)?, libc::O_RDONLY, 0).during("open the namespace")?;
    call!(libc::SYS_setns, &namespace, 0).during("setns")?;
    Ok("could be entered".to_owned())
}

/// The same without `/proc`.
fn join_process(words: &Words) -> Verdict {
    let process = call!(libc::SYS_pidfd_open, words.process(0)?, 0)
        .and_then(owned)
        .during("pidfd_open")?;
    let all = NAMESPACES
        .iter()
        .filter(|(name, _)| ["uts", "ipc", "net"].contains(name))
        .fold(0, |flags, (_, flag)| flags | flag);
    call!(libc::SYS_setns, &process, all).during("setns")?;
    Ok("could be entered".to_owned())
}
