//! A spec that was understood, with all that is wrong with it.

use std::str::FromStr as _;

use pep440_rs::Version;
use serde_json::Value;
use wrun_backend_python::gather::{Ask, Gathered, gather};
use wrun_backend_python::markers::{self, PYTHON};
use wrun_backend_python::spec::{self as parts, BuildPolicy, Prerelease};
use wrun_backend_python::{instant, python_request};
use wrun_core::backend::{Inputs, Needs, Request};
use wrun_core::diagnostic::Finding;
use wrun_core::plan::NetworkUse;
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolKind, ToolRequest};

use crate::PIP;
use crate::spec::{KEYS, PipSpec};

/// The first pip whose report of a resolution has a stable form.
const FIRST_WITH_REPORT: [u64; 2] = [23, 0];

/// The first pip that looks at the time of an upload.
const FIRST_WITH_CUT_OFF: [u64; 2] = [26, 0];

/// The first pip that can download what builds require by its own process.
const FIRST_WITH_OWN_DOWNLOADS: [u64; 2] = [26, 0];

/// A spec that was understood as far as its files are known.
#[derive(Debug)]
pub(crate) struct Understood {
    /// As written.
    pub(crate) spec: PipSpec,
    /// Requirements, indexes and policies.
    pub(crate) gathered: Gathered,
    /// The cut-off as an instant.
    pub(crate) exclude_newer: Option<String>,
    /// Whether pip can do all that needs the network by its own process.
    pub(crate) keeps_network: bool,
    /// Findings that do not stop the build.
    pub(crate) warnings: Vec<Finding>,
}

impl Understood {
    /// Reads a spec.
    pub(crate) fn read(spec: &Value, known: &Inputs) -> Result<Self, Problem> {
        let (spec, form): (PipSpec, _) = parts::read("python", spec, KEYS)?;
        let mut gathered = gather(
            &Ask {
                packages: spec.packages.as_deref().unwrap_or_default(),
                requirements: spec.requirements.as_ref(),
                constraints: spec.constraints.as_ref(),
                overrides: None,
                indexes: &spec.indexes,
                find_links: &spec.find_links,
                no_build: spec.no_build.as_ref(),
                require_hashes: spec.require_hashes,
                variables: &spec.variables,
            },
            known,
        );
        gathered.bind_all_hashes();
        let is_whole = form.is_empty();
        let mut findings = form;
        findings.append(&mut gathered.findings);
        // What is written in a wrong way is not missing.
        if is_whole && spec.packages.is_none() && spec.requirements.is_none() {
            findings.push(Finding::error("pip.spec.empty", "", "nothing says what is to be installed").with_help(
                "write `packages = [\"emoji\"]` or `requirements`; `packages = []` is an environment with Python only",
            ));
        }
        if spec.prerelease == Some(Prerelease::Disallow) {
            findings.push(
                Finding::error(
                    "pip.prerelease.unsupported",
                    "/prerelease",
                    "pip cannot be told to never take a pre-release",
                )
                .with_help("use `env.uv`, or leave it out: pip takes one only where nothing else fits"),
            );
        }
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
            gathered,
            exclude_newer,
            keeps_network: true,
            warnings,
        })
    }

    /// Reads a request, all of whose files are known, and sees to it that its tools will do.
    pub(crate) fn of(request: &Request) -> Result<Self, Problem> {
        let mut understood = Self::read(&request.spec, &request.inputs)?;
        let written = &request.tool(PIP)?.version;
        let old = |what: &str, first: [u64; 2], topic: &str| Problem::Unsupported {
            code: format!("pip.{topic}.unsupported"),
            message: format!(
                "{what} needs pip {}.{}, and this is pip {written}",
                first[0], first[1]
            ),
            help: Some("upgrade the pip of this machine, use a newer `python`, or use `env.uv`".to_owned()),
        };
        let is_older =
            |first: [u64; 2]| Version::from_str(written).is_ok_and(|version| version < Version::new(first));
        if is_older(FIRST_WITH_REPORT) {
            return Err(old("an environment", FIRST_WITH_REPORT, "version"));
        }
        if understood.exclude_newer.is_some() && is_older(FIRST_WITH_CUT_OFF) {
            return Err(old("`exclude-newer`", FIRST_WITH_CUT_OFF, "exclude-newer"));
        }
        if is_older(FIRST_WITH_OWN_DOWNLOADS) {
            understood.keeps_network = false;
            if understood.may_build() && !understood.spec.build_network {
                understood.warnings.push(Finding::warning(
                    "pip.build.open",
                    "",
                    format!(
                        "builds of packages have the network of their installer: this is pip {written}, and pip {}.{} can do \
                         otherwise; `build-network = true` takes it as it is",
                        FIRST_WITH_OWN_DOWNLOADS[0], FIRST_WITH_OWN_DOWNLOADS[1]
                    ),
                ));
            }
        }
        Ok(understood)
    }

    /// The same for an environment that has its interpreter in it.
    pub(crate) fn within(mut self) -> Self {
        self.keeps_network = false;
        self
    }

    /// Who needs the network to solve or to install. Repositories are fetched by programs that pip starts, and which builds
    /// cannot be told from for certain.
    pub(crate) const fn network(&self, repositories: bool) -> NetworkUse {
        if self.spec.build_network || repositories || !self.keeps_network {
            NetworkUse::Everyone
        } else {
            NetworkUse::Program
        }
    }

    /// Whether something may be built from source.
    fn may_build(&self) -> bool {
        self.gathered.build != BuildPolicy::Nothing && !self.gathered.is_empty()
    }

    /// Whether versions before a release are taken.
    pub(crate) fn prerelease(&self) -> bool {
        self.gathered.pre || self.spec.prerelease == Some(Prerelease::Allow)
    }
}

