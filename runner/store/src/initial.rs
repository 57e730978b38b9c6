//! Opening and making a store.

use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _};
use data_encoding::HEXLOWER;
use rustix::fs::{AtFlags, Mode};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::layout;
use crate::lock_file::{self, Hold};
use crate::root::{Keep, Root};

/// The format that this version reads and writes.
const FORMAT: u64 = 1;

/// With a longer root the first line of a script in an environment no longer fits into the 127 bytes that older
/// kernels take for it (`execve(2)`); `v1/env/ID/prefix/bin/python3.11` takes the rest.
const LONGEST_ROOT: usize = 60;

/// Tells backup programs to leave the folder out: <https://bford.info/cachedir/>.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a cache made by wrun.\n\
    # For information about cache directory tags see https://bford.info/cachedir/\n";

/// Names that the root of a store may have in it. `lost+found` is in each root of an ext file system.
const OWN_NAMES: &[&str] = &[
    "CACHEDIR.TAG",
    ".gitignore",
    layout::DESCRIPTION,
    layout::CREATION_LOCK,
    "lost+found",
    "v1",
    "pkgs",
    "code",
    "tools",
    layout::TEMPORARY,
    layout::TRASH,
];

/// What `store.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    format: u64,
    id: String,
    root: String,
}

/// The part of it that every format has.
#[derive(Debug, Deserialize)]
struct Format {
    format: u64,
}

/// Opens the store in a folder, with warnings for people.
pub(crate) fn open(path: &Path) -> Result<(Root, Vec<String>), StoreError> {
    let failed = |operation| move |cause| StoreError::io(operation, path.to_path_buf(), path, cause);
    let canonical = match std::fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Dir::create_ambient_dir_all(path, ambient_authority()).map_err(failed("make the folder"))?;
            std::fs::canonicalize(path).map_err(failed("find"))?
        }
        other => other.map_err(failed("find"))?,
    };
    let dir = Dir::open_ambient_dir(&canonical, ambient_authority()).map_err(failed("open the folder"))?;
    let root = Root::new(dir, canonical);
    let description = match description(&root)? {
        Some(description) => description,
        None => make(&root)?,
    };
    let warnings = warnings(&root, &description)?;
    Ok((root, warnings))
}

fn description(root: &Root) -> Result<Option<Description>, StoreError> {
    let Some(content) = root.read(layout::DESCRIPTION)? else {
        return Ok(None);
    };
    let unreadable = |error: serde_json::Error| StoreError::Unreadable {
        path: root.absolute(layout::DESCRIPTION),
        reason: error.to_string(),
    };
    let Format { format } = serde_json::from_slice(&content).map_err(unreadable)?;
    if format > FORMAT {
        return Err(StoreError::NewerFormat {
            path: root.path().to_path_buf(),
            found: format,
            known: FORMAT,
        });
    }
    serde_json::from_slice(&content).map(Some).map_err(unreadable)
}

/// Makes a store. The description comes last, so that a half-made one is made again.
fn make(root: &Root) -> Result<Description, StoreError> {
    // Who makes this store at the same time has temporary files in it, and before them the lock.
    if let Some(found) = foreign(root)?
        && !root.exists(layout::CREATION_LOCK)?
    {
        return Err(StoreError::Foreign {
            path: root.path().to_path_buf(),
            found,
        });
    }
    let _alone = lock_file::wait(root, layout::CREATION_LOCK, Hold::Exclusive)?;
    if let Some(description) = description(root)? {
        return Ok(description);
    }
    if let Some(found) = foreign(root)? {
        return Err(StoreError::Foreign {
            path: root.path().to_path_buf(),
            found,
        });
    }
    if let Err(error) = rustix::fs::chmodat(root.dir(), ".", Mode::RWXU, AtFlags::empty()) {
        tracing::warn!(root = %root.path().display(), %error, "the store's folder could not be made private");
    }
    for folder in layout::FOLDERS {
        root.folder(folder)?;
    }
    let public = Keep {
        mode: 0o644,
        durable: false,
    };
    root.write("CACHEDIR.TAG", CACHEDIR_TAG.as_bytes(), public)?;
    root.write(".gitignore", b"*\n", public)?;
    let mut id = [0_u8; 16];
    getrandom::fill(&mut id)
        .map_err(|error| root.error("name", layout::DESCRIPTION)(io::Error::other(error)))?;
    let description = Description {
        format: FORMAT,
        id: HEXLOWER.encode(&id),
        root: root.path().to_string_lossy().into_owned(),
    };
    root.write_json(
        layout::DESCRIPTION,
        &description,
        Keep {
            durable: true,
            ..public
        },
    )?;
    Ok(description)
}

/// Something in the folder that no store has.
fn foreign(root: &Root) -> Result<Option<String>, StoreError> {
    let names = root.names(".")?;
    let found = names
        .iter()
        .find(|name| !OWN_NAMES.iter().any(|own| name.as_os_str() == *own));
    Ok(found.map(|name| name.to_string_lossy().into_owned()))
}

fn warnings(root: &Root, description: &Description) -> Result<Vec<String>, StoreError> {
    let path = root.path();
    let mut warnings = Vec::new();
    let mut warn = |warning: String| warnings.push(warning);
    match path.to_str() {
        None => warn(format!(
            "the path of the store, `{}`, is not UTF-8; some tools will fail on it",
            path.display()
        )),
        Some(text) if text.contains(|character: char| character.is_whitespace() || character == '#') => {
            warn(format!(
                "the path of the store, `{text}`, has white space or `#` in it; some scripts will not start"
            ));
        }
        Some(_) => {}
    }
    let length = path.as_os_str().len();
    if length > LONGEST_ROOT {
        warn(format!(
            "the path of the store, `{}`, has {length} bytes; with more than {LONGEST_ROOT} some scripts will not start",
            path.display()
        ));
    }
    if description.root != path.to_string_lossy() {
        warn(format!(
            "the store was made at `{}` and is now at `{}`; environments will be built again",
            description.root,
            path.display()
        ));
    }
    let metadata = root.dir().dir_metadata().map_err(root.error("look at", "."))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        warn(format!(
            "the store at `{}` belongs to another user, who can change what you run",
            path.display()
        ));
    }
    if metadata.mode() & 0o022 != 0 {
        warn(format!(
            "other users can write to the store at `{}` and change what you run",
            path.display()
        ));
    }
    Ok(warnings)
}
