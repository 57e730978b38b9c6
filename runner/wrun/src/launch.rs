//! What an environment adds to a run.

use std::path::{Path, PathBuf};

use wrun_core::launch::EnvEdit;
use wrun_core::plan::{Piece, Place, Word};

/// The variables of an environment, with its places at their addresses.
pub(crate) fn edited<'a>(
    edits: &'a [EnvEdit],
    prefix: &'a Path,
) -> impl Iterator<Item = (String, String)> + 'a {
    edits
        .iter()
        .map(|EnvEdit::Set(name, word)| (name.clone(), text(word, prefix)))
}

fn text(word: &Word, prefix: &Path) -> String {
    word.0
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) | Piece::Tool(text) => text.clone(),
            Piece::Place(place) => address(place, prefix).to_string_lossy().into_owned(),
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
