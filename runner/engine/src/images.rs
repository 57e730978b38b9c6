//! Bringing an image into an engine.

use std::net::IpAddr;
use std::path::Path;

use tokio_util::sync::CancellationToken;
use wrun_core::id::Digest;
use wrun_core::image::{Engine, ImageSource};
use wrun_process::Captured;

use crate::error::EngineError;
use crate::program::{ANSWER, EngineProgram, TRANSFER, reason};
use crate::subordinate::wants_subordinate_ids;

/// What the images are called that an engine keeps for environments. It is a name that no registry has.
const KEPT: &str = "localhost/wrun-kept";

impl EngineProgram {
    /// Whether the engine has an image.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn has(&self, reference: &str, cancel: &CancellationToken) -> Result<bool, EngineError> {
        let arguments = ["image", "inspect", "--format", "{{.Id}}", reference];
        Ok(self.call(&arguments, ANSWER, cancel).await?.is_success())
    }

    /// Has the engine keep an image under a name of its own, which is given back. Names that the image came with are another's
    /// tomorrow, and an image that has this name alone is known as one that nobody else brought. One that the engine has is not
    /// brought again.
    ///
    /// # Errors
    /// The engine does not get it.
    pub async fn keep(
        &self,
        source: &ImageSource,
        digest: &Digest,
        cancel: &CancellationToken,
    ) -> Result<String, EngineError> {
        let kept = kept_name(digest);
        if self.has(&kept, cancel).await? {
            return Ok(kept);
        }
        let (known, is_new) = match source {
            ImageSource::Registry { reference } => (reference.clone(), self.pull(reference, cancel).await?),
            ImageSource::Archive { path, name } => self.load(path, name.as_deref(), cancel).await?,
        };
        let tagged = self.call(&["tag", &known, &kept], ANSWER, cancel).await?;
        // Another may have done so at the same time.
        if !tagged.is_success() && !self.has(&kept, cancel).await? {
            return Err(refused(self.engine, &known, &tagged));
        }
        if is_new {
            // The name and not the image, which has another.
            let untagged = self.call(&["rmi", &known], ANSWER, cancel).await?;
            if !untagged.is_success() {
                tracing::debug!(%known, reason = reason(&untagged), "an image keeps the name that it came with");
            }
        }
        Ok(kept)
    }

    /// Brings an image of a registry; whether it was not there.
    async fn pull(&self, reference: &str, cancel: &CancellationToken) -> Result<bool, EngineError> {
        if self.has(reference, cancel).await? {
            return Ok(false);
        }
        let mut arguments = vec!["pull", "--quiet"];
        // docker does so by itself.
        if self.engine == Engine::Podman && is_loopback(reference) {
            arguments.push("--tls-verify=false");
        }
        arguments.push(reference);
        let pulled = self.call(&arguments, TRANSFER, cancel).await?;
        if !pulled.is_success() {
            return Err(refused(self.engine, reference, &pulled));
        }
        Ok(true)
    }

    /// Brings an image of an archive; what it is known by, and whether that is a name that no image had.
    async fn load(
        &self,
        path: &Path,
        name: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<(String, bool), EngineError> {
        let list = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let before = self.call(&list, ANSWER, cancel).await?.stdout_text();
        let path = path.to_string_lossy();
        let loaded = self
            .call(&["load", "--quiet", "--input", &path], TRANSFER, cancel)
            .await?;
        let text = loaded.stdout_text();
        // `Loaded image: NAME`, or `Loaded image ID: sha256:…`.
        let known: Vec<&str> = text
            .lines()
            .filter_map(|line| {
                let (word, known) = line.split_once(": ")?;
                word.starts_with("Loaded image").then(|| known.trim())
            })
            .collect();
        let wanted = name.and_then(|name| known.iter().find(|known| is_same_name(known, name)));
        match wanted.or(known.last()) {
            Some(known) if loaded.is_success() => {
                let is_name = !known.starts_with("sha256:") && known.contains(':');
                let is_new = is_name && !before.lines().any(|line| line.trim() == *known);
                Ok(((*known).to_owned(), is_new))
            }
            _ => Err(refused(self.engine, &path, &loaded)),
        }
    }
}

/// The name that an image has in an engine for as long as an environment may be run by it.
#[must_use]
pub fn kept_name(digest: &Digest) -> String {
    format!("{KEPT}:{}", digest.hex())
}

/// Whether a name of an engine is the one that an archive has: `localhost/app:latest` is `app`.
fn is_same_name(known: &str, wanted: &str) -> bool {
    let full = |name: &str| {
        let name = ["docker.io/library/", "docker.io/", "localhost/"]
            .iter()
            .find_map(|registry| name.strip_prefix(registry))
            .unwrap_or(name);
        let last = name.rsplit('/').next().unwrap_or(name);
        if last.contains(':') {
            name.to_owned()
        } else {
            format!("{name}:latest")
        }
    };
    full(known) == full(wanted)
}

/// Whether an image is of a registry on this machine, which may be without TLS.
fn is_loopback(reference: &str) -> bool {
    let registry = reference.split_once('/').map_or("", |(registry, _)| registry);
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|letter| letter.is_ascii_digit()) => host,
        _ => registry,
    };
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn refused(engine: Engine, image: &str, said: &Captured) -> EngineError {
    let image = image.to_owned();
    if let Some(reason) = wants_subordinate_ids(&said.stderr_text()) {
        return EngineError::SubordinateIds {
            engine,
            image,
            reason: reason.to_owned(),
        };
    }
    EngineError::Image {
        engine,
        image,
        reason: reason(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_an_archive_is_found_by_the_name_that_it_has_there() {
        for same in [
            ("localhost/app:1", "app:1"),
            ("docker.io/library/app:latest", "app"),
            ("r.example/app:1", "r.example/app:1"),
        ] {
            assert!(is_same_name(same.0, same.1), "{same:?}");
        }
        for other in [
            ("localhost/app:1", "app"),
            ("r.example/app:1", "app:1"),
            ("localhost:5000/app:latest", "app"),
        ] {
            assert!(!is_same_name(other.0, other.1), "{other:?}");
        }
    }

    #[test]
    fn a_registry_of_this_machine_is_told_from_others() {
        for here in [
            "localhost:5000/a@sha256:0",
            "127.0.0.1:5000/a/b",
            "127.0.0.2/a",
            "[::1]:5000/a",
            "[::1]/a",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in [
            "docker.io/library/a",
            "localhost.example/a",
            "10.0.0.1:5000/a",
            "a",
        ] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
