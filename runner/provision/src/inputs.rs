//! Files and folders that a spec refers to.
//!
//! The digest of a file covers its bytes and whether it can be executed; the other mode bits follow the user's mask
//! and mean nothing to a package. The digest of a folder covers, for everything in it in the byte order of paths:
//! its kind, whether it can be executed, its path, and its content or the target of the symbolic link. Links are not
//! followed inside of a folder. A folder that an image is built from counts with all mode bits, and less what its ignore
//! file leaves out. Else left out are folders of version control, virtual environments and caches, which
//! change without the project changing: see [`LEFT_OUT`].

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wrun_core::backend::{Input, InputKind, InputRequest};
use wrun_core::host::Counted;
use wrun_core::id::Digest;

use crate::error::ProvisionError;
use crate::files::{self, Bounded};

/// The largest text that is taken, in bytes.
const TEXT_MAXIMUM: u64 = 16 * 1024 * 1024;

/// Names that do not count in the digest of a folder; `*.egg-info` does not either.
pub const LEFT_OUT: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
];

/// Reads what a request asks for. `project` is the folder that relative paths start from.
///
/// # Errors
/// It is not there, not text, too large, or cannot be read.
pub(crate) fn read(project: &Path, request: &InputRequest) -> Result<Input, ProvisionError> {
    let path = project.join(&request.path);
    let result = match request.kind {
        InputKind::Text => text(&path),
        InputKind::OptionalText => match text(&path) {
            Err(ProvisionError::InputMissing { .. }) => Ok(Input::Absent),
            other => other,
        },
        InputKind::Digest => digest(&path)
            .map(Input::Digest)
            .map_err(|error| unreadable(&path, &error)),
    };
    tracing::debug!(path = %path.display(), kind = ?request.kind, failed = result.is_err(), "read an input");
    result
}

fn text(path: &Path) -> Result<Input, ProvisionError> {
    let failed = |error: io::Error| unreadable(path, &error);
    let executable = path.metadata().map_err(failed)?.mode() & 0o100 != 0;
    let bytes = match files::read(path, TEXT_MAXIMUM).map_err(failed)? {
        Bounded::Whole(bytes) => bytes,
        Bounded::TooLarge => {
            return Err(ProvisionError::InputTooLarge {
                path: path.to_path_buf(),
                maximum: TEXT_MAXIMUM,
            });
        }
    };
    let mut hasher = file_hasher(executable);
    hasher.update(&bytes);
    let text = String::from_utf8(bytes).map_err(|error| ProvisionError::InputNotText {
        path: path.to_path_buf(),
        at: error.utf8_error().valid_up_to(),
    })?;
    Ok(Input::Text {
        text,
        digest: Digest::from_bytes(hasher.finalize().into()),
    })
}

/// The digest of a file or a folder.
fn digest(path: &Path) -> io::Result<Digest> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return tree(path, Modes::Executable, &|rel| match rel.file_name() {
            Some(name) if is_left_out(name) => Counted::Nothing,
            _ => Counted::Entry,
        });
    }
    let mut hasher = file_hasher(metadata.mode() & 0o100 != 0);
    files::hash_into(path, &mut hasher)?;
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

/// Which bits of modes count in the digest of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modes {
    /// Whether a file can be executed.
    Executable,
    /// All of them.
    All,
}

impl Modes {
    /// What digests of this kind begin with, so that they are never those of another.
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Executable => b"wrun/input/folder/1\0",
            Self::All => b"wrun/container/context/1\0",
        }
    }
}

/// The digest of a folder that files are copied from with all of their modes. `folder` may be relative to `project`.
///
/// # Errors
/// It is not there, or cannot be read.
pub(crate) fn tree_digest(
    project: &Path,
    folder: &Path,
    counts: &dyn Fn(&Path) -> Counted,
) -> Result<Digest, ProvisionError> {
    let folder = project.join(folder);
    tree(&folder, Modes::All, counts).map_err(|error| unreadable(&folder, &error))
}

/// The digest of all that counts in a folder, in the byte order of paths.
fn tree(root: &Path, modes: Modes, counts: &dyn Fn(&Path) -> Counted) -> io::Result<Digest> {
    let mut entries = list(root, counts)?;
    entries.sort();
    let mut hasher = Sha256::new();
    hasher.update(modes.domain());
    for rel in entries {
        add_entry(root, &rel, modes, &mut hasher)?;
    }
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

fn file_hasher(executable: bool) -> Sha256 {
    let mut hasher = Sha256::new();
    hasher.update(b"wrun/input/file/1\0");
    hasher.update([u8::from(executable)]);
    hasher
}

/// The paths of everything in a folder that counts.
fn list(root: &Path, counts: &dyn Fn(&Path) -> Counted) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(folder) = pending.pop() {
        for entry in root.join(&folder).read_dir()? {
            let entry = entry?;
            let rel = folder.join(entry.file_name());
            let counted = counts(&rel);
            if counted != Counted::Nothing && entry.file_type()?.is_dir() {
                pending.push(rel.clone());
            }
            if counted == Counted::Entry {
                entries.push(rel);
            }
        }
    }
    Ok(entries)
}

fn is_left_out(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| LEFT_OUT.contains(&name)) || name.as_bytes().ends_with(b".egg-info")
}

