//! Bringing an image into an engine.

use std::net::IpAddr;

use tokio_util::sync::CancellationToken;
use wrun_core::image::{Engine, ImageSource};
use wrun_process::Captured;

use crate::error::EngineError;
use crate::program::{ANSWER, EngineProgram, TRANSFER, reason};
use crate::subordinate::wants_subordinate_ids;

impl EngineProgram {
    /// Whether the engine has an image.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn has(&self, reference: &str, cancel: &CancellationToken) -> Result<bool, EngineError> {
        let arguments = ["image", "inspect", "--format", "{{.Id}}", reference];
        Ok(self.call(&arguments, ANSWER, cancel).await?.is_success())
    }

    /// Has the engine keep an image, and gives what it is known by there. One that it has is not brought again.
    ///
    /// # Errors
    /// The engine does not get it.
    pub async fn keep(
        &self,
        source: &ImageSource,
        cancel: &CancellationToken,
    ) -> Result<String, EngineError> {
        match source {
            ImageSource::Registry { reference } => {
                if !self.has(reference, cancel).await? {
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
                }
                Ok(reference.clone())
            }
            ImageSource::Archive { path } => {
                let name = path.to_string_lossy();
                let loaded = self
                    .call(&["load", "--quiet", "--input", &name], TRANSFER, cancel)
                    .await?;
                let text = loaded.stdout_text();
                // `Loaded image: NAME`, or `Loaded image ID: sha256:…`.
                let known = text.lines().rev().find_map(|line| {
                    let (word, known) = line.split_once(": ")?;
                    word.starts_with("Loaded image").then(|| known.trim().to_owned())
                });
                match known {
                    Some(known) if loaded.is_success() => Ok(known),
                    _ => Err(refused(self.engine, &name, &loaded)),
                }
            }
        }
    }
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
