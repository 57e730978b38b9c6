//! Groups, and processes that enter them.

use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use wrun_sandbox::cgroup::{Group, Hierarchies, Limit};

/// What is set in the environment of this program as it is started anew to play a part in a test.
pub(crate) const PART: &str = "WRUN_CGROUP_TEST_PART";

/// The hierarchies, if they can hold all limits; else says why not.
pub(crate) fn hierarchies() -> Option<Hierarchies> {
    let hierarchies = Hierarchies::find();
    let reasons: Vec<_> = Limit::ALL
        .into_iter()
        .filter_map(|limit| hierarchies.available(limit).err())
        .chain(hierarchies.kills().err())
        .collect();
    if reasons.is_empty() {
        return Some(hierarchies);
    }
    println!("skipped: {}", reasons.join("; "));
    None
}

/// Whether this is root; else says so.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: not root");
    }
    root
}

/// A command of the shell that enters the group before it starts.
pub(crate) fn shell(group: &Group, script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    enter(&mut command, group);
    command
}

/// This program, playing a part, as one that enters the group before it starts.
pub(crate) fn part(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "machines::part", "--nocapture", "--test-threads=1"])
        .env(PART, name);
    command
}

pub(crate) fn enter(command: &mut Command, group: &Group) {
    let files = group.attach_files().unwrap();
    let enter = move || {
        files.iter().try_for_each(|file: &OwnedFd| {
            rustix::io::write(file, b"0")?;
            Ok(())
        })
    };
    #[expect(
        unsafe_code,
        reason = "a process has to enter a group before it starts anything"
    )]
    // SAFETY: the closure only makes the system call `write`, which is safe to do between `fork` and `execve`.
    unsafe {
        command.pre_exec(enter);
    }
}

/// Starts a command and waits for it to write a line.
pub(crate) fn ready(command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let output = child.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// The folders of groups of this name that are left anywhere.
pub(crate) fn left_over(name: &str) -> Vec<PathBuf> {
    let ending = format!("-{}-{name}", own_start());
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().ends_with(&ending) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

/// When this process started, as it is in the names of its groups.
fn own_start() -> String {
    let stat = text(Path::new("/proc/self/stat"));
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_ascii_whitespace().nth(19).unwrap().to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "files of the kernel are not files of the store"
)]
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The processes in a folder of a group.
pub(crate) fn members(folder: &Path) -> Vec<i32> {
    text(&folder.join("cgroup.procs"))
        .lines()
        .map(|line| line.parse().unwrap())
        .collect()
}

/// Whether a process runs; one that ended and was not waited for does not.
#[expect(
    clippy::disallowed_methods,
    reason = "files of the kernel are not files of the store"
)]
pub(crate) fn runs(pid: i32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let (_, fields) = status.rsplit_once(')').unwrap();
    !fields.trim_start().starts_with(['Z', 'X'])
}
