//! What a registry wants before it answers (RFC 9110, 11.6.1; the token authentication of the Distribution project).

/// A challenge that can be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user name and a password with each request.
    Basic,
    /// A token, which another server hands out.
    Bearer {
        /// The server's address.
        realm: String,
        /// The service that the token is for.
        service: Option<String>,
        /// What the token is for.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The challenge of an answer's `WWW-Authenticate` headers: a token where there is a choice, as it says less.
    pub(super) fn read<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            let (scheme, rest) = header
                .trim()
                .split_once(char::is_whitespace)
                .unwrap_or((header.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = parameters(rest);
                let find = |name: &str| {
                    parameters
                        .iter()
                        .find(|(known, _)| known.eq_ignore_ascii_case(name))
                        .map(|(_, value)| value.clone())
                };
                if let Some(realm) = find("realm") {
                    return Some(Self::Bearer {
                        realm,
                        service: find("service"),
                        scope: find("scope"),
                    });
                }
            }
        }
        basic
    }
}

/// The parameters of a challenge: `realm="https://…",service="…"`. A quoted value may hold a comma.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            quoted_value(quoted)
        } else {
            let end = after.find(',').unwrap_or(after.len());
            let (value, after) = after.split_at(end);
            (value.trim().to_owned(), after)
        };
        found.push((name.trim().to_owned(), value));
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    found
}

/// A quoted string without its first quote (RFC 9110, 5.6.4), and what follows it.
fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_at_the_realm() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        assert_eq!(
            Challenge::read([header]),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".to_owned(),
                service: Some("registry.example".to_owned()),
                scope: Some("repository:a/b:pull,push".to_owned()),
            })
        );
    }

    #[test]
    fn a_token_comes_before_a_password() {
        let both = [r#"Basic realm="x""#, r#"bearer realm="https://t.example""#];
        assert!(matches!(Challenge::read(both), Some(Challenge::Bearer { .. })));
        assert_eq!(Challenge::read([r#"BASIC realm="x""#]), Some(Challenge::Basic));
    }

    #[test]
    fn what_is_not_known_is_no_challenge() {
        for header in [
            "",
            "Negotiate",
            "Bearer",
            "Bearer service=\"x\"",
            "Digest realm=\"x\"",
        ] {
            assert_eq!(Challenge::read([header]), None, "{header}");
        }
        let loose = r"Bearer realm=https://t.example , service=s";
        assert_eq!(
            Challenge::read([loose]),
            Some(Challenge::Bearer {
                realm: "https://t.example".to_owned(),
                service: Some("s".to_owned()),
                scope: None
            })
        );
        // A quote that never ends takes all that is left, and nothing is looped over for ever.
        assert!(Challenge::read([r#"Bearer realm="https:\"#]).is_some());
    }
}
