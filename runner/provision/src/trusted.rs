//! What trusted backends ask for beyond plans and questions: requests of their libraries, and files by digest.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use wrun_core::credential::CredentialId;
use wrun_core::event::Phase;
use wrun_core::host::{WebMethod, WebRequest, WebResponse};
use wrun_core::id::Digest;
use wrun_core::plan::Fetch;

use crate::credentials::look_up;
use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::http::{self, Download, Get, Response};
use crate::progress::StepProgress;

/// How long a request of a library is made without a word: there may be hundreds of them that take no time.
const UNTOLD: Duration = Duration::from_secs(2);

impl TaskHost {
    /// Makes a request for a library of a backend.
    pub(crate) async fn web_request(&self, request: &WebRequest) -> Result<WebResponse, ProvisionError> {
        let WebRequest {
            method,
            url,
            headers,
            credential,
            maximum_bytes,
            begins_with,
        } = request;
        let url = http::parse(url)?;
        let credential = look_up(self.credentials.as_ref(), credential.as_ref(), Some(&url))?;
        let step = OnceLock::new();
        let told = || step.get_or_init(|| self.begin(Phase::Solve, format!("fetch {}", http::shown(&url))));
        let retried = |attempt, reason: &str| told().retried(attempt, reason);
        let request = Get {
            url: &url,
            headers,
            credential: credential.as_ref().map(Into::into),
            maximum: *maximum_bytes,
            head: *method == WebMethod::Head,
            begins_with,
            retried: &retried,
        };
        let answered = {
            let mut getting = Box::pin(self.http.get(&request));
            tokio::select! {
                answered = &mut getting => answered,
                () = tokio::time::sleep(UNTOLD) => {
                    told();
                    getting.await
                }
            }
        };
        let answered = answered?;
        if let Some(step) = step.into_inner() {
            step.finish();
        }
        Ok(answered.into())
    }

    /// What a server says to a request with a credential by name; a status is no error.
    pub(crate) async fn answered(
        &self,
        url: &str,
        headers: &[(String, String)],
        credential: Option<&CredentialId>,
        maximum: u64,
        head: bool,
    ) -> Result<Response, ProvisionError> {
        let url = http::parse(url)?;
        let credential = look_up(self.credentials.as_ref(), credential, Some(&url))?;
        self.http
            .get(&Get {
                url: &url,
                headers,
                credential: credential.as_ref().map(Into::into),
                maximum,
                head,
                begins_with: &[],
                retried: &http::untold,
            })
            .await
    }

    /// Brings a file by its digest; what is there already is no step.
    pub(crate) async fn fetch_file(&self, label: &str, file: &Fetch) -> Result<PathBuf, ProvisionError> {
        if let Some(path) = self.store.artifact(&file.digest)? {
            return Ok(path);
        }
        let progress = self.begin(Phase::Build, label.to_owned());
        let path = self.brought(file, &progress).await?;
        progress.finish();
        Ok(path)
    }

    /// Brings a file by its digest.
    pub(crate) async fn brought(
        &self,
        file: &Fetch,
        progress: &StepProgress,
    ) -> Result<PathBuf, ProvisionError> {
        let Fetch {
            url,
            digest,
            size,
            credential,
            save_as: _,
        } = file;
        let url = http::parse(url)?;
        let credential = look_up(self.credentials.as_ref(), credential.as_ref(), Some(&url))?;
        let file = Download {
            url: &url,
            digest: *digest,
            size: *size,
            credential: credential.as_ref().map(Into::into),
            progress: &|done, total| progress.progress(done, total),
            retried: &|attempt, reason| progress.retried(attempt, reason),
        };
        Box::pin(self.http.download(&self.store, &file)).await
    }

    /// Brings a file whose digest is not known.
    pub(crate) async fn fetch_unknown_file(
        &self,
        label: &str,
        url: &str,
        credential: Option<&CredentialId>,
    ) -> Result<(PathBuf, Digest), ProvisionError> {
        let url = http::parse(url)?;
        let credential = look_up(self.credentials.as_ref(), credential, Some(&url))?;
        let progress = self.begin(Phase::Solve, label.to_owned());
        let found = self
            .http
            .download_unknown(
                &self.store,
                &url,
                credential.as_ref().map(Into::into),
                &|done, total| progress.progress(done, total),
                &|attempt, reason| progress.retried(attempt, reason),
            )
            .await?;
        progress.finish();
        Ok(found)
    }
}

impl From<Response> for WebResponse {
    fn from(response: Response) -> Self {
        let text = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        Self {
            status: response.status,
            headers: response.headers.iter().filter_map(text).collect(),
            url: response.url.into(),
            body: response.body,
            login: None,
        }
    }
}
