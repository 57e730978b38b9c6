//! Layers of container images: a tar archive, compressed or not, becomes a folder that an overlay file system takes
//! as a lower layer as it is (OCI Image Format Specification, `layer.md`).
//!
//! An archive is taken for made to do harm. Nothing outside of the folder is ever read or written, whatever is in it:
//! every step on a path is one name in an open folder, and no symbolic link is followed. What cannot be meant well
//! ends with an error that has a name. What a layer loses on the way:
//!
//! - owners: everything belongs to whoever unpacks;
//! - set-user-ID and set-group-ID, and extended attributes other than `user.*`, `user.overlay.*` among them;
//! - device nodes, pipes and sockets below `dev`, where a container gets its own; elsewhere they are an error;
//! - modes that would keep the owner from reading: files get `u+r` and folders `u+rx`.
//!
//! What a layer removes from those below it becomes what every overlay file system knows as a whiteout: a device node
//! with the number 0:0, which everybody may make since Linux 5.8; where that cannot be made, an empty file with an
//! attribute, which is known since Linux 6.7 to mounts with `userxattr`.

mod archive;
mod compression;
mod entry;
mod error;
mod extended;
mod folder;
mod limits;
mod name;
mod sparse;
mod stream;
mod unpack;
mod whiteout;

pub use compression::Compression;
pub use error::UnpackError;
pub use limits::Limits;
pub use unpack::{Unpacked, unpack};
pub use whiteout::{hides_all_below, hides_below};
