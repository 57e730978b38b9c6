//! Files as a test writes, copies and compares them.
#![expect(clippy::disallowed_methods, reason = "tests look at files from the outside")]

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Writes a file, and the folders that it lies in.
#[track_caller]
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("make {}: {error}", folder.display()));
    }
    std::fs::write(path, content).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
}

/// The text of a file.
#[must_use]
#[track_caller]
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// The bytes of a file.
#[must_use]
#[track_caller]
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// Makes a folder, and those that it lies in.
#[track_caller]
pub fn folder(path: &Path) -> PathBuf {
    std::fs::create_dir_all(path).unwrap_or_else(|error| panic!("make {}: {error}", path.display()));
    path.to_owned()
}

/// Removes a file.
#[track_caller]
pub fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap_or_else(|error| panic!("remove {}: {error}", path.display()));
}

/// Removes a folder with everything in it.
#[track_caller]
pub fn remove_folder(path: &Path) {
    std::fs::remove_dir_all(path).unwrap_or_else(|error| panic!("remove {}: {error}", path.display()));
}

/// Writes a file that is there and keeps its time and mode, as a disk does that does not keep what was written to it.
#[track_caller]
pub fn overwrite_unnoticed(path: &Path, content: impl AsRef<[u8]>) {
    let before = path.metadata().unwrap();
    set_mode(path, 0o644);
    write(path, content);
    let file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    file.set_permissions(before.permissions()).unwrap();
}

/// The names in a folder, sorted; none if there is no such folder.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

/// Every path below a folder, sorted, folders before what is in them. Symbolic links are not followed.
#[must_use]
pub fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        found.push(path.clone());
        if is_folder {
            found.extend(walk(&path));
        }
    }
    found
}

/// Copies a folder with everything in it.
#[track_caller]
pub fn copy(from: &Path, to: &Path) {
    folder(to);
    for path in walk(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            folder(&target);
        } else if metadata.is_symlink() {
            symlink(std::fs::read_link(&path).unwrap(), &target).unwrap();
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// The SHA-256 of bytes, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// One line for everything below a folder: mode, digest or target, and path.
#[must_use]
pub fn listing(folder: &Path) -> String {
    let mut text = String::new();
    for path in walk(folder) {
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_symlink() {
            std::fs::read_link(&path).unwrap().display().to_string()
        } else if metadata.is_file() {
            sha256(&std::fs::read(&path).unwrap())
        } else {
            String::new()
        };
        let rel = path.strip_prefix(folder).unwrap().display();
        writeln!(text, "{:o} {content} {rel}", metadata.mode()).unwrap();
    }
    text
}

/// The files below a folder that hold some bytes, also in parts of a name.
#[must_use]
pub fn holding(folder: &Path, needle: &str) -> Vec<PathBuf> {
    let needle = needle.as_bytes();
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    walk(folder)
        .into_iter()
        .filter(|path| {
            let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
            holds(path.as_os_str().as_encoded_bytes())
                || (is_file && holds(&std::fs::read(path).unwrap_or_default()))
        })
        .collect()
}

/// Gives everything below a folder, and the folder, to another user.
#[track_caller]
pub fn give(path: &Path, user: u32) {
    for path in walk(path) {
        std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    }
    chown(path, Some(user), Some(user)).unwrap();
}

/// Sets the mode of a file or folder.
#[track_caller]
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
