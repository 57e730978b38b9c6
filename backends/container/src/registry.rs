//! Images of registries (OCI Distribution Specification 1.1): the mirrors first, then the registry itself.

use std::path::PathBuf;

use wrun_core::host::{Host, Repository, WebMethod, WebRequest, WebResponse};
use wrun_core::id::Digest;
use wrun_core::plan::Fetch;
use wrun_core::problem::Problem;

use crate::documents::{self, MANIFEST_MAXIMUM};
use crate::explain;
use crate::reference::{DOCKER_HUB, RegistryReference, Which};
use crate::understand::{Mirror, Understood};

/// Where docker's registry is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// The header with the digest of a manifest.
const DIGEST_HEADER: &str = "docker-content-digest";

/// The code of what needs the network in a run without it.
const OFFLINE: &str = "provision.offline";

/// The places of one image, the first to be asked first.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    /// The image's name, for people.
    shown: String,
    locations: Vec<Location>,
}

#[derive(Debug, Clone)]
struct Location {
    /// `https://host`, without a slash at the end.
    base: String,
    repository: Repository,
}

/// A document as a registry sent it.
pub(crate) struct Sent {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its media type.
    pub(crate) media_type: String,
    /// Its digest.
    pub(crate) digest: Digest,
}

impl Location {
    fn new(registry: &str, name: String, credential: Option<&String>) -> Self {
        let host = if registry == DOCKER_HUB {
            DOCKER_HUB_HOST
        } else {
            registry
        };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        Self {
            base: format!("{scheme}://{host}"),
            repository: Repository {
                registry: registry.to_owned(),
                name,
                credential: credential.cloned(),
            },
        }
    }

    fn address(&self, kind: &str, which: &str) -> String {
        format!("{}/v2/{}/{kind}/{which}", self.base, self.repository.name)
    }
}

