//! A spec that was understood, with all that is wrong with it.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use pep440_rs::Version;
use serde_json::Value;
use wrun_backend_python::gather::{Ask, Gathered, gather};
use wrun_backend_python::markers::PYTHON;
use wrun_backend_python::repository;
use wrun_backend_python::source::Source;
use wrun_backend_python::spec::{self as parts, Prerelease};
use wrun_backend_python::{instant, python_request};
use wrun_core::backend::{InputRequest, Inputs, Needs, Request};
use wrun_core::diagnostic::Finding;
use wrun_core::plan::NetworkUse;
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolKind, ToolRequest};

use crate::UV;
use crate::project::Project;
use crate::repository::is_in;
use crate::script::Script;
use crate::spec::{KEYS, UvSpec};

/// The oldest uv that writes and installs locks (PEP 751) as they are used here.
const MINIMUM_UV: &str = "0.8.0";

/// The first Python that uv makes environments for: older ones know no bytecode that is valid whatever the times of
/// files are (PEP 552).
const FIRST_PYTHON: [u64; 2] = [3, 7];

/// The folder below the scratch folder that stands in for the task's folder.
pub(crate) const WORK: &str = "work";

/// Where requirements come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Family {
    /// Lists and requirements files.
    Packages,
    /// A project.
    Project(Project),
    /// A script.
    Script(Script),
}

/// A spec that was understood as far as its files are known.
#[derive(Debug)]
pub(crate) struct Understood {
    /// As written.
    pub(crate) spec: UvSpec,
    /// Where requirements come from.
    pub(crate) family: Family,
    /// Requirements, indexes and policies.
    pub(crate) gathered: Gathered,
    /// The cut-off as an instant.
    pub(crate) exclude_newer: Option<String>,
    /// Findings that do not stop the build.
    pub(crate) warnings: Vec<Finding>,
}

impl Understood {
    /// Reads a spec.
    pub(crate) fn read(spec: &Value, known: &Inputs) -> Result<Self, Problem> {
        let (spec, form): (UvSpec, _) = parts::read("python", spec, KEYS)?;
        let mut gathered = gather(
            &Ask {
                packages: spec.packages.as_deref().unwrap_or_default(),
                requirements: spec.requirements.as_ref(),
                constraints: spec.constraints.as_ref(),
                overrides: spec.overrides.as_ref(),
                indexes: &spec.indexes,
                find_links: &spec.find_links,
                no_build: spec.no_build.as_ref(),
                require_hashes: spec.require_hashes,
                variables: &spec.variables,
            },
            known,
        );
        let is_whole = form.is_empty();
        let mut findings = form;
        findings.append(&mut gathered.findings);
        let family = family(&spec, is_whole, known, &mut findings);
        findings.extend(parts::check_variables(&spec.variables));
        if let Some(Err(message)) = spec.python.as_deref().map(python_request::check) {
            findings.push(
                Finding::error("python.request.syntax", "/python", message).with_help(python_request::HELP),
            );
        }
        let exclude_newer = spec
            .exclude_newer
            .as_deref()
            .map(instant::cut_off)
            .and_then(|instant| {
                instant
                    .map_err(|message| {
                        let finding = Finding::error("python.date.syntax", "/exclude-newer", message);
                        findings.push(finding.with_help(instant::HELP));
                    })
                    .ok()
            });
        let warnings = parts::verdict(findings)?;
        Ok(Self {
            spec,
            family,
            gathered,
            exclude_newer,
            warnings,
        })
    }

    /// Reads a request, all of whose files are known, and sees to it that its interpreter will do.
    pub(crate) fn of(request: &Request) -> Result<Self, Problem> {
        let understood = Self::read(&request.spec, &request.inputs)?;
        let python = request.tool(PYTHON)?;
        let is_older = Version::from_str(python.version.trim_end_matches('+'))
            .is_ok_and(|version| version < Version::new(FIRST_PYTHON));
        if is_older {
            return Err(Problem::Unsupported {
                code: "uv.python.old".to_owned(),
                message: format!(
                    "uv makes environments for Python {}.{} or later, and `{}` is Python {}",
                    FIRST_PYTHON[0],
                    FIRST_PYTHON[1],
                    python.path.display(),
                    python.version
                ),
                help: Some("ask for a newer one, for instance `python = \"3.12\"`".to_owned()),
            });
        }
        Ok(understood)
    }

    /// The interpreter that is asked for: by the spec, else by the project or script.
    pub(crate) fn python(&self) -> Option<String> {
        self.spec
            .python
            .clone()
            .map(|text| text.trim().to_owned())
            .or_else(|| match &self.family {
                Family::Packages => None,
                Family::Project(project) => project.requires_python.clone(),
                Family::Script(script) => script.requires_python(),
            })
    }

    /// Whether versions before a release are taken.
    pub(crate) fn prerelease(&self) -> Option<Prerelease> {
        self.spec
            .prerelease
            .or_else(|| self.gathered.pre.then_some(Prerelease::Allow))
    }

