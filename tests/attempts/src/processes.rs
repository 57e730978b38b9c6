//! Processes of its own: how many, how important, how unlimited.

use crate::Attempt;
use crate::call::{call, words_of};
use crate::children::{self, Child, End, sleep_forever};
use crate::descriptor::{open, read_file, write};
use crate::errno::Errno;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::Words;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "real-time",
        usage: "",
        run: real_time,
    },
    Attempt {
        name: "real-time-attributes",
        usage: "",
        run: real_time_attributes,
    },
    Attempt {
        name: "nice",
        usage: "",
        run: nice,
    },
    Attempt {
        name: "io-priority",
        usage: "",
        run: io_priority,
    },
    Attempt {
        name: "oom-score",
        usage: "",
        run: oom_score,
    },
    Attempt {
        name: "raise-limits",
        usage: "",
        run: raise_limits,
    },
    Attempt {
        name: "fork-bomb",
        usage: "COUNT",
        run: fork_bomb,
    },
    Attempt {
        name: "thread-bomb",
        usage: "COUNT",
        run: thread_bomb,
    },
    Attempt {
        name: "zombies",
        usage: "COUNT",
        run: zombies,
    },
];

/// `SCHED_FIFO` with the least priority.
fn real_time(_: &Words) -> Verdict {
    let priority = 1_i32.to_ne_bytes();
    call!(
        libc::SYS_sched_setscheduler,
        0,
        libc::SCHED_FIFO,
        priority.as_slice()
    )
    .during("sched_setscheduler")?;
    Ok("runs in real time".to_owned())
}

/// The same by the call that also knows deadlines (`sched_setattr(2)`).
fn real_time_attributes(_: &Words) -> Verdict {
    let attributes = [
        48_u32.to_ne_bytes().as_slice(),
        libc::SCHED_RR.to_ne_bytes().as_slice(),
        words_of(&[0]).as_slice(),
        0_i32.to_ne_bytes().as_slice(),
        1_u32.to_ne_bytes().as_slice(),
        words_of(&[0, 0, 0]).as_slice(),
    ]
    .concat();
    call!(libc::SYS_sched_setattr, 0, &attributes, 0).during("sched_setattr")?;
    Ok("runs in real time".to_owned())
}

fn nice(_: &Words) -> Verdict {
    call!(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, -5).during("setpriority")?;
    Ok("is more important than others".to_owned())
}

/// The real-time class for disks (`ioprio_set(2)`).
fn io_priority(_: &Words) -> Verdict {
    call!(libc::SYS_ioprio_set, 1, 0, 1 << 13).during("ioprio_set")?;
    Ok("comes first at the disk".to_owned())
}

/// Has others killed first when memory runs out.
fn oom_score(_: &Words) -> Verdict {
    const PATH: &std::ffi::CStr = c"/proc/self/oom_score_adj";
    let text = read_file(PATH).during("read oom_score_adj")?;
    let score: i32 = String::from_utf8_lossy(&text)
        .trim()
        .parse()
        .map_err(|_| Stop::blocked("oom_score_adj is no number"))?;
    let lower = (score - 1).to_string();
    let file = open(PATH, libc::O_WRONLY, 0).during("open oom_score_adj")?;
    write(&file, lower.as_bytes()).during("lower oom_score_adj")?;
    Ok(format!("lowered from {score}"))
}

/// Raises any hard limit.
fn raise_limits(_: &Words) -> Verdict {
    let mut last = Stop::unavailable("there are no limits");
    for resource in 0_u32..16 {
        let mut limits = [0_u8; 16];
        call!(libc::SYS_prlimit64, 0, resource, 0, &mut limits).during("read the limits")?;
        let (soft, hard) = limits.split_at(8);
        let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        let (soft, hard) = (number(soft), number(hard));
        if hard == u64::MAX {
            continue;
        }
        let more = words_of(&[soft, hard + 1]);
        match call!(libc::SYS_prlimit64, 0, resource, &more, 0).during(format!("raise limit {resource}")) {
            Ok(_) => return Ok(format!("limit {resource} was raised from {hard}")),
            Err(stop) => last = stop,
        }
    }
    Err(last)
}

/// As many processes at one time.
fn fork_bomb(words: &Words) -> Verdict {
    let count = words.number(0)?;
    let mut children = Vec::new();
    let mut refused = None;
    for _ in 0..count {
        match children::spawn(|| sleep_forever()) {
            Ok(child) => children.push(child),
            Err(errno) => {
                refused = Some(errno);
                break;
            }
        }
    }
    for child in &children {
        child.kill();
    }
    for child in &children {
        // It is no more than gone.
        let _ = child.wait();
    }
    match refused {
        None => Ok(format!("{count} processes")),
        Some(errno) => Err(errno).during(format!("process {} of {count}", children.len() + 1)),
    }
}

/// As many threads at one time.
fn thread_bomb(words: &Words) -> Verdict {
    use std::sync::{Arc, Mutex};

    let count = words.number(0)?;
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().map_err(|_| Stop::blocked("the gate is broken"))?;
    let mut threads = Vec::new();
    let mut refused = None;
    for _ in 0..count {
        let gate = Arc::clone(&gate);
        let thread = std::thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || drop(gate.lock()));
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    drop(closed);
    let started = threads.len();
    for thread in threads {
        // A thread that failed has ended all the same.
        drop(thread.join());
    }
    match refused {
        None => Ok(format!("{count} threads")),
        Some(error) => Err(error).during(format!("thread {} of {count}", started + 1)),
    }
}

/// Ended processes that nobody waits for, also some whose parent is gone, and then one that is waited for.
fn zombies(words: &Words) -> Verdict {
    let count = words.number(0)?;
    for number in 0..count {
        let child = children::spawn(|| {
            if number % 2 == 0 {
                // Left to whoever takes over the children of the dead.
                return u8::from(children::spawn(|| 0).is_err());
            }
            0
        });
        child.during(format!("process {} of {count}", number + 1))?;
    }
    let last = children::spawn(|| 42)
        .and_then(Child::wait)
        .during("start another")?;
    if last == End::Code(42) {
        Ok(format!("{count} processes, and another"))
    } else {
        Err(Errno(libc::ECHILD)).during("wait for another")
    }
}
