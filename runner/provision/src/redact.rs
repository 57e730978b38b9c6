//! Blots secrets out of what tools write.

use data_encoding::BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use wrun_core::credential::Credential;

/// What stands in place of a secret.
const BLOT: &str = "***";

/// Everything but the unreserved characters of RFC 3986 (2.3), which is what Python's `quote` encodes.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Replaces known secret values in text, also where they are percent-encoded or in a header of basic
/// authentication.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a secret that holds another one is blotted out as a whole.
    needles: Vec<String>,
}

impl Redactor {
    /// A redactor of these credentials' passwords.
    #[must_use]
    pub fn new<'a>(credentials: impl IntoIterator<Item = &'a Credential>) -> Self {
        let mut needles = Vec::new();
        for Credential { username, password } in credentials {
            let password = password.expose();
            if password.is_empty() {
                continue;
            }
            needles.push(BASE64.encode(format!("{username}:{password}").as_bytes()));
            needles.push(url::form_urlencoded::byte_serialize(password.as_bytes()).collect());
            needles.extend(as_user_information(password));
            needles.push(utf8_percent_encode(password, RESERVED).to_string());
            needles.push(password.to_owned());
        }
        needles.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        needles.dedup();
        Self { needles }
    }

    /// The text without the secrets.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        self.needles.iter().fold(text.to_owned(), |text, needle| {
            text.replace(needle.as_str(), BLOT)
        })
    }
}

/// The password as it stands in an address.
fn as_user_information(password: &str) -> Option<String> {
    let mut url = Url::parse("https://user@host/").ok()?;
    url.set_password(Some(password)).ok()?;
    url.password().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use wrun_core::credential::Secret;

    use super::*;

    #[test]
    fn every_form_of_a_secret_is_blotted_out() {
        let credential = Credential {
            username: "ada".into(),
            password: Secret::new("p@ss/w rd"),
        };
        let redactor = Redactor::new([&credential]);
        let text = "p@ss/w rd https://ada:p%40ss%2Fw%20rd@h p%40ss%2Fw+rd YWRhOnBAc3MvdyByZA== end";
        assert_eq!(redactor.clean(text), "*** https://ada:***@h *** *** end");
    }

    #[test]
    fn a_secret_within_another_leaves_nothing() {
        let short = Credential {
            username: "u".into(),
            password: Secret::new("abc"),
        };
        let long = Credential {
            username: "u".into(),
            password: Secret::new("abcdef"),
        };
        assert_eq!(Redactor::new([&short, &long]).clean("abcdef abc"), "*** ***");
    }

    #[test]
    fn nothing_is_done_for_an_empty_password() {
        let empty = Credential {
            username: "u".into(),
            password: Secret::new(""),
        };
        assert_eq!(Redactor::new([&empty]).clean("text"), "text");
    }
}
