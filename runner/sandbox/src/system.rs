//! The parts of the machine's own system that every native process may look at: programs, libraries, and the settings
//! that these read.

use std::io;
use std::path::Path;

use crate::error::SandboxError;
use crate::policy::Entry;
use crate::resolve::resolve;
use wrun_core::grants::Access;

/// Programs and libraries (Filesystem Hierarchy Standard 3.0, chapters 3 and 4; `/nix` and `/gnu` are those of NixOS
/// and Guix).
const PROGRAMS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/lib32",
    "/libx32",
    "/nix/store",
    "/gnu/store",
];

/// Settings that programs read to run at all: the dynamic linker's, certificates, time zone, the distribution's name, names of protocols, fonts,
/// and those of language runtimes that distributions keep in `/etc`. Nothing in here says who uses the machine.
const SETTINGS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/os-release",
    "/etc/lsb-release",
    "/etc/debian_version",
    "/etc/redhat-release",
    "/etc/alpine-release",
    "/etc/protocols",
    "/etc/services",
    "/etc/mime.types",
    "/etc/magic",
    "/etc/fonts",
    "/etc/terminfo",
    "/etc/perl",
    "/etc/R",
];

/// Beginnings of names in `/etc` that are settings too; what follows is a version.
const SETTING_PREFIXES: &[&str] = &["python3", "java-", "ImageMagick-"];

/// The files and links of the machine's own system that are there. What is not there is left out.
#[must_use]
pub(crate) fn system_entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    let fixed = PROGRAMS
        .iter()
        .chain(SETTINGS)
        .map(|path| Path::new(path).to_owned());
    for path in fixed.chain(versioned_settings()) {
        match resolve(&path, Access::Read, false) {
            Ok(resolved) => {
                entries.extend(resolved.links);
                entries.push(resolved.target);
            }
            Err(SandboxError::Grant { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::debug!(path = %path.display(), %error, "left out of the sandbox"),
        }
    }
    entries
}

fn versioned_settings() -> Vec<std::path::PathBuf> {
    let Ok(settings) = std::fs::read_dir("/etc") else {
        return Vec::new();
    };
    let mut found: Vec<_> = settings
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            SETTING_PREFIXES
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
