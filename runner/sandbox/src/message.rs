//! What the helper says while it sets the sandbox up, and when the process ended.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use wrun_core::sandbox::Tier;

/// A message of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Message {
    /// The sandbox exists. `anchor` is the process whose end ends everything in it, if there is one; its number is one
    /// of the namespace of the helper.
    Begun {
        /// Its number.
        anchor: Option<u32>,
    },
    /// The listener of the proxy that is to be served; its descriptor comes with the message.
    Listener,
    /// A listener in place of a program of the machine; its descriptor comes with the message.
    Program(SocketAddr),
    /// The notifications of the system calls that are watched; the descriptor comes with the message.
    Watched,
    /// The notifications of calls that make sockets; the descriptor comes with the message. The process that becomes the
    /// program makes the first one.
    Sockets,
    /// The process is on a terminal of its own; the side that shows it comes with the message.
    Terminal,
    /// The program was stopped, as Ctrl-Z on its terminal does.
    Stopped,
    /// Everything is in force, as the kernel says, and the program is executed next.
    Ready(Facts),
    /// A step failed. The program was not run.
    Failed(Failure),
    /// The program could not be executed.
    NotExecuted(NotExecuted),
    /// The process ended, with this status (`wait(2)`).
    Ended {
        /// The status.
        status: i32,
        /// Whether its temporary folders were full when it ended.
        full: bool,
    },
}

/// Why a program could not be executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotExecuted {
    /// The system's reason (`errno(3)`).
    pub errno: i32,
    /// Where the program is, as the process sees it; absent if it is nowhere in the image that it was looked for in.
    pub program: Option<String>,
    /// Whether the process may read it.
    pub is_readable: bool,
    /// The interpreter that its first line names, if it is a script that the process may read.
    pub interpreter: Option<String>,
}

/// What is in force, as read back from the kernel by the process that becomes the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Facts {
    /// The tier that was set up.
    pub tier: Tier,
    /// The version of Landlock that is in force (`landlock_create_ruleset(2)`), or 0.
    pub landlock: i32,
    /// Why none is in force (`errno(3)`).
    pub landlock_missing: Option<i32>,
    /// Whether all of the rights that this version knows are held.
    pub landlock_complete: bool,
    /// Whether system calls are filtered (`PR_GET_SECCOMP`).
    pub filtered: bool,
    /// Whether no program can give it new rights (`PR_GET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
    /// Whether it has no capabilities in any set.
    pub no_capabilities: bool,
    /// Its user as it sees it.
    pub user: u32,
    /// Whether `/proc` is one of its own.
    pub own_proc: bool,
    /// Whether what the program starts is kept off its network.
    pub children_offline: bool,
}

/// A step of setting a sandbox up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Telling whether the helper is of the build of the one who started it.
    Build,
    /// Reading the policy.
    Policy,
    /// A session and process group of its own.
    Session,
    /// Being killed when the one who started it ends.
    ParentDeath,
    /// Joining the control groups.
    ControlGroup,
    /// The user namespace.
    UserNamespace,
    /// The identities of a user namespace.
    IdentityMap,
    /// The other namespaces.
    Namespaces,
    /// Another process.
    Fork,
    /// Taking the mounts out of the machine's propagation.
    PrivateMounts,
    /// The empty root.
    Root,
    /// The folder of an image's layer.
    Layer,
    /// The folder in memory that takes what is written to an image's files.
    Upper,
    /// The layers of an image as one file system.
    Overlay,
    /// A granted path.
    Grant,
    /// A granted path whose file system cannot show it as another user's.
    IdentityMount,
    /// A file or folder of the root.
    Fill,
    /// `/proc`.
    Proc,
    /// Devices and terminals.
    Devices,
    /// Changing to the new root.
    Pivot,
    /// The loopback interface.
    Loopback,
    /// The listener.
    Listener,
    /// The host name.
    HostName,
    /// The user and group.
    Identity,
    /// Capabilities.
    Capabilities,
    /// Resource limits.
    Resources,
    /// Descriptors.
    Descriptors,
    /// The session and its controlling terminal.
    Terminal,
    /// The working folder.
    WorkingFolder,
    /// Landlock.
    Landlock,
    /// The filter of system calls.
    Filter,
    /// Reading back what is in force.
    ReadBack,
    /// Talking to the one who started it.
    Channel,
}

impl Step {
    /// What was being done, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Build => "use a sandbox helper of another build",
            Self::Policy => "read the policy",
            Self::Session => "begin a session",
            Self::ParentDeath => "arrange to end with wrun",
            Self::ControlGroup => "join the control group",
            Self::UserNamespace => "make a user namespace",
            Self::IdentityMap => "map the user into the namespace",
            Self::Namespaces => {
                "make the mount, process, IPC, host name, control group and network namespaces"
            }
            Self::Fork => "start a process",
            Self::PrivateMounts => "separate the mounts from the machine's",
            Self::Root => "make an empty root",
            Self::Layer => "bring in the image's layer",
            Self::Upper => "make room for what is written to the image",
            Self::Overlay => "join the image's layers",
            Self::Grant => "bring in",
            Self::IdentityMount => "show to another user",
            Self::Fill => "make",
            Self::Proc => "mount a fresh /proc",
            Self::Devices => "make the devices",
            Self::Pivot => "change the root",
            Self::Loopback => "bring up the loopback interface",
            Self::Listener => "listen on the loopback interface",
            Self::HostName => "set the host name",
            Self::Identity => "change the user",
            Self::Capabilities => "drop the capabilities",
            Self::Resources => "set the resource limits",
            Self::Descriptors => "close the descriptors",
            Self::Terminal => "begin a session with a terminal of its own",
            Self::WorkingFolder => "enter the working folder",
            Self::Landlock => "apply Landlock",
            Self::Filter => "filter the system calls",
            Self::ReadBack => "read back what is in force",
            Self::Channel => "report",
        }
    }

    /// Whether the step fails because of what was granted, not because of what the machine offers.
    #[must_use]
    pub const fn is_of_the_grants(self) -> bool {
        matches!(
            self,
            Self::Grant | Self::Layer | Self::Fill | Self::WorkingFolder | Self::Policy
        )
    }
}

/// A step that failed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// What it was done with, for instance a path.
    pub subject: Option<String>,
    /// The system's reason (`errno(3)`).
    pub errno: i32,
}

impl Failure {
    /// Whether another start will not have it: of about 100,000 new roots one counts as open for writing as long as it is
    /// there, and is not made read-only (`EBUSY` of `mount_setattr(2)`), though all that was opened in it is closed.
    ///
    /// A helper that waited for its policy has the mounts of when it began; what was mounted since is not in them (`ESTALE`,
    /// `ENOENT`).
    pub(crate) fn is_passing(&self) -> bool {
        match self.step {
            Step::Root => self.errno == Errno::BUSY.raw_os_error(),
            Step::Grant | Step::Layer => [Errno::STALE, Errno::NOENT]
                .map(Errno::raw_os_error)
                .contains(&self.errno),
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot {}", self.step.describe())?;
        if let Some(subject) = &self.subject {
            write!(formatter, " `{subject}`")?;
        }
        write!(formatter, ": {}", io::Error::from_raw_os_error(self.errno))
    }
}
