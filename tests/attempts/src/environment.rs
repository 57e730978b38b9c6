//! What this program was given: variables, descriptors, and the process that started it.

use std::sync::OnceLock;

use crate::Attempt;
use crate::call::{HERE, call};
use crate::descriptor::{open, owned, read_all};
use crate::verdict::{During as _, Stop, Verdict, open_if_marked};
use crate::words::{Words, c_string};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "variable",
        usage: "NAME",
        run: variable,
    },
    Attempt {
        name: "variables-hold",
        usage: "MARKER",
        run: variables_hold,
    },
    Attempt {
        name: "descriptors-hold",
        usage: "NAME MARKER",
        run: descriptors_hold,
    },
    Attempt {
        name: "descriptors-to-write",
        usage: "",
        run: descriptors_to_write,
    },
    Attempt {
        name: "is-dumpable",
        usage: "PID",
        run: is_dumpable,
    },
];

/// How this program was started.
struct Given {
    parent: i32,
    /// Descriptors beside the standard streams.
    descriptors: Vec<i32>,
}

static GIVEN: OnceLock<Given> = OnceLock::new();

/// Looks around before anything is opened.
pub(crate) fn remember() {
    let descriptors = (3..1024)
        .filter(|descriptor| call!(libc::SYS_fcntl, *descriptor, libc::F_GETFD).is_ok())
        .collect();
    let parent = call!(libc::SYS_getppid).unwrap_or_default();
    GIVEN.get_or_init(|| Given {
        parent: i32::try_from(parent).unwrap_or_default(),
        descriptors,
    });
}

/// The process that started this program.
pub(crate) fn parent() -> i32 {
    GIVEN.get().map_or(0, |given| given.parent)
}

fn descriptors() -> &'static [i32] {
    GIVEN.get().map_or(&[], |given| &given.descriptors)
}

fn variable(words: &Words) -> Verdict {
    let name = words.text(0)?;
    match std::env::var_os(name) {
        Some(value) => Ok(format!("{} bytes", value.len())),
        None => Err(Stop::blocked("it is not set")),
    }
}

/// Whether a marker is in any variable, also of those that the program's own C library has forgotten.
fn variables_hold(words: &Words) -> Verdict {
    let marker = words.text(0)?;
    let known = std::env::vars_os().any(|(name, value)| {
        let text = [name.as_encoded_bytes(), value.as_encoded_bytes()].concat();
        open_if_marked(&text, marker, "").is_ok()
    });
    if known {
        return Ok("a variable holds the marker".to_owned());
    }
    let started = crate::descriptor::read_file(c"/proc/self/environ")
        .during("read the variables it was started with")?;
    open_if_marked(&started, marker, "what it was started with")
}

/// Whether an inherited descriptor leads to a marker: in the file that it is, or in one of that name in the folder that
/// it is or in those above.
fn descriptors_hold(words: &Words) -> Verdict {
    let (name, marker) = (words.text(0)?, words.text(1)?);
    let mut found = Vec::new();
    for descriptor in descriptors() {
        let target = std::path::PathBuf::from(format!("/proc/self/fd/{descriptor}"))
            .read_link()
            .map_or_else(|_| "?".to_owned(), |path| path.display().to_string());
        let mut above = String::new();
        for _ in 0..10 {
            let path = c_string(format!("{above}{name}"))?;
            let content = call!(
                libc::SYS_openat,
                *descriptor,
                &path,
                libc::O_RDONLY | libc::O_CLOEXEC
            )
            .and_then(owned)
            .and_then(|file| read_all(&file));
            if content.is_ok_and(|content| open_if_marked(&content, marker, "").is_ok()) {
                return Ok(format!("descriptor {descriptor} ({target}) leads to the file"));
            }
            above.push_str("../");
        }
        let mut content = vec![0; 4096];
        let read = call!(libc::SYS_pread64, *descriptor, content.as_mut_slice(), 4096, 0);
        if read.is_ok() && open_if_marked(&content, marker, "").is_ok() {
            return Ok(format!("descriptor {descriptor} ({target}) is the file"));
        }
        found.push(format!("{descriptor} ({target})"));
    }
    Err(Stop::blocked(format!("inherited: {}", found.join(", "))))
}

/// Whether an inherited descriptor can be written.
fn descriptors_to_write(_: &Words) -> Verdict {
    for descriptor in descriptors() {
        let flags = call!(libc::SYS_fcntl, *descriptor, libc::F_GETFL).during("F_GETFL")?;
        let mode = flags & i64::from(libc::O_ACCMODE);
        let is_path = flags & i64::from(libc::O_PATH) != 0;
        if mode != i64::from(libc::O_RDONLY) && !is_path {
            return Ok(format!("descriptor {descriptor} has flags {flags:o}"));
        }
        let again = c_string(format!("/proc/self/fd/{descriptor}"))?;
        let is_folder = call!(
            libc::SYS_openat,
            HERE,
            &again,
            libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC
        )
        .and_then(owned)
        .is_ok();
        if !is_folder && open(&again, libc::O_WRONLY, 0).is_ok() {
            return Ok(format!("descriptor {descriptor} can be opened again to write"));
        }
    }
    Err(Stop::blocked(format!("{} inherited", descriptors().len())))
}

/// Whether others of the same user may look into a process: the files of one that they may not belong to root.
fn is_dumpable(words: &Words) -> Verdict {
    let path = format!("/proc/{}/environ", words.process(0)?);
    open(&c_string(path)?, libc::O_RDONLY, 0).during("open its variables")?;
    Ok("its variables can be read".to_owned())
}
