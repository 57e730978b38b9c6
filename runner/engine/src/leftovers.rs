//! Containers that nobody waits for any more.

use tokio_util::sync::CancellationToken;

use crate::OWNER_LABEL;
use crate::error::EngineError;
use crate::owner::Owner;
use crate::program::{ANSWER, EngineProgram, reason};

impl EngineProgram {
    /// Removes the containers whose owner was killed, and gives how many there were.
    ///
    /// # Errors
    /// The engine cannot be asked.
    pub async fn remove_leftovers(&self, cancel: &CancellationToken) -> Result<usize, EngineError> {
        let filter = format!("label={OWNER_LABEL}");
        let listed = self
            .said(
                &["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter],
                cancel,
            )
            .await?;
        let ids: Vec<&str> = listed
            .lines()
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .collect();
        let mut removed = 0;
        for id in ids {
            // One that has ended meanwhile is not there to be asked.
            let format = format!("{{{{index .Config.Labels \"{OWNER_LABEL}\"}}}}");
            let Ok(owner) = self.said(&["inspect", "--format", &format, id], cancel).await else {
                continue;
            };
            if owner.trim().parse().is_ok_and(|owner: Owner| owner.is_gone()) {
                self.remove(id).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn said(&self, arguments: &[&str], cancel: &CancellationToken) -> Result<String, EngineError> {
        let said = self.call(arguments, ANSWER, cancel).await?;
        if said.is_success() {
            return Ok(said.stdout_text());
        }
        Err(EngineError::Unusable {
            engine: self.engine,
            reason: reason(&said),
        })
    }
}
