//! Compiled WebAssembly.
//!
//! It is mapped and run as it is, so whoever writes it runs code as the reader: only files of this user that nobody
//! else can write to are given out.

use std::path::PathBuf;

use cap_std::fs::MetadataExt as _;

use crate::error::StoreError;
use crate::layout;
use crate::name;
use crate::root::{Keep, absent};
use crate::store::Store;

impl Store {
    /// The file with the compiled code of that key (1 to 200 of `a-z`, `0-9` and `-`), if there is one that can be
    /// trusted.
    ///
    /// # Errors
    /// The key cannot be a file name, or the file cannot be looked at.
    pub fn code(&self, key: &str) -> Result<Option<PathBuf>, StoreError> {
        let rel = checked(key)?;
        let metadata =
            absent(self.root.dir().symlink_metadata(&rel)).map_err(self.root.error("look at", &rel))?;
        let Some(metadata) = metadata else { return Ok(None) };
        let path = self.root.absolute(&rel);
        let mine = metadata.uid() == rustix::process::geteuid().as_raw();
        if metadata.is_file() && mine && metadata.mode() & 0o022 == 0 {
            return Ok(Some(path));
        }
        tracing::warn!(path = %path.display(), "compiled code that others could have written is ignored");
        Ok(None)
    }

    /// Keeps compiled code, in place of what has that key.
    ///
    /// # Errors
    /// The key cannot be a file name, or the file cannot be written.
    pub fn put_code(&self, key: &str, code: &[u8]) -> Result<PathBuf, StoreError> {
        let rel = checked(key)?;
        self.root.write(
            &rel,
            code,
            Keep {
                mode: 0o400,
                durable: true,
            },
        )?;
        Ok(self.root.absolute(&rel))
    }
}

fn checked(key: &str) -> Result<String, StoreError> {
    name::key("piece of code", key)?;
    Ok(layout::code(key))
}
