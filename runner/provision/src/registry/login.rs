//! How to log in to a registry: the authentication files of podman and docker.
//!
//! The format is that of `containers-auth.json(5)` and of docker's `config.json`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use data_encoding::BASE64;
use serde::Deserialize;
use wrun_core::credential::{Credential, Secret};
use wrun_core::text::harmless_line;

use crate::files::{self, Bounded};

/// The largest authentication file that is read, in bytes.
const SMALL: u64 = 1024 * 1024;

/// The registry that plain names are of.
const DOCKER_HUB: &str = "docker.io";

/// The name that authentication files have for it.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What the caller has for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// What it is.
    pub means: LoginMeans,
    /// Where it was found, for people.
    pub source: String,
}

impl Login {
    /// Whose it is and where it was found, for people: "the login of `ada` in `FILE`".
    #[must_use]
    pub fn shown(&self) -> String {
        let source = harmless_line(&self.source);
        match &self.means {
            LoginMeans::Password(Credential { username, .. }) => {
                format!("the login of `{}` in {source}", harmless_line(username))
            }
            LoginMeans::IdentityToken(_) => format!("the identity token in {source}"),
            LoginMeans::Helper { .. } => format!("the login in {source}"),
        }
    }
}

/// What a registry or its server of tokens can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginMeans {
    /// A user name and a password.
    Password(Credential),
    /// A token that others are asked for with.
    IdentityToken(Secret),
    /// A program that is asked: `docker-credential-` and the name.
    Helper {
        /// The name.
        name: String,
        /// What it is asked for.
        server: String,
    },
}

/// An authentication file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLogin {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Where authentication files are, the first that has a login to be taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoginFiles(Vec<LoginFile>);

/// Where an authentication file is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LoginFile {
    path: PathBuf,
    /// What has to be there, and the variable of the caller that says so; else nothing has to.
    named: Option<(PathBuf, &'static str)>,
}

impl LoginFile {
    const fn usual(path: PathBuf) -> Self {
        Self { path, named: None }
    }

