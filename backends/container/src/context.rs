//! The folder that a build can copy from: the digest of what is not ignored.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a build's folder is a folder of the user, outside of the store; it is only read"
)]

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use sha2::{Digest as _, Sha256};
use wrun_core::id::Digest;

/// The ignore file that podman and buildah know, and docker does not.
const CONTAINER_IGNORE: &str = ".containerignore";

/// The one that all of them know.
const DOCKER_IGNORE: &str = ".dockerignore";

/// What is left out of a build.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    /// Patterns in order, the last that fits decides; `true` for those that take back what others left out.
    patterns: Vec<(GlobMatcher, bool)>,
    /// The file that they are from, if it is one that docker does not read.
    pub(crate) not_for_docker: Option<PathBuf>,
}

impl Ignored {
    /// Reads the ignore file of a build, if there is one. `for_docker` leaves out those that docker does not read.
    pub(crate) fn read(context: &Path, containerfile: &Path, for_docker: bool) -> io::Result<Self> {
        let beside = |ending: &str| {
            let mut name = containerfile.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let candidates = [
            (beside(CONTAINER_IGNORE), false),
            (beside(DOCKER_IGNORE), true),
            (context.join(CONTAINER_IGNORE), false),
            (context.join(DOCKER_IGNORE), true),
        ];
        for (path, of_docker) in candidates {
            if for_docker && !of_docker {
                continue;
            }
            match fs::read_to_string(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(text) => {
                    return Ok(Self {
                        // What cannot be read as the builder reads it leaves nothing out: too much in a key builds once
                        // more, too little runs what is old.
                        patterns: patterns(&text).unwrap_or_default(),
                        not_for_docker: (!of_docker).then_some(path),
                    });
                }
            }
        }
        Ok(Self::default())
    }

    /// Whether a path of the folder is left out.
    fn holds(&self, path: &Path) -> bool {
        let mut left_out = false;
        for (pattern, takes_back) in &self.patterns {
            if left_out == *takes_back && path.ancestors().any(|path| pattern.is_match(path)) {
                left_out = !takes_back;
            }
        }
        left_out
    }

    fn takes_back(&self) -> bool {
        self.patterns.iter().any(|(_, takes_back)| *takes_back)
    }
}

/// The patterns of an ignore file; `None` if there is one that other programs read in another way.
fn patterns(text: &str) -> Option<Vec<(GlobMatcher, bool)>> {
    let mut patterns = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        if line.starts_with('#') {
            continue;
        }
        let line = line.trim();
        let (line, takes_back) = match line.strip_prefix('!') {
            Some(rest) => (rest.trim(), true),
            None => (line, false),
        };
        let parts: Vec<&str> = line
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        if parts.is_empty() {
            continue;
        }
        // `**` within a name, `..` and braces mean other things to Go than here.
        let is_odd = |part: &&str| {
            *part == ".." || (part.contains("**") && *part != "**") || part.contains(['{', '}'])
        };
        if parts.iter().any(is_odd) {
            return None;
        }
        let glob = GlobBuilder::new(&parts.join("/"))
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .ok()?;
        patterns.push((glob.compile_matcher(), takes_back));
    }
    Some(patterns)
}

/// The digest of a folder: kinds, modes, paths and contents of all that is not left out, in the byte order of paths.
pub(crate) fn digest(folder: &Path, ignored: &Ignored) -> io::Result<Digest> {
    let mut entries = Vec::new();
    list(folder, ignored, &mut entries)?;
    entries.sort();
    let mut hasher = Sha256::new();
    hasher.update(b"wrun/container/context/1\0");
    for rel in entries {
        add(folder, &rel, &mut hasher)?;
    }
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

fn list(root: &Path, ignored: &Ignored, entries: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut pending = vec![PathBuf::new()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let rel = folder.join(entry.file_name());
            let left_out = ignored.holds(&rel);
            if entry.file_type()?.is_dir() && (!left_out || ignored.takes_back()) {
                pending.push(rel.clone());
            }
            if !left_out {
                entries.push(rel);
            }
        }
    }
    Ok(())
}

fn add(root: &Path, rel: &Path, hasher: &mut Sha256) -> io::Result<()> {
    let path = root.join(rel);
    let metadata = path.symlink_metadata()?;
    let (kind, content) = if metadata.is_symlink() {
        (b'l', Some(Digest::of(path.read_link()?.as_os_str().as_bytes())))
    } else if metadata.is_dir() {
        (b'd', None)
    } else if metadata.is_file() {
        (b'f', Some(file_digest(&path)?))
    } else {
        // A pipe, a socket or a device has no content that could be copied.
        (b'o', None)
    };
    let name = rel.as_os_str().as_bytes();
    hasher.update([kind]);
    hasher.update((if kind == b'l' { 0 } else { metadata.mode() & 0o7777 }).to_le_bytes());
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name);
    if let Some(content) = content {
        hasher.update(content.as_bytes());
    }
    Ok(())
}

fn file_digest(path: &Path) -> io::Result<Digest> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from_bytes(hasher.finalize().into())),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(text: &str, path: &str) -> bool {
        let ignored = Ignored {
            patterns: patterns(text).unwrap(),
            not_for_docker: None,
        };
        ignored.holds(Path::new(path))
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        assert!(left_out("*.pyc", "a.pyc"));
        assert!(!left_out("*.pyc", "folder/a.pyc"));
        assert!(left_out("**/*.pyc", "folder/deep/a.pyc"));
        assert!(left_out("**/*.pyc", "a.pyc"));
        assert!(left_out("/folder/", "folder/deep/file"));
        assert!(left_out("# no\n\n.git\n", ".git/config"));
        assert!(!left_out("*\n!src\n", "src/main.rs"));
        assert!(left_out("*\n!src\nsrc/secret\n", "src/secret"));
        assert!(left_out("!a\na", "a"));
        assert!(left_out("a?c", "abc"));
        assert!(!left_out("a?c", "a/c"));
        assert!(patterns("a**b").is_none());
        assert!(patterns("../x").is_none());
    }

    #[test]
    fn a_digest_is_of_what_is_not_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("folder/a"), "a").unwrap();
        fs::write(at("b"), "b").unwrap();
        let look = || {
            let ignored = Ignored::read(folder.path(), &at("Containerfile"), false).unwrap();
            digest(folder.path(), &ignored).unwrap()
        };
        let all = look();
        fs::write(at("folder/a"), "another").unwrap();
        let other = look();
        assert_ne!(all, other);
        fs::write(at(".dockerignore"), "folder\n").unwrap();
        let without = look();
        fs::write(at("folder/a"), "yet another").unwrap();
        assert_eq!(look(), without);
        fs::write(at("b"), "another").unwrap();
        assert_ne!(look(), without);
        // A file for podman and buildah comes first, and docker does not see it.
        fs::write(at(".containerignore"), "b\n").unwrap();
        let ignored = Ignored::read(folder.path(), &at("Containerfile"), false).unwrap();
        assert_eq!(ignored.not_for_docker, Some(at(".containerignore")));
        let ignored = Ignored::read(folder.path(), &at("Containerfile"), true).unwrap();
        assert_eq!(ignored.not_for_docker, None);
    }
}
