//! How to log in to a registry: the authentication files of podman and docker.
//!
//! The format is that of `containers-auth.json(5)` and of docker's `config.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use data_encoding::BASE64;
use serde::Deserialize;
use wrun_core::credential::{Credential, Secret};

use crate::files;

/// The registry that plain names are of.
const DOCKER_HUB: &str = "docker.io";

/// The name that authentication files have for it.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What the caller has for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
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

/// Where authentication files are, the first that there is to be taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoginFiles(Vec<PathBuf>);

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
            return Self(vec![only]);
        }
        let home = path("HOME");
        let configuration = path("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
        let docker = path("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker")));
        Self(
            [
                Some(match path("XDG_RUNTIME_DIR") {
                    Some(folder) => folder.join("containers/auth.json"),
                    // Where `podman login` keeps it for a user without a session, such as root.
                    None => format!(
                        "/run/containers/{}/auth.json",
                        rustix::process::geteuid().as_raw()
                    )
                    .into(),
                }),
                configuration.map(|folder| folder.join("containers/auth.json")),
                docker.map(|folder| folder.join("config.json")),
            ]
            .into_iter()
            .flatten()
            .collect(),
        )
    }

    /// The login for a repository: of the first file that has one.
    ///
    /// # Errors
    /// A file is there and cannot be understood.
    pub(crate) fn find(&self, registry: &str, repository: &str) -> Result<Option<Login>, BadLogin> {
        for path in &self.0 {
            let Some(text) = files::read_small_text(path) else {
                continue;
            };
            let bad = |reason: String| BadLogin {
                path: path.clone(),
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
            if let Some(login) = file.find(registry, repository).map_err(bad)? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }
}

impl AuthFile {
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Login>, String> {
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
fn helper(name: &str, server: &str) -> Result<Login, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{name}` is not the name of a credential helper"));
    }
    Ok(Login::Helper {
        name: name.to_owned(),
        server: server.to_owned(),
    })
}

impl Entry {
    fn login(&self) -> Result<Option<Login>, String> {
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(Login::IdentityToken(Secret::new(token))));
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
            Login::Password(Credential {
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

    fn found(text: &str, registry: &str, repository: &str) -> Result<Option<Login>, String> {
        serde_json::from_str::<AuthFile>(text)
            .unwrap()
            .find(registry, repository)
    }

    fn password(login: Result<Option<Login>, String>) -> Option<(String, String)> {
        match login.unwrap()? {
            Login::Password(credential) => {
                Some((credential.username, credential.password.expose().to_owned()))
            }
            Login::IdentityToken(_) | Login::Helper { .. } => None,
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
            Ok(Some(Login::Helper {
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
            .map(|path| path.to_string_lossy().into_owned())
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
            Some(&PathBuf::from(format!("/run/containers/{user}/auth.json")))
        );
        let only = LoginFiles::from_variables(|name| (name == "REGISTRY_AUTH_FILE").then(|| "/a".to_owned()));
        assert_eq!(only.0.len(), 1);
    }
}
