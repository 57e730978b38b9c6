//! What an archive says of one file, folder or link.

use crate::sparse::Map;

/// An entry of an archive, as it is written there: nothing was checked.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permissions, with set-user-ID and the like.
    pub(crate) mode: u32,
    /// When it was modified, in seconds and nanoseconds.
    pub(crate) modified: (i64, u32),
    /// Names and values, of users only.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an entry is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A file.
    File(Content),
    /// A folder.
    Folder,
    /// A symbolic link to a path.
    SymbolicLink(Vec<u8>),
    /// A hard link to another path of the archive.
    HardLink(Vec<u8>),
    /// A device node, a pipe or a socket, in words.
    Special(&'static str),
}

/// The content of a file.
#[derive(Debug)]
pub(crate) struct Content {
    /// Its size, with its holes.
    pub(crate) size: u64,
    /// Its bytes in the archive that come now.
    pub(crate) stored: u64,
    /// Where they belong, if there are holes.
    pub(crate) map: Option<Map>,
}
