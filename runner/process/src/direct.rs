//! Starting a helper of this program without a copy of this process (`posix_spawn(3)`): what `fork(2)` copies of a big
//! program takes longer than the rest of a start.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::diagnose::failed_start;
use crate::error::ProcessError;
use crate::leader::Leader;
use crate::mark::Mark;
use crate::platform::Members;
use crate::spawn::Image;
use crate::tree::Tree;

/// Starts a helper: a program that begins a session of its own, closes what it inherits and was not given, and arranges
/// to end with this process, before it does anything else. It has no variable but [`crate::MARK`], the standard
/// streams and the folder of this process, and the descriptor under its number here. It passes `SIGTERM` and `SIGCONT` on.
///
/// # Errors
/// As for [`crate::spawn`].
pub fn spawn_helper(program: &Path, args: &[OsString], given: &OwnedFd) -> Result<Tree, ProcessError> {
    let start_error = |source| ProcessError::Start {
        program: program.to_owned(),
        source,
    };
    let mark = Mark::new().map_err(start_error)?;
    let image = Image::new(program, args, &[], &mark)?;
    let mut plan = Plan::new().map_err(start_error)?;
    // To its own number, which takes away the flag that would close it.
    plan.give(given.as_raw_fd(), given.as_raw_fd())
        .map_err(start_error)?;
    let pid = plan
        .carry_out(&image)
        .map_err(|source| failed_start(program, Path::new("/"), source))?;
    if let Err(error) = run_beside(pid) {
        tracing::debug!(%error, "the helper goes on where it is");
    }
    Ok(Tree::new(Leader::new(pid), Members::new(pid, mark), true))
}

/// Has a process go on on another processor than this one, which has more to do. The kernel of a virtual machine may take a
/// processor that sleeps for one that the machine does not have, and let both wait for each other on one.
fn run_beside(pid: Pid) -> rustix::io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut others = allowed;
    others.unset(sched_getcpu());
    if others.count() == 0 {
        return Ok(());
    }
    sched_setaffinity(Some(pid), &others)?;
    sched_setaffinity(Some(pid), &allowed)
}

/// What is done in the new process before it becomes the program.
struct Plan {
    actions: Box<libc::posix_spawn_file_actions_t>,
    attributes: Box<libc::posix_spawnattr_t>,
}

#[expect(unsafe_code, reason = "there is no safe posix_spawn with descriptors")]
impl Plan {
    fn new() -> io::Result<Self> {
        let mut actions = Box::new(MaybeUninit::uninit());
        let mut attributes = Box::new(MaybeUninit::uninit());
        // SAFETY: both calls initialise the memory that they are given, which stays where it is, and if they fail it is
        // not used.
        let (actions, attributes) = unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            let actions = actions.assume_init();
            check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            (actions, attributes.assume_init())
        };
        let mut plan = Self { actions, attributes };
        let mut none = MaybeUninit::uninit();
        let mut broken_pipe = MaybeUninit::uninit();
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        // SAFETY: the sets are initialised before they are read, and the attributes were above. Rust programs ignore
        // `SIGPIPE`, and what is ignored stays so in the program.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigemptyset(broken_pipe.as_mut_ptr());
            libc::sigaddset(broken_pipe.as_mut_ptr(), libc::SIGPIPE);
            check(libc::posix_spawnattr_setsigmask(
                &raw mut *plan.attributes,
                none.as_ptr(),
            ))?;
            check(libc::posix_spawnattr_setsigdefault(
                &raw mut *plan.attributes,
                broken_pipe.as_ptr(),
            ))?;
            check(libc::posix_spawnattr_setflags(&raw mut *plan.attributes, flags))?;
        }
        Ok(plan)
    }

    /// Gives a descriptor of this process to the new one, under a number.
    fn give(&mut self, descriptor: RawFd, number: RawFd) -> io::Result<()> {
        // SAFETY: the actions are initialised.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut *self.actions, descriptor, number) })
    }

    fn carry_out(&self, image: &Image) -> io::Result<Pid> {
        let (program, args, env) = image.parts();
        let mut pid = 0;
        // SAFETY: the actions and attributes are initialised; the program and what the arrays point to end in NUL, the
        // arrays in a null pointer, and `image` owns them. They are only read, whatever the type says.
        check(unsafe {
            libc::posix_spawn(
                &raw mut pid,
                program,
                &raw const *self.actions,
                &raw const *self.attributes,
                args.cast::<*mut libc::c_char>(),
                env.cast::<*mut libc::c_char>(),
            )
        })?;
        Pid::from_raw(pid).ok_or_else(|| io::Error::other("the process has no number"))
    }
}

#[expect(unsafe_code, reason = "what was made by unsafe calls ends by them")]
impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: both are initialised and are not used again.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&raw mut *self.actions);
            libc::posix_spawnattr_destroy(&raw mut *self.attributes);
        }
    }
}

/// These calls return their error.
fn check(error: libc::c_int) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
