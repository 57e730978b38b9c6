//! Paths as specs and requirements files write them: with `/`, relative to the task's folder, or absolute.

/// Why a path cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFault {
    /// It has no text.
    Empty,
    /// It leaves the task's folder.
    Leaves,
}

impl PathFault {
    /// What is wrong, about the path as written.
    #[must_use]
    pub fn message(self, path: &str) -> String {
        match self {
            Self::Empty => "a path is empty".to_owned(),
            Self::Leaves => format!("`{path}` leaves the task's folder"),
        }
    }

    /// What to do.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Empty => "write the path of a file or folder, relative to the task's folder",
            Self::Leaves => "move it into the task's folder, or write an absolute path",
        }
    }
}

/// A path without `.`, `..` and repeated `/`; `.` for the task's folder itself. `base` is the folder that a relative
/// path starts at, itself relative to the task's folder.
///
/// # Errors
/// It is empty, or leaves the task's folder.
pub fn normalise(base: &str, path: &str) -> Result<String, PathFault> {
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    let absolute = path.starts_with('/') || base.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    let base_parts = if path.starts_with('/') { "" } else { base };
    for part in base_parts.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() && !absolute {
                    return Err(PathFault::Leaves);
                }
            }
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Ok(match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    })
}

/// The folder of a normalised path.
#[must_use]
pub fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
        None => ".",
    }
}

/// The last part of a path.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether the path names a wheel or a source archive by its ending.
#[must_use]
pub fn is_archive(path: &str) -> bool {
    const ENDINGS: &[&str] = &[".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar"];
    let lower = path.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_normalised() {
        assert_eq!(normalise(".", "./a//b/../c").as_deref(), Ok("a/c"));
        assert_eq!(normalise("sub", "../x.txt").as_deref(), Ok("x.txt"));
        assert_eq!(normalise("sub", "..").as_deref(), Ok("."));
        assert_eq!(normalise("sub", "/etc/../x").as_deref(), Ok("/x"));
        assert_eq!(normalise("/abs", "../x").as_deref(), Ok("/x"));
        assert_eq!(normalise(".", "../x"), Err(PathFault::Leaves));
        assert_eq!(normalise(".", ""), Err(PathFault::Empty));
    }

    #[test]
    fn parents_and_names() {
        assert_eq!(parent("a/b.txt"), "a");
        assert_eq!(parent("b.txt"), ".");
        assert_eq!(parent("/b.txt"), "/");
        assert_eq!(file_name("a/b.txt"), "b.txt");
    }

    proptest! {
        #[test]
        fn a_normalised_path_is_its_own_normal_form(base in "[a-c/.]{0,8}", path in "[a-c/.]{0,12}") {
            if let Ok(normal) = normalise(&base, &path) {
                prop_assert_eq!(normalise(".", &normal), Ok(normal.clone()));
                prop_assert!(!normal.split('/').any(|part| part == ".."));
            }
        }
    }
}
