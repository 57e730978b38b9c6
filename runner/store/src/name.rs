//! Names that come from outside and become names of files.

use data_encoding::BASE32_NOPAD;
use wrun_core::id::Digest;
use wrun_core::plan::{Place, Root};

use crate::error::StoreError;

/// Checks a key: 1 to 200 characters of `a-z`, `0-9` and `-`.
pub(crate) fn key(what: &'static str, value: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=200).contains(&value.len()) && value.bytes().all(allowed) {
        return Ok(());
    }
    Err(StoreError::Name {
        what,
        value: value.to_owned(),
        allowed: "1 to 200 lower-case letters, digits and hyphens",
    })
}

/// Checks a name or a version of a tool: 1 to 100 characters as package indexes use them, not hidden.
pub(crate) fn release(what: &'static str, value: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+!-".contains(&byte);
    if (1..=100).contains(&value.len()) && !value.starts_with('.') && value.bytes().all(allowed) {
        return Ok(());
    }
    Err(StoreError::Name {
        what,
        value: value.to_owned(),
        allowed: "1 to 100 letters, digits and `. _ + ! -`, not starting with a dot",
    })
}

/// Checks a path below a tree, by the rule of install plans.
pub(crate) fn plain(rel: &str) -> Result<(), StoreError> {
    if Place::new(Root::Prefix, rel).is_plain() {
        Ok(())
    } else {
        Err(StoreError::Path { rel: rel.to_owned() })
    }
}

/// A file name for any text: a part of its digest.
pub(crate) fn hashed(text: &str) -> String {
    let digest = Digest::of(text.as_bytes());
    let cut = digest.as_bytes().get(..20).unwrap_or_default();
    BASE32_NOPAD.encode(cut).to_ascii_lowercase()
}

/// A name that nobody else has: 80 random bits.
pub(crate) fn random() -> std::io::Result<String> {
    let mut bytes = [0_u8; 10];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_are_refused() {
        for bad in ["", "..", "a/b", "A", "a.b", "a\0", "ä", &"a".repeat(201)] {
            assert!(key("thing", bad).is_err(), "{bad}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", &"a".repeat(101)] {
            assert!(release("tool", bad).is_err(), "{bad}");
        }
        assert!(key("thing", "abc-123").is_ok());
        assert!(release("tool", "1!2.0.post1+local_7-x").is_ok());
    }
}