    /// Who needs the network to solve or to install. Repositories are fetched by git, which uv starts, and which builds
    /// cannot be told from for certain.
    pub(crate) fn network(&self, repositories: bool) -> NetworkUse {
        if self.spec.build_network || repositories {
            NetworkUse::Everyone
        } else {
            NetworkUse::Program
        }
    }

    /// Whether something is asked for that lies in a repository of another machine.
    pub(crate) fn names_repository(&self) -> bool {
        repository::is_in_gathered(&self.gathered)
            || match &self.family {
                Family::Packages => false,
                Family::Project(project) => project
                    .files
                    .iter()
                    .any(|(_, text)| text.parse().is_ok_and(|document| is_in(&document))),
                Family::Script(script) => is_in(&script.metadata),
            }
    }

    /// Everything local that has to be copied.
    pub(crate) fn sources(&self, inputs: &Inputs) -> Result<Vec<Source>, Problem> {
        let mut sources = self.gathered.sources(inputs)?;
        let paths = match &self.family {
            Family::Packages => None,
            Family::Project(project) => Some(&project.sources),
            Family::Script(script) => Some(&script.sources),
        };
        for path in paths.into_iter().flatten().filter(|path| !path.starts_with('/')) {
            sources.push(Source::new(path, work_place(path), inputs)?);
        }
        Ok(sources)
    }

    /// The folder, below the scratch folder, that uv runs in.
    pub(crate) fn folder(&self) -> String {
        match &self.family {
            Family::Packages => String::new(),
            Family::Project(project) => work_place(&project.folder),
            Family::Script(script) => work_place(wrun_backend_python::path::parent(&script.path)),
        }
    }
}

/// Where something of the task's folder is below the scratch folder.
pub(crate) fn work_place(path: &str) -> String {
    if path == "." {
        WORK.to_owned()
    } else {
        format!("{WORK}/{path}")
    }
}

fn family(spec: &UvSpec, is_whole: bool, known: &Inputs, findings: &mut Vec<Finding>) -> Family {
    let UvSpec {
        packages,
        requirements,
        constraints,
        overrides,
        project,
        extras,
        groups,
        script,
        python: _,
        indexes: _,
        find_links: _,
        exclude_newer: _,
        no_build: _,
        build_network: _,
        prerelease: _,
        require_hashes,
        variables: _,
    } = spec;
    let listed = [
        ("packages", packages.is_some()),
        ("requirements", requirements.is_some()),
        ("constraints", constraints.is_some()),
        ("overrides", overrides.is_some()),
        ("require-hashes", *require_hashes),
    ];
    let of_project = [("extras", !extras.is_empty()), ("groups", !groups.is_empty())];
    let misplaced = |keys: &[(&str, bool)], with: &str, findings: &mut Vec<Finding>| {
        for (key, _) in keys.iter().filter(|(_, given)| *given) {
            let message = format!("`{key}` does not go with {with}");
            findings.push(
                Finding::error("uv.spec.conflict", format!("/{key}"), message)
                    .with_help("use `packages` and `requirements`, or `project`, or `script`"),
            );
        }
    };
    match (project, script) {
        (Some(folder), None) => {
            misplaced(&listed, "`project`", findings);
            Family::Project(Project::read(folder, extras, groups, known, findings))
        }
        (None, Some(path)) => {
            misplaced(&listed, "`script`", findings);
            misplaced(&of_project, "`script`", findings);
            Family::Script(Script::read(path, known, findings))
        }
        (Some(_), Some(_)) => {
            misplaced(&[("script", true)], "`project`", findings);
            Family::Packages
        }
        (None, None) => {
            misplaced(&of_project, "anything but `project`", findings);
            // What is written in a wrong way is not missing.
            if is_whole && packages.is_none() && requirements.is_none() {
                findings.push(
                    Finding::error("uv.spec.empty", "", "nothing says what is to be installed").with_help(
                        "write `packages = [\"emoji\"]`, `requirements`, `project` or `script`; \
                         `packages = []` is an environment with Python only",
                    ),
                );
            }
            Family::Packages
        }
    }
}

/// The files and tools of a spec.
pub(crate) fn needs(spec: &Value, known: &Inputs) -> Result<Needs, Problem> {
    let understood = Understood::read(spec, known)?;
    let mut inputs: BTreeSet<InputRequest> = understood.gathered.needs.clone();
    match &understood.family {
        Family::Packages => {}
        Family::Project(project) => inputs.extend(project.needs.clone()),
        Family::Script(script) => inputs.extend(script.needs.clone()),
    }
    let python = ToolRequest {
        id: PYTHON.to_owned(),
        kind: ToolKind::Python {
            request: understood.python(),
        },
    };
    let uv = ToolRequest {
        id: UV.to_owned(),
        kind: ToolKind::Program {
            names: vec![UV.to_owned()],
            folders: Vec::new(),
            version_args: vec!["--version".to_owned()],
            minimum: Some(MINIMUM_UV.to_owned()),
            wheel: Some(UV.to_owned()),
        },
    };
    Ok(Needs {
        inputs: inputs.into_iter().collect(),
        tools: vec![python, uv],
    })
}
