//! The container image of an environment.

use std::path::{Path, PathBuf};

use wrun_core::id::LockId;
use wrun_core::image::{BACKEND, Engine, Image};
use wrun_core::launch::Launch;
use wrun_core::problem::Problem;
use wrun_core::task::Run;
use wrun_exec::ImageRoot;
use wrun_provision::Inside;

use crate::Error;
use crate::environment::Leased;
use crate::launch::address;
use crate::lock_file::LockFile;

/// Where programs are where an image does not say so.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A container image that another environment is built inside of.
pub(crate) struct Base {
    pub(crate) image: Image,
    pub(crate) lock_id: LockId,
    /// Its lock with its request, for a lock file.
    pub(crate) lock_file: LockFile,
    /// The right to use the image, held for as long as this is.
    pub(crate) leased: Leased,
}

impl Base {
    /// The image of an environment, for another one to be built in.
    ///
    /// # Errors
    /// It holds no files that this program could run others among, or what its build recorded cannot be read.
    pub(crate) fn new(
        launch: &Launch,
        lock_id: LockId,
        lock_file: LockFile,
        leased: Leased,
    ) -> Result<Self, Error> {
        let unfit = |reason: &str| {
            Error::Environment {
            backend: BACKEND.to_owned(),
            problem: Problem::Unsupported {
                code: "image.packages.unsupported".to_owned(),
                message: format!("packages cannot be installed for this image: {reason}"),
                help: Some(
                    "remove the other table under `[env]`, or take an image with a Python and `engine = \"builtin\"`"
                        .to_owned(),
                ),
            },
        }
        };
        match of(launch, &leased.environment.prefix)? {
            Some(image) if image.engine == Engine::Builtin => Ok(Self {
                image,
                lock_id,
                lock_file,
                leased,
            }),
            Some(_) => Err(unfit(
                "it is kept by another engine, which installers are not run by",
            )),
            None => Err(unfit("it holds a WebAssembly module and no files")),
        }
    }

    /// Where installers run.
    pub(crate) fn inside(&self) -> Inside {
        Inside {
            root: root(&self.image, search_path(&self.image)),
            identity: self.lock_id.to_string(),
            name: self.image.reference.clone(),
            variables: variables(&self.image).collect(),
        }
    }
}

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
/// The image has nothing for it, or it would start where the image has a file.
pub(crate) fn command(image: &Image, run: &Run) -> Result<Vec<String>, Error> {
    let command = image.command(run);
    if command.is_empty() {
        return Err(Error::NothingToRun {
            image: image.reference.clone(),
        });
    }
    if let Some(folder) = &image.config.working_dir
        && image.config.working_dir_is_file
        && image.folder(run) == Some(folder)
    {
        return Err(Error::StartsInFile {
            image: image.reference.clone(),
            folder: folder.clone(),
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
