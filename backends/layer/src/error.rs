//! Why a layer cannot be unpacked.

use std::io;
use std::path::PathBuf;

use wrun_core::id::Digest;
use wrun_core::problem::Problem;

use crate::compression::Compression;

/// Why a layer cannot be unpacked. Paths are shown as the archive has them, with what is not printable escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The operating system refused something.
    #[error("cannot {operation} `{path}` of the layer: {cause}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The path in the layer.
        path: String,
        /// Why it failed.
        cause: io::Error,
    },
    /// The folder to unpack into cannot be used.
    #[error("cannot unpack into `{}`: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The folder to unpack into has something in it.
    #[error("cannot unpack into `{}`: it is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The archive cannot be read or decompressed.
    #[error("cannot read the layer: {0}")]
    Read(io::Error),
    /// It is not a tar archive.
    #[error("the layer is not a tar archive: {reason}{}", announcement(*announced))]
    NotAnArchive {
        /// What is wrong with it.
        reason: String,
        /// What it was said to be.
        announced: Option<Compression>,
    },
    /// The archive ends in the middle of something.
    #[error("the layer ends in the middle of `{path}`")]
    Truncated {
        /// The last path; empty if it ends in a header.
        path: String,
    },
    /// A path that starts with `/`.
    #[error("the layer has an absolute path: `{path}`")]
    Absolute {
        /// The path.
        path: String,
    },
    /// A path with `..` in it.
    #[error("the layer has a path with `..` in it: `{path}`")]
    Parent {
        /// The path.
        path: String,
    },
    /// A path that is no path for a file system.
    #[error("the layer has the path `{path}`, which {reason}")]
    Name {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path that leads through a symbolic link of the same layer.
    #[error("`{path}` of the layer leads through `{link}`, which is a symbolic link")]
    ThroughLink {
        /// The path.
        path: String,
        /// The link.
        link: String,
    },
    /// A path that leads through a file of the same layer.
    #[error("`{path}` of the layer leads through `{file}`, which is not a folder")]
    ThroughFile {
        /// The path.
        path: String,
        /// What is in the way.
        file: String,
    },
    /// A hard link to something that is not in the layer, or that cannot be linked to.
    #[error("`{path}` of the layer is a hard link to `{target}`, which {reason}")]
    HardLink {
        /// The path.
        path: String,
        /// What it should be.
        target: String,
        /// Why that does not go.
        reason: &'static str,
    },
    /// A device node, a pipe or a socket.
    #[error("`{path}` of the layer is {kind}")]
    SpecialFile {
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A kind of entry that no layer has.
    #[error("`{path}` of the layer is an entry of the unknown kind `{kind}`")]
    UnknownKind {
        /// The path.
        path: String,
        /// The byte that says what it is.
        kind: String,
    },
    /// Too much of something.
    #[error("the layer has {what}")]
    Limit {
        /// What there is too much of, and how much is allowed.
        what: String,
    },
    /// The file system cannot keep what the layer needs.
    #[error("the file system has no extended attributes of users, which `{path}` of the layer needs")]
    NoAttributes {
        /// The path.
        path: String,
    },
    /// Nothing can be made here that stands for what a layer takes away.
    #[error(
        "the layer removes `{path}`, and this machine can keep that neither as a device node nor as an attribute that its kernel knows"
    )]
    NoWhiteouts {
        /// The path.
        path: String,
    },
    /// The content is not what it should be.
    #[error("the layer has the diff id `{found}` and not `{expected}`")]
    WrongDiffId {
        /// What was expected.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
}

fn announcement(announced: Option<Compression>) -> String {
    announced.map_or_else(String::new, |kind| format!(" (it was said to be {kind})"))
}

impl UnpackError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "layer.io",
            Self::Folder { .. } => "layer.folder",
            Self::NotEmpty { .. } => "layer.folder.not-empty",
            Self::Read(_) => "layer.read",
            Self::NotAnArchive { .. } => "layer.archive.invalid",
            Self::Truncated { .. } => "layer.archive.truncated",
            Self::Absolute { .. } => "layer.path.absolute",
            Self::Parent { .. } => "layer.path.parent",
            Self::Name { .. } => "layer.path.invalid",
            Self::ThroughLink { .. } => "layer.path.through-link",
            Self::ThroughFile { .. } => "layer.path.through-file",
            Self::HardLink { .. } => "layer.hard-link",
            Self::SpecialFile { .. } => "layer.special-file",
            Self::UnknownKind { .. } => "layer.entry.unknown",
            Self::Limit { .. } => "layer.limit",
            Self::NoAttributes { .. } => "layer.attributes.unsupported",
            Self::NoWhiteouts { .. } => "layer.whiteout.unsupported",
            Self::WrongDiffId { .. } => "layer.diff-id",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Folder { .. } => {
                "look at the store's disk: its free space, its limits and who may write to it"
            }
            Self::NotEmpty { .. } => "this is an error in the program that unpacks",
            Self::Read(_) | Self::NotAnArchive { .. } | Self::Truncated { .. } => {
                "the file is damaged; fetch the image again"
            }
            Self::Absolute { .. }
            | Self::Parent { .. }
            | Self::Name { .. }
            | Self::ThroughLink { .. }
            | Self::ThroughFile { .. }
            | Self::HardLink { .. }
            | Self::UnknownKind { .. } => "the image is damaged or made to do harm; do not use it",
            Self::SpecialFile { .. } => {
                "only a container that runs with privileges can use it; remove it from the image"
            }
            Self::Limit { .. } => {
                "if the image is not made to do harm, have an engine run it that takes it as it is: `engine = \"podman\"`, with an image of a registry or an archive (`oci-archive:FILE`), as it takes no folder"
            }
            Self::NoAttributes { .. } => {
                "put the store on a local disk, such as ext4, xfs or btrfs, with `--cache-dir`"
            }
            Self::NoWhiteouts { .. } => {
                "put the store on a local disk with `--cache-dir`, or use Linux 6.7 or later"
            }
            Self::WrongDiffId { .. } => {
                "the image was changed after it was made, or its description is wrong; do not use it"
            }
        }
    }
}

impl From<UnpackError> for Problem {
    fn from(error: UnpackError) -> Self {
        Self::Failed {
            code: error.code().to_owned(),
            message: error.to_string(),
            help: Some(error.help().to_owned()),
        }
    }
}
