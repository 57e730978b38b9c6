//! Names of images.

use std::fmt;

use wrun_core::id::Digest;

/// The registry that plain names are of.
pub(crate) const DOCKER_HUB: &str = "docker.io";

/// The longest name of a repository, with its registry (OCI Distribution Specification, "Pulling manifests").
const LONGEST: usize = 255;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A registry.
    Registry(RegistryReference),
    /// A folder in OCI layout.
    Layout(LocalReference),
    /// A tar of such a folder.
    LayoutArchive(LocalReference),
    /// What `docker save` wrote.
    DockerArchive(LocalReference),
}

/// An image of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryReference {
    /// The registry: `docker.io`, `localhost:5000`.
    pub(crate) registry: String,
    /// The repository in it: `library/python`.
    pub(crate) repository: String,
    /// Which image of it.
    pub(crate) which: Which,
}

/// Which image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that a tag says now.
    Tag(String),
    /// This one, whatever a tag beside it says.
    Digest(Digest),
}

/// An image on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalReference {
    /// The path as written.
    pub(crate) path: String,
    /// Which image, where there are several.
    pub(crate) name: Option<String>,
}

impl RegistryReference {
    /// The registry and the repository, without tag and digest.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match &self.which {
            Which::Tag(tag) => write!(formatter, "{name}:{tag}"),
            Which::Digest(digest) => write!(formatter, "{name}@{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, local) = match self {
            Self::Registry(reference) => return reference.fmt(formatter),
            Self::Layout(local) => ("oci", local),
            Self::LayoutArchive(local) => ("oci-archive", local),
            Self::DockerArchive(local) => ("docker-archive", local),
        };
        write!(formatter, "{kind}:{}", local.path)?;
        match &local.name {
            Some(name) => write!(formatter, ":{name}"),
            None => Ok(()),
        }
    }
}

impl Reference {
    /// Reads a name.
    ///
    /// # Errors
    /// It is none; with what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if text.chars().any(|letter| letter.is_control() || letter == ' ') {
            return Err("there is a blank or a control character in it".to_owned());
        }
        for (prefix, make) in [
            ("oci:", Self::Layout as fn(LocalReference) -> Self),
            ("oci-archive:", Self::LayoutArchive),
            ("docker-archive:", Self::DockerArchive),
        ] {
            if let Some(rest) = text.strip_prefix(prefix) {
                return LocalReference::parse(rest).map(make);
            }
        }
        let text = text.strip_prefix("docker://").unwrap_or(text);
        if text.contains("://") {
            return Err("an image is named without a scheme such as `https://`".to_owned());
        }
        RegistryReference::parse(text).map(Self::Registry)
    }
}

impl LocalReference {
    /// `PATH` or `PATH:NAME`; a name may hold a tag of its own (`file.tar:app:1.0`).
    fn parse(text: &str) -> Result<Self, String> {
        let (path, name) = match text.split_once(':') {
            Some((path, name)) => (path, Some(name)),
            None => (text, None),
        };
        if path.is_empty() {
            return Err("there is no path in it".to_owned());
        }
        if name == Some("") {
            return Err("there is nothing after the last colon".to_owned());
        }
        Ok(Self {
            path: path.to_owned(),
            name: name.map(str::to_owned),
        })
    }
}

impl RegistryReference {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
                (first.to_ascii_lowercase(), path.to_owned())
            }
            _ => (DOCKER_HUB.to_owned(), name.to_owned()),
        };
        let registry = match registry.as_str() {
            "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
            _ => registry,
        };
        check_registry(&registry)?;
        let repository = if registry == DOCKER_HUB && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository
        };
        check_repository(&repository)?;
        if registry.len() + 1 + repository.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} characters"));
        }
        Ok(Self {
            registry,
            repository,
            which: match digest {
                Some(digest) => Which::Digest(digest),
                None => Which::Tag(tag.unwrap_or("latest").to_owned()),
            },
        })
    }
}

