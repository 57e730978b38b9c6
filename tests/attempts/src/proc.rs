//! What `/proc` and `/sys` show of the machine and of other processes.

use crate::Attempt;
use crate::call::{HERE, call};
use crate::descriptor::{look_at, open, read_file, remove_folder};
use crate::verdict::{During as _, Stop, Verdict, open_if_marked};
use crate::words::{Words, c_string, own_name};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "process-file",
        usage: "PID NAME MARKER",
        run: process_file,
    },
    Attempt {
        name: "process-path",
        usage: "PID root|cwd PATH MARKER",
        run: process_path,
    },
    Attempt {
        name: "process-memory",
        usage: "PID ADDRESS MARKER",
        run: process_memory,
    },
    Attempt {
        name: "process-memory-write",
        usage: "PID",
        run: process_memory_write,
    },
    Attempt {
        name: "see-process",
        usage: "PID MARKER",
        run: see_process,
    },
    Attempt {
        name: "host-processes",
        usage: "MARKER",
        run: host_processes,
    },
    Attempt {
        name: "make-group",
        usage: "FOLDER",
        run: make_group,
    },
];

/// A file of another process: `environ`, `maps`, `fd/3`, `auxv`.
fn process_file(words: &Words) -> Verdict {
    let path = format!("/proc/{}/{}", words.process(0)?, words.text(1)?);
    let content = read_file(&c_string(path)?).during(format!("read {}", words.text(1)?))?;
    match words.text(2)? {
        "" if content.is_empty() => Err(Stop::blocked("it is empty")),
        "" => Ok(format!("{} bytes", content.len())),
        marker => open_if_marked(&content, marker, "it"),
    }
}

/// A file by the root or the folder of another process.
fn process_path(words: &Words) -> Verdict {
    let path = format!(
        "/proc/{}/{}/{}",
        words.process(0)?,
        words.text(1)?,
        words.text(2)?
    );
    let content = read_file(&c_string(path)?).during("read")?;
    open_if_marked(&content, words.text(3)?, "the file")
}

fn process_memory(words: &Words) -> Verdict {
    let path = format!("/proc/{}/mem", words.process(0)?);
    let memory = open(&c_string(path)?, libc::O_RDONLY, 0).during("open the memory")?;
    let mut content = [0_u8; 64];
    call!(libc::SYS_pread64, &memory, &mut content, 64, words.number(1)?).during("read the memory")?;
    open_if_marked(&content, words.text(2)?, "the memory")
}

fn process_memory_write(words: &Words) -> Verdict {
    let path = format!("/proc/{}/mem", words.process(0)?);
    open(&c_string(path)?, libc::O_RDWR, 0).during("open the memory to write")?;
    Ok("could be written".to_owned())
}

/// Whether another process can be seen at all: its command line is for everybody.
fn see_process(words: &Words) -> Verdict {
    let path = format!("/proc/{}/cmdline", words.process(0)?);
    let content = read_file(&c_string(path)?).during("read the command line")?;
    open_if_marked(&content, words.text(1)?, "the command line")
}

/// Whether any process in `/proc` has a marker in its command line.
fn host_processes(words: &Words) -> Verdict {
    let marker = words.text(0)?;
    let mut seen = 0;
    let own = std::process::id().to_string();
    for entry in std::fs::read_dir("/proc").during("list /proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        seen += 1;
        let content = read_file(&c_string(format!("/proc/{name}/cmdline"))?).unwrap_or_default();
        if open_if_marked(&content, marker, "").is_ok() {
            return Ok(format!("process {name} of the machine is in /proc"));
        }
    }
    Err(Stop::blocked(format!("{seen} processes, none of the machine")))
}

/// Makes a control group, and removes it.
fn make_group(words: &Words) -> Verdict {
    let folder = words.text(0)?;
    if look_at(&c_string(folder)?).is_err_and(|errno| errno.0 == libc::ENOENT) {
        return Err(Stop::Refused {
            step: "look at the group".to_owned(),
            errno: crate::errno::Errno(libc::ENOENT),
        });
    }
    let path = own_name(folder, "group")?;
    call!(libc::SYS_mkdirat, HERE, &path, 0o700).during("mkdirat")?;
    remove_folder(&path);
    Ok("a control group could be made".to_owned())
}
