//! Systems that have no sandbox here.

use std::ffi::OsString;

/// No helper is ever started on such a system.
pub(crate) fn become_process(_arguments: &[OsString]) -> ! {
    std::process::abort()
}

pub(crate) const fn may_administer() -> bool {
    false
}

pub(crate) const fn links_between_folders() -> bool {
    false
}
