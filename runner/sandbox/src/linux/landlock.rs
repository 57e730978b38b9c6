//! Landlock (`landlock(7)`).

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus,
    Scope,
};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::Errno;

use crate::message::{Failure, Step};
use crate::policy::{Answered, Entry, Network, Policy};
use wrun_core::grants::Access as Grant;
use wrun_core::sandbox::Tier;

use super::mounts::find_exactly;
use super::step::{Try as _, failure};

/// The newest version whose rights are asked for; a kernel that knows fewer holds those that it knows.
const NEWEST: ABI = ABI::V7;

/// What is in force.
pub(super) struct Held {
    pub(super) version: i32,
    /// Why nothing is (`errno(3)`).
    pub(super) missing: Option<i32>,
    pub(super) complete: bool,
}

/// Holds this process to the files and the network of its policy.
pub(super) fn apply(policy: &Policy) -> Result<Held, Failure> {
    let version = match supported() {
        Ok(version) => version,
        Err(errno) => {
            // The full tier has its own root and its own network without it.
            return match policy.tier {
                Tier::Full if !policy.strict => Ok(Held {
                    version: 0,
                    missing: Some(errno),
                    complete: false,
                }),
                Tier::Full | Tier::Restricted | Tier::None => Err(failure(Step::Landlock, errno)),
            };
        }
    };
    let status = restrict(policy)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(failure(Step::Landlock, libc::ENOSYS));
    }
    Ok(Held {
        version,
        missing: None,
        complete: status.ruleset == RulesetStatus::FullyEnforced,
    })
}

fn restrict(policy: &Policy) -> Result<RestrictionStatus, Failure> {
    let mut rules = empty(policy).map_err(failed)?;
    let all = AccessFs::from_all(NEWEST)
        & !BitFlags::from(AccessFs::MakeChar)
        & !BitFlags::from(AccessFs::MakeBlock);
    let read = AccessFs::from_read(NEWEST);
    let devices = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::IoctlDev;
    match policy.tier {
        Tier::Full => {
            let whole: &[&str] = if policy.strict { &["/etc", "/proc"] } else { &["/"] };
            // What is written to an image is the process' own; what was granted to read is on mounts that say so. Whoever has
            // the network for itself alone would lose it to what it starts by a library that is changed under it.
            let for_itself = policy.answered == Answered::Sockets;
            let rights = if policy.image.is_some() && !for_itself {
                all
            } else {
                read
            };
            for path in whole {
                rules = below(rules, Path::new(path), rights)?;
            }
            rules = below(rules, Path::new("/dev"), devices)?;
            for memory in ["/tmp", "/dev/shm"].map(Path::new) {
                // Rights hold for everything below, other mounts too: a shared folder in there would be open as a whole.
                if !shared_folders(policy).any(|shared| shared.starts_with(memory)) {
                    rules = below(rules, memory, all)?;
                }
            }
        }
        Tier::Restricted | Tier::None => {
            rules = below(rules, Path::new("/proc"), AccessFs::ReadFile | AccessFs::ReadDir)?;
            for device in ["null", "zero", "full", "random", "urandom"] {
                let rights = AccessFs::ReadFile | AccessFs::WriteFile;
                rules = below(rules, &Path::new("/dev").join(device), rights)?;
            }
            if policy.terminal.is_some() {
                rules = below(
                    rules,
                    Path::new("/dev/tty"),
                    devices & AccessFs::from_file(NEWEST),
                )?;
            }
        }
    }
    for entry in &policy.entries {
        match entry {
            Entry::Bind {
                path,
                access,
                folder,
                reach: true,
                identity,
                ..
            }
            | Entry::Right {
                path,
                access,
                folder,
                identity,
            } => {
                let is_system = matches!(entry, Entry::Bind { owner: None, .. });
                let rights = if *access == Grant::Write { all } else { read };
                let rights = if *folder {
                    rights
                } else {
                    rights & AccessFs::from_file(NEWEST)
                };
                if policy.tier == Tier::Restricted || policy.strict || *access == Grant::Write {
                    rules = grant(rules, path, *identity, rights, is_system)?;
                }
            }
            Entry::Memory { at, .. } if policy.tier == Tier::Full => rules = below(rules, at, all)?,
            Entry::Bind { .. } | Entry::Memory { .. } | Entry::Link { .. } | Entry::File { .. } => {}
        }
    }
    streams(rules).map_err(failed)?.restrict_self().map_err(failed)
}

