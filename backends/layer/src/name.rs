//! Paths of an archive.

use crate::error::UnpackError;

/// The longest path, in bytes: the system takes 4096 with the end, and the store looks at paths relative to a layer.
const LONGEST_PATH: usize = 4000;
/// The longest name of one file.
const LONGEST_NAME: usize = 255;
/// The most folders above a file. A removal holds each of them open.
const DEEPEST: usize = 200;

/// A path of an archive that was found to be harmless: its names, without empty ones and `.`. The layer itself has
/// none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RelativePath(Vec<Vec<u8>>);

impl RelativePath {
    /// The layer itself.
    pub(crate) const fn top() -> Self {
        Self(Vec::new())
    }

    /// Takes a path of an archive.
    pub(crate) fn parse(path: &[u8]) -> Result<Self, UnpackError> {
        let wrong = |reason| UnpackError::Name {
            path: shown(path),
            reason,
        };
        if path.is_empty() {
            return Err(wrong("is empty"));
        }
        if path.starts_with(b"/") {
            return Err(UnpackError::Absolute { path: shown(path) });
        }
        if path.contains(&0) {
            return Err(wrong("has a zero byte in it"));
        }
        if path.len() > LONGEST_PATH {
            return Err(wrong("is too long"));
        }
        let mut names = Vec::new();
        for name in path.split(|byte| *byte == b'/') {
            match name {
                b"" | b"." => {}
                b".." => return Err(UnpackError::Parent { path: shown(path) }),
                name if name.len() > LONGEST_NAME => return Err(wrong("has a name that is too long")),
                name => names.push(name.to_vec()),
            }
        }
        if names.len() > DEEPEST {
            return Err(wrong("is too deep"));
        }
        Ok(Self(names))
    }

    /// The path of something in this folder.
    pub(crate) fn join(&self, name: &[u8]) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_vec());
        Self(names)
    }

    /// The folder above and the last name; nothing for the layer itself.
    pub(crate) fn split(&self) -> Option<(Self, &[u8])> {
        let (last, above) = self.0.split_last()?;
        Some((Self(above.to_vec()), last))
    }

    pub(crate) fn names(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// Whether it is this folder or below it.
    pub(crate) fn is_in(&self, folder: &Self) -> bool {
        self.0.starts_with(&folder.0)
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        if self.0.is_empty() {
            return ".".to_owned();
        }
        shown(&self.0.join(&b'/'))
    }
}

/// Bytes for people: what is not printable is escaped, and much of it is cut.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 300;
    let start = bytes.get(..MOST).unwrap_or(bytes);
    let more = if start.len() < bytes.len() { "…" } else { "" };
    let text: String = String::from_utf8_lossy(start)
        .chars()
        .flat_map(|letter| {
            let escaped = letter.is_control();
            let plain = (!escaped).then_some(letter);
            escaped
                .then(|| letter.escape_default())
                .into_iter()
                .flatten()
                .chain(plain)
        })
        .collect();
    format!("{text}{more}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_leave_the_layer_are_refused() {
        for (path, code) in [
            ("", "layer.path.invalid"),
            ("/etc/passwd", "layer.path.absolute"),
            ("//x", "layer.path.absolute"),
            ("..", "layer.path.parent"),
            ("a/../../x", "layer.path.parent"),
            ("./..", "layer.path.parent"),
            ("a\0b", "layer.path.invalid"),
            (&"x".repeat(256), "layer.path.invalid"),
            (&"x/".repeat(201), "layer.path.invalid"),
            (&"xxxxxxxxxxxxxxxxxxxx/".repeat(199), "layer.path.invalid"),
        ] {
            assert_eq!(
                RelativePath::parse(path.as_bytes()).unwrap_err().code(),
                code,
                "{path}"
            );
        }
        assert_eq!(RelativePath::parse(b"./").unwrap(), RelativePath::top());
        assert_eq!(RelativePath::parse(b"./a//b/.").unwrap().shown(), "a/b");
        assert_eq!(
            RelativePath::parse(b"\xff\x1b").unwrap().shown(),
            "\u{fffd}\\u{1b}"
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_has_only_names(path: Vec<u8>) {
            if let Ok(path) = RelativePath::parse(&path) {
                for name in path.names() {
                    prop_assert!(!name.is_empty() && name != b"." && name != b"..");
                    prop_assert!(!name.contains(&b'/') && !name.contains(&0));
                }
            }
        }
    }
}