/// Adds one entry: kind, mode, length and bytes of the path, digest of what it holds.
fn add_entry(root: &Path, rel: &Path, modes: Modes, hasher: &mut Sha256) -> io::Result<()> {
    let path = root.join(rel);
    let metadata = path.symlink_metadata()?;
    let (kind, content) = if metadata.is_symlink() {
        (b'l', Some(Digest::of(path.read_link()?.as_os_str().as_bytes())))
    } else if metadata.is_dir() {
        (b'd', None)
    } else if metadata.is_file() {
        let mut content = Sha256::new();
        files::hash_into(&path, &mut content)?;
        (b'f', Some(Digest::from_bytes(content.finalize().into())))
    } else {
        // A pipe, a socket or a device has no content that could be built from.
        (b'o', None)
    };
    let name = rel.as_os_str().as_bytes();
    hasher.update([kind]);
    match modes {
        Modes::Executable => hasher.update([u8::from(kind == b'f' && metadata.mode() & 0o100 != 0)]),
        // That of a link is the same everywhere, and means nothing.
        Modes::All => hasher.update((if kind == b'l' { 0 } else { metadata.mode() & 0o7777 }).to_le_bytes()),
    }
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name);
    if let Some(content) = content {
        hasher.update(content.as_bytes());
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> ProvisionError {
    let path = path.to_path_buf();
    match error.kind() {
        io::ErrorKind::NotFound => ProvisionError::InputMissing { path },
        io::ErrorKind::IsADirectory => ProvisionError::InputUnreadable {
            path,
            reason: "it is a folder".to_owned(),
        },
        _ => ProvisionError::InputUnreadable {
            path,
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests prepare the files that they read"
)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn digest_of(folder: &Path, path: &str) -> Digest {
        let request = InputRequest {
            path: path.to_owned(),
            kind: InputKind::Digest,
        };
        read(folder, &request).unwrap().digest().unwrap()
    }

    #[test]
    fn a_folder_changes_with_a_byte_a_mode_bit_a_name_and_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path(), folder.path().join("src/a.py"));
        fs::create_dir(root.join("src")).unwrap();
        fs::write(&file, "one").unwrap();
        symlink("a.py", root.join("src/link")).unwrap();
        let mut seen = vec![digest_of(root, ".")];
        let mut changed = |what: &str| {
            let now = digest_of(root, ".");
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(&file, "two").unwrap();
        changed("a byte");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        changed("a mode bit");
        fs::rename(&file, root.join("src/b.py")).unwrap();
        changed("a name");
        fs::remove_file(root.join("src/link")).unwrap();
        symlink("b.py", root.join("src/link")).unwrap();
        changed("a link");
        fs::create_dir(root.join("empty")).unwrap();
        changed("an empty folder");
    }

    #[test]
    fn caches_and_version_control_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "a").unwrap();
        let before = digest_of(folder.path(), ".");
        for name in [".git", "__pycache__", ".venv", "a.egg-info"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("x"), "x").unwrap();
        }
        assert_eq!(digest_of(folder.path(), "."), before);
        fs::create_dir(folder.path().join("build")).unwrap();
        assert_ne!(digest_of(folder.path(), "."), before);
    }

    /// Whoever changes one of these changes keys, and says so in the changelog.
    #[test]
    fn digests_of_folders_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, mode) in [("a", 0o644), ("b.sh", 0o755), ("sub/.git/config", 0o600)] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("{name}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for name in ["sub", "sub/.git"] {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink("a", root.join("sub/link")).unwrap();
        assert_eq!(
            digest_of(root, ".").to_string(),
            "sha256:54764d9a3b5b5c8201ad56e6aed95e8b4154ea968cec4fcdf78f4ef8efec10c0"
        );
        let all = |_: &Path| Counted::Entry;
        assert_eq!(
            tree_digest(root, Path::new("."), &all).unwrap().to_string(),
            "sha256:f6b467a5eb9764c537888f12e9892d55b7c78877851c6b0a02f7dd0001a32f09"
        );
        let no_git = |path: &Path| {
            if path.ends_with(".git") {
                Counted::Inside
            } else {
                Counted::Entry
            }
        };
        assert_eq!(
            tree_digest(root, Path::new("."), &no_git).unwrap().to_string(),
            "sha256:77f37f2862bd9a95de7eb18812ed138c07a17e560723750d684c65dcf9519bc3"
        );
    }

    #[test]
    fn a_text_has_the_digest_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "text").unwrap();
        let request = InputRequest {
            path: "a".to_owned(),
            kind: InputKind::Text,
        };
        let read = read(folder.path(), &request).unwrap();
        assert_eq!(read.text(), Some("text"));
        assert_eq!(read.digest(), Some(digest_of(folder.path(), "a")));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("binary"), [b'a', 0xff]).unwrap();
        let read = |path: &str, kind| {
            read(
                folder.path(),
                &InputRequest {
                    path: path.to_owned(),
                    kind,
                },
            )
        };
        assert!(matches!(
            read("none", InputKind::Text),
            Err(ProvisionError::InputMissing { .. })
        ));
        assert!(matches!(
            read("none", InputKind::Digest),
            Err(ProvisionError::InputMissing { .. })
        ));
        assert_eq!(read("none", InputKind::OptionalText).unwrap(), Input::Absent);
        assert!(matches!(
            read("binary", InputKind::Text),
            Err(ProvisionError::InputNotText { at: 1, .. })
        ));
        assert!(matches!(
            read(".", InputKind::Text),
            Err(ProvisionError::InputUnreadable { .. })
        ));
    }
}
