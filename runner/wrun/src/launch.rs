//! What an environment adds to a run.

use std::path::{Path, PathBuf};

use wrun_core::launch::{EnvEdit, Recorded};
use wrun_core::plan::{Piece, Place, Word};

use crate::Error;

/// The variables of an environment, with its places at their addresses, and the folders that its build recorded.
///
/// # Errors
/// What its build recorded cannot be read.
pub(crate) fn edited(edits: &[EnvEdit], prefix: &Path) -> Result<Recorded, Error> {
    let mut all = Recorded::default();
    for edit in edits {
        match edit {
            EnvEdit::Set(name, word) => {
                all.variables.insert(name.clone(), text(word, prefix));
            }
            EnvEdit::Recorded(place) => {
                let Recorded {
                    variables,
                    search_path,
                    reads,
                } = recorded(&address(place, prefix))?;
                all.variables.extend(variables);
                all.search_path.extend(search_path);
                all.reads.extend(reads);
            }
        }
    }
    Ok(all)
}

#[expect(
    clippy::disallowed_methods,
    reason = "one small file of an environment that the lease protects"
)]
fn recorded(path: &Path) -> Result<Recorded, Error> {
    let unreadable = |reason: String| Error::Path {
        what: "what the environment's build recorded",
        path: path.to_path_buf(),
        reason,
    };
    let content = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_slice(&content).map_err(|error| unreadable(error.to_string()))
}

fn text(word: &Word, prefix: &Path) -> String {
    word.0
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) | Piece::Tool(text) => text.clone(),
            Piece::Place(place) => address(place, prefix).to_string_lossy().into_owned(),
            // Nothing is fetched when a task starts.
            Piece::Patience => String::new(),
        })
        .collect()
}

/// The address of a place; when a task starts, all places are in its environment.
pub(crate) fn address(place: &Place, prefix: &Path) -> PathBuf {
    if place.rel.is_empty() {
        prefix.to_owned()
    } else {
        prefix.join(&place.rel)
    }
}
