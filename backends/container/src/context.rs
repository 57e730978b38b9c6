//! The folder that a build can copy from: what of it is ignored.
#![expect(
    clippy::disallowed_methods,
    reason = "a build's folder is a folder of the user, outside of the store; it is only read"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use wrun_core::host::Counted;

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

    /// Whether a path of the folder counts in the folder's digest.
    pub(crate) fn counts(&self, path: &Path) -> Counted {
        match self.holds(path) {
            false => Counted::Entry,
            // Another pattern may take back what is in it.
            true if self.takes_back() => Counted::Inside,
            true => Counted::Nothing,
        }
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
    fn what_is_left_out_does_not_count_unless_something_in_it_is_taken_back() {
        let counts = |text: &str, path: &str| {
            let ignored = Ignored {
                patterns: patterns(text).unwrap(),
                not_for_docker: None,
            };
            ignored.counts(Path::new(path))
        };
        assert_eq!(counts("folder", "other"), Counted::Entry);
        assert_eq!(counts("folder", "folder"), Counted::Nothing);
        assert_eq!(counts("folder\n!folder/a", "folder"), Counted::Inside);
        assert_eq!(counts("folder\n!folder/a", "folder/a"), Counted::Entry);
    }

    #[test]
    fn the_file_for_podman_and_buildah_comes_first_and_docker_does_not_see_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".dockerignore"), "a\n").unwrap();
        fs::write(at(".containerignore"), "b\n").unwrap();
        let read = |for_docker| Ignored::read(folder.path(), &at("Containerfile"), for_docker).unwrap();
        let (of_podman, of_docker) = (read(false), read(true));
        assert_eq!(of_podman.not_for_docker, Some(at(".containerignore")));
        assert_eq!(of_docker.not_for_docker, None);
        assert!(of_podman.holds(Path::new("b")) && of_docker.holds(Path::new("a")));
    }
}
