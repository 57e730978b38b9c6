//! Builders of images, with a registry of the test in place of the public one.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::command::Cmd;
use crate::container::{Docker, Image, Registry};
use crate::{World, files, machine, skipped};

/// What the builders of a world are told: where they keep images, and a registry that stands in for `docker.io`.
pub struct Builders {
    registry: Registry,
    docker: Option<Docker>,
    storage: PathBuf,
    registries: PathBuf,
    layers: PathBuf,
}

impl Drop for Builders {
    fn drop(&mut self) {
        // Builders leave the folder of their layers mounted on itself, which would outlive it.
        let _ = rustix::mount::unmount(&self.layers, rustix::mount::UnmountFlags::DETACH);
    }
}

impl Builders {
    /// Settings for the builders of a world. The registry has these images under names such as `library/python:3`.
    #[must_use]
    pub fn new(world: &World, images: &[(&str, &Image)]) -> Self {
        let registry = Registry::start();
        for (name, image) in images {
            registry.push(name, image);
        }
        let (storage, registries) = (
            world.path().join("storage.conf"),
            world.path().join("registries.conf"),
        );
        // Without rights there may be no file system for layers.
        let driver = if machine::is_root() { "overlay" } else { "vfs" };
        files::write(
            &storage,
            format!(
                "[storage]\ndriver = \"{driver}\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
                world.path().display()
            ),
        );
        files::write(
            &registries,
            format!(
                "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{}\"\ninsecure = true\n",
                registry.host()
            ),
        );
        Self {
            registry,
            docker: None,
            storage,
            registries,
            layers: world.path().join("graph/overlay"),
        }
    }

    /// Makes sure that a builder works, and says why not where it does not.
    pub fn has(&mut self, builder: &str) -> bool {
        if builder == "docker" {
            self.docker = Docker::start(Some(&self.registry.host()));
            return self.docker.is_some();
        }
        let asked = Command::new(builder)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        match asked {
            Ok(status) if status.success() => true,
            Ok(status) => {
                skipped(&format!("{builder}: {status}"));
                false
            }
            Err(error) => {
                skipped(&format!("{builder}: {error}"));
                false
            }
        }
    }

    /// What a builder says that is called by hand and told so.
    #[track_caller]
    #[must_use]
    pub fn call(&self, builder: &str, arguments: &[&str]) -> String {
        let output = Command::new(builder)
            .args(arguments)
            .env("CONTAINERS_STORAGE_CONF", &self.storage)
            .env("CONTAINERS_REGISTRIES_CONF", &self.registries)
            .output()
            .expect("the builder can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{builder} {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A command that tells its builders so.
    #[must_use]
    pub fn told(&self, command: Cmd) -> Cmd {
        let command = command
            .env("CONTAINERS_STORAGE_CONF", &self.storage)
            .env("CONTAINERS_REGISTRIES_CONF", &self.registries)
            .timeout(std::time::Duration::from_mins(5));
        match &self.docker {
            Some(docker) => command.env("DOCKER_HOST", docker.host()),
            None => command,
        }
    }
}
