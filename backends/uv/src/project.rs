//! A project: `pyproject.toml` (PEP 621), and the files of uv beside it.

use std::collections::BTreeSet;

use toml::{Table, Value};
use wrun_backend_python::path;
use wrun_backend_python::source;
use wrun_backend_python::spec::normalised_name;
use wrun_core::backend::{Input, InputKind, InputRequest, Inputs};
use wrun_core::diagnostic::{Finding, suggestion};

/// Files beside `pyproject.toml` that uv reads, if they are there.
const OPTIONAL_FILES: &[&str] = &["uv.lock", "uv.toml"];

/// What to do about a path that leaves the task's folder and cannot be absolute either.
pub(crate) const INSIDE: &str =
    "put the task file beside or above what it names: the task's folder is that of the file";

/// A project that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Project {
    /// Its folder, normalised.
    pub(crate) folder: String,
    /// Its files that were read: path and text.
    pub(crate) files: Vec<(String, String)>,
    /// Whether there is an `uv.lock`.
    pub(crate) locked: bool,
    /// Folders and archives that have to be there to resolve or to install it.
    pub(crate) sources: BTreeSet<String>,
    /// What it says of interpreters.
    pub(crate) requires_python: Option<String>,
    /// Everything that has to be read.
    pub(crate) needs: BTreeSet<InputRequest>,
}

impl Project {
    /// Reads as far as the files are known.
    pub(crate) fn read(
        folder: &str,
        extras: &[String],
        groups: &[String],
        known: &Inputs,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let folder = match path::normalise(".", folder) {
            Ok(folder) if !folder.starts_with('/') => folder,
            Ok(_) => {
                findings.push(
                    Finding::error(
                        "uv.project.path",
                        "/project",
                        format!("`{folder}` is an absolute path"),
                    )
                    .with_help("write a path relative to the task's folder"),
                );
                return Self::default();
            }
            Err(fault) => {
                let finding = Finding::error("uv.project.path", "/project", fault.message(folder));
                findings.push(finding.with_help(INSIDE));
                return Self::default();
            }
        };
        let mut project = Self {
            folder: folder.clone(),
            ..Self::default()
        };
        for name in OPTIONAL_FILES {
            let request = InputRequest {
                path: beside(&folder, name),
                kind: InputKind::OptionalText,
            };
            if let Some(text) = known.get(&request).and_then(Input::text) {
                project.locked |= *name == "uv.lock";
                project.files.push((request.path.clone(), text.to_owned()));
            }
            project.needs.insert(request);
        }
        let request = InputRequest {
            path: beside(&folder, "pyproject.toml"),
            kind: InputKind::Text,
        };
        let found = known.get(&request);
        if found == Some(&Input::Absent) {
            findings.push(source::absent(&request.path, "/project", ""));
        }
        let text = found.and_then(Input::text);
        project.needs.insert(request.clone());
        if let Some(text) = text {
            project.files.insert(0, (request.path.clone(), text.to_owned()));
            project.understand(text, &request.path, extras, groups, findings);
        }
        project
            .needs
            .extend(project.sources.iter().map(|path| source::request(path)));
        project
    }

