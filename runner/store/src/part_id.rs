//! The names of parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wrun_core::id::Digest;

use crate::error::StoreError;

/// Characters of a kind at most.
const LONGEST_KIND: usize = 20;

/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// Names a part: what kind of thing it is and the digest that decides its content, for instance
/// `layer-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`. A value of this type is always well
/// formed, so it can be a file name without another check, and it is never the id of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PartId {
    kind: String,
    digest: Digest,
}

impl PartId {
    /// The part of a kind with a digest. A kind is 1 to 20 lower-case letters.
    ///
    /// # Errors
    /// [`StoreError::Name`].
    pub fn new(kind: &str, digest: Digest) -> Result<Self, StoreError> {
        if (1..=LONGEST_KIND).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Ok(Self {
                kind: kind.to_owned(),
                digest,
            });
        }
        Err(StoreError::Name {
            what: "kind of part",
            value: kind.to_owned(),
            allowed: "1 to 20 lower-case letters",
        })
    }

    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The digest that decides its content.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.kind, self.digest.hex())
    }
}

impl FromStr for PartId {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || StoreError::Name {
            what: "part",
            value: text.to_owned(),
            allowed: "a kind, a hyphen and 64 lower-case hexadecimal digits",
        };
        let (kind, hex) = text.split_once('-').ok_or_else(invalid)?;
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != DIGITS || !hex.bytes().all(lower) {
            return Err(invalid());
        }
        let digest = format!("sha256:{hex}").parse().map_err(|_| invalid())?;
        Self::new(kind, digest)
    }
}

impl From<PartId> for String {
    fn from(id: PartId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for PartId {
    type Error = StoreError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wrun_core::id::EnvId;

    use super::*;

    #[test]
    fn names_that_are_paths_are_refused() {
        let hex = Digest::of(b"x").hex();
        for bad in ["", "..", "a/b", "A", "a-b", "a1", &"a".repeat(21)] {
            assert!(PartId::new(bad, Digest::of(b"x")).is_err(), "{bad}");
            assert!(format!("{bad}-{hex}").parse::<PartId>().is_err(), "{bad}");
        }
        for bad in [
            "layer",
            "layer-",
            "layer-../x",
            &format!("layer-{}", hex.to_uppercase()),
        ] {
            assert!(bad.parse::<PartId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_id_parses_back_and_is_no_environment(kind in "[a-z]{1,20}", content: Vec<u8>) {
            let id = PartId::new(&kind, Digest::of(&content)).unwrap();
            let text = id.to_string();
            prop_assert!(text.parse::<EnvId>().is_err());
            prop_assert_eq!(text.parse::<PartId>().unwrap(), id);
        }

        #[test]
        fn no_text_makes_a_name_that_leaves_its_folder(text in "[a-z./\\-0-9]{0,90}") {
            if let Ok(id) = text.parse::<PartId>() {
                prop_assert_eq!(id.to_string(), text.clone());
                prop_assert!(!text.contains(['/', '.']));
            }
        }
    }
}
