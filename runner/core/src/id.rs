//! The ids of requests, locks and environments.
//!
//! An id is SHA-256 over a canonical encoding with a domain in front, cut to 160 bits for its name: 32 characters
//! of lower-case base32 (RFC 4648, no padding). A value of these types is always well formed, so it can be used
//! as a file name without another check.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::canon::Canon;

/// Characters in the name of an id.
pub const ID_LENGTH: usize = 32;

/// Bytes of the digest that the name shows.
const ID_BYTES: usize = 20;

/// Text that is not an id or a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Not 32 characters of lower-case base32.
    #[error("`{0}` is not an id: an id is 32 characters of a-z and 2-7")]
    Id(String),
    /// Not `sha256:` with 64 hexadecimal digits.
    #[error("`{0}` is not a digest: a digest is `sha256:` followed by 64 hexadecimal digits")]
    Digest(String),
}

/// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere, for instance while streaming.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits, without `sha256:`.
    #[must_use]
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("sha256:")
            .and_then(|hex| HEXLOWER.decode(hex.to_ascii_lowercase().as_bytes()).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ParseIdError::Digest(text.to_owned()))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Declares an id type: a full digest whose name is its first 160 bits.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(into = "String", try_from = "String")]
        #[schemars(inline, with = "String")]
        pub struct $name(String);

        impl $name {
            fn from_hash(hash: &[u8]) -> Self {
                let cut = hash.get(..ID_BYTES).unwrap_or(hash);
                Self(BASE32_NOPAD.encode(cut).to_ascii_lowercase())
            }

            /// The 32 characters.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let well_formed = text.len() == ID_LENGTH
                    && text.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte));
                if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseIdError::Id(text.to_owned())) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}

id! {
    /// Names what was asked for: a backend's canonical form of a spec.
    SpecId
}
id! {
    /// Names what a request resolved to.
    LockId
}
id! {
    /// Names what a lock was built into on this machine.
    EnvId
}

impl SpecId {
    /// The id of a canonical spec.
    #[must_use]
    pub fn of(canonical: &Canon) -> Self {
        Self::from_hash(&hash(b"wrun/spec/1\0", &[&canonical.to_bytes()]))
    }
}

impl LockId {
    /// The id of a canonical lock.
    #[must_use]
    pub fn of(canonical: &Canon) -> Self {
        Self::from_hash(&hash(b"wrun/lock/1\0", &[&canonical.to_bytes()]))
    }
}

impl EnvId {
    /// The id of the tree that a lock is built into with a materialiser (how and with what it is built).
    #[must_use]
    pub fn of(lock: &LockId, materialiser: &Canon) -> Self {
        Self::from_hash(&hash(
            b"wrun/env/1\0",
            &[lock.as_str().as_bytes(), &materialiser.to_bytes()],
        ))
    }
}

/// SHA-256 over a domain and the parts; a lock id has a fixed length, so no part can run into the next.
fn hash(domain: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(domain);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_domain() {
        let canonical = Canon::map([("backend", Canon::text("uv"))]);
        assert_ne!(SpecId::of(&canonical).as_str(), LockId::of(&canonical).as_str());
    }

    #[test]
    fn an_id_parses_back_and_a_path_does_not() {
        let id = SpecId::of(&Canon::text("x"));
        assert_eq!(id.as_str().parse::<SpecId>().as_ref(), Ok(&id));
        for bad in [
            "",
            "..",
            "../../../../../../../../../../etc",
            "ABCDEFGHABCDEFGHABCDEFGHABCDEFGH",
        ] {
            assert!(bad.parse::<SpecId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_encoding_is_stable() {
        let id = SpecId::of(&Canon::map([("a", Canon::integer(1))]));
        insta::assert_snapshot!(id, @"awljl5lnaxyi2x64xlvnaqb4gjvrrbua");
    }

    #[test]
    fn a_digest_parses_back() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("sha256:00".parse::<Digest>().is_err());
        assert!("md5:00".parse::<Digest>().is_err());
    }
}