/// Where only the module `venv` knows how an environment is made, it has to be there; some distributions put it into a
/// package of its own.
pub(crate) fn check_venv(request: &Request) -> Result<(), Problem> {
    let interpreter = markers::interpreter(request)?;
    if interpreter.virtual_environment.is_some() || interpreter.has_venv {
        return Ok(());
    }
    let path = request.tool(PYTHON)?.path.display();
    let mut release = interpreter.version.split('.');
    let minor = format!(
        "{}.{}",
        release.next().unwrap_or("3"),
        release.next().unwrap_or("x")
    );
    Err(Problem::Unsupported {
        code: "pip.venv.missing".to_owned(),
        message: format!("the interpreter `{path}` has no module `venv`"),
        help: Some(format!(
            "Debian and Ubuntu: `apt install python{minor}-venv`; Fedora: `dnf install python3-libs`; \
             Alpine: `apk add python3`; or use `env.uv`, which does not need it"
        )),
    })
}

/// The files and tools of a spec.
pub(crate) fn needs(spec: &Value, known: &Inputs) -> Result<Needs, Problem> {
    let understood = Understood::read(spec, known)?;
    let first = if understood.exclude_newer.is_some() {
        FIRST_WITH_CUT_OFF
    } else {
        FIRST_WITH_REPORT
    };
    let text = |[major, minor]: [u64; 2]| format!("{major}.{minor}");
    let request = understood.spec.python.map(|text| text.trim().to_owned());
    let python = ToolRequest {
        id: PYTHON.to_owned(),
        kind: ToolKind::Python { request },
    };
    let pip = ToolRequest {
        id: PIP.to_owned(),
        kind: ToolKind::PythonPackage {
            project: PIP.to_owned(),
            interpreter: PYTHON.to_owned(),
            minimum: Some(text(first)),
            preferred: Some(text(FIRST_WITH_OWN_DOWNLOADS)),
        },
    };
    Ok(Needs {
        inputs: understood.gathered.needs.into_iter().collect(),
        tools: vec![python, pip],
    })
}