/// Folders that are there as a whole, of which only parts are granted.
fn shared_folders(policy: &Policy) -> impl Iterator<Item = &Path> {
    policy.entries.iter().filter_map(|entry| match entry {
        Entry::Bind {
            path, reach: false, ..
        } => Some(path.as_path()),
        _ => None,
    })
}

/// Rules that allow nothing.
fn empty(policy: &Policy) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if policy.tier == Tier::Restricted && policy.network != Network::Host {
        rules = rules.handle_access(AccessNet::from_all(NEWEST))?;
    }
    rules.create()
}

/// Allows a granted path, which must still be what was granted. What is the system's own may be out of reach.
fn grant(
    rules: RulesetCreated,
    path: &Path,
    identity: (u64, u64),
    rights: BitFlags<AccessFs>,
    is_system: bool,
) -> Result<RulesetCreated, Failure> {
    let found = match find_exactly(path, identity) {
        Ok(found) => found,
        Err(Errno::ACCESS | Errno::NOENT) if is_system => return Ok(rules),
        Err(error) => return Err(error).or_fail_at(Step::Grant, path),
    };
    rules.add_rule(PathBeneath::new(found, rights)).map_err(failed)
}

fn below(rules: RulesetCreated, path: &Path, rights: BitFlags<AccessFs>) -> Result<RulesetCreated, Failure> {
    match PathFd::new(path) {
        Ok(found) => rules.add_rule(PathBeneath::new(found, rights)).map_err(failed),
        // A part of the system that is not there is not granted; nothing weaker comes of that.
        Err(_) => Ok(rules),
    }
}

/// The standard streams may be opened again by their names in `/dev`, for what they are open for now.
fn streams(mut rules: RulesetCreated) -> Result<RulesetCreated, landlock::RulesetError> {
    let streams: [BorrowedFd<'_>; 3] = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for stream in streams {
        let (Ok(found), Ok(flags)) = (fstat(stream), fcntl_getfl(stream)) else {
            continue;
        };
        let kind = FileType::from_raw_mode(found.st_mode);
        let mut rights = BitFlags::empty();
        if !flags.contains(OFlags::WRONLY) {
            rights |= AccessFs::ReadFile;
        }
        if flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
            rights |= AccessFs::WriteFile;
            if kind == FileType::RegularFile {
                rights |= AccessFs::Truncate;
            }
        }
        if kind == FileType::CharacterDevice {
            rights |= AccessFs::IoctlDev;
        }
        if matches!(kind, FileType::RegularFile | FileType::CharacterDevice) {
            rules = rules.add_rule(PathBeneath::new(stream.as_fd(), rights))?;
        }
    }
    Ok(rules)
}

/// The version of this kernel, or 0.
pub(super) fn version() -> i32 {
    supported().unwrap_or(0)
}

/// The version of this kernel (`landlock_create_ruleset(2)`); else why it has none (`errno(3)`).
fn supported() -> Result<i32, i32> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`.
    const VERSION: libc::c_uint = 1;
    #[expect(
        unsafe_code,
        reason = "the library tells what is in force, not what the kernel knows"
    )]
    // SAFETY: with this flag and no attributes the call only returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            VERSION,
        )
    };
    match i32::try_from(version) {
        Ok(version @ 1..) => Ok(version),
        _ => Err(std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::ENOSYS)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
fn failed(error: landlock::RulesetError) -> Failure {
    failure(Step::Landlock, errno(&error))
}

/// The system's reason in an error of the library.
fn errno(error: &landlock::RulesetError) -> i32 {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(number) = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error)
        {
            return number;
        }
        source = error.source();
    }
    libc::EINVAL
}
