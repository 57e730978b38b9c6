//! What a run was refused, and what would allow it.

use serde::{Deserialize, Serialize};

use crate::text::is_odd;

/// What is refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DenialKind {
    /// Looking at a file or folder.
    Read,
    /// Changing a file or folder.
    Write,
    /// Reaching a host.
    Net,
    /// Something that is not about a path or a host.
    Operation,
}

/// What a task file can grant.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// An entry of `allow.read`.
    Read(String),
    /// An entry of `allow.write`.
    Write(String),
    /// An entry of `allow.net`.
    Net(String),
    /// `allow.net = true`.
    WholeNetwork,
}

impl Grant {
    /// The line of the table `[allow]` that grants this and nothing else.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Read(path) => format!("read = [{}]", quoted(path)),
            Self::Write(path) => format!("write = [{}]", quoted(path)),
            Self::Net(rule) => format!("net = [{}]", quoted(rule)),
            Self::WholeNetwork => "net = true".to_owned(),
        }
    }

    /// The lines of the table `[allow]` that grant all of these, one for each key.
    #[must_use]
    pub fn lines<'a>(grants: impl IntoIterator<Item = &'a Self>) -> Vec<String> {
        let (mut read, mut write, mut net, mut all) = (Vec::new(), Vec::new(), Vec::new(), false);
        for grant in grants {
            match grant {
                Self::Read(path) => read.push(quoted(path)),
                Self::Write(path) => write.push(quoted(path)),
                Self::Net(rule) => net.push(quoted(rule)),
                Self::WholeNetwork => all = true,
            }
        }
        if all {
            net.clear();
        }
        let mut lines: Vec<String> = [("read", read), ("write", write), ("net", net)]
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(key, mut values)| {
                values.sort_unstable();
                values.dedup();
                format!("{key} = [{}]", values.join(", "))
            })
            .collect();
        if all {
            lines.push(Self::WholeNetwork.line());
        }
        lines
    }

    /// The option of `wrun run` that grants this, for a shell.
    #[must_use]
    pub fn option(&self) -> String {
        match self {
            Self::Read(path) => format!("--read {}", shell_word(path)),
            Self::Write(path) => format!("--write {}", shell_word(path)),
            Self::Net(rule) => format!("--net {}", shell_word(rule)),
            Self::WholeNetwork => "--net all".to_owned(),
        }
    }
}

/// Something that a run was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Denial {
    /// What it is.
    pub kind: DenialKind,
    /// The path, the host with its port, or the operation.
    pub what: String,
    /// The smallest sensible grant that allows it; several refusals may share one.
    pub grant: Option<Grant>,
    /// The line of the table `[allow]` that says it.
    pub line: Option<String>,
    /// What else there is to know; where there is no grant, why not.
    pub reason: Option<String>,
}

impl Denial {
    /// Something that a grant allows.
    #[must_use]
    pub fn new(kind: DenialKind, what: impl Into<String>, grant: Grant) -> Self {
        Self {
            kind,
            what: what.into(),
            line: Some(grant.line()),
            grant: Some(grant),
            reason: None,
        }
    }

    /// Something that no grant allows.
    #[must_use]
    pub fn for_good(kind: DenialKind, what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            grant: None,
            line: None,
            reason: Some(reason.into()),
        }
    }

    /// The same with something else to know.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// What was seen of a run that was watched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Observation {
    /// What it was refused, each once.
    pub denials: Vec<Denial>,
    /// How often it was refused more after the list was full.
    pub unlisted: usize,
    /// Why it could not be watched; the list then holds what was learned elsewhere.
    pub unobserved: Option<String>,
}

impl Observation {
    /// Of a run that could not be watched.
    #[must_use]
    pub fn impossible(reason: impl Into<String>) -> Self {
        Self {
            unobserved: Some(reason.into()),
            ..Self::default()
        }
    }
}

/// A string of TOML.
/// A string of TOML in one line (TOML 1.0, Basic strings).
fn quoted(text: &str) -> String {
    if !text.contains(is_odd) {
        return toml::Value::String(text.to_owned()).to_string();
    }
    let escaped = |letter: char| match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if is_odd(letter) => format!("\\U{:08X}", u32::from(letter)),
        letter => letter.into(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// A word of a POSIX shell in one line (POSIX.1-2017, XCU 2.2; dollar-single-quotes are of POSIX.1-2024).
fn shell_word(text: &str) -> String {
    if text.contains(is_odd) {
        let escaped = |byte: u8| match byte {
            b'\'' | b'\\' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).into(),
            byte => format!("\\{byte:03o}"),
        };
        return format!("$'{}'", text.bytes().map(escaped).collect::<String>());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grants_of_one_key_become_one_line() {
        let grants = [
            Grant::Read("/b".to_owned()),
            Grant::Write("out".to_owned()),
            Grant::Read("/a".to_owned()),
            Grant::Read("/b".to_owned()),
            Grant::Net("example.org:443".to_owned()),
        ];
        assert_eq!(
            Grant::lines(&grants),
            [
                r#"read = ["/a", "/b"]"#,
                r#"write = ["out"]"#,
                r#"net = ["example.org:443"]"#
            ]
        );
        assert_eq!(
            Grant::lines([&Grant::WholeNetwork, &Grant::Net("a:1".to_owned())]),
            ["net = true"]
        );
    }

    #[test]
    fn options_are_words_of_a_shell() {
        assert_eq!(Grant::Read("/a/b-1.txt".to_owned()).option(), "--read /a/b-1.txt");
        assert_eq!(Grant::Read("/a b'c".to_owned()).option(), r"--read '/a b'\''c'");
        assert_eq!(Grant::Net("[::1]:80".to_owned()).option(), "--net '[::1]:80'");
        assert_eq!(Grant::WholeNetwork.option(), "--net all");
        assert_eq!(
            Grant::Read("/a\ndenied: 'b\u{202e}".to_owned()).option(),
            r"--read $'/a\012denied: \'b\342\200\256'"
        );
    }

    proptest! {
        #[test]
        fn a_line_is_toml_that_says_the_path(path in ".*") {
            let line = Grant::Read(path.clone()).line();
            prop_assert!(!line.contains('\n'));
            let table: toml::Table = line.parse().unwrap();
            prop_assert_eq!(table["read"][0].as_str(), Some(path.as_str()));
            let escape = char::from(0x1b);
            prop_assert!(!line.contains(escape));
        }
    }
}
