//! Programs: the one that is set, one on the search path, or one out of a wheel of the package index.

use std::path::{Path, PathBuf};

use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use wrun_core::id::Digest;
use wrun_core::tool::ToolFound;

use super::wheel::{Choice, Wheel};
use crate::error::ProvisionError;
use crate::files::{self, FileIdentity};
use crate::host::TaskHost;
use crate::index::normalised;
use crate::spawn::{tail, written};

/// What the name of a tool ends with in the store if it runs on any Linux.
const EVERYWHERE: &str = "-musl";

/// A request for a program.
pub(super) struct Wanted<'a> {
    pub(super) id: &'a str,
    pub(super) names: &'a [String],
    pub(super) folders: &'a [PathBuf],
    pub(super) version_args: &'a [String],
    pub(super) minimum: Option<&'a str>,
    pub(super) wheel: Option<&'a str>,
}

/// What is remembered of a program that was fetched.
#[derive(Debug, Serialize, Deserialize)]
struct Fetched {
    version: String,
    digest: Digest,
    /// The program's path in the folder of the tool.
    program: String,
}

impl Wanted<'_> {
    fn is_recent_enough(&self, version: &Version) -> bool {
        self.minimum
            .and_then(|minimum| minimum.parse::<Version>().ok())
            .is_none_or(|minimum| *version >= minimum)
    }

    fn too_old(&self, version: &Version) -> String {
        format!(
            "it is version {version}, and {} or later is needed",
            self.minimum.unwrap_or_default()
        )
    }

    fn found(&self, path: PathBuf, version: &str, digest: Option<Digest>) -> ToolFound {
        ToolFound {
            id: self.id.to_owned(),
            path,
            version: version.to_owned(),
            digest,
            python: None,
        }
    }
}

impl TaskHost {
    /// Finds a program.
    pub(super) async fn find_program(&self, wanted: &Wanted<'_>) -> Result<ToolFound, ProvisionError> {
        // A program of this machine need not run among the files of an image.
        let of_machine = self.inside.is_none();
        if let Some(path) = self.settings.tools.get(wanted.id).filter(|_| of_machine) {
            let unusable = |reason| ProvisionError::ToolUnusable {
                tool: wanted.id.to_owned(),
                path: path.clone(),
                reason,
            };
            let version = self
                .version_of(path, wanted.version_args)
                .await?
                .map_err(unusable)?;
            if !wanted.is_recent_enough(&version) {
                return Err(unusable(wanted.too_old(&version)));
            }
            return Ok(wanted.found(path.clone(), &version.to_string(), None));
        }
        let mut passed_over = Vec::new();
        let folders = self.settings.search_path.iter().chain(wanted.folders);
        for path in in_folders(folders.filter(|_| of_machine), wanted.names) {
            match self.version_of(&path, wanted.version_args).await? {
                Ok(version) if wanted.is_recent_enough(&version) => {
                    return Ok(wanted.found(path, &version.to_string(), None));
                }
                Ok(version) => {
                    passed_over.push(format!("`{}`: {}", path.display(), wanted.too_old(&version)));
                }
                Err(reason) => passed_over.push(format!("`{}`: {reason}", path.display())),
            }
        }
        let Some(project) = wanted.wheel else {
            return Err(not_found(wanted, &passed_over, None));
        };
        match self.fetched_program(wanted, project).await {
            Err(ProvisionError::Offline { .. }) => Err(not_found(
                wanted,
                &passed_over,
                Some("it cannot be fetched, since this run is offline"),
            )),
            other => other,
        }
    }

    /// The program out of the newest wheel of a project, kept in the store from the first time on.
    async fn fetched_program(&self, wanted: &Wanted<'_>, project: &str) -> Result<ToolFound, ProvisionError> {
        let project = normalised(project);
        let everywhere = self.inside.is_some();
        let key = if everywhere {
            format!("{project}{EVERYWHERE}")
        } else {
            project.clone()
        };
        if let Some(known) = self.kept_program(wanted, &key)? {
            return Ok(known);
        }
        let _flight = self.tool_flight(&key).await?;
        if let Some(known) = self.kept_program(wanted, &key)? {
            return Ok(known);
        }
        let choice = Choice {
            project: &project,
            minimum: wanted.minimum,
            interpreter: None,
            everywhere,
        };
        let wheel = self.choose_wheel(&choice).await?;
        let archive = self.fetch_wheel(&wheel).await?;
        let scripts: Vec<String> = wanted
            .names
            .iter()
            .map(|name| format!("{}.data/scripts/{name}", wheel.name.stem()))
            .collect();
        let folder = self
            .install_wheel(&key, &wheel.name, archive, scripts.clone())
            .await?;
        let program = scripts
            .into_iter()
            .find(|rel| files::is_executable(&folder.join(rel)))
            .ok_or_else(|| ProvisionError::IndexInvalid {
                what: wheel.name.file.clone(),
                reason: format!("there is no program `{}` in it", wanted.names.join("` or `")),
            })?;
        let Wheel { name, digest, .. } = wheel;
        let path = folder.join(&program);
        self.remember(
            "tool",
            &key,
            &Fetched {
                version: name.version.to_string(),
                digest,
                program,
            },
        )?;
        Ok(wanted.found(path, &name.version.to_string(), Some(digest)))
    }

