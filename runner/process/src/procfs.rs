//! What `/proc` says of processes (`proc(5)`).

use rustix::process::Pid;

use crate::mark::Mark;

/// A process as `/proc/PID/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: Pid,
    /// When it started, in clock ticks since the system did; with the number it is an identity.
    pub(crate) started: u64,
    /// Its parent; `None` where that is outside of this namespace.
    pub(crate) parent: Option<Pid>,
    /// Its session; `None` where that is outside of this namespace.
    pub(crate) session: Option<Pid>,
    /// Whether it ended and was not waited for.
    pub(crate) ended: bool,
}

impl Process {
    /// Whether both are the same process.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && self.started == other.started
    }

    fn parse(stat: &[u8]) -> Option<Self> {
        // The name in parentheses may hold anything, parentheses and spaces among it.
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let (head, rest) = stat.split_at_checked(close + 1)?;
        let pid = head
            .split(|byte| *byte == b' ')
            .next()
            .and_then(|text| std::str::from_utf8(text).ok());
        let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?;
        let session = fields.nth(1)?;
        let started = fields.nth(15)?;
        Some(Self {
            pid: pid.and_then(number)?,
            started: started.parse().ok()?,
            parent: number(parent),
            session: number(session),
            ended: matches!(state, "Z" | "X" | "x"),
        })
    }
}

/// One process, if there is one of that number.
pub(crate) fn process(pid: Pid) -> Option<Process> {
    Process::parse(&read(&format!("/proc/{}/stat", pid.as_raw_pid()))?)
}

/// All processes; none where `/proc` cannot be read.
pub(crate) fn processes() -> Vec<Process> {
    numbers("/proc").into_iter().filter_map(process).collect()
}

/// Whether the process has the mark in the environment that it was executed with. A process of another user does not
/// let it be seen.
pub(crate) fn has_mark(pid: Pid, mark: &Mark) -> bool {
    read(&format!("/proc/{}/environ", pid.as_raw_pid())).is_some_and(|environment| mark.is_in(&environment))
}

/// The children of this process, adopted ones among them; `None` where the kernel does not tell
/// (`CONFIG_PROC_CHILDREN`).
pub(crate) fn own_children() -> Option<Vec<Pid>> {
    children("self")
}

fn children(process: &str) -> Option<Vec<Pid>> {
    let mut children = Vec::new();
    for thread in numbers(&format!("/proc/{process}/task")) {
        let list = read(&format!("/proc/{process}/task/{}/children", thread.as_raw_pid()))?;
        let list = std::str::from_utf8(&list).ok()?;
        children.extend(list.split_ascii_whitespace().filter_map(number));
    }
    Some(children)
}

/// A process with everything that it started and that is still below it.
pub(crate) fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        next += 1;
        // One that ended meanwhile has none.
        found.extend(children(&process.as_raw_pid().to_string()).unwrap_or_default());
    }
    found
}

/// A file of a process, as text.
pub(crate) fn file(process: Pid, name: &str) -> Option<String> {
    let bytes = read(&format!("/proc/{}/{name}", process.as_raw_pid()))?;
    String::from_utf8(bytes).ok()
}

fn numbers(folder: &str) -> Vec<Pid> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| number(entry.ok()?.file_name().to_str()?))
        .collect()
}

/// The number of a process. 0 stands for one outside of this namespace, and -1 for one that was just reaped.
fn number(text: &str) -> Option<Pid> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .and_then(Pid::from_raw)
}

#[expect(
    clippy::disallowed_methods,
    reason = "files of /proc are not files of the store"
)]
fn read(path: &str) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_the_list() {
        let own = rustix::process::getpid();
        let found = process(own).unwrap();
        assert_eq!(found.pid, own);
        assert_eq!(found.parent, rustix::process::getppid());
        assert!(!found.ended && found.started > 0);
        assert!(processes().iter().any(|process| process.is(&found)));
    }

    #[test]
    fn a_name_can_hold_anything() {
        let line = b"7 (a) Z 1 (b) S 3 7 6 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 0 0";
        let process = Process::parse(line).unwrap();
        assert_eq!(process.parent, Pid::from_raw(3));
        assert_eq!(process.session, Pid::from_raw(6));
        assert_eq!(process.started, 99);
        assert!(!process.ended);
        assert_eq!(Process::parse(b"7 (a"), None);
    }

    #[test]
    fn a_process_that_is_being_reaped_has_no_session() {
        let line = b"7 (a) X 0 -1 -1 0 -1 4194564 0 0 0 0 0 0 0 0 0 0 0 0 99 0 0";
        let process = Process::parse(line).unwrap();
        assert_eq!((process.parent, process.session), (None, None));
        assert!(process.ended);
    }
}
