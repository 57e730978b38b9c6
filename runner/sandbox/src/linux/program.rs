//! The process that becomes the program.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, c_char};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

use rustix::fs::{Access, Mode, OFlags, access, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{chdir, getuid};
use rustix::thread::{SecureComputingMode, no_new_privs};

use crate::channel::Channel;
use crate::job;
use crate::message::{Facts, Failure, Message, NotExecuted, Step};
use crate::policy::Policy;
use wrun_core::sandbox::Tier;

use super::capabilities;
use super::descriptors::{close_all_but, close_on_exec};
use super::identity::become_user_in_own_namespace;
use super::process::unblock_signals;
use super::seccomp::Told;
use super::step::{Try as _, failure};
use super::{landlock, resources, seccomp, terminal};

/// The variable by which members of a process tree are found; it has to go on to the program.
const MARK: &str = "WRUN_RUN";

/// What was set up before this process was forked.
pub(super) struct Around {
    /// The machine's `/proc`, where the process changes its user and gets a user namespace.
    pub(super) proc: Option<OwnedFd>,
    /// Whether `/proc` is one of its own.
    pub(super) own_proc: bool,
}

/// Gives up everything that was not granted and becomes the program. Returns only what went wrong before; that the
/// program cannot be executed is told through the channel.
pub(super) fn become_program(
    policy: &Policy,
    channel: &Channel,
    around: &Around,
) -> Result<Infallible, Failure> {
    let program = Program::new(policy)?;
    terminal::lead(policy)?;
    if let Some(proc) = &around.proc {
        become_user_in_own_namespace(proc, &policy.identity)?;
    }
    capabilities::drop_all()?;
    resources::limit(&policy.resources)?;
    keep(policy)?;
    chdir(&policy.cwd).or_fail_at(Step::WorkingFolder, &policy.cwd)?;
    let held = landlock::apply(policy)?;
    let told = seccomp::apply(policy)?;
    match &told {
        Some(Told::Watched(told)) => channel.send(&Message::Watched, Some(told.as_fd())),
        Some(Told::Sockets(told)) => channel.send(&Message::Sockets, Some(told.as_fd())),
        None => Ok(()),
    }
    .or_fail(Step::Channel)?;
    let sockets_are_told = matches!(told, Some(Told::Sockets(_)));
    if sockets_are_told {
        // Whoever is told takes the first that makes one for the program; it does not matter whether it can be made.
        drop(socket(AddressFamily::INET, SocketType::STREAM, None));
    }
    let facts = Facts {
        tier: policy.tier,
        landlock: held.version,
        landlock_missing: held.missing,
        landlock_complete: held.complete,
        filtered: matches!(
            rustix::thread::secure_computing_mode(),
            Ok(SecureComputingMode::Filter)
        ),
        no_new_privileges: no_new_privs().or_fail(Step::ReadBack)?,
        no_capabilities: capabilities::none_left()?,
        user: getuid().as_raw(),
        own_proc: around.own_proc,
        // Without Landlock a process could write to the memory of the program.
        children_offline: sockets_are_told && held.version > 0,
    };
    verify(&facts, policy)?;
    channel
        .send(&Message::Ready(facts), None)
        .or_fail(Step::Channel)?;
    default_pipe_signal();
    unblock_signals();
    if let Some(name) = &policy.job {
        // Executing a program would close them.
        close_all_but(policy.keep.iter().copied()).or_fail(Step::Descriptors)?;
        super::process::exit(job::work(name.as_ref(), &policy.args, &policy.keep));
    }
    if policy.program.as_os_str().is_empty() {
        super::process::exit(0);
    }
    let reason = program.execute();
    // The one who started it sees the end of the channel if this does not come through.
    drop(channel.send(&Message::NotExecuted(reason), None));
    super::process::exit(126)
}

/// What every tier promises has to hold, whatever the calls returned.
fn verify(facts: &Facts, policy: &Policy) -> Result<(), Failure> {
    let held = facts.filtered && facts.no_new_privileges && facts.no_capabilities;
    // In an image its number stands for a user who is not root, and any other would mean that the mapping is not his.
    let identity = match policy.image {
        Some(_) => facts.user == policy.identity.user,
        None => facts.tier != Tier::Full || facts.user != 0,
    };
    if held && identity {
        Ok(())
    } else {
        Err(failure(Step::ReadBack, libc::EPERM))
    }
}

/// Has all descriptors closed but the standard streams and those that the program keeps.
fn keep(policy: &Policy) -> Result<(), Failure> {
    #[expect(unsafe_code, reason = "there is no safe close_range")]
    // SAFETY: nothing is closed here; descriptors only get the flag that closes them in a successful execve.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3 as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if marked != 0 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(failure(Step::Descriptors, errno.unwrap_or(libc::ENOSYS)));
    }
    for number in &policy.keep {
        #[expect(unsafe_code, reason = "descriptors come as numbers in the policy")]
        // SAFETY: the one who started the helper passed the descriptor on and nothing here closes it. A number that is
        // not open makes the call fail.
        let kept = unsafe { BorrowedFd::borrow_raw(*number) };
        close_on_exec(&kept, false).or_fail(Step::Descriptors)?;
    }
    Ok(())
}

