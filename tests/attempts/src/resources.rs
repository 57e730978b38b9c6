//! Disk, processors and output.

use std::time::{Duration, Instant};

use crate::Attempt;
use crate::call::call;
use crate::children;
use crate::descriptor::{create, remove, write};
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::{Words, c_string, own_name};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "fill",
        usage: "FOLDER MEBIBYTES",
        run: fill,
    },
    Attempt {
        name: "fill-many",
        usage: "FOLDER FILES KIBIBYTES",
        run: fill_many,
    },
    Attempt {
        name: "allocate",
        usage: "FOLDER MEBIBYTES",
        run: allocate,
    },
    Attempt {
        name: "inodes",
        usage: "FOLDER COUNT",
        run: inodes,
    },
    Attempt {
        name: "processor",
        usage: "MILLISECONDS PROCESSES PERCENT",
        run: processor,
    },
];

/// Has a write that is over a limit fail instead of ending the process.
fn ignore_file_size_signal() {
    #[expect(unsafe_code, reason = "std has no way to ignore a signal")]
    // SAFETY: to ignore a signal changes nothing but that.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Writes one file of this size.
fn fill(words: &Words) -> Verdict {
    ignore_file_size_signal();
    let path = own_name(words.text(0)?, "fill")?;
    let count = words.number(1)?;
    let file = create(&path).during("create")?;
    let chunk = vec![1; 1 << 20];
    let mut result = Ok(());
    for number in 0..count {
        match write(&file, &chunk).during(format!("write mebibyte {number}")) {
            Ok(written) if written == chunk.len() => {}
            // The next write says why.
            Ok(_) => {}
            Err(stop) => {
                result = Err(stop);
                break;
            }
        }
    }
    remove(&path);
    result?;
    Ok(format!("{count} MiB"))
}

/// Writes many files, each of them small.
fn fill_many(words: &Words) -> Verdict {
    ignore_file_size_signal();
    let (count, size) = (words.number(1)?, words.number(2)?);
    let content = vec![1; usize::try_from(size << 10).unwrap_or_default()];
    each_file(words.text(0)?, count, |path| {
        let file = create(path).during("create")?;
        write(&file, &content).during("write")?;
        Ok(())
    })?;
    Ok(format!("{count} files of {size} KiB"))
}

/// Reserves space without writing (`fallocate(2)`).
fn allocate(words: &Words) -> Verdict {
    ignore_file_size_signal();
    let path = own_name(words.text(0)?, "allocate")?;
    let file = create(&path).during("create")?;
    let result = call!(libc::SYS_fallocate, &file, 0, 0, words.number(1)? << 20);
    remove(&path);
    match result {
        Err(errno) if errno.0 == libc::EOPNOTSUPP => {
            Err(Stop::unavailable("the file system does not reserve space"))
        }
        result => {
            result.during("fallocate")?;
            Ok("reserved".to_owned())
        }
    }
}

fn inodes(words: &Words) -> Verdict {
    let count = words.number(1)?;
    each_file(words.text(0)?, count, |path| {
        create(path).map(drop).during("create")
    })?;
    Ok(format!("{count} files"))
}

/// Makes files and removes them again.
fn each_file(
    folder: &str,
    count: i64,
    make: impl Fn(&std::ffi::CStr) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let name = |number: i64| c_string(format!("{folder}/wrun-attempt-{}-{number}", std::process::id()));
    let mut result = Ok(());
    let mut last = 0;
    for number in 0..count {
        last = number;
        result = make(&name(number)?);
        if result.is_err() {
            break;
        }
    }
    for number in 0..=last {
        remove(&name(number)?);
    }
    result
}

/// Computes in some processes for a time, and says how much of a processor they got. Open if it was more than allowed.
fn processor(words: &Words) -> Verdict {
    let time = Duration::from_millis(words.number(0)?.unsigned_abs());
    let (count, allowed) = (words.number(1)?, words.number(2)?);
    let started = Instant::now();
    let mut children = Vec::new();
    for _ in 0..count {
        let child = children::spawn(|| {
            let mut sum = 0_u64;
            while started.elapsed() < time {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
            0
        });
        children.push(child.during("start a process")?);
    }
    for child in children {
        child.wait().during("wait")?;
    }
    let wall = started.elapsed();
    let used = used_by_children()?;
    let percent = used.as_micros() * 100 / wall.as_micros().max(1);
    let text = format!("{percent} % of a processor");
    if i128::try_from(percent).is_ok_and(|percent| percent > i128::from(allowed)) {
        return Ok(text);
    }
    Err(Stop::blocked(text))
}

/// The processor time of the processes that were waited for.
fn used_by_children() -> Result<Duration, Stop> {
    let mut usage = [0_u8; 144];
    call!(libc::SYS_getrusage, libc::RUSAGE_CHILDREN, &mut usage).during("getrusage")?;
    let word = |at: usize| {
        let bytes = usage.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_ne_bytes(bytes.unwrap_or_default())
    };
    Ok(Duration::from_secs(word(0) + word(16)) + Duration::from_micros(word(8) + word(24)))
}
