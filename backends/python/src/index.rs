//! Package indexes, in the order in which they are looked at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use wrun_core::canon::Canon;
use wrun_core::credential::CredentialId;
use wrun_core::diagnostic::Finding;
use wrun_core::plan::Login;

use crate::redact;

/// An index as a spec writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a URL, or a table of `url` and, if needed, `name`, `credentials` and `default`"
)]
pub enum IndexEntry {
    /// Its URL: `"https://download.pytorch.org/whl/cpu"`.
    Url(String),
    /// All of it.
    Table(IndexTable),
}

/// An index with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexTable {
    /// A name for it: `corp`.
    pub name: Option<String>,
    /// Its address (PEP 503): `https://pypi.corp.example/simple`. Never with a user name or a password in it.
    pub url: String,
    /// The name of the credential to use, whose value comes from the variables `WRUN_INDEX_NAME_USERNAME` and
    /// `WRUN_INDEX_NAME_PASSWORD`.
    pub credentials: Option<String>,
    /// Whether it stands in for the public index, which is then not looked at.
    #[serde(default)]
    pub default: bool,
}

/// An index that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name; one with a credential always has one.
    pub name: Option<String>,
    /// Its address.
    pub url: Url,
    /// The credential to use.
    pub credentials: Option<CredentialId>,
    /// Whether it stands in for the public index.
    pub default: bool,
}

impl Index {
    /// As part of a key: the address, and whether it stands in for the public index. Who asks is not part of a key.
    /// `named` adds the name, for requests that refer to indexes by name.
    #[must_use]
    pub fn canon(&self, named: bool) -> Canon {
        let Self {
            name,
            url,
            credentials: _,
            default,
        } = self;
        Canon::fields([
            ("default", default.then_some(Canon::Bool(true))),
            ("name", name.as_ref().filter(|_| named).map(Canon::text)),
            ("url", Some(Canon::text(url.as_str().trim_end_matches('/')))),
        ])
    }

    /// Whether an address belongs to this index.
    #[must_use]
    pub fn serves(&self, address: &str) -> bool {
        Url::parse(address).is_ok_and(|other| {
            other.host_str() == self.url.host_str()
                && other.port_or_known_default() == self.url.port_or_known_default()
        })
    }

    /// The variables that its credential is read from, with `USERNAME` or `PASSWORD` at their end.
    #[must_use]
    pub fn credential_variable(credential: &str, part: &str) -> String {
        format!("WRUN_INDEX_{}_{part}", variable_part(credential))
    }
}

/// The logins that a run needs for these indexes.
#[must_use]
pub fn logins(indexes: &[Index]) -> Vec<Login> {
    indexes
        .iter()
        .filter_map(|index| {
            let url = index.url.to_string();
            let credential = index.credentials.clone()?;
            Some(Login { url, credential })
        })
        .collect()
}

/// A name as the part of a variable's name: upper case, with `_` for everything that is no letter or digit.
#[must_use]
pub fn variable_part(name: &str) -> String {
    name.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// An address that may be looked at, or the finding about it.
///
/// # Errors
/// It is no URL, is of a scheme that carries no packages, or holds a secret.
pub fn check_url(text: &str, at: &str) -> Result<Url, Finding> {
    let url = Url::parse(text).map_err(|error| {
        Finding::error(
            "python.index.url",
            at,
            format!(
                "`{}` is not the address of an index: {error}",
                redact::strip(text)
            ),
        )
        .with_help("write a URL such as `https://pypi.org/simple`")
    })?;
    if !matches!(url.scheme(), "https" | "http" | "file") {
        let message = format!(
            "`{}` has the scheme `{}`, which no index has",
            redact::strip(text),
            url.scheme()
        );
        return Err(
            Finding::error("python.index.url", at, message).with_help("use `https`, `http` or `file`")
        );
    }
    if redact::has_secret(&url) {
        let message = format!(
            "the address `{}` was written with a user name or password in it",
            redact::strip(text)
        );
        return Err(Finding::error("python.index.password", at, message).with_help(
            "write the index as a table with `credentials = \"name\"`, and set the variables \
             `WRUN_INDEX_NAME_USERNAME` and `WRUN_INDEX_NAME_PASSWORD` when running",
        ));
    }
    Ok(url)
}

/// The indexes of a spec, with findings about those that are wrong.
#[must_use]
pub fn check(entries: &[IndexEntry]) -> (Vec<Index>, Vec<Finding>) {
    let mut indexes: Vec<Index> = Vec::new();
    let mut findings = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let at = format!("/indexes/{position}");
        let index = match entry {
            IndexEntry::Url(url) => check_url(url, &at).map(|url| Index {
                name: None,
                url,
                credentials: None,
                default: false,
            }),
            IndexEntry::Table(table) => check_table(table, &at, &indexes, &mut findings),
        };
        match index {
            Ok(index) => {
                if index.default && indexes.iter().any(|other| other.default) {
                    findings.push(
                        Finding::error(
                            "python.index.default",
                            format!("{at}/default"),
                            "a second index is the default",
                        )
                        .with_help("let one index at most have `default = true`"),
                    );
                }
                indexes.push(index);
            }
            Err(finding) => findings.push(finding),
        }
    }
    (indexes, findings)
}

