//! Processes of this machine, as `/proc` shows them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::files;

/// How long a process that was ended may take to be gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its command line, words separated by spaces.
    pub command: String,
}

/// The command lines of all processes.
#[must_use]
pub fn command_lines() -> Vec<Process> {
    matching(|_| true)
}

/// The processes that mention a path in their command line, their variables or as the folder that they are in.
#[must_use]
pub fn mentioning(path: &Path) -> Vec<Process> {
    let needle = path.as_os_str().as_bytes();
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    matching(|folder| {
        let in_folder = folder
            .join("cwd")
            .read_link()
            .is_ok_and(|cwd| holds(cwd.as_os_str().as_bytes()));
        in_folder || holds(&read(&folder.join("cmdline"))) || holds(&read(&folder.join("environ")))
    })
}

fn matching(is_wanted: impl Fn(&Path) -> bool) -> Vec<Process> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    files::names(Path::new("/proc"))
        .iter()
        .filter_map(|name| name.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let folder = Path::new("/proc").join(pid.to_string());
            is_wanted(&folder).then(|| {
                let words = read(&folder.join("cmdline"));
                Process {
                    pid,
                    command: String::from_utf8_lossy(&words).replace('\0', " "),
                }
            })
        })
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the files of /proc are not those of a store"
)]
fn read(path: &Path) -> Vec<u8> {
    // A process may end while it is looked at.
    std::fs::read(path).unwrap_or_default()
}

/// Waits until no process mentions a path, and fails if one still does after a moment.
#[track_caller]
pub fn assert_none_mentions(path: &Path) {
    for process in mentioning(path) {
        if !ends(process.pid) {
            end_all(path);
            panic!("left over: {process:?}");
        }
    }
}

/// Whether a process ends within a moment.
fn ends(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else {
        return true;
    };
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
    let patience = Timespec::try_from(PATIENCE).expect("a few seconds fit");
    poll(&mut watched, Some(&patience)).is_ok_and(|ready| ready > 0)
}

/// Ends every process that mentions the path, which is that of a test's own folder.
pub fn end_all(path: &Path) {
    for process in mentioning(path) {
        if let Some(pid) = Pid::from_raw(process.pid) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
