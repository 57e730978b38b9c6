//! How much the store holds beside environments.

use std::io;
use std::path::PathBuf;

use cap_std::fs::Dir;

use crate::error::StoreError;
use crate::layout;
use crate::store::Store;

/// Bytes in files that are kept to make environments and to start programs sooner. Installers may share files between
/// environments and downloads by hard links; such a file counts in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Downloads and caches of package managers.
    pub downloads: u64,
    /// Tools, such as uv.
    pub tools: u64,
    /// Compiled WebAssembly.
    pub code: u64,
}

impl Store {
    /// Counts what is there beside environments.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let bytes = |rel: &str| bytes(self.root.dir(), rel).map_err(self.root.error("look through", rel));
        Ok(Usage {
            downloads: bytes(layout::DOWNLOADS)?,
            tools: bytes(layout::TOOLS)?,
            code: bytes(layout::CODE)?,
        })
    }
}

/// The bytes in all files below a folder. What goes away meanwhile does not count.
fn bytes(root: &Dir, rel: &str) -> io::Result<u64> {
    let mut total = 0_u64;
    let mut pending = vec![PathBuf::from(rel)];
    while let Some(path) = pending.pop() {
        let Some(entries) = present(root.read_dir(&path))? else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let Some(metadata) = present(entry.metadata())? else {
                continue;
            };
            if metadata.is_dir() {
                pending.push(path.join(entry.file_name()));
            } else {
                total = total.saturating_add(metadata.len());
            }
        }
    }
    Ok(total)
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
