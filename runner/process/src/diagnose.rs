//! Why a program did not start.
//!
//! The system gives one error number for the folder, the program and its interpreter; looking again tells them
//! apart.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::error::ProcessError;

/// The longest first line of a script that Linux reads (`execve(2)`).
const SCRIPT_LINE: u64 = 256;

/// The error for a start that the system refused.
pub(crate) fn failed_start(program: &Path, cwd: &Path, source: io::Error) -> ProcessError {
    if let Some(reason) = unusable_folder(cwd) {
        return ProcessError::WorkingFolder {
            cwd: cwd.to_owned(),
            reason,
        };
    }
    let program = program.to_owned();
    let not_executable = |reason: String| ProcessError::NotExecutable {
        program: program.clone(),
        reason,
    };
    match Errno::from_io_error(&source) {
        Some(Errno::NOENT) => match missing_part(&program) {
            Some(reason) => not_executable(reason),
            None => ProcessError::NotFound { program },
        },
        Some(Errno::NOTDIR) => ProcessError::NotFound { program },
        Some(Errno::ACCESS | Errno::PERM) => not_executable(refused_part(&program)),
        Some(Errno::NOEXEC) => not_executable(
            "it is neither a program for this machine nor a script with a `#!` line".to_owned(),
        ),
        Some(
            Errno::LOOP | Errno::NAMETOOLONG | Errno::LIBBAD | Errno::TXTBSY | Errno::ISDIR | Errno::INVAL,
        ) => not_executable(source.to_string()),
        _ => ProcessError::Start { program, source },
    }
}

fn unusable_folder(cwd: &Path) -> Option<String> {
    match std::fs::metadata(cwd) {
        Err(error) => Some(error.to_string()),
        Ok(metadata) if !metadata.is_dir() => Some("it is not a folder".to_owned()),
        Ok(_) => access(cwd, Access::EXEC_OK).err().map(|error| error.to_string()),
    }
}

/// What a program that exists needs and is not there.
fn missing_part(program: &Path) -> Option<String> {
    match std::fs::metadata(program) {
        Ok(_) => Some(match interpreter(program) {
            Some(interpreter) => format!("its interpreter `{}` does not exist", interpreter.display()),
            None => "the dynamic loader or the interpreter that it names does not exist".to_owned(),
        }),
        Err(_) => std::fs::read_link(program).ok().map(|target| {
            format!(
                "it is a symbolic link to `{}`, which does not exist",
                target.display()
            )
        }),
    }
}

/// What of a program must not be executed.
fn refused_part(program: &Path) -> String {
    match std::fs::metadata(program) {
        Ok(metadata) if metadata.is_dir() => return "it is a folder".to_owned(),
        Ok(metadata) if !metadata.is_file() => return "it is not a regular file".to_owned(),
        Ok(_) => {}
        Err(error) => return error.to_string(),
    }
    if access(program, Access::EXEC_OK).is_err() {
        return "it has no permission to be executed".to_owned();
    }
    match interpreter(program) {
        Some(interpreter) if access(&interpreter, Access::EXEC_OK).is_err() => {
            format!(
                "its interpreter `{}` has no permission to be executed",
                interpreter.display()
            )
        }
        Some(interpreter) if interpreter.is_dir() => {
            format!("its interpreter `{}` is a folder", interpreter.display())
        }
        _ => {
            "the system denies its execution, for instance on a file system mounted with `noexec`".to_owned()
        }
    }
}

/// The interpreter that a script's first line names (`execve(2)`); nothing if the file is no script or cannot be read.
#[must_use]
pub fn interpreter(program: &Path) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_types,
        reason = "a program outside of the store is looked at"
    )]
    let file = std::fs::File::open(program).ok()?;
    let mut start = Vec::new();
    file.take(SCRIPT_LINE).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line
        .trim_ascii_start()
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .next()?;
    (!name.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(name)))
}
