//! Addresses without user information (RFC 3986, 3.2.1).

use url::Url;

/// Whether an address carries a secret: a password, or a user name outside of SSH, where it only names an account.
#[must_use]
pub fn has_secret(url: &Url) -> bool {
    let ssh = url.scheme() == "ssh" || url.scheme().ends_with("+ssh");
    url.password().is_some() || (!ssh && !url.username().is_empty())
}

/// The text with the user information of every address in it taken out; the user name of an SSH address stays.
#[must_use]
pub fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|letter: char| "/?#\"'`<>(){}\\,".contains(letter) || letter.is_whitespace());
        let authority = end.and_then(|end| after.get(..end)).unwrap_or(after);
        let kept = match authority.rsplit_once('@') {
            Some((user, host)) if before.ends_with("ssh") => {
                let name = user.split(':').next().unwrap_or_default();
                format!("{name}@{host}")
            }
            Some((_, host)) => host.to_owned(),
            None => authority.to_owned(),
        };
        out.push_str(&kept);
        rest = after.get(authority.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn user_information_goes() {
        assert_eq!(
            strip("url = \"https://u:p@x.org/a\" b"),
            "url = \"https://x.org/a\" b"
        );
        assert_eq!(strip("git+ssh://git:pw@x.org/a@v1"), "git+ssh://git@x.org/a@v1");
        assert_eq!(
            strip("https://x.org/a@v1 https://t@y.org"),
            "https://x.org/a@v1 https://y.org"
        );
    }

    proptest! {
        #[test]
        fn no_password_survives(user in "[a-z]{1,8}", password in "[A-Z0-9]{6,12}", host in "[a-z]{1,8}\\.org") {
            let text = format!("before https://{user}:{password}@{host}/simple after");
            prop_assert_eq!(strip(&text), format!("before https://{host}/simple after"));
        }

        #[test]
        fn stripping_twice_is_stripping_once(text in ".*") {
            let once = strip(&text);
            prop_assert_eq!(strip(&once), once);
        }
    }
}
