//! Files outside of what a capability reaches: unpacked packages, the environment that is built, environments that are
//! there already.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the libraries that unpack and link packages work on paths; everything here is below a folder that the host gave"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Another text each time that a machine is started (`random(4)`).
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The largest file that is read as text, in bytes.
const SMALL: u64 = 1024 * 1024;

/// The names in a folder of an environment with the times at which they were written; none if there is no such folder.
pub(crate) fn names_with_times(prefix: &Path, folder: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(prefix.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    entries
        .map(|entry| {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let name = entry.file_name();
            let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
            Ok(format!(
                "{folder}/{} {seconds}.{nanoseconds:09}",
                name.to_string_lossy()
            ))
        })
        .collect()
}

/// A small text, if it is there and can be read.
pub(crate) fn small_text(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > SMALL {
        return None;
    }
    fs::read_to_string(path).ok()
}

/// Reads a small file that code of packages wrote. What is no plain file or not small is an error.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() || metadata.len() > SMALL {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is no file of at most {SMALL} bytes"),
        ));
    }
    fs::read(path)
}

/// All plain files below a folder, whatever links there are.
pub(crate) fn plain_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Whether there is a folder at a path, and not a link to one.
pub(crate) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether there is a folder at a path, links followed. That it cannot be looked at is an error.
pub(crate) fn leads_to_folder(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// What is below a folder, by its path from there.
pub(crate) type Everything = BTreeMap<PathBuf, fs::Metadata>;

/// Finds what is below a folder; links are not followed.
pub(crate) fn everything(folder: &Path) -> io::Result<Everything> {
    let mut found = Everything::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(rel) = folders.pop() {
        for entry in fs::read_dir(folder.join(&rel))? {
            let entry = entry?;
            let (rel, metadata) = (rel.join(entry.file_name()), entry.metadata()?);
            if metadata.is_dir() {
                folders.push(rel.clone());
            }
            found.insert(rel, metadata);
        }
    }
    Ok(found)
}

/// What a symbolic link points to.
pub(crate) fn target(link: &Path) -> io::Result<PathBuf> {
    fs::read_link(link)
}

/// Whether something has that name.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The start of the machine that it runs since (`random(4)`); `None` where that is not told.
pub(crate) fn start_of_the_machine() -> Option<String> {
    Some(small_text(Path::new(BOOT))?.trim().to_owned())
}

/// Moves something to a name that is free.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Removes a folder with everything in it, or whatever else has that name, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file that is locked (`flock(2)`) as long as this lives.
#[derive(Debug)]
pub(crate) struct Locked {
    _file: fs::File,
}

/// Locks a file alone, made if it is not there; `None` if somebody else holds it. The file is never removed, so a name
/// always means the same lock.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<Locked>> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(Some(Locked { _file: file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes everything of the file system that a folder is on through to the disk.
pub(crate) fn write_through(folder: &Path) -> io::Result<()> {
    let folder = fs::File::open(folder)?;
    Ok(rustix::fs::syncfs(&folder)?)
}

/// The folder of a path.
pub(crate) fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_path_buf()
}

/// Makes a symbolic link.
pub(crate) fn symlink(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

/// Lets the owner of a file write it; the targets of links are left alone.
pub(crate) fn make_writable(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_file() {
        let mut permissions = metadata.permissions();
        permissions.set_mode(permissions.mode() | 0o200);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

/// Bytes in a file.
pub(crate) fn length(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.len())
}

/// Opens a file to read.
pub(crate) fn open(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

/// Whether files of a package can be hard links in an environment: both are on one file system that has such links.
pub(crate) fn can_link(package: &Path, environment: &Path) -> bool {
    let probe = environment.join(".wrun-link");
    let linked = fs::hard_link(package.join("info/index.json"), &probe).is_ok();
    linked && fs::remove_file(&probe).is_ok()
}
