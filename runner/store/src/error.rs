//! The errors of the store.

use std::io;
use std::path::{Path, PathBuf};

use wrun_core::canon::CanonError;
use wrun_core::id::{Digest, EnvId};

use crate::part_id::PartId;

/// What the store could not do.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused something that has no better name here.
    #[error("cannot {operation} `{}`: {cause}", path.display())]
    #[diagnostic(
        code("store.io"),
        help("look at the path; if it is damaged, remove it: everything in a store can be made again")
    )]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// The disk or the quota is full (`ENOSPC`, `EDQUOT`).
    #[error("cannot {operation} `{}`: {cause}", path.display())]
    #[diagnostic(
        code("store.disk.full"),
        help(
            "free some space for the store at `{}`: `wrun cache ls` shows what takes it, `wrun cache rm` removes \
             environments; or use another disk with `--cache-dir`",
            root.display()
        )
    )]
    Full {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The store.
        root: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// The file system is mounted read-only (`EROFS`).
    #[error("cannot {operation} `{}`: the file system is read-only", path.display())]
    #[diagnostic(
        code("store.read-only"),
        help("the store at `{}` cannot be written to; choose another with `--cache-dir` or `WRUN_CACHE_DIR`", root.display())
    )]
    ReadOnly {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The store.
        root: PathBuf,
    },
    /// The user may not do that (`EACCES`, `EPERM`).
    #[error("cannot {operation} `{}`: permission denied", path.display())]
    #[diagnostic(
        code("store.permission"),
        help("make the store at `{}` belong to you, or choose another with `--cache-dir` or `WRUN_CACHE_DIR`", root.display())
    )]
    Permission {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The store.
        root: PathBuf,
    },
    /// Something that should be a folder is not (`ENOTDIR`).
    #[error("cannot {operation} `{}`: a part of this path is not a folder", path.display())]
    #[diagnostic(
        code("store.not-a-folder"),
        help("move the file that is in the way, or choose another path")
    )]
    NotAFolder {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// A symbolic link leads out of the folder that is being worked in.
    #[error("cannot {operation} `{}`: the path leads out of its folder", path.display())]
    #[diagnostic(
        code("store.path.escapes"),
        help("a symbolic link on the way points to the outside; work on what it points to instead")
    )]
    Escapes {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The file system has no advisory locks.
    #[error("cannot lock `{}`: the file system has no locks ({cause})", path.display())]
    #[diagnostic(
        code("store.lock.unsupported"),
        help("put the store on a local disk with `--cache-dir`")
    )]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The folder is full of something else.
    #[error("`{}` is not a store, and it is not empty: there is `{found}` in it", path.display())]
    #[diagnostic(code("store.root.foreign"), help("choose an empty or a new folder"))]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Something that is in it.
        found: String,
    },
    /// The store was made by a newer `wrun`.
    #[error("the store at `{}` has format {found}, and this version of wrun knows format {known}", path.display())]
    #[diagnostic(
        code("store.format.newer"),
        help("use a newer wrun, or choose another folder with `--cache-dir`")
    )]
    NewerFormat {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// The store's description makes no sense.
    #[error("`{}` does not describe a store: {reason}", path.display())]
    #[diagnostic(
        code("store.format.unreadable"),
        help("if this folder is a store, remove it as a whole")
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The environment or part is being used.
    #[error("the {what} `{id}` is in use")]
    #[diagnostic(
        code("store.lease.busy"),
        help("try again when the tasks that use it have ended")
    )]
    Busy {
        /// What it is: an environment or a part.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The environment or part is being built.
    #[error("the {what} `{id}` is being built")]
    #[diagnostic(code("store.build.busy"), help("try again when its build has ended"))]
    Building {
        /// What it is: an environment or a part.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The environment or part is complete already.
    #[error("the {what} `{id}` is built already")]
    #[diagnostic(
        code("store.build.exists"),
        help("use it, or remove it first with `wrun cache rm {id}`")
    )]
    AlreadyBuilt {
        /// What it is: an environment or a part.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A build was begun under the lock of something else.
    #[error("the {what} `{id}` cannot be built under the lock of {held}")]
    #[diagnostic(
        code("store.build.wrong-lock"),
        help("this is an error in the program that uses the store")
    )]
    WrongFlight {
        /// What it is: an environment or a part.
        what: &'static str,
        /// Its id.
        id: String,
        /// What the lock is for.
        held: String,
    },
    /// There is no such environment.
    #[error("there is no environment `{id}` in the store")]
    #[diagnostic(
        code("store.environment.missing"),
        help("`wrun cache ls` shows those that there are")
    )]
    NoEnvironment {
        /// The environment.
        id: EnvId,
    },
    /// There is no such part.
    #[error("there is no part `{id}` in the store")]
    #[diagnostic(
        code("store.part.missing"),
        help("`wrun cache ls` shows those that there are")
    )]
    NoPart {
        /// The part.
        id: PartId,
    },
    /// An environment needs the part.
    #[error("the part `{id}` belongs to the environment `{environment}`")]
    #[diagnostic(
        code("store.part.named"),
        help(
            "remove the environment with `wrun cache rm {environment}`: the last one takes its parts with it"
        )
    )]
    PartNamed {
        /// The part.
        id: PartId,
        /// The first environment that names it.
        environment: EnvId,
    },
    /// The wait for another builder was given up.
    #[error("cancelled while waiting for {what}")]
    #[diagnostic(
        code("store.cancelled"),
        help("run it again; what was waited for goes on being built")
    )]
    Cancelled {
        /// What was waited for.
        what: String,
    },
    /// A name that cannot be a file name of the store.
    #[error("`{value}` cannot be the name of a {what}")]
    #[diagnostic(code("store.name.invalid"), help("use {allowed}"))]
    Name {
        /// What it should name.
        what: &'static str,
        /// The name.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A path that is not plainly below its folder.
    #[error("`{rel}` is not a plain relative path")]
    #[diagnostic(
        code("store.path.invalid"),
        help("a path in a tree has no `..`, no `.`, no empty part and does not start with `/`")
    )]
    Path {
        /// The path.
        rel: String,
    },
    /// A file is larger than the caller takes.
    #[error("`{}` is larger than {}", path.display(), bytesize::ByteSize(*limit).display().iec())]
    #[diagnostic(
        code("store.read.too-large"),
        help("make the file smaller; the limit is fixed")
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Something that is neither a file, a folder nor a symbolic link.
    #[error("`{}` is neither a file, a folder nor a symbolic link", path.display())]
    #[diagnostic(
        code("store.tree.special-file"),
        help("a package made a pipe, a socket or a device; it cannot be kept")
    )]
    SpecialFile {
        /// The path.
        path: PathBuf,
    },
    /// An archive that cannot be read or that wants to do what an archive must not.
    #[error("cannot unpack `{}`: {reason}", archive.display())]
    #[diagnostic(
        code("store.archive.invalid"),
        help("the file is damaged or made to do harm; do not use it")
    )]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// Why.
        reason: String,
    },
    /// An archive that unpacks to too much.
    #[error("cannot unpack `{}`: it has {reason}", archive.display())]
    #[diagnostic(
        code("store.archive.limit"),
        help("if the archive is not made to do harm, unpack it by other means")
    )]
    ArchiveLimit {
        /// The archive.
        archive: PathBuf,
        /// What there is too much of.
        reason: String,
    },
    /// A download is not what it should be.
    #[error("the download has the digest `{found}` and not `{expected}`")]
    #[diagnostic(
        code("store.artifact.digest"),
        help("the file on the server was changed, or something on the way changed it; do not use it")
    )]
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A lock that has no id.
    #[error("the lock has no canonical form: {0}")]
    #[diagnostic(
        code("store.lock.invalid"),
        help("this is an error in the backend that made the lock")
    )]
    Lock(#[from] CanonError),
    /// A record that cannot be written as JSON.
    #[error("cannot write `{}` as JSON: {reason}", path.display())]
    #[diagnostic(
        code("store.record.invalid"),
        help("this is an error in the program that uses the store")
    )]
    Encode {
        /// The record.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// Sorts an error of the operating system by what can be done about it.
    pub(crate) fn io(operation: &'static str, path: PathBuf, root: &Path, cause: io::Error) -> Self {
        let root = || root.to_path_buf();
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                operation,
                path,
                root: root(),
                cause,
            },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly {
                operation,
                path,
                root: root(),
            },
            // cap-std reports an attempt to leave a folder as a denied permission that no system call returned.
            io::ErrorKind::PermissionDenied if cause.raw_os_error().is_none() => {
                Self::Escapes { operation, path }
            }
            io::ErrorKind::PermissionDenied => Self::Permission {
                operation,
                path,
                root: root(),
            },
            io::ErrorKind::NotADirectory => Self::NotAFolder { operation, path },
            _ => Self::Io {
                operation,
                path,
                cause,
            },
        }
    }
}
