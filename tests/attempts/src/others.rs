//! Other processes: signalling, tracing and changing them.

use std::os::fd::OwnedFd;

use crate::Attempt;
use crate::call::{call, words_of};
use crate::descriptor::{owned, read_all, write};
use crate::guard;
use crate::verdict::{During as _, Stop, Verdict, open_if_marked};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "signal",
        usage: "PID [NUMBER]",
        run: signal,
    },
    Attempt {
        name: "signal-all",
        usage: "NUMBER",
        run: signal_all,
    },
    Attempt {
        name: "signal-thread",
        usage: "PID",
        run: signal_thread,
    },
    Attempt {
        name: "signal-queue",
        usage: "PID",
        run: signal_queue,
    },
    Attempt {
        name: "signal-pidfd",
        usage: "PID",
        run: signal_pidfd,
    },
    Attempt {
        name: "end-first",
        usage: "",
        run: end_first,
    },
    Attempt {
        name: "signal-by-pipe",
        usage: "PID",
        run: signal_by_pipe,
    },
    Attempt {
        name: "trace",
        usage: "PID",
        run: trace,
    },
    Attempt {
        name: "read-memory",
        usage: "PID ADDRESS MARKER",
        run: read_memory,
    },
    Attempt {
        name: "write-memory",
        usage: "PID ADDRESS MARKER",
        run: write_memory,
    },
    Attempt {
        name: "take-descriptor",
        usage: "PID DESCRIPTOR MARKER",
        run: take_descriptor,
    },
    Attempt {
        name: "limits-of",
        usage: "PID",
        run: limits_of,
    },
    Attempt {
        name: "set-limits-of",
        usage: "PID",
        run: set_limits_of,
    },
    Attempt {
        name: "priority-of",
        usage: "PID",
        run: priority_of,
    },
    Attempt {
        name: "processors-of",
        usage: "PID",
        run: processors_of,
    },
    Attempt {
        name: "compare",
        usage: "PID",
        run: compare,
    },
    Attempt {
        name: "robust-list",
        usage: "PID",
        run: robust_list,
    },
    Attempt {
        name: "move-pages",
        usage: "PID",
        run: move_pages,
    },
];

/// Sends a signal; with 0 only the right to is checked.
fn signal(words: &Words) -> Verdict {
    let number = words.get(1).map_or(Ok(0), |_| words.number(1))?;
    call!(libc::SYS_kill, words.process(0)?, number).during("kill")?;
    Ok("could be signalled".to_owned())
}

fn signal_all(words: &Words) -> Verdict {
    call!(libc::SYS_kill, -1, words.number(0)?).during("kill")?;
    Ok("at least one process was signalled".to_owned())
}

fn signal_thread(words: &Words) -> Verdict {
    let process = words.process(0)?;
    call!(libc::SYS_tgkill, process, process, 0).during("tgkill")?;
    Ok("could be signalled".to_owned())
}

fn signal_queue(words: &Words) -> Verdict {
    // SI_QUEUE, as sigqueue(3) sends it.
    let mut information = [0_u8; 128];
    for (to, from) in information.iter_mut().skip(8).zip((-1_i32).to_ne_bytes()) {
        *to = from;
    }
    call!(
        libc::SYS_rt_sigqueueinfo,
        words.process(0)?,
        0,
        information.as_slice()
    )
    .during("rt_sigqueueinfo")?;
    Ok("could be signalled".to_owned())
}

fn signal_pidfd(words: &Words) -> Verdict {
    let process = call!(libc::SYS_pidfd_open, words.process(0)?, 0)
        .and_then(owned)
        .during("pidfd_open")?;
    call!(libc::SYS_pidfd_send_signal, &process, 0, 0, 0).during("pidfd_send_signal")?;
    Ok("could be signalled".to_owned())
}

/// Sends the first process of a process namespace what ends others. Open if this is not ended with it.
fn end_first(_: &Words) -> Verdict {
    let namespace = std::path::Path::new("/proc/self/ns/pid")
        .read_link()
        .during("find the process namespace")?;
    // PROC_PID_INIT_INO, the namespace that the kernel starts with.
    if namespace.to_string_lossy() == "pid:[4026531836]" {
        return Err(Stop::unavailable("not tried on the first process of the machine"));
    }
    guard::harmless()?;
    for number in [
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGSTOP,
        libc::SIGKILL,
    ] {
        if let Err(errno) = call!(libc::SYS_kill, 1, number) {
            return Err(errno).during("kill");
        }
    }
    // If it had any effect, this process does not get to the end of its attempts.
    Err(Stop::blocked("it goes on"))
}

