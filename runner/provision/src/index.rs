//! The address of a Python package index, and where a machine says which to use.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;
use wrun_core::credential::{Credential, Secret};

use crate::files;

/// A package index that speaks the simple repository API (PEP 503, PEP 691).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its base address without credentials and without a slash at its end: `https://pypi.org/simple`.
    pub url: String,
    /// The credential that stood in its address.
    pub credential: Option<Credential>,
}

impl Index {
    /// The public index.
    #[must_use]
    pub fn python_package_index() -> Self {
        Self {
            url: "https://pypi.org/simple".to_owned(),
            credential: None,
        }
    }

    /// Reads an address, which may carry user information (RFC 3986, 3.2.1) and, as in uv's variables, a name:
    /// `corporate=https://user:password@host/simple`.
    ///
    /// # Errors
    /// It is no address of an index; why not, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let address = match text.split_once('=') {
            Some((name, rest)) if !name.contains(['/', ':']) => rest,
            _ => text,
        };
        let mut url = Url::parse(address).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => "it does not begin with `https://`".to_owned(),
            error => error.to_string(),
        })?;
        if !matches!(url.scheme(), "https" | "http" | "file") {
            return Err("it does not begin with `https://`".to_owned());
        }
        let credential = take_credential(&mut url);
        Ok(Self {
            url: url.as_str().trim_end_matches('/').to_owned(),
            credential,
        })
    }

    /// The address of a project's page. `project` is normalised (PEP 503).
    #[must_use]
    pub fn project_url(&self, project: &str) -> String {
        format!("{}/{}/", self.url, normalised(project))
    }

    /// Whether an address is on the index's own host, so that its credential may be sent there.
    #[must_use]
    pub fn serves(&self, url: &Url) -> bool {
        Url::parse(&self.url).is_ok_and(|own| own.origin() == url.origin())
    }
}

/// A project's name in normal form (PEP 503): lower case, runs of `-`, `_` and `.` as one `-`.
pub(crate) fn normalised(project: &str) -> String {
    project
        .to_ascii_lowercase()
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Takes the user information out of an address.
pub(crate) fn take_credential(url: &mut Url) -> Option<Credential> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = url.password().map(decoded);
    let username = decoded(url.username());
    if username.is_empty() && password.is_none() {
        return None;
    }
    // Both fail only for addresses that have no host, and those have no user information either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(Credential {
        username,
        password: Secret::new(password.unwrap_or_default()),
    })
}

/// The files that pip reads on a Unix system, the strongest first. `PIP_CONFIG_FILE=/dev/null` means none at all.
pub(crate) fn pip_configuration_files(
    named: Option<PathBuf>,
    config_home: Option<PathBuf>,
    home: Option<&Path>,
) -> Vec<PathBuf> {
    if named.as_deref() == Some(Path::new("/dev/null")) {
        return Vec::new();
    }
    let user = config_home
        .or_else(|| Some(home?.join(".config")))
        .map(|folder| folder.join("pip/pip.conf"));
    let legacy = home.map(|home| home.join(".pip/pip.conf"));
    [
        named,
        user,
        legacy,
        Some(PathBuf::from("/etc/xdg/pip/pip.conf")),
        Some(PathBuf::from("/etc/pip.conf")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The `index-url` of the first of these files that has one, with where it stands.
pub(crate) fn from_pip_configuration(files: &[PathBuf]) -> Option<(String, String)> {
    files.iter().find_map(|file| {
        let text = files::read_small_text(file)?;
        Some((format!("index-url in {}", file.display()), index_url(&text)?))
    })
}

/// The `index-url` of `[install]`, which pip lets win for its own command, or of `[global]`.
fn index_url(text: &str) -> Option<String> {
    let (mut section, mut global, mut install) = (String::new(), None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
        } else if !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once(['=', ':'])
            && key.trim().replace('_', "-") == "index-url"
        {
            match section.as_str() {
                "global" => global = Some(value.trim().to_owned()),
                "install" => install = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    install.or(global)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_taken_out_and_decoded() {
        let index = Index::parse("https://ada:p%40ss@index.example:8443/simple/").unwrap();
        assert_eq!(index.url, "https://index.example:8443/simple");
        assert_eq!(index.credential.clone().unwrap().password.expose(), "p@ss");
        assert_eq!(
            index.project_url("Foo._Bar"),
            "https://index.example:8443/simple/foo-bar/"
        );
        assert!(index.serves(&Url::parse("https://index.example:8443/files/x.whl").unwrap()));
        assert!(!index.serves(&Url::parse("https://files.example/x.whl").unwrap()));
    }

    #[test]
    fn a_query_is_not_a_name() {
        assert_eq!(
            Index::parse("https://h/simple?a=b").unwrap().url,
            "https://h/simple?a=b"
        );
        for bad in [
            "not an address",
            "corp.example/simple",
            "corp.example:8080/simple",
            "https://",
            "ftp://h/simple",
        ] {
            assert!(Index::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pips_install_section_wins() {
        assert_eq!(
            index_url("[global]\nindex-url = https://g\n[install]\nindex_url=https://i").unwrap(),
            "https://i"
        );
        assert_eq!(index_url("[list]\nindex-url = https://g"), None);
    }
}
