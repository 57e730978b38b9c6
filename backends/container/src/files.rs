//! The few files of an environment.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "everything here is below a folder that the host gave"
)]

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};

/// Writes a file.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    std::fs::write(path, content)
}

/// The largest `/etc/passwd` that is read, in bytes.
const SMALL: u64 = 4 * 1024 * 1024;

/// What a layer has of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its text.
    Text(String),
    /// It takes it away, or has something else in its place.
    Hidden,
    /// Nothing: the layers below decide.
    Nothing,
}

/// A small text of a layer. Links are followed as if the layer were the root.
pub(crate) fn small_text_beneath(layer: &Path, path: &str) -> Seen {
    let Ok(root) = rustix::fs::open(layer, FOLDER, Mode::empty()) else {
        return Seen::Nothing;
    };
    match text_beneath(&root, path) {
        Some(text) => Seen::Text(text),
        None if is_hidden(root, path) => Seen::Hidden,
        None => Seen::Nothing,
    }
}

/// Whether a layer has a file with content at a path, `None` if it says nothing that is certain. Links are followed as if the
/// layer were the root.
pub(crate) fn is_file_beneath(layer: &Path, path: &str) -> Option<bool> {
    let root = rustix::fs::open(layer, FOLDER, Mode::empty()).ok()?;
    let found = openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    );
    let metadata = rustix::fs::fstat(found.ok()?).ok()?;
    match FileType::from_raw_mode(metadata.st_mode) {
        FileType::Directory => Some(false),
        // An empty one may stand for what the layer takes away.
        FileType::RegularFile if metadata.st_size > 0 => Some(true),
        _ => None,
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn text_beneath(root: &OwnedFd, path: &str) -> Option<String> {
    let file = openat2(
        root,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
    .ok()?;
    let file = std::fs::File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(SMALL).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Whether a layer without a file hides that of the layers below: something else has its name or that of a folder above
/// it, such as a whiteout, or a folder above it hides those of the same name.
fn is_hidden(root: OwnedFd, path: &str) -> bool {
    let mut folder = root;
    let mut hides = false;
    for name in path.split('/') {
        let Ok(found) = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return hides;
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            return true;
        }
        match openat(&folder, name, FOLDER, Mode::empty()) {
            Ok(inner) => folder = inner,
            Err(_) => return true,
        }
        hides |= wrun_layer::hides_below(&folder).unwrap_or(true);
    }
    true
}

/// A small text that a program wrote.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use wrun_core::id::Digest;
    use wrun_layer::{Limits, unpack};

    use super::*;

    /// A layer of these empty files.
    fn layer(names: &[&str]) -> tempfile::TempDir {
        let mut tar = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            header.set_size(2);
            tar.append_data(&mut header, name, b"x\n".as_slice()).unwrap();
        }
        let archive = tar.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        unpack(
            archive.as_slice(),
            None,
            folder.path(),
            &Digest::of(&archive),
            Limits::default(),
        )
        .unwrap();
        folder
    }

    #[test]
    fn a_layer_has_a_file_or_a_folder_or_says_nothing_certain() {
        let layer = layer(&["etc/passwd", "etc/.wh.group"]);
        let told = |path: &str| is_file_beneath(layer.path(), path);
        assert_eq!(told("/etc/passwd"), Some(true));
        assert_eq!(told("/etc"), Some(false));
        assert_eq!(told("/etc/group"), None);
        assert_eq!(told("/srv"), None);
    }

    #[test]
    fn a_layer_has_a_file_or_hides_it_or_says_nothing() {
        for (names, seen) in [
            (&["etc/passwd"][..], Seen::Text("x\n".to_owned())),
            (&["etc/.wh.passwd"], Seen::Hidden),
            (&[".wh.etc"], Seen::Hidden),
            (&["etc/.wh..wh..opq"], Seen::Hidden),
            (&["etc/.wh..wh..opq", "etc/group"], Seen::Hidden),
            (&["etc"], Seen::Hidden),
            (&["etc/passwd/odd"], Seen::Hidden),
            (&["etc/group"], Seen::Nothing),
            (&["etc/.wh.group"], Seen::Nothing),
            (&["other"], Seen::Nothing),
        ] {
            assert_eq!(
                small_text_beneath(layer(names).path(), "etc/passwd"),
                seen,
                "{names:?}"
            );
        }
    }
}
