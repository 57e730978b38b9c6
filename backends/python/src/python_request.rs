//! Which interpreter a spec asks for.

use std::str::FromStr as _;

use pep440_rs::{Version, VersionSpecifiers};

/// What to do about a wrong one.
pub const HELP: &str = "write a version such as `3.11`, a range such as `>=3.10,<3.13`, `pypy@3.10`, or the absolute path of an interpreter";

/// Whether the text asks for an interpreter: a version, a range (PEP 440), an implementation with or without a
/// version, or an absolute path.
///
/// # Errors
/// What is wrong, in words.
pub fn check(text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.starts_with('/') {
        return Ok(());
    }
    let wrong = || format!("`{text}` does not name an interpreter");
    if text.contains('/') || text.is_empty() {
        return Err(wrong());
    }
    if text.starts_with(['<', '>', '=', '~', '!']) {
        return VersionSpecifiers::from_str(text).map(|_| ()).map_err(|error| {
            format!(
                "`{text}` is not a range of versions: {}",
                one_line(&error.to_string())
            )
        });
    }
    let version = match text.split_once('@') {
        Some((implementation, version)) if is_implementation(implementation) => version,
        Some(_) => return Err(wrong()),
        None if is_implementation(text) => return Ok(()),
        None => text,
    };
    let parsed = Version::from_str(version).map_err(|_| wrong())?;
    if (1..=3).contains(&parsed.release().len()) {
        Ok(())
    } else {
        Err(wrong())
    }
}

fn is_implementation(text: &str) -> bool {
    ["cpython", "pypy", "graalpy"].contains(&text)
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('^'))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        for good in [
            "3",
            "3.11",
            "3.11.7",
            "3.14.0rc1",
            ">=3.10,<3.13",
            "==3.11.*",
            "pypy@3.10",
            "pypy",
            "/usr/bin/python3",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "python3.11",
            "latest",
            "3.x",
            "perl@5",
            "./venv/bin/python",
            ">=three",
            "3.11.7.1",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
