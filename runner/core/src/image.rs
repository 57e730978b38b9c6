//! What is known of a container image once it is in the store: where its files are and how it wants to be started.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::task::Run;

/// The backend whose environments are images, and which so has something to run by itself.
pub const BACKEND: &str = "container";

/// What runs the tasks of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// This program: the layers are in the store and become the root of the sandbox.
    Builtin,
    /// `podman`, which keeps the image itself.
    Podman,
    /// `docker`, which keeps the image itself.
    Docker,
}

impl Engine {
    /// Its name, which is that of its program too, where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

/// Where an engine gets an image from that it is to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// Its registry, by name and digest: `docker.io/library/python@sha256:…`.
    Registry {
        /// The name with the digest.
        reference: String,
    },
    /// An archive of the machine, as of `docker save` or in the OCI layout.
    Archive {
        /// The file.
        path: PathBuf,
        /// Which of its images, if it is one of several.
        name: Option<String>,
    },
}

/// An image, as the build of its environment recorded it in a file of the environment, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its name with its digest, as an engine takes it: `docker.io/library/python@sha256:…`.
    pub reference: String,
    /// The digest of the manifest of its platform.
    pub digest: Digest,
    /// What runs it.
    pub engine: Engine,
    /// The folders of its unpacked layers, absolute, the lowest first. None where an engine keeps the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// How it wants to be started.
    pub config: ImageConfig,
    /// The folder that was asked for to start in, absolute: in place of the configuration's, and of the task's folder where
    /// the task has a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_in: Option<String>,
}

impl Image {
    /// The program with its arguments that a task runs: its own, or what the image has for it.
    #[must_use]
    pub fn command(&self, run: &Run) -> Vec<String> {
        let ImageConfig {
            entrypoint, command, ..
        } = &self.config;
        match run {
            Run::Command(words) => words.clone(),
            Run::Image { args: Some(args) } => [entrypoint.as_slice(), args].concat(),
            Run::Image { args: None } => [entrypoint.as_slice(), command].concat(),
            Run::Module { .. } => Vec::new(),
        }
    }

    /// The folder of the image that a task starts in; none if that is the task's own.
    #[must_use]
    pub fn folder(&self, run: &Run) -> Option<&str> {
        let own = match run {
            Run::Command(_) => None,
            Run::Image { .. } | Run::Module { .. } => Some(self.config.working_dir.as_deref().unwrap_or("/")),
        };
        self.start_in.as_deref().or(own)
    }
}

/// How an image wants to be started (OCI Image Format Specification, `config.md`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Variables, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// What comes before every command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The command where the task has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The folder to start in, absolute; the root if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Whether the image has a file there, so that nothing can start in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub working_dir_is_file: bool,
    /// Who its processes are, looked up in the image's own `/etc/passwd` and `/etc/group`.
    pub user: ImageUser,
    /// The same as the image or the task has it, if one of them says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_as_written: Option<String>,
}

/// Who the processes of an image are, as they see it themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageUser {
    /// User id; 0 is not the machine's root.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Image {
            reference: "docker.io/library/python@sha256:0".to_owned(),
            digest: Digest::of(b""),
            engine: Engine::Builtin,
            layers: Vec::new(),
            config: ImageConfig {
                entrypoint: text(&["python"]),
                command: text(&["-m", "http.server"]),
                working_dir: Some("/srv".to_owned()),
                ..ImageConfig::default()
            },
            start_in: None,
        }
    }

    #[test]
    fn a_command_replaces_what_the_image_runs_and_arguments_follow_its_entrypoint() {
        let words = |run: Run| image().command(&run).join(" ");
        assert_eq!(words(Run::Image { args: None }), "python -m http.server");
        let args = Some(vec!["-V".to_owned()]);
        assert_eq!(words(Run::Image { args }), "python -V");
        assert_eq!(
            words(Run::Image {
                args: Some(Vec::new())
            }),
            "python"
        );
        assert_eq!(words(Run::Command(vec!["true".to_owned()])), "true");
    }

    #[test]
    fn a_command_starts_in_the_folder_of_the_task_and_what_the_image_runs_in_its_own() {
        let command = Run::Command(vec!["true".to_owned()]);
        let own = Run::Image { args: None };
        let mut image = image();
        assert_eq!((image.folder(&command), image.folder(&own)), (None, Some("/srv")));
        image.start_in = Some("/x".to_owned());
        assert_eq!(
            (image.folder(&command), image.folder(&own)),
            (Some("/x"), Some("/x"))
        );
        (image.start_in, image.config.working_dir) = (None, None);
        assert_eq!(image.folder(&own), Some("/"));
    }
}
