//! Whether an answer begins like what was asked for, so that something else is not read to its end.

use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;

use super::failure::Failure;

/// Bytes of what came in its place that are shown.
const SHOWN: usize = 60;

/// Blanks that may come first, in bytes.
const BLANKS: usize = 1024;

/// What a body has to begin with.
pub(crate) struct Expected<'a>(&'a [&'a [u8]]);

impl<'a> Expected<'a> {
    /// What the body of an answer has to begin with: one of these, after blanks. Bodies that are not those of what was asked
    /// for, or that are encoded on the way, may be anything.
    pub(crate) fn of(answer: &Response, begins_with: &'a [&'a [u8]]) -> Self {
        let is_plain = answer.status().is_success() && !answer.headers().contains_key(CONTENT_ENCODING);
        Self(if is_plain { begins_with } else { &[] })
    }

    /// Looks at what has come so far; nothing more is looked at once it is enough.
    ///
    /// # Errors
    /// It begins in another way.
    pub(crate) fn check(&mut self, body: &[u8]) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let start = body.trim_ascii_start();
        if self.0.iter().any(|one| start.starts_with(one)) {
            self.0 = &[];
            return Ok(());
        }
        let may_come = start.len() + BLANKS >= body.len() && self.0.iter().any(|one| one.starts_with(start));
        if may_come {
            return Ok(());
        }
        let shown = start.get(..SHOWN).unwrap_or(start);
        Err(Failure::content(
            String::from_utf8_lossy(shown).escape_debug().to_string(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_in_another_way_is_given_up_and_a_beginning_in_parts_is_not() {
        let begins: &[&[u8]] = &[b"{", b"BZh"];
        for parts in [&["", " \n", " \n{", " \n{<"][..], &["B", "BZ", "BZh9"]] {
            let mut expected = Expected(begins);
            for part in parts {
                assert!(expected.check(part.as_bytes()).is_ok(), "{part}");
            }
        }
        for wrong in ["<html>", "BZx", "\0"] {
            assert!(Expected(begins).check(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(
            Expected(begins).check(&[b' '; 5000]).is_err(),
            "blanks without an end"
        );
        assert!(Expected(&[]).check(b"anything").is_ok());
    }
}
