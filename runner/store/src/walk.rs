//! Walks over a tree without following a symbolic link.

use std::path::{Path, PathBuf};
use std::thread;

use cap_std::fs::{Dir, Metadata};

use crate::error::StoreError;
use crate::root::Root;

/// The most threads that work on one tree: more only wait for the same disk.
const MOST_THREADS: usize = 8;

/// Less than this is not worth another thread.
const SHARE: usize = 64;

/// Something in a tree.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its path relative to the tree.
    pub(crate) rel: PathBuf,
    /// What it is; of a symbolic link itself.
    pub(crate) metadata: Metadata,
}

/// Everything in a tree, a folder before what is in it. One folder is open at a time, so that depth costs no
/// descriptors.
pub(crate) fn walk(root: &Root, tree: &Dir, path: &Path) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(rel) = pending.pop() {
        let here = path.join(&rel);
        let open = || {
            if rel.as_os_str().is_empty() {
                tree.open_dir(".")
            } else {
                tree.open_dir(&rel)
            }
        };
        let folder = open().map_err(root.error_at("open the folder", &here))?;
        for entry in folder.entries().map_err(root.error_at("list", &here))? {
            let entry = entry.map_err(root.error_at("list", &here))?;
            let child = rel.join(entry.file_name());
            let metadata = entry
                .metadata()
                .map_err(root.error_at("look at", &path.join(&child)))?;
            if metadata.is_dir() {
                pending.push(child.clone());
            }
            found.push(Entry { rel: child, metadata });
        }
    }
    Ok(found)
}

/// Does something with each entry, on several processors, and gives what came of it in the order of the entries.
pub(crate) fn each<T: Send>(
    entries: &[Entry],
    work: impl Fn(&Entry) -> Result<T, StoreError> + Sync,
) -> Result<Vec<T>, StoreError> {
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS);
    let share = entries.len().div_ceil(threads).max(SHARE);
    let work = &work;
    thread::scope(|scope| {
        let parts: Vec<_> = entries
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Result<Vec<T>, _>>()))
            .collect();
        let mut all = Vec::with_capacity(entries.len());
        for part in parts {
            all.extend(
                part.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            );
        }
        Ok(all)
    })
}
