//! Users, capabilities and what keeps a program from getting more rights.

use crate::Attempt;
use crate::call::{call, words_of};
use crate::descriptor::{look_at, owned};
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "become-root",
        usage: "setuid|setreuid|setresuid|setfsuid|setgid|setregid|setresgid|setfsgid|setgroups",
        run: become_root,
    },
    Attempt {
        name: "is-root",
        usage: "",
        run: is_root,
    },
    Attempt {
        name: "capabilities",
        usage: "",
        run: capabilities,
    },
    Attempt {
        name: "bounding-set",
        usage: "",
        run: bounding_set,
    },
    Attempt {
        name: "new-privileges",
        usage: "",
        run: new_privileges,
    },
    Attempt {
        name: "set-id-program",
        usage: "PATH",
        run: set_id_program,
    },
    Attempt {
        name: "filter-undo",
        usage: "",
        run: filter_undo,
    },
    Attempt {
        name: "no-filter",
        usage: "",
        run: no_filter,
    },
    Attempt {
        name: "secure-bits",
        usage: "",
        run: secure_bits,
    },
    Attempt {
        name: "dumpable-parent",
        usage: "",
        run: dumpable_parent,
    },
];

/// Takes root's user or group.
fn become_root(words: &Words) -> Verdict {
    let way = words.text(0)?;
    let group = 0_u32.to_ne_bytes();
    let result = match way {
        "setuid" => call!(libc::SYS_setuid, 0),
        "setreuid" => call!(libc::SYS_setreuid, 0, 0),
        "setresuid" => call!(libc::SYS_setresuid, 0, 0, 0),
        "setgid" => call!(libc::SYS_setgid, 0),
        "setregid" => call!(libc::SYS_setregid, 0, 0),
        "setresgid" => call!(libc::SYS_setresgid, 0, 0, 0),
        "setgroups" => call!(libc::SYS_setgroups, 1, group.as_slice()),
        "setfsuid" | "setfsgid" => {
            let number = if way == "setfsuid" {
                libc::SYS_setfsuid
            } else {
                libc::SYS_setfsgid
            };
            // These say no error: the second call gives what the first has set.
            call!(number, 0).during(way)?;
            return match call!(number, -1).during(way)? {
                0 => Ok(format!("{way} worked")),
                other => Err(Stop::blocked(format!("{way} left it at {other}"))),
            };
        }
        _ => return Err(Stop::Misused(format!("`{way}` is no way to change a user"))),
    };
    result.during(way)?;
    Ok(format!("{way} worked"))
}

fn is_root(_: &Words) -> Verdict {
    let user = call!(libc::SYS_geteuid).during("geteuid")?;
    let group = call!(libc::SYS_getegid).during("getegid")?;
    if user == 0 || group == 0 {
        return Ok(format!("user {user}, group {group}"));
    }
    Err(Stop::blocked(format!("user {user}, group {group}")))
}

/// The capabilities that are in force (`capget(2)`).
pub(crate) fn effective_capabilities() -> Option<u64> {
    capability_sets().map(|[effective, ..]| effective)
}

/// The effective, the permitted and the inheritable capabilities.
fn capability_sets() -> Option<[u64; 3]> {
    // _LINUX_CAPABILITY_VERSION_3, of this process.
    let mut header = [0_u8; 8];
    for (to, from) in header.iter_mut().zip(0x2008_0522_u32.to_ne_bytes()) {
        *to = from;
    }
    let mut data = [0_u8; 24];
    call!(libc::SYS_capget, &mut header, &mut data).ok()?;
    let word = |index: usize| {
        let bytes = data.get(4 * index..4 * index + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_ne_bytes(bytes)))
    };
    let set = |index: usize| Some(word(index)? | word(index + 3)? << 32);
    Some([set(0)?, set(1)?, set(2)?])
}

/// Open if there is a capability that can be used, or be handed to a program.
fn capabilities(_: &Words) -> Verdict {
    let [effective, permitted, inheritable] =
        capability_sets().ok_or_else(|| Stop::blocked("capget does not work"))?;
    let ambient = (0..64)
        .filter(|capability| {
            let (option, is_set) = (libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET);
            call!(libc::SYS_prctl, option, is_set, *capability, 0, 0) == Ok(1)
        })
        .count();
    let text = format!(
        "effective {effective:x}, permitted {permitted:x}, inheritable {inheritable:x}, {ambient} ambient"
    );
    if effective | permitted | inheritable == 0 && ambient == 0 {
        return Err(Stop::blocked(text));
    }
    Ok(text)
}

