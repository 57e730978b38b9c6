//! A terminal: one to start a program on, and what a program may do with the one that it has.

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use crate::Attempt;
use crate::call::call;
use crate::children::{self, Child, End};
use crate::deny::execute;
use crate::descriptor::{open, owned};
use crate::errno::Errno;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "type",
        usage: "",
        run: |_| request(libc::TIOCSTI),
    },
    Attempt {
        name: "type-high",
        usage: "",
        // What the kernel cuts off, a filter that compares all 64 bits does not.
        run: |_| request(libc::TIOCSTI | 1 << 32),
    },
    Attempt {
        name: "console",
        usage: "",
        run: |_| request(libc::TIOCLINUX),
    },
    Attempt {
        name: "take-terminal",
        usage: "",
        run: take_terminal,
    },
];

/// Puts a letter into what the terminal reads next, as if it had been typed.
fn request(request: u64) -> Verdict {
    let mut settings = [0_u8; 64];
    if call!(libc::SYS_ioctl, 0, libc::TCGETS, &mut settings).is_err() {
        return Err(Stop::unavailable("standard input is no terminal"));
    }
    match call!(libc::SYS_ioctl, 0, request, c"x") {
        // Only the screen of the machine knows TIOCLINUX; that it was asked is what counts.
        Err(errno) if errno.0 == libc::ENOTTY => Ok("the terminal was asked".to_owned()),
        result => {
            result.during("ioctl")?;
            Ok("the terminal took it".to_owned())
        }
    }
}

/// Takes a terminal that is another session's.
fn take_terminal(_: &Words) -> Verdict {
    let mut settings = [0_u8; 64];
    if call!(libc::SYS_ioctl, 0, libc::TCGETS, &mut settings).is_err() {
        return Err(Stop::unavailable("standard input is no terminal"));
    }
    // It fails where this is the leader of a session already.
    let _ = call!(libc::SYS_setsid);
    call!(libc::SYS_ioctl, 0, libc::TIOCSCTTY, 1).during("ioctl")?;
    Ok("the terminal is this session's now".to_owned())
}

/// A new terminal: the side of whoever shows it, and that of programs.
fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let master = open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0)?;
    let unlocked = 0_i32.to_ne_bytes();
    call!(libc::SYS_ioctl, &master, libc::TIOCSPTLCK, unlocked.as_slice())?;
    let slave = call!(
        libc::SYS_ioctl,
        &master,
        libc::TIOCGPTPEER,
        libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC
    )
    .and_then(owned)?;
    Ok((master, slave))
}

/// `terminal -- PROGRAM [ARGUMENT…]`: a program whose standard input is a terminal that it leads the session of.
pub(crate) fn terminal(words: &Words) -> ExitCode {
    let Some(("--", command)) = words
        .all()
        .split_first()
        .map(|(word, rest)| (word.as_str(), rest))
    else {
        return ExitCode::from(2);
    };
    let Ok((_master, slave)) = pair() else {
        return ExitCode::from(2);
    };
    let child = children::spawn(|| {
        let prepared = call!(libc::SYS_setsid)
            .and_then(|_| call!(libc::SYS_ioctl, &slave, libc::TIOCSCTTY, 0))
            .and_then(|_| call!(libc::SYS_dup3, &slave, 0, 0));
        match prepared {
            Ok(_) => execute(command),
            Err(_) => 2,
        }
    });
    match child.and_then(Child::wait) {
        Ok(End::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(2)),
        _ => ExitCode::from(2),
    }
}
