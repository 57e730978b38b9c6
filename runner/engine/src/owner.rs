//! Whose a container is: so that the next run can tell those that nobody waits for any more.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::str::FromStr;

use wrun_process::start_time;

/// The process that waits for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its user, as processes of others may be hidden (`hidepid`, `proc(5)`).
    user: u32,
    /// Its number.
    pid: i32,
    /// When it started, in clock ticks since the system did; with the number it is an identity.
    started: u64,
    /// The namespace that the number is of.
    namespace: u64,
    /// Which start of which system (`/proc/sys/kernel/random/boot_id`).
    boot: String,
}

impl Owner {
    /// This process; `None` where the system does not say what tells it from others.
    #[must_use]
    pub fn this() -> Option<Self> {
        let pid = rustix::process::getpid().as_raw_pid();
        Some(Self {
            user: rustix::process::geteuid().as_raw(),
            pid,
            started: start_time(pid)?,
            namespace: namespace()?,
            boot: boot()?,
        })
    }

    /// Whether it has surely ended. Whoever cannot be seen from here counts as alive.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let Some(this) = Self::this() else {
            return false;
        };
        // Of another system, whose engine this may be too, nothing can be known.
        let is_seen = self.user == this.user && self.boot == this.boot && self.namespace == this.namespace;
        is_seen && start_time(self.pid) != Some(self.started)
    }
}

fn namespace() -> Option<u64> {
    Some(Path::new("/proc/self/ns/pid").metadata().ok()?.ino())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file of the kernel, which is no part of the store"
)]
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            pid,
            started,
            namespace,
            boot,
        } = self;
        write!(formatter, "{user}.{pid}.{started}.{namespace}.{boot}")
    }
}

/// A text that is no owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoOwner;

impl FromStr for Owner {
    type Err = NoOwner;

    fn from_str(text: &str) -> Result<Self, NoOwner> {
        let parts: Vec<&str> = text.split('.').collect();
        let [user, pid, started, namespace, boot] = parts.as_slice() else {
            return Err(NoOwner);
        };
        Ok(Self {
            user: user.parse().map_err(|_| NoOwner)?,
            pid: pid.parse().map_err(|_| NoOwner)?,
            started: started.parse().map_err(|_| NoOwner)?,
            namespace: namespace.parse().map_err(|_| NoOwner)?,
            boot: (*boot).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_told_from_one_that_has_ended() {
        let this = Owner::this().unwrap();
        assert_eq!(this.to_string().parse(), Ok(this.clone()));
        assert!(!this.is_gone());
        let mut another = this.clone();
        another.started += 1;
        assert!(another.is_gone(), "another process of the same number");
        let elsewhere: [fn(&mut Owner); 3] = [
            |owner| owner.boot = "another".to_owned(),
            |owner| owner.namespace += 1,
            |owner| owner.user += 1,
        ];
        for change in elsewhere {
            let mut other = this.clone();
            other.started += 1;
            change(&mut other);
            assert!(!other.is_gone(), "{other}");
        }
        assert_eq!("1.2.3".parse::<Owner>(), Err(NoOwner));
    }
}
