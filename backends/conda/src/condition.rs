//! Whether an unpacked package is still what was unpacked.
//!
//! When a package is put in place it is written down beside its files how they look (names, kinds, sizes, times, modes,
//! targets of links) and what is in them, each as one digest. How they look is compared for every build: that shows what is gone,
//! cut or written to, and takes a look at each file and no reading. What is in them is compared once after each start of
//! the machine: what a disk did not keep commonly has the right size and time, and until then the kernel answers from memory.

use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rattler_digest::{Sha256, compute_file_digest};
use serde::{Deserialize, Serialize};
use wrun_core::id::Digest;

use crate::files::{self, Everything};

/// The name of the record, in the folder that is compared.
const RECORD: &str = "condition.json";

/// The bits of a mode that environments leave as they are: they take away the right to write.
const KEPT_MODE: u32 = 0o555;

/// The condition of a package when it was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Condition {
    looks: Digest,
    content: Digest,
    /// The start of the machine after which the content was last seen to be right.
    seen: Option<String>,
}

/// Writes down the condition of what is in `folder` under the name `tree`.
pub(crate) fn record(folder: &Path, tree: &str) -> io::Result<()> {
    let tree = folder.join(tree);
    let all = files::everything(&tree)?;
    let condition = Condition {
        looks: looks(&tree, &all)?,
        content: content(&tree, &all)?,
        seen: files::start_of_the_machine(),
    };
    files::write(&folder.join(RECORD), &serde_json::to_vec(&condition)?)
}

/// Whether what is in `folder` under the name `tree` is as it was written down. What cannot be read is not.
pub(crate) fn is_whole(folder: &Path, tree: &str) -> bool {
    let kept = files::small_text(&folder.join(RECORD)).and_then(|text| serde_json::from_str(&text).ok());
    let Some(kept) = kept else { return false };
    is_as(&kept, folder, &folder.join(tree)).unwrap_or_else(|error| {
        tracing::debug!(folder = %folder.display(), %error, "an unpacked package cannot be read");
        false
    })
}

fn is_as(kept: &Condition, folder: &Path, tree: &Path) -> io::Result<bool> {
    let all = files::everything(tree)?;
    if looks(tree, &all)? != kept.looks {
        return Ok(false);
    }
    let start = files::start_of_the_machine();
    if start.is_some() && start == kept.seen {
        return Ok(true);
    }
    if content(tree, &all)? != kept.content {
        return Ok(false);
    }
    let seen = Condition {
        seen: start,
        ..kept.clone()
    };
    // Whoever else finds the same out writes the same, so it matters to nobody whose file stays.
    let written = folder.join(format!("{RECORD}.{}", std::process::id()));
    let replaced = files::write(&written, &serde_json::to_vec(&seen)?)
        .and_then(|()| files::rename(&written, &folder.join(RECORD)));
    if let Err(error) = replaced {
        tracing::debug!(folder = %folder.display(), %error, "a package is read again by the next build");
    }
    Ok(true)
}

/// How everything looks without being read.
fn looks(tree: &Path, all: &Everything) -> io::Result<Digest> {
    digest(all, |rel, metadata, line| {
        let mode = metadata.mode() & KEPT_MODE;
        if metadata.is_symlink() {
            line.extend_from_slice(files::target(&tree.join(rel))?.as_os_str().as_bytes());
        } else if metadata.is_file() {
            let (size, seconds, nanoseconds) = (metadata.size(), metadata.mtime(), metadata.mtime_nsec());
            line.extend_from_slice(format!("{mode:o} {size} {seconds}.{nanoseconds:09}").as_bytes());
        }
        Ok(())
    })
}

/// What is in the files.
fn content(tree: &Path, all: &Everything) -> io::Result<Digest> {
    digest(all, |rel, metadata, line| {
        if metadata.is_file() {
            line.extend_from_slice(&compute_file_digest::<Sha256>(tree.join(rel))?);
        }
        Ok(())
    })
}

/// One digest of everything; `add` says what counts of it beside its name and kind.
fn digest(
    all: &Everything,
    add: impl Fn(&Path, &Metadata, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<Digest> {
    let mut text = Vec::new();
    for (rel, metadata) in all {
        let kind = metadata.mode() & !0o7777;
        let name = rel.as_os_str().as_bytes();
        // With its length, so that nothing in a name can be taken for what follows it.
        text.extend_from_slice(format!("{} ", name.len()).as_bytes());
        text.extend_from_slice(name);
        text.extend_from_slice(format!(" {kind:o} ").as_bytes());
        add(rel, metadata, &mut text)?;
        text.push(b'\n');
    }
    Ok(Digest::of(&text))
}
