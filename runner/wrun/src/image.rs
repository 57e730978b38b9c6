//! The container image of an environment.

use std::path::{Path, PathBuf};

use wrun_core::image::Image;
use wrun_core::launch::Launch;
use wrun_core::task::Run;
use wrun_exec::ImageRoot;

use crate::Error;
use crate::launch::address;

/// Where programs are where an image does not say so.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image of an environment, if it is one.
///
/// # Errors
/// What its build recorded cannot be read.
pub(crate) fn of(launch: &Launch, prefix: &Path) -> Result<Option<Image>, Error> {
    match launch {
        Launch::Image { image, .. } => read(&address(image, prefix)).map(Some),
        Launch::Native { .. } | Launch::Wasi { .. } => Ok(None),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "one small file of an environment that the lease protects"
)]
fn read(path: &Path) -> Result<Image, Error> {
    let unreadable = |reason: String| Error::Path {
        what: "what the environment's build recorded of its image",
        path: path.to_path_buf(),
        reason,
    };
    let content = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_slice(&content).map_err(|error| unreadable(error.to_string()))
}

/// What a task runs in an image: its own command, or what the image has for it.
///
/// # Errors
/// The image has nothing for it.
pub(crate) fn command(image: &Image, run: &Run) -> Result<Vec<String>, Error> {
    let command = image.command(run);
    if command.is_empty() {
        return Err(Error::NothingToRun {
            image: image.reference.clone(),
        });
    }
    Ok(command)
}

/// The variables that an image has for its programs, without the search path. The home folder is not among them: it is
/// the task's own.
pub(crate) fn variables(image: &Image) -> impl Iterator<Item = (String, String)> {
    image
        .config
        .env
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "PATH" | "HOME"))
        .cloned()
}

/// Folders of the image in which its programs are.
pub(crate) fn search_path(image: &Image) -> Vec<PathBuf> {
    let own = image.config.env.iter().rev().find(|(name, _)| name == "PATH");
    std::env::split_paths(own.map_or(SEARCH_PATH, |(_, path)| path)).collect()
}

/// The root of a task with the files of an image.
pub(crate) fn root(image: &Image, search_path: Vec<PathBuf>) -> ImageRoot {
    ImageRoot {
        layers: image.layers.iter().map(PathBuf::from).collect(),
        user: image.config.user.user,
        group: image.config.user.group,
        search_path,
    }
}