    /// The program as it was fetched before, if it is recent enough.
    fn kept_program(&self, wanted: &Wanted<'_>, key: &str) -> Result<Option<ToolFound>, ProvisionError> {
        let Some(Fetched {
            version,
            digest,
            program,
        }) = self.fact("tool", key)?
        else {
            return Ok(None);
        };
        let recent = version
            .parse()
            .is_ok_and(|version| wanted.is_recent_enough(&version));
        let folder = if recent {
            self.store.tool(key, &version)?
        } else {
            None
        };
        Ok(folder
            .map(|folder| folder.join(program))
            .filter(|path| files::is_executable(path))
            .map(|path| wanted.found(path, &version, Some(digest))))
    }

    /// The version that a program prints. A program that was asked before and has not changed is not started again.
    async fn version_of(
        &self,
        path: &Path,
        version_args: &[String],
    ) -> Result<Result<Version, String>, ProvisionError> {
        let identity = match FileIdentity::of(path) {
            Ok(identity) => identity,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let key = identity.key(&version_args.join("\0"));
        if let Some(known) = self
            .fact::<String>("program", &key)?
            .and_then(|version| version.parse().ok())
        {
            return Ok(Ok(known));
        }
        let captured = match self.probe(path.to_path_buf(), version_args).await {
            Ok(captured) => captured,
            Err(ProvisionError::Cancelled) => return Err(ProvisionError::Cancelled),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let Some(version) = first_version(&captured.stdout_text()).filter(|_| captured.exit == Some(0))
        else {
            let output = tail(&written(&captured), 1);
            return Ok(Err(format!(
                "it does not print its version for `{}`: {output}",
                version_args.join(" ")
            )));
        };
        self.remember("program", &key, &version.to_string())?;
        Ok(Ok(version))
    }
}

/// The files of these names in the folders, but for the shims of version managers.
fn in_folders<'a>(folders: impl Iterator<Item = &'a PathBuf>, names: &[String]) -> Vec<PathBuf> {
    folders
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .filter(|path| files::is_executable(path) && !crate::python::is_shim(path))
        .collect()
}

/// The first version (PEP 440) in what a program printed, as text or as JSON: `uv 0.9.3 (abc 2026-01-01)`.
fn first_version(text: &str) -> Option<Version> {
    text.split(|character: char| character.is_whitespace() || "\"',:()[]{}".contains(character))
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .filter(|word| word.starts_with(|character: char| character.is_ascii_digit()) && word.contains('.'))
        .find_map(|word| word.parse().ok())
}

fn not_found(wanted: &Wanted<'_>, passed_over: &[String], last: Option<&str>) -> ProvisionError {
    let mut reasons = passed_over.to_vec();
    if reasons.is_empty() {
        reasons.push(format!(
            "there is no `{}` on the search path",
            wanted.names.join("` or `")
        ));
    }
    reasons.extend(last.map(str::to_owned));
    let version = wanted
        .minimum
        .map(|minimum| format!(" {minimum} or later"))
        .unwrap_or_default();
    ProvisionError::ToolNotFound {
        tool: wanted.id.to_owned(),
        reason: reasons.join("; "),
        help: match wanted.wheel {
            Some(_) => format!(
                "run once without `--offline`, or install {}{version} on the search path",
                wanted.id
            ),
            None => format!("install {}{version} on the search path", wanted.id),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_text_and_json() {
        for (text, version) in [
            ("uv 0.9.3 (abc 2026-01-01)", "0.9.3"),
            (
                "{\"package_name\":\"uv\",\"version\": \"0.13.9\",\"commit_info\":null}",
                "0.13.9",
            ),
            ("tool v1.2rc1\n", "1.2rc1"),
        ] {
            assert_eq!(first_version(text), Some(version.parse().unwrap()), "{text}");
        }
        assert_eq!(first_version("no version, 5 words"), None);
    }
}
