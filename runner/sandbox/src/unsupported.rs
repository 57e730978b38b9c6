//! Systems that have no sandbox here.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use wrun_process::{ProcessError, Tree};

/// No helper is ever started on such a system.
pub(crate) fn become_process(_arguments: &[OsString]) -> ! {
    std::process::abort()
}

pub(crate) const fn beside(_name: &str) -> Option<std::path::PathBuf> {
    None
}

/// No helper can be started on such a system.
pub(crate) fn spawn_helper(
    program: &Path,
    _args: &[OsString],
    _given: &OwnedFd,
) -> Result<Tree, ProcessError> {
    Err(ProcessError::Start {
        program: program.to_owned(),
        source: std::io::ErrorKind::Unsupported.into(),
    })
}

pub(crate) const fn processors() -> String {
    String::new()
}

pub(crate) const fn may_administer() -> bool {
    false
}

pub(crate) const fn links_between_folders() -> bool {
    false
}
