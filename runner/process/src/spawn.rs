//! Starting a program.

use std::ffi::{CString, OsStr, OsString, c_char};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::ptr;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::Pid;

use crate::command::Command;
use crate::diagnose::failed_start;
use crate::error::ProcessError;
use crate::leader::Leader;
use crate::mark::{MARK, Mark};
use crate::platform::{self, Members};
use crate::tree::Tree;

/// Starts a program in a session and process group of its own.
///
/// The program is executed as it is: a file that is neither a program nor a script with a `#!` line is an error and
/// is not given to a shell, as `execvp(3)` would.
///
/// The child is forked by the calling thread; see [`Command::die_with_parent`] for what hangs on that.
///
/// # Errors
/// The program is not there ([`ProcessError::NotFound`]), cannot be executed ([`ProcessError::NotExecutable`]), the
/// folder cannot be entered ([`ProcessError::WorkingFolder`]), or the system has no room for it.
///
/// # Panics
/// Outside of a Tokio runtime with I/O, if a stream is piped.
pub fn spawn(command: Command) -> Result<Tree, ProcessError> {
    let Command {
        program,
        args,
        env,
        cwd,
        stdin,
        stdout,
        stderr,
        terminal,
        inherit,
        die_with_parent,
    } = command;
    let start_error = |source| ProcessError::Start {
        program: program.clone(),
        source,
    };
    let mark = Mark::new().map_err(start_error)?;
    let image = Image::new(&program, &args, &env, &mark)?;

    let mut child = std::process::Command::new(&program);
    child.current_dir(&cwd).stdin(stdin).stdout(stdout).stderr(stderr);
    if terminal.is_some() {
        child
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    }
    let parent = die_with_parent.then(rustix::process::getpid);
    let (told, tells) = io::pipe().map_err(start_error)?;
    #[expect(
        unsafe_code,
        reason = "session, death signal and descriptors are set between fork and exec"
    )]
    // SAFETY: the closure runs in the forked child and does nothing but system calls on memory that was prepared
    // before the fork: it neither allocates nor takes a lock, and an error is made from a bare error number.
    unsafe {
        child.pre_exec(move || {
            if let Err((step, error)) = prepare(parent, terminal.as_ref(), &inherit) {
                // Without it the failure is told as one of the program.
                let _untold = rustix::io::write(&tells, &[step.number()]);
                return Err(error);
            }
            Err(image.execute())
        });
    }
    let spawned = child.spawn();
    // What the child would tell through it is this process' copy of the closure's.
    drop(child);
    let mut child = spawned.map_err(|source| match Step::told(told) {
        Some(step) => ProcessError::Prepare {
            program: program.clone(),
            step: step.describe(),
            source,
        },
        None => failed_start(&program, &cwd, source),
    })?;

    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| start_error(io::Error::other("the process has no number")))?;
    let mut tree = Tree::new(Leader::new(pid), Members::new(pid, mark), false);
    tree.set_pipes([
        child.stdin.take().map(OwnedFd::from),
        child.stdout.take().map(OwnedFd::from),
        child.stderr.take().map(OwnedFd::from),
    ])?;
    Ok(tree)
}

/// A step of the child on its way from fork to exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Session,
    Terminal,
    ParentDeath,
    Descriptors,
}

impl Step {
    const ALL: [Self; 4] = [
        Self::Session,
        Self::Terminal,
        Self::ParentDeath,
        Self::Descriptors,
    ];

    const fn number(self) -> u8 {
        self as u8
    }

    /// The step that a child told of, once it is gone.
    fn told(mut told: io::PipeReader) -> Option<Self> {
        let mut number = [0];
        told.read_exact(&mut number).ok()?;
        Self::ALL.into_iter().find(|step| [step.number()] == number)
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::Session => "begin a session",
            Self::Terminal => "take the terminal",
            Self::ParentDeath => "arrange to end with this process",
            Self::Descriptors => "hand descriptors on",
        }
    }
}

