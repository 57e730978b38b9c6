//! Python packages that run as programs under an interpreter, without being installed for it: pip.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pep440_rs::Version;
use wrun_core::id::Digest;
use wrun_core::tool::ToolFound;

use super::wheel::{Choice, fits_python, metadata};
use super::wheel_name::WheelName;
use crate::error::ProvisionError;
use crate::files;
use crate::host::TaskHost;
use crate::index::normalised;
use crate::python::{Verdict, version};

/// How long a version that could not be had is done without: whoever cannot reach an index does not wait for it each time.
const DONE_WITHOUT: Duration = Duration::from_hours(1);

/// The oldest versions of a package that are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oldest<'a> {
    /// That will do.
    pub(super) minimum: Option<&'a str>,
    /// That is as good as any.
    pub(super) preferred: Option<&'a str>,
}

/// A request for a package.
#[derive(Clone)]
struct Wanted<'a> {
    id: &'a str,
    project: String,
    /// The version of the interpreter that runs it.
    python: Version,
    minimum: Option<&'a str>,
}

impl TaskHost {
    /// Finds a package: a wheel that comes with the interpreter, with the distribution or with another interpreter,
    /// else one of the index; one that is preferred, if it can be had, and none that is too old. The path found is a folder with
    /// the package in it.
    pub(super) async fn find_package(
        &self,
        id: &str,
        project: &str,
        interpreter: &ToolFound,
        oldest: Oldest<'_>,
    ) -> Result<ToolFound, ProvisionError> {
        let Oldest { minimum, preferred } = oldest;
        let not_found = |reason: &str| ProvisionError::ToolNotFound {
            tool: id.to_owned(),
            reason: reason.to_owned(),
            help: format!(
                "run once without `--offline`, or install the wheel of {project} that comes with your Python"
            ),
        };
        let Some(python) = version(&interpreter.version) else {
            return Err(not_found(&format!(
                "`{}` is not an interpreter",
                interpreter.path.display()
            )));
        };
        let wanted = Wanted {
            id,
            project: normalised(project),
            python,
            minimum,
        };

        let own = if self.inside.is_some() {
            // Those are files of the image, which only programs in it see.
            Vec::new()
        } else {
            match self.probe_python(&interpreter.path).await? {
                Verdict::Interpreter(probed) => probed.wheel_folders,
                Verdict::Unusable(_) => Vec::new(),
            }
        };
        if preferred.is_some() {
            let preferred = Wanted {
                minimum: preferred,
                ..wanted.clone()
            };
            if let Some(found) = self.preferred(&preferred, &own).await? {
                return Ok(found);
            }
        }
        if let Some(found) = self.known(&wanted, &own).await? {
            return Ok(found);
        }
        if let Some(found) = self.of_others(&wanted).await? {
            return Ok(found);
        }
        match self.fetched_package(&wanted).await {
            Err(ProvisionError::Offline { .. }) => Err(not_found(&format!(
                "no Python of this machine brings a wheel of `{project}`{} for Python {}, and this run is offline",
                minimum
                    .map(|minimum| format!(" {minimum} or later"))
                    .unwrap_or_default(),
                wanted.python
            ))),
            other => other,
        }
    }

    /// A package that can be done without: of this machine, else of the index if that can be reached and has one.
    async fn preferred(
        &self,
        wanted: &Wanted<'_>,
        own: &[PathBuf],
    ) -> Result<Option<ToolFound>, ProvisionError> {
        const KIND: &str = "package-done-without";
        if let Some(found) = self.known(wanted, own).await? {
            return Ok(Some(found));
        }
        let key = format!("{} {}", wanted.key(), wanted.minimum.unwrap_or_default());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        if let Some(since) = self.fact::<u64>(KIND, &key)?
            && now.abs_diff(since) < DONE_WITHOUT.as_secs()
        {
            return Ok(None);
        }
        if let Some(found) = self.of_others(wanted).await? {
            return Ok(Some(found));
        }
        match self.fetched_package(wanted).await {
            Ok(found) => Ok(Some(found)),
            Err(ProvisionError::Cancelled) => Err(ProvisionError::Cancelled),
            Err(error) => {
                tracing::debug!(%error, project = wanted.project, "an older version will have to do");
                if !self.settings.offline {
                    self.remember(KIND, &key, &now)?;
                }
                Ok(None)
            }
        }
    }

    /// The wheel that comes with the interpreter, whose folders are `own`, or with the distribution, or was fetched before.
    async fn known(&self, wanted: &Wanted<'_>, own: &[PathBuf]) -> Result<Option<ToolFound>, ProvisionError> {
        let folders = own.iter().chain(&self.settings.wheel_folders).cloned();
        match self.first_that_fits(wanted, folders).await? {
            Some(found) => Ok(Some(found)),
            None => self.fetched_before(wanted),
        }
    }

    /// The wheel that comes with another interpreter.
    async fn of_others(&self, wanted: &Wanted<'_>) -> Result<Option<ToolFound>, ProvisionError> {
        let folders = self
            .every_python()
            .await?
            .into_iter()
            .flat_map(|probed| probed.wheel_folders);
        self.first_that_fits(wanted, folders).await
    }

