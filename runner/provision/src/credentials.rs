//! Where credentials come from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use url::Url;
use wrun_core::credential::{Credential, CredentialId, Secret};

use crate::error::ProvisionError;
use crate::files;
use crate::netrc::Netrc;
use crate::registry::{BadLogin, Login, LoginFiles};

/// The user name that goes with a token where none is given; what `PyPI` and most other indexes take.
const TOKEN_USERNAME: &str = "__token__";

/// A holder of credentials.
pub trait Credentials: Send + Sync {
    /// The credential of that name.
    fn get(&self, id: &CredentialId) -> Option<Credential>;

    /// The credential for a host, for requests that name none; by default there is none.
    fn for_host(&self, _host: &str) -> Option<Credential> {
        None
    }

    /// How to log in to a registry of images, for requests that name no credential; by default there is no way.
    ///
    /// # Errors
    /// What the caller settled cannot be understood.
    fn for_registry(&self, _registry: &str, _repository: &str) -> Result<Option<Login>, BadLogin> {
        Ok(None)
    }

    /// The variables that a credential helper or a builder of images gets beside `PATH`; by default none.
    fn helper_variables(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Beginnings of the names of variables that credential helpers and builders of images read: where a keyring is, how a
/// cloud is logged in to, and where logins are kept. They go to those programs alone.
const HELPER_VARIABLES: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "REGISTRY_AUTH_FILE",
    "DOCKER_",
    "CONTAINERS_",
    "PASSWORD_STORE_",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "AWS_",
    "AZURE_",
    "CLOUDSDK_",
    "GOOGLE_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_",
];

/// Finds the credential for an address: by name if one is given, else by the address's host.
///
/// # Errors
/// One is named and there is none.
pub(crate) fn look_up(
    credentials: &dyn Credentials,
    id: Option<&CredentialId>,
    url: Option<&Url>,
) -> Result<Option<Credential>, ProvisionError> {
    let by_host = || credentials.for_host(url?.host_str()?);
    match id {
        None => Ok(by_host()),
        Some(id) => match credentials.get(id).or_else(by_host) {
            Some(credential) => Ok(Some(credential)),
            None => Err(ProvisionError::CredentialMissing {
                id: id.clone(),
                variable: variable_name(id),
            }),
        },
    }
}

/// Credentials of the caller's variables and netrc file.
///
/// The credential `corporate` is `WRUN_INDEX_CORPORATE_USERNAME` with `WRUN_INDEX_CORPORATE_PASSWORD`, else the same
/// with `UV_` in place of `WRUN_`. The netrc file is `$NETRC`, else `~/.netrc`; it is read when it is first needed.
/// Logins to registries of images are those of podman's and docker's authentication files.
#[derive(Default)]
pub struct EnvironmentCredentials {
    named: BTreeMap<CredentialId, Credential>,
    variables: BTreeMap<String, String>,
    netrc_path: Option<PathBuf>,
    netrc: OnceLock<Netrc>,
    logins: LoginFiles,
    helper_variables: Vec<(String, String)>,
}

impl EnvironmentCredentials {
    /// The credentials that a process's variables stand for.
    pub fn from_environment<K: Into<OsString>, V: Into<OsString>>(
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let (mut variables, mut netrc, mut home) = (BTreeMap::new(), None, None);
        let mut texts = BTreeMap::new();
        for (name, value) in vars {
            let (name, value): (OsString, OsString) = (name.into(), value.into());
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
                texts.insert(name.to_owned(), value.to_owned());
            }
            match name.to_str() {
                Some("NETRC") => netrc = Some(PathBuf::from(value)),
                Some("HOME") => home = Some(PathBuf::from(value).join(".netrc")),
                Some(name) if name.starts_with("WRUN_INDEX_") || name.starts_with("UV_INDEX_") => {
                    if let Ok(value) = value.into_string() {
                        variables.insert(name.to_owned(), value);
                    }
                }
                _ => {}
            }
        }
        Self {
            variables,
            netrc_path: netrc.or(home),
            logins: LoginFiles::from_variables(|name| texts.get(name).cloned()),
            helper_variables: texts
                .into_iter()
                .filter(|(name, _)| HELPER_VARIABLES.iter().any(|start| name.starts_with(start)))
                .collect(),
            ..Self::default()
        }
    }

    /// The same with one more credential, which comes before all others of that name.
    #[must_use]
    pub fn with(mut self, id: impl Into<CredentialId>, credential: Credential) -> Self {
        self.named.insert(id.into(), credential);
        self
    }
}

impl Credentials for EnvironmentCredentials {
    fn get(&self, id: &CredentialId) -> Option<Credential> {
        if let Some(named) = self.named.get(id) {
            return Some(named.clone());
        }
        ["WRUN", "UV"].into_iter().find_map(|prefix| {
            let part = |part: &str| {
                self.variables
                    .get(&format!("{prefix}_INDEX_{}_{part}", variable_name(id)))
            };
            let (username, password) = (part("USERNAME"), part("PASSWORD"));
            if username.is_none() && password.is_none() {
                return None;
            }
            Some(Credential {
                username: username.map_or(TOKEN_USERNAME, String::as_str).to_owned(),
                password: Secret::new(password.map_or("", String::as_str)),
            })
        })
    }

    fn for_host(&self, host: &str) -> Option<Credential> {
        let netrc = self.netrc.get_or_init(|| {
            let text = self.netrc_path.as_deref().and_then(files::read_small_text);
            Netrc::parse(&text.unwrap_or_default())
        });
        netrc.get(host).cloned()
    }

    fn for_registry(&self, registry: &str, repository: &str) -> Result<Option<Login>, BadLogin> {
        self.logins.find(registry, repository)
    }

    fn helper_variables(&self) -> Vec<(String, String)> {
        self.helper_variables.clone()
    }
}

/// The middle part of the variables of a credential: upper case, anything but letters and digits as `_`.
fn variable_name(id: &str) -> String {
    id.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test prepares a netrc file")]
mod tests {
    use super::*;

    fn shown(credential: Option<Credential>) -> Option<(String, String)> {
        credential.map(|found| (found.username, found.password.expose().to_owned()))
    }

    #[test]
    fn own_variables_come_before_those_of_uv() {
        let credentials = EnvironmentCredentials::from_environment([
            ("WRUN_INDEX_MY_CORP_PASSWORD", "token"),
            ("UV_INDEX_MY_CORP_USERNAME", "ada"),
            ("UV_INDEX_OTHER_USERNAME", "bob"),
            ("UV_INDEX_OTHER_PASSWORD", "pw"),
        ]);
        assert_eq!(
            shown(credentials.get(&"my-corp".into())),
            Some(("__token__".into(), "token".into()))
        );
        assert_eq!(
            shown(credentials.get(&"other".into())),
            Some(("bob".into(), "pw".into()))
        );
        assert_eq!(shown(credentials.get(&"none".into())), None);
    }

    #[test]
    fn a_netrc_file_answers_for_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("netrc");
        std::fs::write(&file, "machine h.example login ada password pw").unwrap();
        let credentials = EnvironmentCredentials::from_environment([("NETRC", file.as_os_str())]);
        let url = Url::parse("https://h.example/simple").unwrap();
        let found = look_up(&credentials, Some(&"unset".into()), Some(&url)).unwrap();
        assert_eq!(shown(found), Some(("ada".into(), "pw".into())));
        assert!(look_up(&credentials, Some(&"unset".into()), None).is_err());
        assert!(look_up(&credentials, None, None).unwrap().is_none());
    }
}
