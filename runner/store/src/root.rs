//! The handle on the store's folder. Everything else reaches files through it.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _, Permissions, PermissionsExt as _};
use cap_tempfile::TempFile;
use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::sync;

/// How a small file is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// Its mode bits.
    pub(crate) mode: u32,
    /// Whether it must survive a loss of power.
    pub(crate) durable: bool,
}

/// The store's folder and its path, for what has to be named to other programs.
#[derive(Debug)]
pub(crate) struct Root {
    dir: Dir,
    path: PathBuf,
}

impl Root {
    pub(crate) const fn new(dir: Dir, path: PathBuf) -> Self {
        Self { dir, path }
    }

    pub(crate) const fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn absolute(&self, rel: &str) -> PathBuf {
        self.path.join(rel)
    }

    /// Puts an operation and a path to an error.
    pub(crate) fn error(
        &self,
        operation: &'static str,
        rel: &str,
    ) -> impl FnOnce(io::Error) -> StoreError + use<'_> {
        let path = self.absolute(rel);
        move |cause| StoreError::io(operation, path, &self.path, cause)
    }

    /// The same for a path that is absolute already.
    pub(crate) fn error_at(
        &self,
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> StoreError + use<'_> {
        let path = path.to_path_buf();
        move |cause| StoreError::io(operation, path, &self.path, cause)
    }

    /// The content of a file, if there is one.
    pub(crate) fn read(&self, rel: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let read = || {
            let mut content = Vec::new();
            self.dir.open(rel)?.read_to_end(&mut content)?;
            Ok(content)
        };
        absent(read()).map_err(self.error("read", rel))
    }

    /// A JSON file. One that makes no sense is as good as none: everything in the store can be made again.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, rel: &str) -> Result<Option<T>, StoreError> {
        let Some(content) = self.read(rel)? else {
            return Ok(None);
        };
        match serde_json::from_slice(&content) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                tracing::warn!(path = %self.absolute(rel).display(), %error, "a record cannot be read and is ignored");
                Ok(None)
            }
        }
    }

    /// A folder, made if it is not there.
    pub(crate) fn folder(&self, rel: &str) -> Result<Dir, StoreError> {
        let open = || match self.dir.open_dir(rel) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.dir.create_dir_all(rel)?;
                self.dir.open_dir(rel)
            }
            other => other,
        };
        open().map_err(self.error("open the folder", rel))
    }

    /// The names in a folder; none if there is no such folder.
    pub(crate) fn names(&self, rel: &str) -> Result<Vec<OsString>, StoreError> {
        let list = || {
            self.dir
                .read_dir(rel)?
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()
        };
        Ok(absent(list())
            .map_err(self.error("list", rel))?
            .unwrap_or_default())
    }

    /// Whether something is there, itself and not what it may point to.
    pub(crate) fn exists(&self, rel: &str) -> Result<bool, StoreError> {
        Ok(absent(self.dir.symlink_metadata(rel))
            .map_err(self.error("look at", rel))?
            .is_some())
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove_file(&self, rel: &str) -> Result<(), StoreError> {
        absent(self.dir.remove_file(rel))
            .map(drop)
            .map_err(self.error("remove", rel))
    }

    /// Puts a file in place at once: nobody sees a part of it, and an older one stays until then.
    pub(crate) fn write(&self, rel: &str, content: &[u8], keep: Keep) -> Result<(), StoreError> {
        let (folder_rel, name) = rel.rsplit_once('/').unwrap_or((".", rel));
        let folder = self.folder(folder_rel)?;
        let write = || {
            let mut file = TempFile::new(&folder)?;
            file.write_all(content)?;
            file.as_file()
                .set_permissions(Permissions::from_mode(keep.mode))?;
            if keep.durable {
                file.as_file().sync_all()?;
            }
            file.replace(name)
        };
        write().map_err(self.error("write", rel))?;
        if keep.durable
            && let Err(error) = sync::folder(&folder)
        {
            // The file is in place for everybody; what is not sure is only that it outlives a loss of power, and
            // then it is as if it had not been written.
            tracing::warn!(path = %self.absolute(folder_rel).display(), %error, "a folder was not written through");
        }
        Ok(())
    }

    /// Has the content of a file outlive a loss of power.
    pub(crate) fn write_through(&self, rel: &str) -> Result<(), StoreError> {
        let write = || self.dir.open(rel)?.sync_all();
        write().map_err(self.error("write through", rel))
    }

    /// Puts a JSON file in place.
    pub(crate) fn write_json<T: Serialize>(
        &self,
        rel: &str,
        value: &T,
        keep: Keep,
    ) -> Result<(), StoreError> {
        let content = serde_json::to_vec(value).map_err(|error| StoreError::Encode {
            path: self.absolute(rel),
            reason: error.to_string(),
        })?;
        self.write(rel, &content, keep)
    }
}

/// Opens for reading, without waiting for the other end of what may be a pipe.
pub(crate) fn reading(more: OFlags) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options.custom_flags(i32::try_from((OFlags::NONBLOCK | more).bits()).unwrap_or(0));
    options
}

/// Turns "there is no such file" into `None`.
pub(crate) fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
