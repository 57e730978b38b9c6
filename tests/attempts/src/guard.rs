//! Keeps attempts that would change the machine away from it.

use crate::descriptor::read_file;
use crate::privileges::effective_capabilities;
use crate::verdict::Stop;
use crate::words::c_string;

/// The variable, or the file in the current folder, that names the mount namespace of the machine.
const OUTER: &str = "outer-mounts";

/// Lets a process go on that has nothing to do harm with: no capability, or mounts that are its own.
///
/// # Errors
/// It could change what others see.
pub(crate) fn harmless() -> Result<(), Stop> {
    if effective_capabilities() == Some(0) {
        return Ok(());
    }
    let outer = c_string(OUTER)
        .ok()
        .and_then(|path| read_file(&path).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    match (outer, own_mounts()) {
        (Some(outer), Some(own)) if !outer.is_empty() && outer != own => Ok(()),
        _ => Err(Stop::unavailable(
            "not tried with capabilities in a mount namespace that may be the machine's",
        )),
    }
}

/// The mount namespace of this process, as `mnt:[4026531841]`.
pub(crate) fn own_mounts() -> Option<String> {
    let link = std::path::Path::new("/proc/self/ns/mnt").read_link().ok()?;
    Some(link.to_string_lossy().into_owned())
}