/// Lets the kernel send a signal to another process, for a pipe that has something to read (`F_SETOWN`). The kernel checks
/// the right to when it sends, and tells nobody: whether it came is for the other process to say.
fn signal_by_pipe(words: &Words) -> Verdict {
    let (reader, writer) = std::io::pipe().during("pipe")?;
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    call!(libc::SYS_fcntl, &reader, libc::F_SETOWN, words.process(0)?).during("F_SETOWN")?;
    // F_SETSIG
    call!(libc::SYS_fcntl, &reader, 10, libc::SIGURG).during("F_SETSIG")?;
    call!(libc::SYS_fcntl, &reader, libc::F_SETFL, libc::O_ASYNC).during("O_ASYNC")?;
    write(&writer, b"x").during("write")?;
    Ok("the signal may have been sent".to_owned())
}

fn trace(words: &Words) -> Verdict {
    const SEIZE: u32 = 0x4206;
    call!(libc::SYS_ptrace, SEIZE, words.process(0)?, 0, 0).during("ptrace")?;
    Ok("is traced until this process ends".to_owned())
}

/// One piece of memory, as `process_vm_readv(2)` takes it.
fn piece(address: u64, length: usize) -> Vec<u8> {
    words_of(&[address, length as u64])
}

fn read_memory(words: &Words) -> Verdict {
    let mut content = [0_u8; 64];
    let local = piece(content.as_mut_ptr().expose_provenance() as u64, content.len());
    let remote = piece(words.number(1)?.cast_unsigned(), content.len());
    call!(
        libc::SYS_process_vm_readv,
        words.process(0)?,
        &local,
        1,
        &remote,
        1,
        0
    )
    .during("process_vm_readv")?;
    open_if_marked(std::hint::black_box(&content), words.text(2)?, "the memory")
}

/// Writes what is there already.
fn write_memory(words: &Words) -> Verdict {
    let marker = words.text(2)?.as_bytes();
    let local = piece(marker.as_ptr().expose_provenance() as u64, marker.len());
    let remote = piece(words.number(1)?.cast_unsigned(), marker.len());
    call!(
        libc::SYS_process_vm_writev,
        words.process(0)?,
        &local,
        1,
        &remote,
        1,
        0
    )
    .during("process_vm_writev")?;
    Ok("could be written".to_owned())
}

fn take_descriptor(words: &Words) -> Verdict {
    let process = call!(libc::SYS_pidfd_open, words.process(0)?, 0)
        .and_then(owned)
        .during("pidfd_open")?;
    let taken = call!(libc::SYS_pidfd_getfd, &process, words.number(1)?, 0)
        .and_then(owned)
        .during("pidfd_getfd")?;
    call!(libc::SYS_lseek, &taken, 0, libc::SEEK_SET).during("lseek")?;
    let content = read_all(&taken).during("read")?;
    open_if_marked(&content, words.text(2)?, "the descriptor")
}

fn limits_of(words: &Words) -> Verdict {
    let mut limits = [0_u8; 16];
    call!(
        libc::SYS_prlimit64,
        words.process(0)?,
        libc::RLIMIT_NOFILE,
        0,
        &mut limits
    )
    .during("prlimit64")?;
    Ok("could be read".to_owned())
}

/// Sets the limits that are there.
fn set_limits_of(words: &Words) -> Verdict {
    let process = words.process(0)?;
    let mut limits = [0_u8; 16];
    call!(libc::SYS_prlimit64, process, libc::RLIMIT_NOFILE, 0, &mut limits).during("read them")?;
    call!(
        libc::SYS_prlimit64,
        process,
        libc::RLIMIT_NOFILE,
        limits.as_slice(),
        0
    )
    .during("set them")?;
    Ok("could be set".to_owned())
}

/// Sets the priority that a process has.
fn priority_of(words: &Words) -> Verdict {
    let process = words.process(0)?;
    let priority = 20 - call!(libc::SYS_getpriority, libc::PRIO_PROCESS, process).during("getpriority")?;
    call!(libc::SYS_setpriority, libc::PRIO_PROCESS, process, priority).during("setpriority")?;
    Ok("could be set".to_owned())
}

/// Binds a process to the processors that it is bound to.
fn processors_of(words: &Words) -> Verdict {
    let process = words.process(0)?;
    let mut set = [0_u8; 128];
    call!(libc::SYS_sched_getaffinity, process, 128, &mut set).during("sched_getaffinity")?;
    call!(libc::SYS_sched_setaffinity, process, 128, set.as_slice()).during("sched_setaffinity")?;
    Ok("could be set".to_owned())
}

fn compare(words: &Words) -> Verdict {
    // KCMP_VM.
    call!(libc::SYS_kcmp, std::process::id(), words.process(0)?, 1, 0, 0).during("kcmp")?;
    Ok("could be compared".to_owned())
}

fn robust_list(words: &Words) -> Verdict {
    let (mut head, mut length) = ([0_u8; 8], [0_u8; 8]);
    call!(
        libc::SYS_get_robust_list,
        words.process(0)?,
        &mut head,
        &mut length
    )
    .during("get_robust_list")?;
    Ok("an address of it is known".to_owned())
}

fn move_pages(words: &Words) -> Verdict {
    call!(libc::SYS_move_pages, words.process(0)?, 0, 0, 0, 0, 0).during("move_pages")?;
    Ok("its pages could be moved".to_owned())
}
