//! Memory: how much, and executed from where.

use std::os::fd::OwnedFd;

use crate::Attempt;
use crate::call::{call, list_of};
use crate::children::{self, Child, End};
use crate::descriptor::{create, open, owned, read_all, remove, write};
use crate::errno::Errno;
use crate::verdict::{During as _, Stop, Verdict};
use crate::words::{Words, c_string, own_name};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "memory",
        usage: "private|shared|memfd MEBIBYTES",
        run: memory,
    },
    Attempt {
        name: "memory-file",
        usage: "FOLDER MEBIBYTES",
        run: memory_file,
    },
    Attempt {
        name: "memory-children",
        usage: "COUNT MEBIBYTES",
        run: memory_children,
    },
    Attempt {
        name: "execute-memory",
        usage: "",
        run: execute_memory,
    },
    Attempt {
        name: "execute-in",
        usage: "FOLDER",
        run: execute_in,
    },
];

/// What a program that was executed returns.
pub(crate) const EXECUTED: u8 = 42;

const MEBIBYTE: usize = 1 << 20;

fn mebibytes(words: &Words, index: usize) -> Result<usize, Stop> {
    usize::try_from(words.number(index)?).map_err(|_| Stop::Misused("the size is below zero".to_owned()))
}

/// Takes memory and writes to every page of it.
fn take(length: usize, flags: i32, descriptor: i32) -> Result<(), Errno> {
    const PAGE: usize = 4096;
    #[expect(unsafe_code, reason = "shared memory is not to be had from std")]
    // SAFETY: the memory is new and not known to anything else, and each write is within its length.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            descriptor,
            0,
        );
        if memory == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        for offset in (0..length).step_by(PAGE) {
            memory.cast::<u8>().add(offset).write_volatile(1);
        }
    }
    Ok(())
}

fn memory(words: &Words) -> Verdict {
    let kind = words.text(0)?;
    let count = mebibytes(words, 1)?;
    let memfd = match kind {
        "memfd" => {
            let file = call!(libc::SYS_memfd_create, c"attempt", 0)
                .and_then(owned)
                .during("memfd_create")?;
            call!(libc::SYS_ftruncate, &file, count * MEBIBYTE).during("ftruncate")?;
            Some(file)
        }
        "private" | "shared" => None,
        _ => return Err(Stop::Misused(format!("`{kind}` is no kind of memory"))),
    };
    let flags = match kind {
        "memfd" => libc::MAP_SHARED,
        "shared" => libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        _ => libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    };
    let descriptor = memfd.as_ref().map_or(-1, std::os::fd::AsRawFd::as_raw_fd);
    take(count * MEBIBYTE, flags, descriptor).during("mmap")?;
    Ok(format!("{count} MiB of {kind} memory"))
}

/// Memory as a file of a file system in memory.
fn memory_file(words: &Words) -> Verdict {
    let path = own_name(words.text(0)?, "memory")?;
    let count = mebibytes(words, 1)?;
    let file = create(&path).during("create")?;
    let chunk = vec![1; MEBIBYTE];
    let mut result = Ok(());
    for number in 0..count {
        result = write(&file, &chunk)
            .map(drop)
            .during(format!("write mebibyte {number}"));
        if result.is_err() {
            break;
        }
    }
    remove(&path);
    result?;
    Ok(format!("{count} MiB in a file"))
}

/// Memory of many processes at one time, each with less than the limit.
fn memory_children(words: &Words) -> Verdict {
    let (processes, count) = (words.number(0)?, mebibytes(words, 1)?);
    let mut children = Vec::new();
    let mut result = Ok(());
    for number in 0..processes {
        match child_with_memory(count) {
            Ok(child) => children.push(child),
            Err(errno) => {
                result = Err(errno).during(format!("process {} of {processes}", number + 1));
                break;
            }
        }
    }
    // The one that is ended for want of memory need not be the one that asked for it last.
    let alive = children.iter().filter(|child| child.is_alive()).count();
    for child in &children {
        child.kill();
    }
    for child in &children {
        // It is no more than gone.
        let _ = child.wait();
    }
    result?;
    if i64::try_from(alive) == Ok(processes) {
        return Ok(format!("{processes} processes with {count} MiB each"));
    }
    Err(Errno(libc::ENOMEM)).during(format!("{alive} of {processes} processes"))
}

/// A process that has its memory and sleeps.
fn child_with_memory(count: usize) -> Result<Child, Errno> {
    let failed = |error: std::io::Error| Errno(error.raw_os_error().unwrap_or(libc::EIO));
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    let child = children::spawn(|| {
        let taken = take(count * MEBIBYTE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
        if taken.is_ok() && write(&writer, b"x").is_ok() {
            children::sleep_forever();
        }
        1
    })?;
    drop(writer);
    let mut byte = [0_u8; 1];
    if call!(libc::SYS_read, &reader, &mut byte, 1) == Ok(1) {
        return Ok(child);
    }
    child.kill();
    child.wait()?;
    Err(Errno(libc::ENOMEM))
}

/// Executes a copy of this program that lies in memory only.
fn execute_memory(_: &Words) -> Verdict {
    let own = read_own()?;
    let file = call!(libc::SYS_memfd_create, c"attempt", libc::MFD_CLOEXEC)
        .and_then(owned)
        .during("memfd_create")?;
    write_all(&file, &own)?;
    executed(|arguments| {
        let none = list_of(&[]);
        call!(
            libc::SYS_execveat,
            &file,
            c"",
            arguments,
            &none,
            libc::AT_EMPTY_PATH
        )
    })
}

/// Executes a copy of this program in a folder that can be written.
fn execute_in(words: &Words) -> Verdict {
    let own = read_own()?;
    let path = own_name(words.text(0)?, "program")?;
    let file = create(&path).during("create")?;
    let copied = write_all(&file, &own).and_then(|()| {
        call!(libc::SYS_fchmod, &file, 0o700).during("fchmod")?;
        Ok(())
    });
    // A file that is open to write cannot be executed.
    drop(file);
    let verdict = copied.and_then(|()| {
        executed(|arguments| {
            let none = list_of(&[]);
            call!(libc::SYS_execve, &path, arguments, &none)
        })
    });
    remove(&path);
    verdict
}

fn read_own() -> Result<Vec<u8>, Stop> {
    let path = std::env::current_exe().during("find this program")?;
    let file = open(
        &c_string(path.into_os_string().into_encoded_bytes())?,
        libc::O_RDONLY,
        0,
    )
    .during("open this program")?;
    let mut content = Vec::new();
    loop {
        let part = read_all(&file).during("read this program")?;
        if part.is_empty() {
            return Ok(content);
        }
        content.extend(part);
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Stop> {
    while !bytes.is_empty() {
        let written = write(file, bytes).during("write a copy of this program")?;
        bytes = bytes.get(written.max(1)..).unwrap_or_default();
    }
    Ok(())
}

/// Whether a process that executes a program becomes it.
fn executed(execute: impl FnOnce(&Vec<u8>) -> Result<i64, Errno>) -> Verdict {
    let words = [c_string("attempt")?, c_string("executed")?];
    let arguments = list_of(&words);
    let child = children::spawn(|| {
        let failure = execute(&arguments).map_or_else(|errno| errno.0, |_| 0);
        u8::try_from(failure).unwrap_or(1)
    });
    match child.and_then(Child::wait).during("wait")? {
        End::Code(code) if code == i32::from(EXECUTED) => Ok("was executed".to_owned()),
        End::Code(code) => Err(Errno(code)).during("execute"),
        End::Signal(signal) => Err(Stop::blocked(format!("ended by signal {signal}"))),
    }
}
