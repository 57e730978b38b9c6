//! The names of groups, which say who made them.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::Pid;

use super::error::CgroupError;
use super::files::{Files as _, System};

const PREFIX: &str = "wrun";

/// How long the part of a group's name may be that the caller chooses; a folder's name has 255 bytes.
const NAME_LENGTH: usize = 128;

/// The process that made a group: its number alone could be another's by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    /// The namespace that the number is from (`pid_namespaces(7)`), by the number of its file.
    namespace: u64,
    pid: Pid,
    /// When it started, in clock ticks since the system did.
    started: u64,
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// `/proc` does not tell.
    pub(super) fn current() -> io::Result<Self> {
        let pid = rustix::process::getpid();
        let own = Path::new("/proc/self");
        let stat = Stat::parse(&System.read(&own.join("stat"))?).ok_or(io::ErrorKind::InvalidData)?;
        if stat.pid != pid.as_raw_pid() {
            return Err(io::Error::other("`/proc` is of another process namespace"));
        }
        Ok(Self {
            namespace: namespace()?,
            pid,
            started: stat.started,
        })
    }

    /// The name of a group's folder.
    ///
    /// # Errors
    /// The chosen part of it cannot be in a folder's name.
    pub(super) fn folder(&self, name: &str) -> Result<String, CgroupError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let reason = if name.is_empty() {
            Some("it is empty")
        } else if name.len() > NAME_LENGTH {
            Some("it is too long")
        } else if !name.bytes().all(plain) {
            Some("it has other characters than letters, digits, `.`, `_` and `-`")
        } else {
            None
        };
        match reason {
            Some(reason) => Err(CgroupError::Name {
                name: name.to_owned(),
                reason,
            }),
            None => Ok(format!(
                "{PREFIX}-{}-{}-{}-{name}",
                self.namespace,
                self.pid.as_raw_pid(),
                self.started
            )),
        }
    }

    /// Who made a group, from its name; `None` if it is not one of these.
    pub(super) fn of(folder: &str) -> Option<Self> {
        let mut parts = folder.splitn(5, '-');
        let prefix = parts.next()?;
        let namespace = parts.next()?.parse().ok()?;
        let pid: i32 = parts.next()?.parse().ok()?;
        let started = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        if prefix != PREFIX || name.is_empty() || pid <= 0 {
            return None;
        }
        Some(Self {
            namespace,
            pid: Pid::from_raw(pid)?,
            started,
        })
    }

    /// Whether the process is known to be gone. Nothing is known of one of another namespace.
    pub(super) fn is_gone(&self) -> bool {
        if namespace().ok() != Some(self.namespace) {
            return false;
        }
        match rustix::process::test_kill_process(self.pid) {
            Err(Errno::SRCH) => true,
            Ok(()) | Err(_) => System
                .read(Path::new(&format!("/proc/{}/stat", self.pid.as_raw_pid())))
                .ok()
                .and_then(|text| Stat::parse(&text))
                .is_some_and(|stat| stat.ended || stat.started != self.started),
        }
    }
}

fn namespace() -> io::Result<u64> {
    Ok(rustix::fs::stat("/proc/self/ns/pid")?.st_ino)
}

/// What is needed of `/proc/PID/stat` (`proc_pid_stat(5)`).
struct Stat {
    pid: i32,
    ended: bool,
    started: u64,
}

impl Stat {
    fn parse(text: &[u8]) -> Option<Self> {
        // The name in parentheses may hold anything, parentheses and spaces among it.
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let (head, rest) = text.split_at_checked(close + 1)?;
        let pid = std::str::from_utf8(head.split(|byte| *byte == b' ').next()?).ok()?;
        let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        Some(Self {
            pid: pid.parse().ok()?,
            ended: matches!(state, "Z" | "X" | "x"),
            started: fields.nth(18)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_process_is_not_gone() {
        let own = Owner::current().unwrap();
        assert!(own.started > 0);
        assert!(!own.is_gone());
        let earlier = Owner {
            started: own.started - 1,
            ..own
        };
        assert!(earlier.is_gone(), "another process had the number before");
        let foreign = Owner {
            namespace: own.namespace + 1,
            ..earlier
        };
        assert!(!foreign.is_gone(), "nothing is known of other namespaces");
    }

    #[test]
    fn a_process_that_ended_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let own = Owner::current().unwrap();
        let ended = Owner {
            pid: Pid::from_child(&child),
            ..own
        };
        child.wait().unwrap();
        assert!(ended.is_gone());
    }

    #[test]
    fn names_are_checked() {
        let own = Owner::current().unwrap();
        for bad in ["", "a/b", "..\n", "é", "a b", &"x".repeat(129)] {
            assert!(
                matches!(own.folder(bad), Err(CgroupError::Name { .. })),
                "{bad:?}"
            );
        }
        assert!(own.folder(&"x".repeat(128)).unwrap().len() < 255);
    }

    #[test]
    fn other_folders_have_no_owner() {
        for folder in [
            "",
            "wrun",
            "wrun-1-2-3",
            "wrun-1-2-3-",
            "wrun-1-0-3-a",
            "wrun-1--2-3-a",
            "xrun-1-2-3-a",
            "wrun-a-2-3-b",
            "wrun-1-99999999999-3-b",
        ] {
            assert_eq!(Owner::of(folder), None, "{folder}");
        }
    }

    proptest! {
        #[test]
        fn a_name_tells_its_owner(name in "[A-Za-z0-9._-]{1,128}", namespace: u64, pid in 1..i32::MAX, started: u64) {
            let owner = Owner { namespace, pid: Pid::from_raw(pid).unwrap(), started };
            let folder = owner.folder(&name).unwrap();
            prop_assert_eq!(Owner::of(&folder), Some(owner));
            prop_assert!(folder.ends_with(&["-", &name].concat()));
        }

        #[test]
        fn no_folder_is_too_much(folder in ".{0,40}") {
            let _owner = Owner::of(&folder);
        }

        #[test]
        fn no_status_is_too_much(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _stat = Stat::parse(&text);
        }
    }
}
