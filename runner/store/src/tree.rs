//! The right to one folder: every path is relative to it and cannot leave it, not through a symbolic link either.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _, Permissions, PermissionsExt as _};
use rustix::fs::OFlags;
use wrun_core::id::EnvId;

use crate::error::StoreError;
use crate::layout;
use crate::name;
use crate::root::{Root, absent, reading};
use crate::store::Store;
use crate::trash;

/// A folder of the store that is being filled. Clones are cheap and share the handle.
///
/// Paths are as in an install plan: parts with `/` between them, no `..`, no `.`, no empty part; an empty path is the
/// folder itself. A symbolic link on the way is followed only inside of the folder.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Arc<Root>,
    dir: Arc<Dir>,
    path: PathBuf,
}

impl Store {
    /// The tree of an environment, complete or being built.
    ///
    /// # Errors
    /// There is none.
    pub fn tree(&self, id: &EnvId) -> Result<Tree, StoreError> {
        Tree::open(&self.root, &layout::prefix(id))?
            .ok_or_else(|| StoreError::NoEnvironment { id: id.clone() })
    }
}

impl Tree {
    /// Opens a folder of the store, if it is there.
    pub(crate) fn open(root: &Arc<Root>, rel: &str) -> Result<Option<Self>, StoreError> {
        let dir = absent(root.dir().open_dir(rel)).map_err(root.error("open the folder", rel))?;
        Ok(dir.map(|dir| Self {
            root: Arc::clone(root),
            dir: Arc::new(dir),
            path: root.absolute(rel),
        }))
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Its path, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts an operation and a path of this tree to an error.
    pub(crate) fn error(
        &self,
        operation: &'static str,
        rel: &str,
    ) -> impl FnOnce(io::Error) -> StoreError + use<'_> {
        self.root.error_at(operation, &self.path.join(rel))
    }

    /// Writes a file, in place of what has that name, with the folders above it. A file that is hard-linked to the
    /// same name elsewhere is left alone: the name gets a new file.
    ///
    /// # Errors
    /// The path is not plain or leads out of the tree, there is a folder of that name, or it cannot be written.
    pub fn write(&self, rel: &str, content: &[u8], executable: bool) -> Result<(), StoreError> {
        let mut file = self.create(rel, executable)?;
        file.write_all(content).map_err(self.error("write", rel))
    }

    /// Makes a new, empty file, in place of what has that name.
    pub(crate) fn create(&self, rel: &str, executable: bool) -> Result<File, StoreError> {
        inside(rel)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let create = || {
            let file = self.replacing(rel, || {
                self.dir
                    .open_with(rel, OpenOptions::new().write(true).create_new(true).mode(mode))
            })?;
            // Set again, since the first time the process's mask took bits away.
            file.set_permissions(Permissions::from_mode(mode))?;
            Ok(file)
        };
        create().map_err(self.error("write", rel))
    }

    /// Makes something new: removes a file of the same name, and makes the folders above it.
    fn replacing<T>(&self, rel: &str, make: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match make() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some((folder, _)) = rel.rsplit_once('/') {
                    self.dir.create_dir_all(folder)?;
                }
                make()
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                absent(self.dir.remove_file(rel))?;
                make()
            }
            other => other,
        }
    }

    /// Makes a folder and those above it; fine if it is there already.
    ///
    /// # Errors
    /// The path is not plain or leads out of the tree, something else has that name, or it cannot be made.
    pub fn make_dir(&self, rel: &str) -> Result<(), StoreError> {
        name::plain(rel)?;
        self.dir
            .create_dir_all(rel)
            .map_err(self.error("make the folder", rel))
    }

    /// Makes a symbolic link, in place of a file or link of that name, with the folders above it. The target may be
    /// anything, also outside of the tree; the tree itself never follows it there.
    ///
    /// # Errors
    /// The path of the link is not plain or leads out of the tree, there is a folder of that name, or it cannot be
    /// made.
    pub fn symlink(&self, target: impl AsRef<Path>, rel: &str) -> Result<(), StoreError> {
        inside(rel)?;
        self.replacing(rel, || self.dir.symlink_contents(target.as_ref(), rel))
            .map_err(self.error("link", rel))
    }

    /// Removes a file, a link or a folder with everything in it; fine if there is none.
    ///
    /// # Errors
    /// The path is not plain or leads out of the tree, or it cannot be removed.
    pub fn remove(&self, rel: &str) -> Result<(), StoreError> {
        inside(rel)?;
        match trash::take(&self.root, &self.dir, rel.as_ref(), &self.path.join(rel))? {
            Some(name) => trash::delete(&self.root, name),
            None => Ok(()),
        }
    }

    /// Whether something has that name; a symbolic link counts, wherever it points.
    ///
    /// # Errors
    /// The path is not plain or leads out of the tree, or cannot be looked at.
    pub fn exists(&self, rel: &str) -> Result<bool, StoreError> {
        name::plain(rel)?;
        if rel.is_empty() {
            return Ok(true);
        }
        match self.dir.symlink_metadata(rel) {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(self.error("look at", rel)(error)),
        }
    }

    /// The content of a file of at most `maximum` bytes.
    ///
    /// # Errors
    /// The path is not plain or leads out of the tree, there is no such file, or it is larger.
    pub fn read(&self, rel: &str, maximum: u64) -> Result<Vec<u8>, StoreError> {
        inside(rel)?;
        let file = self
            .dir
            .open_with(rel, &reading(OFlags::empty()))
            .map_err(self.error("read", rel))?;
        if !file.metadata().map_err(self.error("look at", rel))?.is_file() {
            return Err(self.error("read", rel)(io::Error::other("it is not a file")));
        }
        let mut content = Vec::new();
        file.take(maximum.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(self.error("read", rel))?;
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > maximum {
            return Err(StoreError::TooLarge {
                path: self.path.join(rel),
                limit: maximum,
            });
        }
        Ok(content)
    }
}

/// Checks a path that must not be the tree itself.
fn inside(rel: &str) -> Result<(), StoreError> {
    if rel.is_empty() {
        Err(StoreError::Path { rel: String::new() })
    } else {
        name::plain(rel)
    }
}
