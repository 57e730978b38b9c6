//! What only an administrator may tell the kernel, and its newer and larger interfaces.

use crate::Attempt;
use crate::call::call;
use crate::descriptor::owned;
use crate::guard;
use crate::verdict::{During as _, Stop, Verdict, open_if};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "io-uring",
        usage: "",
        run: io_uring,
    },
    Attempt {
        name: "bpf",
        usage: "",
        run: bpf,
    },
    Attempt {
        name: "perf",
        usage: "",
        run: perf,
    },
    Attempt {
        name: "userfaultfd",
        usage: "",
        run: userfaultfd,
    },
    Attempt {
        name: "administer",
        usage: "kexec_load|init_module|finit_module|delete_module|reboot|settimeofday|adjtimex|clock_adjtime|\
                sethostname|setdomainname|swapon|swapoff|acct|syslog|iopl|ioperm|fanotify|quotactl",
        run: administer,
    },
    Attempt {
        name: "personality",
        usage: "NUMBER",
        run: personality,
    },
];

/// `io_uring_setup(2)`.
const SYS_IO_URING_SETUP: i64 = 425;

fn io_uring(_: &Words) -> Verdict {
    let mut parameters = [0_u8; 120];
    call!(SYS_IO_URING_SETUP, 1, &mut parameters)
        .and_then(owned)
        .during("io_uring_setup")?;
    Ok("a ring".to_owned())
}

/// A map of one entry.
fn bpf(_: &Words) -> Verdict {
    // BPF_MAP_TYPE_ARRAY with keys and values of 4 bytes.
    let attributes: Vec<u8> = [2_u32, 4, 4, 1, 0, 0]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    call!(libc::SYS_bpf, 0, &attributes, attributes.len())
        .and_then(owned)
        .during("bpf")?;
    Ok("a map".to_owned())
}

/// Counts the time of this process.
fn perf(_: &Words) -> Verdict {
    let mut attributes = [0_u8; 112];
    // PERF_TYPE_SOFTWARE, the size of the structure, PERF_COUNT_SW_TASK_CLOCK; exclude_kernel and exclude_hv.
    let fields: [(usize, u32); 4] = [(0, 1), (4, 112), (8, 1), (40, 0x60)];
    for (at, value) in fields {
        for (to, from) in attributes.iter_mut().skip(at).zip(value.to_ne_bytes()) {
            *to = from;
        }
    }
    call!(libc::SYS_perf_event_open, attributes.as_slice(), 0, -1, -1, 0)
        .and_then(owned)
        .during("perf_event_open")?;
    Ok("a counter".to_owned())
}

fn userfaultfd(_: &Words) -> Verdict {
    // UFFD_USER_MODE_ONLY, which needs no rights.
    call!(libc::SYS_userfaultfd, libc::O_CLOEXEC | 1)
        .and_then(owned)
        .during("userfaultfd")?;
    Ok("could be opened".to_owned())
}

