//! Everything that a process gets.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wrun_core::grants::Access;
use wrun_core::net::Net;
use wrun_core::sandbox::Tier;

use crate::text;

/// Something in the file system of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// A file or folder of the machine, at its own address.
    Bind {
        /// Absolute, with no symbolic link in it.
        #[serde(with = "text::os")]
        path: PathBuf,
        /// What may be done with it.
        access: Access,
        /// Whether it is a folder.
        folder: bool,
        /// Device and inode that it had when it was granted; what is there must still be that.
        identity: (u64, u64),
        /// Whether what is there may be used for that alone, as far as Landlock can tell paths apart: else only for what
        /// an [`Entry::Right`] says.
        reach: bool,
        /// The owner (user and group) for whom the process acts there, where the process itself runs as another user.
        /// Absent for the system's own files.
        owner: Option<(u32, u32)>,
    },
    /// What may be done with a path that another entry brings in.
    Right {
        /// Absolute, with no symbolic link in it.
        #[serde(with = "text::os")]
        path: PathBuf,
        /// What may be done with it.
        access: Access,
        /// Whether it is a folder.
        folder: bool,
        /// Device and inode that it had when it was granted.
        identity: (u64, u64),
    },
    /// A symbolic link.
    Link {
        /// Absolute.
        #[serde(with = "text::os")]
        at: PathBuf,
        /// What it points to.
        #[serde(with = "text::os")]
        target: PathBuf,
    },
    /// A file with this content, to read.
    File {
        /// Absolute.
        #[serde(with = "text::os")]
        at: PathBuf,
        /// Its bytes.
        content: String,
    },
    /// An empty folder in memory, to write in, of this many bytes at most.
    Memory {
        /// Absolute.
        #[serde(with = "text::os")]
        at: PathBuf,
        /// How many bytes it may hold.
        bytes: u64,
    },
}

impl Entry {
    /// Where it is.
    #[must_use]
    pub(crate) fn address(&self) -> &std::path::Path {
        match self {
            Self::Bind { path: at, .. }
            | Self::Right { path: at, .. }
            | Self::Link { at, .. }
            | Self::File { at, .. }
            | Self::Memory { at, .. } => at,
        }
    }
}

/// What a process reaches of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Network {
    /// Nothing. In [`Tier::Full`] it has a loopback interface that is its own.
    None,
    /// Nothing but listeners on its own loopback interface, which the one who started it serves: a proxy
    /// ([`crate::Message::Listener`]), and one in place of each program of the machine that is listed.
    Served,
    /// All of the machine's network, but for raw sockets.
    Host,
}

impl Network {
    /// What a grant comes to.
    pub(crate) const fn of(net: &Net) -> Self {
        match net {
            Net::None => Self::None,
            Net::Listed(_) => Self::Served,
            Net::All => Self::Host,
        }
    }
}

/// Who the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The user that the process sees itself as; in [`Tier::Full`] 0 only in an image.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// The user and group that the process becomes outside, where the sandbox is set up with the rights of root; never 0.
    /// Else `user` stands for the caller, where there is a user namespace, and nothing changes where there is none.
    pub becomes: Option<(u32, u32)>,
}

/// The files of a container image, as the root of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// Folders of the image in which the program is looked for, if its name has no `/`.
    #[serde(with = "text::os_list")]
    pub search_path: Vec<OsString>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// Its folder, absolute, with no symbolic link in it.
    #[serde(with = "text::os")]
    pub path: PathBuf,
    /// Device and inode of the folder when the policy was made.
    pub identity: (u64, u64),
    /// The owner (user and group) of everything in it.
    pub owner: (u32, u32),
}

/// Resource limits by `setrlimit(2)`. Absent is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Resources {
    /// Bytes of a file that it writes (`RLIMIT_FSIZE`).
    pub file_size: Option<u64>,
    /// Bytes of private memory of each process (`RLIMIT_DATA`).
    pub data: Option<u64>,
    /// Processes and threads at one time (`RLIMIT_NPROC`).
    pub processes: Option<u64>,
    /// Thousandths of a processor; how many processors it is bound to is that, rounded up (`sched_setaffinity(2)`).
    pub processors: Option<u32>,
}

/// System calls that wait for an answer from outside; the kernel tells of one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answered {
    /// None.
    Nothing,
    /// What a watcher looks at ([`crate::Message::Watched`]).
    Watched,
    /// Those that make sockets to the network, which the program does and what it starts does not
    /// ([`crate::Message::Sockets`]).
    Sockets,
}

/// Everything that a process gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// How strongly it is held; not [`Tier::None`].
    pub tier: Tier,
    /// The program, absolute, or in an image as its caller names it; absent only to try the sandbox out.
    #[serde(with = "text::os")]
    pub program: PathBuf,
    /// The job that is done in place of a program ([`crate::Job`]).
    pub job: Option<String>,
    /// Its arguments, without its own name.
    #[serde(with = "text::os_list")]
    pub args: Vec<OsString>,
    /// Its variables.
    #[serde(with = "text::os_pairs")]
    pub env: Vec<(OsString, OsString)>,
    /// The folder that it starts in, absolute.
    #[serde(with = "text::os")]
    pub cwd: PathBuf,
    /// Its files.
    pub entries: Vec<Entry>,
    /// What its root is in place of an empty one.
    pub image: Option<Image>,
    /// Its network.
    pub network: Network,
    /// The port of its proxy, where it is served one.
    pub proxy: u16,
    /// Addresses of its loopback interface where programs of the machine answer.
    pub programs: Vec<SocketAddr>,
    /// Who it is.
    pub identity: Identity,
    /// Its resource limits.
    pub resources: Resources,
    /// Whether it may look only at what is granted, though more can be seen: needs Landlock.
    pub strict: bool,
    /// Whether it may change no modes, owners and attributes of files.
    pub keeps_modes: bool,
    /// Bytes that its own `/tmp` may hold; its `/dev/shm` may hold as many.
    pub temporary: u64,
    /// Descriptors of `cgroup.procs` files to join before anything else.
    pub groups: Vec<RawFd>,
    /// Descriptors that the program keeps, under their numbers.
    pub keep: Vec<RawFd>,
    /// Lines and characters of a line of the terminal that is made for it, which is its controlling one and its standard
    /// streams.
    pub terminal: Option<(u16, u16)>,
    /// Which of its system calls wait for an answer from outside.
    pub answered: Answered,
}