fn check_table(
    table: &IndexTable,
    at: &str,
    before: &[Index],
    findings: &mut Vec<Finding>,
) -> Result<Index, Finding> {
    let IndexTable {
        name,
        url,
        credentials,
        default,
    } = table;
    let url = check_url(url, &format!("{at}/url"));
    for (key, text) in [("name", name), ("credentials", credentials)] {
        if let Some(text) = text.as_ref().filter(|text| !is_name(text)) {
            findings.push(
                Finding::error(
                    "python.index.name",
                    format!("{at}/{key}"),
                    format!("`{text}` is not a name"),
                )
                .with_help("use letters, digits, `-`, `_` and `.`"),
            );
        }
    }
    let name = name.clone().or_else(|| credentials.clone());
    let same = |other: &Index| {
        other
            .name
            .as_deref()
            .zip(name.as_deref())
            .is_some_and(|(one, two)| variable_part(one) == variable_part(two))
    };
    if before.iter().any(same) {
        let name = name.as_deref().unwrap_or_default();
        findings.push(
            Finding::error(
                "python.index.duplicate",
                format!("{at}/name"),
                format!("a second index is named `{name}`"),
            )
            .with_help("give each index a name of its own"),
        );
    }
    Ok(Index {
        name,
        url: url?,
        credentials: credentials.clone(),
        default: *default,
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: serde_json::Value) -> (Vec<Index>, Vec<(String, String)>) {
        let entries: Vec<IndexEntry> = serde_json::from_value(json).unwrap();
        let (indexes, findings) = check(&entries);
        (
            indexes,
            findings
                .into_iter()
                .map(|finding| (finding.at, finding.code))
                .collect(),
        )
    }

    #[test]
    fn passwords_are_refused_and_not_repeated() {
        let finding = check_url("https://me:hunter2@x.org/simple", "/indexes/0").unwrap_err();
        assert_eq!(finding.code, "python.index.password");
        assert!(!format!("{finding:?}").contains("hunter2"));
        let broken = check_url("https://me:hunter2@:x/simple", "/indexes/0").unwrap_err();
        assert!(!format!("{broken:?}").contains("hunter2"), "{broken:?}");
    }

    #[test]
    fn every_mistake_has_its_place() {
        let (_, findings) = checked(serde_json::json!([
            "simple",
            {"name": "corp", "url": "https://a.org/simple", "default": true},
            {"name": "CORP", "url": "https://b.org/simple", "default": true},
            {"name": "a b", "url": "ftp://b.org"},
        ]));
        let told: Vec<_> = findings
            .iter()
            .map(|(at, code)| (at.as_str(), code.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("/indexes/0", "python.index.url"),
                ("/indexes/2/name", "python.index.duplicate"),
                ("/indexes/2/default", "python.index.default"),
                ("/indexes/3/name", "python.index.name"),
                ("/indexes/3/url", "python.index.url"),
            ]
        );
    }

    #[test]
    fn credentials_are_in_no_key() {
        let (with, _) = checked(serde_json::json!([{"url": "https://a.org/simple/", "credentials": "corp"}]));
        let (without, _) = checked(serde_json::json!(["https://a.org/simple"]));
        assert_eq!(with[0].canon(false), without[0].canon(false));
        assert_eq!(with[0].name.as_deref(), Some("corp"));
    }
}