/// Rust programs ignore `SIGPIPE`, and what is ignored stays so in the program that is executed.
fn default_pipe_signal() {
    #[expect(unsafe_code, reason = "there is no safe signal")]
    // SAFETY: no handler is installed; the default is set back.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// The program with its arguments and variables, laid out for `execve(2)`.
struct Program {
    /// Where it may be, in order.
    places: Vec<CString>,
    args: Vec<CString>,
    env: Vec<CString>,
    /// Whether the places are to be looked at one after another.
    searched: bool,
}

impl Program {
    fn new(policy: &Policy) -> Result<Self, Failure> {
        let c_string =
            |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| failure(Step::Policy, libc::EINVAL));
        let name = c_string(policy.program.as_os_str())?;
        let mut places = Vec::new();
        match &policy.image {
            Some(image) if !name.as_bytes().contains(&b'/') => {
                for folder in &image.search_path {
                    places.push(c_string(Path::new(folder).join(&policy.program).as_os_str())?);
                }
            }
            _ => places.push(name.clone()),
        }
        let mut args = vec![name];
        for argument in &policy.args {
            args.push(c_string(argument)?);
        }
        let mark = std::env::var_os(MARK).map(|value| (MARK.into(), value));
        let mut env = Vec::new();
        for (name, value) in policy.env.iter().chain(&mark) {
            let mut variable = name.clone();
            variable.push("=");
            variable.push(value);
            env.push(c_string(&variable)?);
        }
        Ok(Self {
            places,
            args,
            env,
            searched: policy.image.is_some(),
        })
    }

    /// Becomes the program; returns why not. What is found and cannot be executed is passed over, and is the reason only
    /// if nothing else is found (POSIX.1-2017, `exec`).
    fn execute(&self) -> NotExecuted {
        let args = pointers(&self.args);
        let env = pointers(&self.env);
        let mut refused = None;
        for place in &self.places {
            #[expect(unsafe_code, reason = "there is no safe execve")]
            // SAFETY: all three are NUL-terminated strings or arrays of such that end in a null pointer, and are owned by
            // `self` or live until the call returns.
            unsafe {
                libc::execve(place.as_ptr(), args.as_ptr(), env.as_ptr());
            }
            let errno = std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(Errno::NOEXEC.raw_os_error());
            let is_there = !self.searched || access(place.as_c_str(), Access::EXISTS).is_ok();
            if is_there {
                let path = Path::new(OsStr::from_bytes(place.as_bytes()));
                refused.get_or_insert_with(|| NotExecuted {
                    errno,
                    program: Some(place.to_string_lossy().into_owned()),
                    is_readable: open(
                        path,
                        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
                        Mode::empty(),
                    )
                    .is_ok(),
                    interpreter: wrun_process::interpreter(path)
                        .map(|interpreter| interpreter.to_string_lossy().into_owned()),
                });
            }
            if !matches!(errno, libc::ENOENT | libc::ENOTDIR | libc::EACCES) {
                break;
            }
        }
        refused.unwrap_or(NotExecuted {
            errno: libc::ENOENT,
            program: None,
            is_readable: false,
            interpreter: None,
        })
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}
