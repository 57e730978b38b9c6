//! Extended headers (POSIX pax, "pax Extended Header") and the long names of GNU tar.

use crate::error::UnpackError;
use crate::sparse::{Map, decimal};

/// Extended attributes of files.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// What extended headers say of the next entry.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    /// Seconds and nanoseconds.
    pub(crate) modified: Option<(i64, u32)>,
    /// Names and values, of users only.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: Sparse,
}

/// What they say of the holes of a file.
#[derive(Debug, Default)]
pub(crate) struct Sparse {
    /// Versions 0.0 and 0.1: the parts that are not holes.
    pub(crate) map: Map,
    /// Whether there is one of these.
    pub(crate) has_map: bool,
    /// An offset that waits for its length, in version 0.0.
    offset: Option<u64>,
    /// Version 1: the map is in front of the content.
    pub(crate) map_in_front: bool,
    /// The size with the holes.
    pub(crate) size: Option<u64>,
    /// The path.
    pub(crate) path: Option<Vec<u8>>,
}

impl Extended {
    /// Reads the records of an extended header.
    pub(crate) fn read(&mut self, mut content: &[u8]) -> Result<(), UnpackError> {
        while !content.is_empty() {
            let (key, value, rest) =
                record(content).ok_or_else(|| wrong("has a record of a wrong length"))?;
            self.take(key, value)?;
            content = rest;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), UnpackError> {
        let number = || decimal(value).ok_or_else(|| wrong("has a number that is none"));
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number()?),
            b"mtime" => self.modified = time(value),
            b"GNU.sparse.name" => self.sparse.path = Some(value.to_vec()),
            b"GNU.sparse.major" => self.sparse.map_in_front = number()? == 1,
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => self.sparse.size = Some(number()?),
            b"GNU.sparse.map" => {
                self.sparse.map = Map::of_text(value).ok_or_else(|| wrong("has a wrong map of holes"))?;
                self.sparse.has_map = true;
            }
            b"GNU.sparse.offset" => self.sparse.offset = Some(number()?),
            b"GNU.sparse.numbytes" => {
                let offset = self.sparse.offset.take();
                let offset = offset.ok_or_else(|| wrong("has a wrong map of holes"))?;
                self.sparse.map.push(offset, number()?);
                self.sparse.has_map = true;
            }
            _ => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE)
                    && kept(name)
                {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// Whether an attribute of a file is kept: those of the overlay file system would let a layer say what is below it.
fn kept(name: &[u8]) -> bool {
    name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") && !name.contains(&0)
}

fn wrong(reason: &str) -> UnpackError {
    UnpackError::NotAnArchive {
        reason: format!("an extended header {reason}"),
        announced: None,
    }
}

/// Splits off the first record, `LENGTH KEY=VALUE\n`: key, value and the rest.
fn record(content: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = content.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(content.get(..blank)?)?).ok()?;
    let text = content.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    Some((
        text.get(..equals)?,
        text.get(equals + 1..)?,
        content.get(length..)?,
    ))
}

/// A time in seconds with a fraction. One that makes no sense is none.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let mut nanoseconds = 0_u32;
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(9) {
        nanoseconds = nanoseconds * 10 + u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => (seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds),
        _ => (seconds, nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_may_hold_any_bytes() {
        let mut extended = Extended::default();
        extended
            .read(b"30 path=a name\nwith two lines\n26 SCHILY.xattr.user.x=\n\n\n32 SCHILY.xattr.user.overlay.x=\n")
            .unwrap();
        assert_eq!(extended.path.as_deref(), Some(&b"a name\nwith two lines"[..]));
        assert_eq!(extended.attributes, [(b"user.x".to_vec(), b"\n\n".to_vec())]);
        for bad in [
            &b"x"[..],
            b"5 a=b",
            b"99999999999999999999 a=b\n",
            b"3 a",
            b"0 a=b\n",
            b"4 a=\n",
        ] {
            assert!(Extended::default().read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_have_fractions_and_signs() {
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"7.1234567891"), Some((7, 123_456_789)));
        assert_eq!(time(b"soon"), None);
    }

    proptest! {
        #[test]
        fn no_header_is_read_in_a_circle(content: Vec<u8>) {
            let _ = Extended::default().read(&content);
        }
    }
}