fn parse_digest(text: &str) -> Result<Digest, String> {
    match text.split_once(':') {
        Some(("sha256", _)) => text.parse().map_err(|_| {
            format!("`{text}` is not a digest: a digest is `sha256:` followed by 64 hexadecimal digits")
        }),
        Some((other, _)) => Err(format!(
            "digests of the kind `{other}` are not known, only `sha256`"
        )),
        None => Err(format!(
            "`{text}` is not a digest: write `sha256:` and 64 hexadecimal digits"
        )),
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let good = |(at, letter): (usize, char)| {
        letter.is_ascii_alphanumeric() || letter == '_' || (at > 0 && matches!(letter, '.' | '-'))
    };
    if !tag.is_empty() && tag.len() <= 128 && tag.char_indices().all(good) {
        return Ok(());
    }
    Err(format!(
        "`{tag}` is not a tag: letters, digits, `_`, `.` and `-`, at most 128"
    ))
}

/// A host name or an address, and perhaps a port.
pub(crate) fn check_registry(registry: &str) -> Result<(), String> {
    let wrong = || format!("`{registry}` is not the name of a registry: a host and perhaps a port");
    let url = url::Url::parse(&format!("https://{registry}/")).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    if plain && url.query().is_none() && url.fragment().is_none() && url.host_str().is_some() {
        return Ok(());
    }
    Err(wrong())
}

/// Parts of lower-case letters and digits with single separators between them.
pub(crate) fn check_repository(repository: &str) -> Result<(), String> {
    if let Some(letter) = repository.chars().find(char::is_ascii_uppercase) {
        return Err(format!(
            "`{repository}` holds the capital letter `{letter}`; names of images are in lower case"
        ));
    }
    if !repository.is_empty() && repository.split('/').all(is_part) {
        return Ok(());
    }
    Err(format!("`{repository}` is not the name of an image"))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let mut rest = part;
    loop {
        let word = rest.trim_start_matches(plain);
        if word.len() == rest.len() {
            return false;
        }
        if word.is_empty() {
            return true;
        }
        let dashes = word.trim_start_matches('-');
        rest = if dashes.len() < word.len() {
            dashes
        } else if let Some(after) = word.strip_prefix("__").or_else(|| word.strip_prefix('_')) {
            after
        } else if let Some(after) = word.strip_prefix('.') {
            after
        } else {
            return false;
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match Reference::parse(text) {
            Ok(reference) => reference.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn plain_names_mean_what_they_mean_to_every_engine() {
        let digest = Digest::of(b"x");
        for (text, full) in [
            ("python", "docker.io/library/python:latest"),
            ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
            ("team/app", "docker.io/team/app:latest"),
            ("docker.io/python", "docker.io/library/python:latest"),
            ("index.docker.io/library/python:1", "docker.io/library/python:1"),
            ("localhost/app:1", "localhost/app:1"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("127.0.0.1:5000/a/b__c-d.e", "127.0.0.1:5000/a/b__c-d.e:latest"),
            ("Registry.Example/app", "registry.example/app:latest"),
            ("docker://ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            ("oci:image", "oci:image"),
            ("oci:./image:1.0", "oci:./image:1.0"),
            ("oci-archive:image.tar", "oci-archive:image.tar"),
            (
                "docker-archive:/x/image.tar:app:1.0",
                "docker-archive:/x/image.tar:app:1.0",
            ),
        ] {
            assert_eq!(read(text), full, "{text}");
        }
        assert_eq!(
            read(&format!("python:3.12@{digest}")),
            format!("docker.io/library/python@{digest}")
        );
    }

    #[test]
    fn what_is_no_name_is_told_what_is_wrong_with_it() {
        for (text, reason) in [
            ("", "empty"),
            ("a b", "blank"),
            ("Python", "lower case"),
            ("python:", "tag"),
            ("python:-1", "tag"),
            ("a//b", "not the name"),
            ("a..b", "not the name"),
            ("-a", "not the name"),
            ("a-", "not the name"),
            ("https://r.example/a", "scheme"),
            ("python@sha256:12", "digest"),
            ("python@sha512:12", "sha512"),
            ("python@latest", "digest"),
            ("user:pw@r.example/a", "digest"),
            ("oci:", "no path"),
            ("oci:x:", "colon"),
            ("a.b:99999/c", "registry"),
        ] {
            assert!(
                read(text).starts_with("error") && read(text).contains(reason),
                "{text}: {}",
                read(text)
            );
        }
    }
}
