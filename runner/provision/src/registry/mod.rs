//! Requests to registries of container images: logged in to as they ask, with what the caller has.
//!
//! A token lives in the memory of the host of one task. It is sent to the registry that it was made for and, since
//! redirections to another host lose it, to nobody else.

mod challenge;
mod helper;
mod login;
mod token;

use std::path::PathBuf;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;
use wrun_core::event::Phase;
use wrun_core::host::{Repository, WebMethod, WebRequest, WebResponse};
use wrun_core::plan::Fetch;

use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::http::{self, Download, Get, HttpError, Response, StatusError, said_no, shown};

use challenge::Challenge;
pub(crate) use login::LoginFiles;
pub use login::{BadLogin, Login, LoginMeans};
pub(crate) use token::Tokens;
use token::{Granted, GrantedMeans};

/// Status of a request that wants another login.
const UNAUTHORIZED: u16 = 401;

impl TaskHost {
    /// Makes a request to a registry, whatever its status.
    pub(crate) async fn registry_request(
        &self,
        repository: &Repository,
        request: &WebRequest,
    ) -> Result<WebResponse, ProvisionError> {
        let url = registry_url(&request.url)?;
        let mut granted = self.tokens.get(&url, repository).await;
        let mut response = self.get_granted(&url, request, granted.as_ref()).await?;
        if response.status == UNAUTHORIZED
            && let Some(anew) = self
                .log_in(&url, repository, &response.headers, granted.clone())
                .await?
        {
            response = self.get_granted(&url, request, Some(&anew)).await?;
            granted = Some(anew);
        }
        // What a registry says over a line that anyone could have changed is not what it says.
        registry_url(response.url.as_str())?;
        Ok(WebResponse {
            login: granted.and_then(|granted| granted.login),
            ..response.into()
        })
    }

    /// Brings a file of a registry by its digest; what is there already is no step.
    pub(crate) async fn registry_file(
        &self,
        label: &str,
        repository: &Repository,
        file: &Fetch,
    ) -> Result<PathBuf, ProvisionError> {
        if let Some(path) = self.store.artifact(&file.digest)? {
            return Ok(path);
        }
        let url = registry_url(&file.url)?;
        self.http.refuse_offline(&url)?;
        let _flight = self.tool_flight(&format!("blob {}", file.digest)).await?;
        let progress = self.begin(Phase::Build, label.to_owned());
        let mut granted = self.tokens.get(&url, repository).await;
        let mut asked_again = false;
        let path = loop {
            let download = Download {
                url: &url,
                digest: file.digest,
                size: file.size,
                credential: granted.as_ref().map(Granted::authorization),
                progress: &|done, total| progress.progress(done, total),
                retried: &|attempt, reason| progress.retried(attempt, reason),
            };
            match self.http.download(&self.store, &download).await {
                Err(ProvisionError::Http(HttpError::Status(StatusError {
                    status: UNAUTHORIZED, ..
                }))) if !asked_again => {
                    asked_again = true;
                    let head = WebRequest {
                        method: WebMethod::Head,
                        url: file.url.clone(),
                        headers: Vec::new(),
                        credential: None,
                        maximum_bytes: 0,
                        begins_with: &[],
                    };
                    let refused = self.get_granted(&url, &head, None).await?;
                    granted = self.log_in(&url, repository, &refused.headers, granted).await?;
                    if granted.is_none() {
                        return Err(said_no(&url, UNAUTHORIZED));
                    }
                }
                other => break other?,
            }
        };
        progress.finish();
        Ok(path)
    }

    async fn get_granted(
        &self,
        url: &Url,
        request: &WebRequest,
        granted: Option<&Granted>,
    ) -> Result<Response, ProvisionError> {
        self.http
            .get(&Get {
                url,
                headers: &request.headers,
                credential: granted.map(Granted::authorization),
                maximum: request.maximum_bytes,
                head: request.method == WebMethod::Head,
                begins_with: request.begins_with,
                retried: &http::untold,
            })
            .await
    }

    /// Meets the challenge of an answer. Nothing if it cannot be met, since there is nothing to log in with.
    async fn log_in(
        &self,
        url: &Url,
        repository: &Repository,
        headers: &HeaderMap,
        refused: Option<Granted>,
    ) -> Result<Option<Granted>, ProvisionError> {
        let offered = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let Some(challenge) = Challenge::read(offered) else {
            return Ok(None);
        };
        // Those who were refused at the same time log in once.
        let mut tokens = self.tokens.lock().await;
        let known = tokens.get(url, repository);
        if known.is_some() && known != refused {
            return Ok(known);
        }
        let granted = self.meet(repository, &challenge).await?;
        if let Some(granted) = &granted {
            tokens.put(url, repository, granted.clone());
        }
        Ok(granted)
    }

    async fn meet(
        &self,
        repository: &Repository,
        challenge: &Challenge,
    ) -> Result<Option<Granted>, ProvisionError> {
        let login = self.login(repository).await?;
        match challenge {
            Challenge::Basic => Ok(login.and_then(|login| {
                let shown = login.shown();
                match login.means {
                    LoginMeans::Password(credential) => Some(Granted {
                        means: GrantedMeans::Password(credential),
                        login: Some(shown),
                    }),
                    LoginMeans::IdentityToken(_) | LoginMeans::Helper { .. } => None,
                }
            })),
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let asked = token::Asked {
                    realm,
                    service: service.as_deref(),
                    scope: scope.as_deref(),
                };
                self.token(repository, &asked, login).await.map(Some)
            }
        }
    }

    /// What the caller has for a repository.
    async fn login(&self, repository: &Repository) -> Result<Option<Login>, ProvisionError> {
        let Repository {
            registry,
            name,
            credential,
        } = repository;
        if credential.is_some() {
            let named = crate::credentials::look_up(self.credentials.as_ref(), credential.as_ref(), None)?;
            return Ok(named.map(|found| Login {
                means: LoginMeans::Password(found),
                source: "its variables".to_owned(),
            }));
        }
        let found =
            self.credentials
                .for_registry(registry, name)
                .map_err(|bad| ProvisionError::LoginFile {
                    path: bad.path,
                    reason: bad.reason,
                })?;
        match found {
            Some(Login {
                means: LoginMeans::Helper { name, server },
                ..
            }) => {
                let answered = self.ask_helper(&name, &server).await?;
                Ok(answered.map(|means| Login {
                    means,
                    source: format!("what `docker-credential-{name}` keeps"),
                }))
            }
            Some(login) => Ok(Some(login)),
            None => {
                let host = registry
                    .rsplit_once(':')
                    .map_or(registry.as_str(), |(host, _)| host);
                Ok(self.credentials.for_host(host).map(|found| Login {
                    means: LoginMeans::Password(found),
                    source: "the netrc file".to_owned(),
                }))
            }
        }
    }
}

/// An address of a registry or of what hands out its tokens: over TLS, unless it is on this machine.
fn registry_url(address: &str) -> Result<Url, ProvisionError> {
    let url = http::parse(address)?;
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && is_here) {
        return Ok(url);
    }
    Err(ProvisionError::PlainRegistry { url: shown(&url) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine() {
        for good in [
            "https://r.example/v2/",
            "http://127.0.0.1:5000/v2/",
            "http://[::1]:5000/",
            "http://localhost/",
        ] {
            assert!(registry_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://r.example/v2/",
            "http://localhost.example/",
            "ftp://127.0.0.1/",
            "http://10.0.0.1/",
        ] {
            assert!(registry_url(bad).is_err(), "{bad}");
        }
    }
}
