//! Tokens for registries: asked for once for each repository, kept in memory alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;
use wrun_core::credential::{Credential, Secret};
use wrun_core::host::Repository;

use super::login::{Login, LoginMeans};
use super::registry_url;
use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::http::{self, Authorization, Get, shown};

/// The largest answer of a server of tokens, in bytes.
const ANSWER: u64 = 1024 * 1024;

/// What a registry takes with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(super) means: GrantedMeans,
    /// What it was granted for, for people; `None` if anyone gets it.
    pub(super) login: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GrantedMeans {
    Password(Credential),
    Token(Secret),
}

impl Granted {
    pub(super) const fn authorization(&self) -> Authorization<'_> {
        match &self.means {
            GrantedMeans::Password(credential) => Authorization::Basic(credential),
            GrantedMeans::Token(token) => Authorization::Bearer(token),
        }
    }
}

/// What was granted so far, by the registry's origin and the repository.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<Kept>);

#[derive(Default)]
pub(super) struct Kept(BTreeMap<(String, String), Granted>);

impl Tokens {
    pub(super) async fn get(&self, url: &Url, repository: &Repository) -> Option<Granted> {
        self.lock().await.get(url, repository)
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().await
    }
}

impl Kept {
    pub(super) fn get(&self, url: &Url, repository: &Repository) -> Option<Granted> {
        self.0.get(&key(url, repository)).cloned()
    }

    pub(super) fn put(&mut self, url: &Url, repository: &Repository, granted: Granted) {
        self.0.insert(key(url, repository), granted);
    }
}

fn key(url: &Url, repository: &Repository) -> (String, String) {
    (url.origin().ascii_serialization(), repository.name.clone())
}

/// What a registry wants a token for.
pub(super) struct Asked<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

impl TaskHost {
    /// Asks for a token; without a login for one that anybody gets.
    pub(super) async fn token(
        &self,
        repository: &Repository,
        asked: &Asked<'_>,
        login: Option<Login>,
    ) -> Result<Granted, ProvisionError> {
        let realm = registry_url(asked.realm)?;
        let scope = asked
            .scope
            .map_or_else(|| format!("repository:{}:pull", repository.name), str::to_owned);
        let mut parameters = vec![("scope", scope)];
        parameters.extend(asked.service.map(|service| ("service", service.to_owned())));
        let shown_login = login.as_ref().map(Login::shown);
        let means = login.map(|login| login.means);
        let response = match &means {
            Some(LoginMeans::IdentityToken(token)) => {
                parameters.extend([
                    ("grant_type", "refresh_token".to_owned()),
                    ("refresh_token", token.expose().to_owned()),
                    ("client_id", "wrun".to_owned()),
                ]);
                self.http.post_form(&realm, &parameters, ANSWER).await?
            }
            Some(LoginMeans::Password(_) | LoginMeans::Helper { .. }) | None => {
                let mut url = realm.clone();
                url.query_pairs_mut().extend_pairs(&parameters);
                let credential = match &means {
                    Some(LoginMeans::Password(credential)) => Some(credential.into()),
                    _ => None,
                };
                self.http
                    .get(&Get {
                        url: &url,
                        headers: &[],
                        credential,
                        maximum: ANSWER,
                        head: false,
                        begins_with: &[],
                        retried: &http::untold,
                    })
                    .await?
            }
        };
        let refused = |reason: String| ProvisionError::RegistryToken {
            registry: repository.registry.clone(),
            repository: repository.name.clone(),
            realm: shown(&realm),
            login: shown_login
                .as_ref()
                .map_or_else(|| "without a login".to_owned(), |login| format!("with {login}")),
            reason,
        };
        if response.status != 200 {
            return Err(refused(format!("status {}", response.status)));
        }
        let answer: Answer = serde_json::from_slice(&response.body)
            .map_err(|_| refused("its answer is not a token".to_owned()))?;
        let token = answer
            .token
            .or(answer.access_token)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| refused("its answer holds no token".to_owned()))?;
        Ok(Granted {
            means: GrantedMeans::Token(Secret::new(token)),
            login: shown_login.clone(),
        })
    }
}