/// Open if a program that is executed could get a capability from its file.
fn bounding_set(_: &Words) -> Verdict {
    let count = (0..64)
        .filter(|capability| call!(libc::SYS_prctl, libc::PR_CAPBSET_READ, *capability, 0, 0, 0) == Ok(1))
        .count();
    if count == 0 {
        return Err(Stop::blocked("it is empty"));
    }
    Ok(format!("{count} capabilities"))
}

/// Open if programs that are executed can get more rights.
fn new_privileges(_: &Words) -> Verdict {
    let before = call!(libc::SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0).during("prctl")?;
    if before == 0 {
        return Ok("programs can get new rights".to_owned());
    }
    call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0).during("prctl")?;
    Ok("the promise was taken back".to_owned())
}

/// Executes a program that belongs to root and is to run as root. It is this one, which says who it is.
fn set_id_program(words: &Words) -> Verdict {
    let look = look_at(&words.path(0)?).during("look at the program")?;
    if look.user != 0 || look.mode & libc::S_ISUID == 0 {
        return Err(Stop::blocked(format!(
            "it belongs to user {} and has mode {:o}",
            look.user, look.mode
        )));
    }
    let output = std::process::Command::new(words.text(0)?)
        .arg("effective-user")
        .output()
        .during("execute")?;
    let user = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if user == "0" {
        return Ok("ran as root".to_owned());
    }
    Err(Stop::blocked(format!("ran as user `{user}`")))
}

/// Open if calls are not filtered, or if they no longer are after what can be said to the filter.
fn filter_undo(_: &Words) -> Verdict {
    let mode = || call!(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0);
    if mode().during("PR_GET_SECCOMP")? == 0 {
        return Ok("calls are not filtered".to_owned());
    }
    // Each of these is to fail or to have no effect.
    let _ = call!(libc::SYS_prctl, libc::PR_SET_SECCOMP, 0, 0, 0, 0);
    let _ = call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_STRICT, 1, 0);
    // A filter that lets everything through: BPF_RET with SECCOMP_RET_ALLOW.
    let instructions = [
        6_u16.to_ne_bytes().as_slice(),
        &[0, 0],
        libc::SECCOMP_RET_ALLOW.to_ne_bytes().as_slice(),
    ]
    .concat();
    let program = words_of(&[1, instructions.as_ptr().expose_provenance() as u64]);
    let added = call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program);
    if mode().during("PR_GET_SECCOMP")? == 0 {
        return Ok("calls are no longer filtered".to_owned());
    }
    call!(libc::SYS_unshare, libc::CLONE_NEWUSER).during(format!(
        "unshare after a filter that lets everything through ({})",
        if added.is_ok() { "added" } else { "refused" }
    ))?;
    Ok("a new filter lets through what the first did not".to_owned())
}

/// Open if calls are not filtered at all.
fn no_filter(_: &Words) -> Verdict {
    match call!(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0).during("PR_GET_SECCOMP")? {
        0 => Ok("calls are not filtered".to_owned()),
        mode => Err(Stop::blocked(format!("calls are filtered (mode {mode})"))),
    }
}

/// Lets capabilities outlive a change of user.
fn secure_bits(_: &Words) -> Verdict {
    // SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP
    call!(libc::SYS_prctl, libc::PR_SET_SECUREBITS, 0x14, 0, 0, 0).during("PR_SET_SECUREBITS")?;
    Ok("could be set".to_owned())
}

/// Reads what the process that started this program keeps in its memory, by way of its descriptors.
fn dumpable_parent(_: &Words) -> Verdict {
    let parent = crate::environment::parent();
    let process = call!(libc::SYS_pidfd_open, parent, 0)
        .and_then(owned)
        .during("pidfd_open")?;
    for number in 0..64 {
        match call!(libc::SYS_pidfd_getfd, &process, number, 0).and_then(owned) {
            Ok(_) => return Ok(format!("descriptor {number} of process {parent} was taken")),
            Err(errno) if errno.0 == libc::EBADF => {}
            Err(errno) => return Err(errno).during("pidfd_getfd"),
        }
    }
    Err(Stop::blocked("it has no descriptors"))
}
