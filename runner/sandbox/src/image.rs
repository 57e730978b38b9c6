//! The files of a container image as the root of a command.

use std::ffi::OsString;
use std::path::PathBuf;

use wrun_core::grants::Access;

use crate::error::SandboxError;
use crate::policy::{Entry, Image, Layer};
use crate::resolve::resolve;

/// The files of a container image as the root of a command, in place of the machine's own. What the command writes to
/// them is kept in memory, and is gone when it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageRoot {
    /// The folders of its layers, the lowest first. Each belongs to one user with all that is in it; what a layer takes
    /// away from those below it says so in the attributes `user.overlay.*` (the kernel's `overlayfs` documentation).
    pub layers: Vec<PathBuf>,
    /// The user that the command sees itself as, and that it sees the image's files belong to. Outside it stands for the
    /// caller, or for nobody where the caller is root.
    pub user: u32,
    /// Its group, likewise.
    pub group: u32,
    /// Folders of the image in which the command is looked for, if its name has no `/`.
    pub search_path: Vec<PathBuf>,
}

impl ImageRoot {
    /// The image of a policy.
    pub(crate) fn policy(&self) -> Result<Image, SandboxError> {
        let mut layers = Vec::new();
        for path in &self.layers {
            if let Entry::Bind {
                path,
                identity,
                owner: Some(owner),
                ..
            } = resolve(path, Access::Read, true)?.target
            {
                layers.push(Layer {
                    path,
                    identity,
                    owner,
                });
            }
        }
        Ok(Image {
            layers,
            search_path: self.search_path.iter().map(OsString::from).collect(),
        })
    }
}
