//! Users: the namespace that a process sees itself in, and those that show files as another user's.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{DumpableBehavior, Gid, Pid, Uid, set_dumpable_behavior};
use rustix::thread::{UnshareFlags, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::message::{Failure, Step};
use crate::policy::{Entry, Identity, Policy};

use super::files::write_to;
use super::process::exit;
use super::step::{Try as _, failure};

/// The machine's `/proc`, opened while it can be reached.
pub(super) fn open_proc() -> Result<OwnedFd, Failure> {
    open(
        "/proc",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .or_fail(Step::Proc)
}

/// Goes into new namespaces.
pub(super) fn unshare(namespaces: UnshareFlags, step: Step) -> Result<(), Failure> {
    #[expect(
        unsafe_code,
        reason = "threads may not share descriptors that they do not know of"
    )]
    // SAFETY: the helper has one thread.
    let unshared = unsafe { rustix::thread::unshare_unsafe(namespaces) };
    unshared.or_fail(step)
}

/// Maps this process, which has just made a user namespace: the user and group that it was outside are `identity`
/// inside. Needs no rights (`user_namespaces(7)`).
pub(super) fn map_self(proc: &OwnedFd, identity: &Identity, outside: (Uid, Gid)) -> Result<(), Failure> {
    let write =
        |file: &str, text: &str| write_to(proc, &format!("self/{file}"), text).or_fail(Step::IdentityMap);
    write("setgroups", "deny")?;
    write("uid_map", &format!("{} {} 1", identity.user, outside.0.as_raw()))?;
    write("gid_map", &format!("{} {} 1", identity.group, outside.1.as_raw()))
}

/// Becomes another user and group outside, with none of the rights of root.
pub(super) fn become_user((user, group): (u32, u32)) -> Result<(), Failure> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    set_thread_groups(&[]).or_fail(Step::Identity)?;
    set_thread_res_gid(group, group, group).or_fail(Step::Identity)?;
    set_thread_res_uid(user, user, user).or_fail(Step::Identity)
}

/// Becomes the user that `identity` says outside, and goes into a user namespace of that user alone.
pub(super) fn become_user_in_own_namespace(proc: &OwnedFd, identity: &Identity) -> Result<(), Failure> {
    let Some(outside) = identity.becomes else {
        return Ok(());
    };
    become_user(outside)?;
    // A process that changed its user cannot write its own maps until it says that it may be looked at.
    set_dumpable_behavior(DumpableBehavior::Dumpable).or_fail(Step::Identity)?;
    unshare(UnshareFlags::NEWUSER, Step::UserNamespace)?;
    map_self(
        proc,
        identity,
        (Uid::from_raw(outside.0), Gid::from_raw(outside.1)),
    )
}

/// User namespaces in which files of an owner are those of the process, by owner. They are what id-mapped mounts are
/// made with (`mount_setattr(2)`), and only root can make them.
#[derive(Default)]
pub(super) struct Owners(BTreeMap<(u32, u32), OwnedFd>);

impl Owners {
    /// One for each that a policy asks for.
    pub(super) fn of(policy: &Policy, proc: &OwnedFd) -> Result<Self, Failure> {
        let shown = policy.identity.becomes.unwrap_or_default();
        Self::wanted(policy)
            .into_iter()
            .map(|owner| Ok((owner, namespace_for(owner, shown, proc)?)))
            .collect()
    }

    /// The owners among the entries and the layers of an image, if the process becomes another user.
    pub(super) fn wanted(policy: &Policy) -> Vec<(u32, u32)> {
        let Some(outside) = policy.identity.becomes else {
            return Vec::new();
        };
        let granted = policy.entries.iter().filter_map(|entry| match entry {
            Entry::Bind { owner, .. } => *owner,
            _ => None,
        });
        let layers = policy.image.iter().flat_map(|image| &image.layers);
        let all: BTreeSet<(u32, u32)> = granted.chain(layers.map(|layer| layer.owner)).collect();
        all.into_iter().filter(|owner| owner.0 != outside.0).collect()
    }

    pub(super) fn namespace(&self, owner: (u32, u32)) -> Option<&OwnedFd> {
        self.0.get(&owner)
    }
}

impl FromIterator<((u32, u32), OwnedFd)> for Owners {
    fn from_iter<I: IntoIterator<Item = ((u32, u32), OwnedFd)>>(owners: I) -> Self {
        Self(owners.into_iter().collect())
    }
}

/// A user namespace in which what is `owner` on disk is another user and group.
pub(super) fn namespace_for(
    owner: (u32, u32),
    shown: (u32, u32),
    proc: &OwnedFd,
) -> Result<OwnedFd, Failure> {
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC).or_fail(Step::IdentityMap)?;
    #[expect(unsafe_code, reason = "there is no safe clone")]
    // SAFETY: as `fork`, with one thread; the child below does nothing but wait for the pipe to close.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0) };
    if child == 0 {
        drop(writing);
        // Ends when the parent closes its end or is gone.
        let mut byte = [0_u8];
        while rustix::io::read(&reading, &mut byte) == Err(Errno::INTR) {}
        exit(0);
    }
    let errno = std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EPERM);
    let child = i32::try_from(child)
        .ok()
        .filter(|child| *child > 0)
        .and_then(Pid::from_raw)
        .ok_or_else(|| failure(Step::UserNamespace, errno))?;
    // It ends by itself when `writing` is closed, and is waited for with everything else.
    describe(proc, child, owner, shown)
}

fn describe(proc: &OwnedFd, child: Pid, owner: (u32, u32), shown: (u32, u32)) -> Result<OwnedFd, Failure> {
    let number = child.as_raw_pid();
    let map = |file: &str, inside: u32, outside: u32| {
        write_to(
            proc,
            &format!("{number}/{file}"),
            &format!("{inside} {outside} 1"),
        )
        .or_fail(Step::IdentityMap)
    };
    map("uid_map", owner.0, shown.0)?;
    map("gid_map", owner.1, shown.1)?;
    openat(
        proc.as_fd(),
        format!("{number}/ns/user"),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .or_fail(Step::IdentityMap)
}