/// Calls that check the right to make them before they find that there is nothing to do.
fn administer(words: &Words) -> Verdict {
    guard::harmless()?;
    let way = words.text(0)?;
    match way {
        // More segments than there can be.
        "kexec_load" => open_if(call!(libc::SYS_kexec_load, 0, 10_000, 0, 0), &[libc::EINVAL], way),
        "init_module" => open_if(
            call!(libc::SYS_init_module, 0, 0, c""),
            &[libc::ENOEXEC, libc::EFAULT, libc::EINVAL],
            way,
        ),
        "finit_module" => open_if(
            call!(libc::SYS_finit_module, -1, c"", 0),
            &[libc::EBADF, libc::ENOEXEC],
            way,
        ),
        "delete_module" => open_if(
            call!(
                libc::SYS_delete_module,
                c"no_such_module_of_wrun",
                libc::O_NONBLOCK
            ),
            &[libc::ENOENT],
            way,
        ),
        // Numbers that are not those of the call.
        "reboot" => open_if(call!(libc::SYS_reboot, 1, 2, 3, 0), &[libc::EINVAL], way),
        // Neither a time nor a zone to set.
        "settimeofday" => open_if(call!(libc::SYS_settimeofday, 0, 0), &[], way),
        "adjtimex" | "clock_adjtime" => adjust_clock(way),
        "sethostname" | "setdomainname" => same_name(way),
        "swapon" => open_if(call!(libc::SYS_swapon, c"/no-such-file", 0), &[libc::ENOENT], way),
        "swapoff" => open_if(call!(libc::SYS_swapoff, c"/no-such-file"), &[libc::ENOENT], way),
        "acct" => open_if(call!(libc::SYS_acct, c"/no-such-file"), &[libc::ENOENT], way),
        // SYSLOG_ACTION_SIZE_BUFFER
        "syslog" => open_if(call!(libc::SYS_syslog, 10, 0, 0), &[], way),
        "fanotify" => {
            // FAN_CLASS_CONTENT, which may hold up what others do.
            call!(libc::SYS_fanotify_init, 4, 0).and_then(owned).during(way)?;
            Ok("could be opened".to_owned())
        }
        // Q_SYNC of all file systems has no effect; Q_QUOTAOFF of none fails after the check.
        "quotactl" => open_if(
            call!(libc::SYS_quotactl, 0x8000_0300_u32, c"/no-such-device", 0, 0),
            &[libc::ENOENT, libc::ENOTBLK, libc::ENODEV],
            way,
        ),
        #[cfg(target_arch = "x86_64")]
        "iopl" => open_if(call!(libc::SYS_iopl, 3), &[], way),
        // The port that is there to waste time.
        #[cfg(target_arch = "x86_64")]
        "ioperm" => open_if(call!(libc::SYS_ioperm, 0x80, 1, 1), &[], way),
        #[cfg(not(target_arch = "x86_64"))]
        "iopl" | "ioperm" => Err(Stop::unavailable("this architecture has no ports")),
        _ => Err(Stop::Misused(format!("`{way}` is nothing to administer"))),
    }
}

/// Sets the clock's estimate of its own error to what it is.
fn adjust_clock(way: &str) -> Verdict {
    const MAXIMUM_ERROR: u32 = 4;
    let mut state = [0_u8; 256];
    let make = |state: &mut [u8; 256]| match way {
        "adjtimex" => call!(libc::SYS_adjtimex, state),
        _ => call!(libc::SYS_clock_adjtime, libc::CLOCK_REALTIME, state),
    };
    make(&mut state).during("read the clock's state")?;
    for (to, from) in state.iter_mut().zip(MAXIMUM_ERROR.to_ne_bytes()) {
        *to = from;
    }
    make(&mut state).during(way)?;
    Ok(format!("{way} worked"))
}

/// Gives the machine the name that it has.
fn same_name(way: &str) -> Verdict {
    const LENGTH: usize = 65;
    let mut names = [0_u8; 6 * LENGTH];
    call!(libc::SYS_uname, &mut names).during("uname")?;
    let (index, number) = match way {
        "sethostname" => (1, libc::SYS_sethostname),
        _ => (5, libc::SYS_setdomainname),
    };
    let name: Vec<u8> = names
        .iter()
        .skip(index * LENGTH)
        .copied()
        .take_while(|byte| *byte != 0)
        .collect();
    call!(number, &name, name.len()).during(way)?;
    Ok(format!("{way} worked"))
}

/// Changes how this process behaves, for instance 0x0400000 for memory that is executable whenever it is readable.
fn personality(words: &Words) -> Verdict {
    let wanted = words.number(0)?;
    call!(libc::SYS_personality, wanted).during("personality")?;
    let now = call!(libc::SYS_personality, 0xffff_ffff_u32).during("read it back")?;
    if now & wanted == wanted {
        return Ok(format!("is {now:x}"));
    }
    Err(Stop::blocked(format!("is {now:x}")))
}