/// The child's way from fork to exec: system calls only.
fn prepare(
    parent: Option<Pid>,
    terminal: Option<&OwnedFd>,
    inherit: &[OwnedFd],
) -> Result<(), (Step, io::Error)> {
    let at = |step| move |error: Errno| (step, io::Error::from(error));
    rustix::process::setsid().map_err(at(Step::Session))?;
    if let Some(terminal) = terminal {
        rustix::process::ioctl_tiocsctty(terminal).map_err(at(Step::Terminal))?;
        rustix::stdio::dup2_stdin(terminal).map_err(at(Step::Terminal))?;
        rustix::stdio::dup2_stdout(terminal).map_err(at(Step::Terminal))?;
        rustix::stdio::dup2_stderr(terminal).map_err(at(Step::Terminal))?;
    }
    if let Some(parent) = parent {
        platform::die_with_parent(parent).map_err(|error| (Step::ParentDeath, error))?;
    }
    platform::close_others_on_exec();
    for descriptor in inherit {
        fcntl_setfd(descriptor, FdFlags::empty()).map_err(at(Step::Descriptors))?;
    }
    Ok(())
}

/// A program with its arguments and environment, laid out for `execve(2)`.
pub(crate) struct Image {
    program: CString,
    args: Strings,
    env: Strings,
}

impl Image {
    pub(crate) fn new(
        program: &Path,
        args: &[OsString],
        env: &[(OsString, OsString)],
        mark: &Mark,
    ) -> Result<Self, ProcessError> {
        let invalid = |text: &OsStr, reason| ProcessError::InvalidText {
            program: program.to_owned(),
            text: text.to_string_lossy().into_owned(),
            reason,
        };
        let c_string = |text: &OsStr, shown: &OsStr| {
            CString::new(text.as_bytes()).map_err(|_| invalid(shown, "it has a NUL byte"))
        };
        let path = c_string(program.as_os_str(), program.as_os_str())?;
        let mut arguments = vec![path.clone()];
        for argument in args {
            arguments.push(c_string(argument, argument)?);
        }
        let mut variables = Vec::with_capacity(env.len() + 1);
        let marked = (OsStr::new(MARK), mark.value());
        let given = env
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        for (name, value) in given.filter(|(name, _)| !Mark::is_name(name)).chain([marked]) {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(invalid(name, "it is not the name of a variable"));
            }
            let mut variable = name.to_owned();
            variable.push("=");
            variable.push(value);
            variables.push(c_string(&variable, name)?);
        }
        Ok(Self {
            program: path,
            args: Strings::new(arguments),
            env: Strings::new(variables),
        })
    }

    /// The program, its arguments and its environment, as `execve(2)` takes them.
    #[cfg(target_os = "linux")]
    pub(crate) fn parts(&self) -> (*const c_char, *const *const c_char, *const *const c_char) {
        (
            self.program.as_ptr(),
            self.args.pointers.as_ptr(),
            self.env.pointers.as_ptr(),
        )
    }

    /// Becomes the program; returns why not.
    #[expect(
        unsafe_code,
        reason = "there is no safe execve with an environment of one's own and without a shell"
    )]
    fn execute(&self) -> io::Error {
        // SAFETY: all three are NUL-terminated strings, or arrays of such that end in a null pointer, and `self`
        // owns them.
        unsafe {
            libc::execve(
                self.program.as_ptr(),
                self.args.pointers.as_ptr(),
                self.env.pointers.as_ptr(),
            )
        };
        io::Error::last_os_error()
    }
}

/// Strings with an array of pointers to them, which ends in a null pointer.
struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _owned: strings,
            pointers,
        }
    }
}

#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
// SAFETY: the pointers lead to the heap memory of strings that move along and are never changed.
unsafe impl Send for Strings {}

#[expect(unsafe_code, reason = "raw pointers are not Sync by themselves")]
// SAFETY: nothing is ever written through the pointers.
unsafe impl Sync for Strings {}
