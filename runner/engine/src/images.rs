//! Bringing an image into an engine.

use tokio_util::sync::CancellationToken;
use wrun_core::image::{Engine, ImageSource};

use crate::error::EngineError;
use crate::program::{ANSWER, EngineProgram, TRANSFER, reason};

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
                    let pulled = self
                        .call(&["pull", "--quiet", reference], TRANSFER, cancel)
                        .await?;
                    if !pulled.is_success() {
                        return Err(refused(self.engine, reference, reason(&pulled)));
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
                    _ => Err(refused(self.engine, &name, reason(&loaded))),
                }
            }
        }
    }
}

fn refused(engine: Engine, image: &str, reason: String) -> EngineError {
    EngineError::Image {
        engine,
        image: image.to_owned(),
        reason,
    }
}