    fn text(&self) -> Result<Option<String>, BadLogin> {
        let bad = |reason: String| BadLogin {
            path: self.path.clone(),
            reason,
        };
        match (files::read(&self.path, SMALL), &self.named) {
            (Ok(Bounded::Whole(bytes)), _) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(bad("it is not an authentication file: it is no text".to_owned())),
            },
            (Ok(Bounded::TooLarge), _) => Err(bad(format!("it is larger than {SMALL} bytes"))),
            (Err(error), Some((named, variable)))
                if error.kind() != ErrorKind::NotFound || !named.exists() =>
            {
                Err(bad(format!("`{variable}` names `{}`: {error}", named.display())))
            }
            // Of the usual ones there may be none, and where they are may be closed to this user.
            (Err(_), _) => Ok(None),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AuthFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl LoginFiles {
    /// The files that a caller's variables name, in the order of podman and then docker.
    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(only) = path("REGISTRY_AUTH_FILE") {
            return Self(vec![LoginFile {
                path: only.clone(),
                named: Some((only, "REGISTRY_AUTH_FILE")),
            }]);
        }
        let home = path("HOME");
        let configuration = path("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
        let docker = match path("DOCKER_CONFIG") {
            Some(folder) => Some(LoginFile {
                path: folder.join("config.json"),
                named: Some((folder, "DOCKER_CONFIG")),
            }),
            None => home
                .as_ref()
                .map(|home| LoginFile::usual(home.join(".docker/config.json"))),
        };
        Self(
            [
                Some(LoginFile::usual(match path("XDG_RUNTIME_DIR") {
                    Some(folder) => folder.join("containers/auth.json"),
                    // Where `podman login` keeps it for a user without a session, such as root.
                    None => format!(
                        "/run/containers/{}/auth.json",
                        rustix::process::geteuid().as_raw()
                    )
                    .into(),
                })),
                configuration.map(|folder| LoginFile::usual(folder.join("containers/auth.json"))),
                docker,
            ]
            .into_iter()
            .flatten()
            .collect(),
        )
    }

    /// The login for a repository: of the first file that has one.
    ///
    /// # Errors
    /// A file is there and cannot be understood, or one that the caller names is not there.
    pub(crate) fn find(&self, registry: &str, repository: &str) -> Result<Option<Login>, BadLogin> {
        for login_file in &self.0 {
            let Some(text) = login_file.text()? else {
                continue;
            };
            let bad = |reason: String| BadLogin {
                path: login_file.path.clone(),
                reason,
            };
            // The error of the parser would repeat a piece of the file.
            let file: AuthFile = serde_json::from_str(&text).map_err(|error| {
                bad(format!(
                    "it is not an authentication file (line {}, column {})",
                    error.line(),
                    error.column()
                ))
            })?;
            if let Some(means) = file.find(registry, repository).map_err(bad)? {
                return Ok(Some(Login {
                    means,
                    source: format!("`{}`", login_file.path.display()),
                }));
            }
        }
        Ok(None)
    }
}

impl AuthFile {
    fn find(&self, registry: &str, repository: &str) -> Result<Option<LoginMeans>, String> {
        let server = if registry == DOCKER_HUB {
            DOCKER_HUB_KEY
        } else {
            registry
        };
        if let Some(name) = self
            .cred_helpers
            .get(registry)
            .or_else(|| self.cred_helpers.get(server))
        {
            return helper(name, server).map(Some);
        }
        for key in keys(registry, repository) {
            let entry = self
                .auths
                .iter()
                .find(|(written, _)| normalised(written) == key)
                .map(|(_, entry)| entry);
            if let Some(login) = entry.map(Entry::login).transpose()?.flatten() {
                return Ok(Some(login));
            }
        }
        // A store is asked for what was logged in to, and for that there is an entry without a value.
        match &self.creds_store {
            Some(name) if !name.is_empty() => {
                let logged_in = self
                    .auths
                    .keys()
                    .any(|written| keys(registry, "").contains(&normalised(written)));
                logged_in.then(|| helper(name, server)).transpose()
            }
            _ => Ok(None),
        }
    }
}

/// A helper whose name is one and not a path.
fn helper(name: &str, server: &str) -> Result<LoginMeans, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{name}` is not the name of a credential helper"));
    }
    Ok(LoginMeans::Helper {
        name: name.to_owned(),
        server: server.to_owned(),
    })
}

impl Entry {
    fn login(&self) -> Result<Option<LoginMeans>, String> {
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(LoginMeans::IdentityToken(Secret::new(token))));
        }
        let pair = match self.auth.as_deref().filter(|auth| !auth.is_empty()) {
            Some(auth) => {
                let undecodable =
                    || "a value of `auth` is not a user name and a password in base64".to_owned();
                let text = BASE64
                    .decode(auth.trim().as_bytes())
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .ok_or_else(undecodable)?;
                let (username, password) = text.split_once(':').ok_or_else(undecodable)?;
                // docker pads values with NUL.
                Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
            }
            None => self.username.clone().zip(self.password.clone()),
        };
        Ok(pair.map(|(username, password)| {
            LoginMeans::Password(Credential {
                username,
                password: Secret::new(password),
            })
        }))
    }
}

/// The names that an entry for a repository may have, the most exact first.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut path = repository;
    while !path.is_empty() {
        keys.push(format!("{registry}/{path}"));
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
    keys.push(registry.to_owned());
    if registry == DOCKER_HUB {
        keys.extend(["index.docker.io", "registry-1.docker.io"].map(str::to_owned));
    }
    keys
}

/// The name of an entry without what some programs write around it: `https://`, `/v1/`, a slash at the end.
fn normalised(key: &str) -> String {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, registry: &str, repository: &str) -> Result<Option<LoginMeans>, String> {
        serde_json::from_str::<AuthFile>(text)
            .unwrap()
            .find(registry, repository)
    }

    fn password(login: Result<Option<LoginMeans>, String>) -> Option<(String, String)> {
        match login.unwrap()? {
            LoginMeans::Password(credential) => {
                Some((credential.username, credential.password.expose().to_owned()))
            }
            LoginMeans::IdentityToken(_) | LoginMeans::Helper { .. } => None,
        }
    }

    fn pair(user: &str, pass: &str) -> (String, String) {
        (user.to_owned(), pass.to_owned())
    }

    #[test]
    fn the_most_exact_entry_is_taken() {
        // ada:one, ada:two
        let text = r#"{"auths": {"r.example": {"auth": "YWRhOm9uZQ=="}, "r.example/team": {"auth": "YWRhOnR3bw=="}}}"#;
        assert_eq!(
            password(found(text, "r.example", "team/app")),
            Some(pair("ada", "two"))
        );
        assert_eq!(
            password(found(text, "r.example", "teams/app")),
            Some(pair("ada", "one"))
        );
        assert_eq!(password(found(text, "other.example", "team/app")), None);
    }

    #[test]
    fn entries_of_docker_are_found_under_their_names() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YWRhOm9uZQ=="}, "https://r.example/v2/": {"username": "bob", "password": "pw"}}}"#;
        assert_eq!(
            password(found(text, "docker.io", "library/python")),
            Some(pair("ada", "one"))
        );
        assert_eq!(password(found(text, "r.example", "a")), Some(pair("bob", "pw")));
    }

    #[test]
    fn a_helper_is_asked_where_one_is_named() {
        let of = |name: &str, server: &str| {
            Ok(Some(LoginMeans::Helper {
                name: name.to_owned(),
                server: server.to_owned(),
            }))
        };
        let text =
            r#"{"auths": {"r.example": {}}, "credsStore": "pass", "credHelpers": {"gcr.example": "gcloud"}}"#;
        assert_eq!(found(text, "gcr.example", "a"), of("gcloud", "gcr.example"));
        assert_eq!(found(text, "r.example", "a"), of("pass", "r.example"));
        assert_eq!(found(text, "unknown.example", "a"), Ok(None));
        assert!(found(r#"{"credHelpers": {"r.example": "../evil"}}"#, "r.example", "a").is_err());
    }

    #[test]
    fn a_value_that_is_no_pair_is_told_without_being_repeated() {
        let error = found(
            r#"{"auths": {"r.example": {"auth": "c2VjcmV0"}}}"#,
            "r.example",
            "a",
        )
        .unwrap_err();
        assert!(!error.contains("secret") && !error.contains("c2Vj"), "{error}");
    }

    #[test]
    fn the_files_are_those_of_podman_and_docker() {
        let variables = BTreeMap::from([("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/1")]);
        let get = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let files = LoginFiles::from_variables(get);
        let paths: Vec<_> = files
            .0
            .iter()
            .map(|file| file.path.to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            paths,
            [
                "/run/user/1/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ]
        );
        let without_session = LoginFiles::from_variables(|name| (name == "HOME").then(|| "/h".to_owned()));
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(
            without_session.0.first(),
            Some(&LoginFile::usual(
                format!("/run/containers/{user}/auth.json").into()
            ))
        );
        let only = LoginFiles::from_variables(|name| (name == "REGISTRY_AUTH_FILE").then(|| "/a".to_owned()));
        assert_eq!(only.0.len(), 1);
    }
}