    fn understand(
        &mut self,
        text: &str,
        file: &str,
        extras: &[String],
        groups: &[String],
        findings: &mut Vec<Finding>,
    ) {
        let document: Table = match text.parse() {
            Ok(document) => document,
            Err(error) => {
                let message = format!("`{file}` is not TOML: {}", first_lines(&error));
                findings.push(Finding::error("uv.project.syntax", "/project", message));
                return;
            }
        };
        let Some(metadata) = document.get("project").and_then(Value::as_table) else {
            findings.push(
                Finding::error(
                    "uv.project.metadata",
                    "/project",
                    format!("`{file}` has no table `[project]`"),
                )
                .with_help("write `[project]` with `name`, `version` and `dependencies` (PEP 621)"),
            );
            return;
        };
        self.requires_python = metadata
            .get("requires-python")
            .and_then(Value::as_str)
            .map(str::to_owned);
        defined(
            extras,
            metadata.get("optional-dependencies"),
            "extra",
            "/extras",
            file,
            findings,
        );
        defined(
            groups,
            document.get("dependency-groups"),
            "dependency group",
            "/groups",
            file,
            findings,
        );
        let uv = document.get("tool").and_then(|tool| tool.get("uv"));
        let is_package = uv
            .and_then(|uv| uv.get("package"))
            .and_then(Value::as_bool)
            .unwrap_or_else(|| document.contains_key("build-system"));
        let is_dynamic = metadata
            .get("dynamic")
            .and_then(Value::as_array)
            .is_some_and(|fields| !fields.is_empty());
        let is_workspace = uv.is_some_and(|uv| uv.get("workspace").is_some());
        if !is_workspace && is_member(uv) {
            findings.push(
                Finding::error(
                    "uv.project.member",
                    "/project",
                    format!("`{file}` is a member of a workspace, and takes packages of it that are outside of `{}`", self.folder),
                )
                .with_help(
                    "name the workspace's root, where `[tool.uv.workspace]` is; let the root depend on what the task needs",
                ),
            );
            return;
        }
        let sources = local_sources(uv, &self.folder, file, "/project", findings);
        if is_package || is_dynamic || is_workspace {
            let prefix = if self.folder == "." {
                String::new()
            } else {
                format!("{}/", self.folder)
            };
            self.sources = sources
                .into_iter()
                .filter(|path| path.starts_with('/') || !path.starts_with(&prefix))
                .filter(|path| self.folder != "." || path.starts_with('/'))
                .collect();
            self.sources.insert(self.folder.clone());
        } else {
            self.sources = sources;
        }
    }

    /// Whether the folder itself is copied, and with it the files in it.
    pub(crate) fn is_copied(&self) -> bool {
        self.sources.contains(&self.folder)
    }
}

/// Whether one of `tool.uv.sources` is the workspace that the project is in.
fn is_member(uv: Option<&Value>) -> bool {
    let sources = uv.and_then(|uv| uv.get("sources")).and_then(Value::as_table);
    sources
        .into_iter()
        .flat_map(|sources| sources.iter())
        .any(|(_, source)| source.get("workspace").and_then(Value::as_bool) == Some(true))
}

/// The path of a file in a folder.
fn beside(folder: &str, name: &str) -> String {
    if folder == "." {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The words of a TOML error without the drawing around them.
pub(crate) fn first_lines(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let place = text
        .lines()
        .next()
        .unwrap_or_default()
        .strip_prefix("TOML parse error ")
        .unwrap_or_default()
        .to_owned();
    let place = if place.is_empty() {
        place
    } else {
        format!(" ({place})")
    };
    format!("{}{place}", error.message())
}

fn defined(
    asked: &[String],
    table: Option<&Value>,
    what: &str,
    at: &str,
    file: &str,
    findings: &mut Vec<Finding>,
) {
    let known: Vec<String> = table
        .and_then(Value::as_table)
        .map(|table| table.keys().map(|key| normalised_name(key)).collect())
        .unwrap_or_default();
    for (position, name) in asked.iter().enumerate() {
        if known.contains(&normalised_name(name)) {
            continue;
        }
        let message = format!("`{file}` has no {what} `{name}`");
        let help = suggestion(name, known.iter().map(String::as_str)).map_or_else(
            || {
                if known.is_empty() {
                    "it has none at all".to_owned()
                } else {
                    format!("it has: {}", known.join(", "))
                }
            },
            |near| format!("did you mean `{near}`?"),
        );
        findings.push(
            Finding::error("uv.project.undefined", format!("{at}/{position}"), message).with_help(help),
        );
    }
}

/// The paths of `tool.uv.sources`, normalised.
pub(crate) fn local_sources(
    uv: Option<&Value>,
    base: &str,
    file: &str,
    at: &str,
    findings: &mut Vec<Finding>,
) -> BTreeSet<String> {
    let sources = uv.and_then(|uv| uv.get("sources")).and_then(Value::as_table);
    let written = sources
        .into_iter()
        .flat_map(|sources| sources.iter().map(|(_, entry)| entry))
        .flat_map(|entry| {
            entry
                .as_array()
                .map_or_else(|| std::slice::from_ref(entry), Vec::as_slice)
        })
        .filter_map(|entry| entry.get("path")?.as_str());
    let mut paths = BTreeSet::new();
    for path in written {
        match path::normalise(base, path) {
            Ok(path) => {
                paths.insert(path);
            }
            Err(fault) => findings.push(
                Finding::error("uv.project.path", at, format!("{file}: {}", fault.message(path)))
                    .with_help(fault.help()),
            ),
        }
    }
    paths
}