/// Whether a host, perhaps with a port, is this machine by its name alone.
fn is_loopback(host: &str) -> bool {
    let Ok(url) = url::Url::parse(&format!("http://{host}/")) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Registry {
    /// The places of an image.
    pub(crate) fn new(understood: &Understood, reference: &RegistryReference) -> Self {
        let mut locations: Vec<Location> = understood
            .mirrors
            .iter()
            // The credential is that of the image's own registry, and no one else gets to see it.
            .map(|Mirror { registry, prefix }| {
                Location::new(registry, format!("{prefix}{}", reference.repository), None)
            })
            .collect();
        locations.push(Location::new(
            &reference.registry,
            reference.repository.clone(),
            understood.spec.credentials.as_ref(),
        ));
        Self {
            shown: reference.name(),
            locations,
        }
    }

    /// The document that a tag or a digest leads to.
    pub(crate) async fn manifest(&self, host: &dyn Host, which: &Which) -> Result<Sent, Problem> {
        let (which, joined, expected) = match which {
            Which::Tag(tag) => (tag.clone(), ':', None),
            Which::Digest(digest) => (digest.to_string(), '@', Some(*digest)),
        };
        let what = format!("`{}{joined}{which}`", self.shown);
        let mut refused = Refused::default();
        for location in &self.locations {
            match location.manifest(host, &what, &which, expected).await {
                Ok(sent) => return Ok(sent),
                Err(problem) => refused.by(&what, location, problem)?,
            }
        }
        Err(refused.problem(&what))
    }

    /// A small blob.
    pub(crate) async fn blob(
        &self,
        host: &dyn Host,
        digest: Digest,
        maximum: u64,
    ) -> Result<Vec<u8>, Problem> {
        let what = format!("the configuration {digest} of `{}`", self.shown);
        let mut refused = Refused::default();
        for location in &self.locations {
            match location.blob(host, &what, digest, maximum).await {
                Ok(bytes) => return Ok(bytes),
                Err(problem) => refused.by(&what, location, problem)?,
            }
        }
        Err(refused.problem(&what))
    }

    /// Brings a large blob as a file.
    pub(crate) async fn file(
        &self,
        host: &dyn Host,
        label: &str,
        digest: Digest,
        size: u64,
    ) -> Result<PathBuf, Problem> {
        let what = format!("{label} of `{}`", self.shown);
        let mut refused = Refused::default();
        for location in &self.locations {
            let fetch = location.fetch(digest, size);
            match host
                .fetch_from_registry(label, &location.repository, &fetch)
                .await
            {
                Ok(path) => return Ok(path),
                Err(problem) => refused.by(&what, location, problem)?,
            }
        }
        Err(refused.problem(&what))
    }

    /// The fetch of a blob, for people to read before.
    pub(crate) fn fetch(&self, digest: Digest, size: u64) -> Option<Fetch> {
        self.locations
            .first()
            .map(|location| location.fetch(digest, size))
    }
}

/// What the places said that were asked so far. What is told in the end is what the last one said, which is the image's own
/// registry, and then what the mirrors said.
#[derive(Default)]
struct Refused(Vec<(String, Problem)>);

impl Refused {
    /// Notes that a place did not have it.
    ///
    /// # Errors
    /// Asking another place cannot help, or must not.
    fn by(&mut self, what: &str, location: &Location, problem: Problem) -> Result<(), Problem> {
        match problem {
            Problem::Cancelled => Err(Problem::Cancelled),
            problem if problem.code() == OFFLINE => Err(explain::about(what, problem)),
            problem => {
                self.0.push((location.repository.registry.clone(), problem));
                Ok(())
            }
        }
    }

    fn problem(mut self, what: &str) -> Problem {
        let Some((_, last)) = self.0.pop() else {
            return Problem::failed("container.registry.none", format!("{what}: no registry is known"));
        };
        let mut problem = if last.code().starts_with("container.") {
            last
        } else {
            explain::about(what, last)
        };
        if let Problem::Failed { message, .. } = &mut problem {
            for (mirror, refused) in &self.0 {
                *message = format!("{message}; the mirror `{mirror}` was asked before: {refused}");
            }
        }
        problem
    }
}

impl Location {
    async fn get(
        &self,
        host: &dyn Host,
        kind: &str,
        which: &str,
        accept: &str,
        maximum: u64,
    ) -> Result<WebResponse, Problem> {
        host.ask_registry(
            &self.repository,
            &WebRequest {
                method: WebMethod::Get,
                url: self.address(kind, which),
                headers: vec![("Accept".to_owned(), accept.to_owned())],
                credential: None,
                maximum_bytes: maximum,
                begins_with: &[],
            },
        )
        .await
    }

    async fn manifest(
        &self,
        host: &dyn Host,
        what: &str,
        which: &str,
        expected: Option<Digest>,
    ) -> Result<Sent, Problem> {
        let response = self
            .get(host, "manifests", which, &documents::accepted(), MANIFEST_MAXIMUM)
            .await?;
        self.check_status(what, &response)?;
        let digest = Digest::of(&response.body);
        let said = header(&response, DIGEST_HEADER).and_then(|text| text.parse::<Digest>().ok());
        if let Some(expected) = expected.or(said)
            && expected != digest
        {
            let what = format!("the manifest of {what} from `{}`", self.repository.registry);
            return Err(explain::wrong_digest(&what, &expected, &digest));
        }
        let media_type = media_type(&response);
        Ok(Sent {
            bytes: response.body,
            media_type,
            digest,
        })
    }

    async fn blob(
        &self,
        host: &dyn Host,
        what: &str,
        digest: Digest,
        maximum: u64,
    ) -> Result<Vec<u8>, Problem> {
        let response = self
            .get(host, "blobs", &digest.to_string(), "*/*", maximum)
            .await?;
        self.check_status(what, &response)?;
        let found = Digest::of(&response.body);
        if found != digest {
            return Err(explain::wrong_digest(what, &digest, &found));
        }
        Ok(response.body)
    }

    fn check_status(&self, what: &str, response: &WebResponse) -> Result<(), Problem> {
        if response.status == 200 {
            return Ok(());
        }
        Err(explain::status(what, &self.repository, response))
    }

    fn fetch(&self, digest: Digest, size: u64) -> Fetch {
        Fetch {
            url: self.address("blobs", &digest.to_string()),
            digest,
            size: Some(size),
            credential: None,
            save_as: digest.hex(),
        }
    }
}

fn header<'a>(response: &'a WebResponse, name: &str) -> Option<&'a str> {
    response
        .headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// The media type of an answer, without parameters.
fn media_type(response: &WebResponse) -> String {
    let value = header(response, "content-type").unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_spoken_to_over_tls_unless_they_are_here() {
        let base = |registry: &str| Location::new(registry, "a".to_owned(), None).base;
        assert_eq!(base("docker.io"), "https://registry-1.docker.io");
        assert_eq!(base("ghcr.io"), "https://ghcr.io");
        assert_eq!(base("localhost:5000"), "http://localhost:5000");
        assert_eq!(base("127.0.0.2"), "http://127.0.0.2");
        assert_eq!(base("[::1]:5000"), "http://[::1]:5000");
        assert_eq!(base("localhost.example"), "https://localhost.example");
    }
}