    /// The newest wheel of the first folder that has one which runs under the interpreter.
    async fn first_that_fits(
        &self,
        wanted: &Wanted<'_>,
        folders: impl Iterator<Item = PathBuf> + Send,
    ) -> Result<Option<ToolFound>, ProvisionError> {
        for folder in folders {
            let names = wheels(&folder, &wanted.project);
            for name in names
                .into_iter()
                .filter(|name| wanted.is_recent_enough(&name.version))
            {
                if let Some(found) = self
                    .unpacked(wanted, &name, folder.join(&name.file), None)
                    .await?
                {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The wheel of the index that was fetched before for this version of Python.
    fn fetched_before(&self, wanted: &Wanted<'_>) -> Result<Option<ToolFound>, ProvisionError> {
        let Some((version, digest)) = self.fact::<(String, Digest)>("package", &wanted.key())? else {
            return Ok(None);
        };
        let recent = version
            .parse()
            .is_ok_and(|version| wanted.is_recent_enough(&version));
        let folder = self.store.tool(&wanted.project, &version)?.filter(|_| recent);
        Ok(folder
            .filter(|folder| is_whole(folder))
            .map(|folder| wanted.found(folder, version, Some(digest))))
    }

    async fn fetched_package(&self, wanted: &Wanted<'_>) -> Result<ToolFound, ProvisionError> {
        let _flight = self.tool_flight(&wanted.key()).await?;
        if let Some(found) = self.fetched_before(wanted)? {
            return Ok(found);
        }
        let choice = Choice {
            project: &wanted.project,
            minimum: wanted.minimum,
            interpreter: Some(&wanted.python),
            everywhere: false,
        };
        let wheel = self.choose_wheel(&choice).await?;
        let archive = self.fetch_wheel(&wheel).await?;
        let Some(found) = self
            .unpacked(wanted, &wheel.name, archive, Some(wheel.digest))
            .await?
        else {
            return Err(ProvisionError::IndexInvalid {
                what: wheel.name.file,
                reason: "it needs another Python than its index says".to_owned(),
            });
        };
        self.remember("package", &wanted.key(), &(found.version.clone(), wheel.digest))?;
        Ok(found)
    }

    /// Unpacks a wheel, unless that was done before; `None` if it does not run under the interpreter.
    async fn unpacked(
        &self,
        wanted: &Wanted<'_>,
        name: &WheelName,
        archive: PathBuf,
        digest: Option<Digest>,
    ) -> Result<Option<ToolFound>, ProvisionError> {
        let version = name.version.to_string();
        let folder = match self.store.tool(&wanted.project, &version)? {
            Some(folder) if folder.join(metadata(name)).exists() => folder,
            _ => {
                self.install_wheel(&wanted.project, name, archive, Vec::new())
                    .await?
            }
        };
        let metadata = files::read_small_text(&folder.join(metadata(name)));
        let requires = metadata.as_deref().and_then(requires_python);
        Ok(fits_python(requires, &wanted.python).then(|| wanted.found(folder, version, digest)))
    }
}

impl Wanted<'_> {
    /// The name under which the wheel of the index is remembered: it is chosen by the minor version of Python.
    fn key(&self) -> String {
        let release = self.python.release();
        let minor: Vec<String> = release.iter().take(2).map(u64::to_string).collect();
        format!("{} for Python {}", self.project, minor.join("."))
    }

    fn is_recent_enough(&self, version: &Version) -> bool {
        self.minimum
            .and_then(|minimum| minimum.parse::<Version>().ok())
            .is_none_or(|minimum| *version >= minimum)
    }

    fn found(&self, folder: PathBuf, version: String, digest: Option<Digest>) -> ToolFound {
        ToolFound {
            id: self.id.to_owned(),
            path: folder,
            version,
            digest,
            python: None,
        }
    }
}

/// Whether a folder holds a package with what is known of it.
fn is_whole(folder: &Path) -> bool {
    files::names(folder)
        .iter()
        .map(|name| folder.join(name))
        .any(|path| {
            path.extension().is_some_and(|ending| ending == "dist-info") && path.join("METADATA").exists()
        })
}

/// The pure wheels of a project in a folder, newest first.
fn wheels(folder: &Path, project: &str) -> Vec<WheelName> {
    let mut wheels: Vec<WheelName> = files::names(folder)
        .into_iter()
        .filter_map(|name| WheelName::parse(name.to_str()?))
        .filter(|name| normalised(&name.distribution) == project && name.is_pure())
        .collect();
    wheels.sort_by(|left, right| right.version.cmp(&left.version));
    wheels
}

/// The field `Requires-Python` of a wheel's metadata, which has the form of mail headers.
fn requires_python(metadata: &str) -> Option<&str> {
    metadata
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix("Requires-Python:"))
        .map(str::trim)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the test prepares the files that it looks for"
)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wheel_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "pip-9.0-py3-none-any.whl",
            "pip-23.0.1-py3-none-any.whl",
            "setuptools-65-py3-none-any.whl",
            "x",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found: Vec<String> = wheels(folder.path(), "pip")
            .into_iter()
            .map(|name| name.file)
            .collect();
        assert_eq!(found, ["pip-23.0.1-py3-none-any.whl", "pip-9.0-py3-none-any.whl"]);
    }

    #[test]
    fn metadata_says_which_python_is_needed() {
        let metadata = "Metadata-Version: 2.1\nName: pip\nRequires-Python: >=3.7\n\nRequires-Python: >=9\n";
        assert_eq!(requires_python(metadata), Some(">=3.7"));
        assert!(!fits_python(
            requires_python(metadata),
            &"3.6.15".parse().unwrap()
        ));
        assert!(fits_python(Some("nonsense"), &"3.6.15".parse().unwrap()));
    }
}
