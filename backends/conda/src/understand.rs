//! A spec that was understood, with all that is wrong with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;

use rattler_conda_types::{MatchSpec, ParseMatchSpecOptions, Subdir};
use serde_json::Value;
use url::Url;
use wrun_backend_python::spec as parts;
use wrun_backend_python::{index, instant, path};
use wrun_core::backend::{InputKind, InputRequest, Inputs};
use wrun_core::diagnostic::{Finding, suggestion};
use wrun_core::problem::Problem;

use crate::CONDA;
use crate::channels::{self, Channels};
use crate::environment_file::EnvironmentFile;
use crate::explicit::ExplicitFile;
use crate::fetch::Origin;
use crate::match_spec;
use crate::spec::{CondaSpec, KEYS};
use crate::virtual_packages;

/// What an environment is made from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// What a solver finds for match specs.
    Solved(Vec<MatchSpec>),
    /// Packages by their addresses.
    Explicit(ExplicitFile),
    /// An environment that is there: its name or path.
    Existing(String),
}

/// A spec that was understood as far as its files are known.
#[derive(Debug, Clone)]
pub(crate) struct Understood {
    /// As written.
    pub(crate) spec: CondaSpec,
    /// What the environment is made from.
    pub(crate) source: Source,
    /// Channels, in order.
    pub(crate) channels: Channels,
    /// The platform to solve for.
    pub(crate) platform: Subdir,
    /// The cut-off as an instant (RFC 3339).
    pub(crate) exclude_newer: Option<String>,
    /// What pip installs: lines of a requirements file.
    pub(crate) pip: Vec<String>,
    /// Where each of those lines is written.
    pub(crate) pip_places: Vec<String>,
    /// The folder, relative to the task's, that paths in those lines start from.
    pub(crate) pip_folder: String,
    /// Variables of the environment.
    pub(crate) variables: BTreeMap<String, String>,
    /// What has to be read and is not known yet.
    pub(crate) needs: Vec<InputRequest>,
    /// Findings that do not stop the build.
    pub(crate) warnings: Vec<Finding>,
}

impl Understood {
    /// Reads a spec. `folder` is the task's folder.
    pub(crate) fn read(spec: &Value, known: &Inputs, folder: &Path) -> Result<Self, Problem> {
        let (spec, form): (CondaSpec, _) = parts::read(CONDA, spec, KEYS)?;
        let is_whole = form.is_empty();
        let mut findings = form;
        findings.extend(conflicts(&spec, is_whole));
        let mut needs = Vec::new();
        let mut text = |path: &Option<String>, at: &str, findings: &mut Vec<Finding>| {
            let file = input(path.as_deref()?, at, findings)?;
            let found = known.get(&file).and_then(|input| input.text()).map(str::to_owned);
            let path = file.path.clone();
            if found.is_none() {
                needs.push(file);
            }
            Some((path, found))
        };
        let file_text = text(&spec.file, "/file", &mut findings);
        let explicit_text = text(&spec.explicit, "/explicit", &mut findings);
        let mut file = EnvironmentFile::default();
        let mut pip_folder = ".".to_owned();
        if let Some((path, found)) = &file_text {
            path::parent(path).clone_into(&mut pip_folder);
            if let Some(found) = found {
                let is_all = spec.packages.is_none() && spec.pip.is_empty();
                file = environment_file(path, found, is_all, &mut findings);
            }
        }
        let mut explicit = ExplicitFile::default();
        if let Some((path, Some(found))) = &explicit_text {
            explicit = ExplicitFile::read(path, found, &mut findings);
        }
        let platform = platform(&spec, &explicit, &mut findings);
        if let Some((path, _)) = &file_text {
            findings.extend(other_platforms(path, &file, platform));
        }
        let mut channels = Channels::understand(
            &spec.channels,
            file.channels.iter().map(String::as_str),
            folder,
            &mut findings,
        );
        let source = if spec.explicit.is_some() {
            Source::Explicit(explicit)
        } else if let Some(existing) = &spec.existing {
            Source::Existing(existing.clone())
        } else {
            let mut specs = match_spec::read_all(spec.packages.as_deref().unwrap_or_default(), &mut findings);
            let of_table = specs.len();
            specs.extend(file.packages);
            // A package may be asked for out of a channel that is not listed, or by its address.
            for (position, spec) in specs.iter().enumerate() {
                let at = if position < of_table { "/packages" } else { "/file" };
                let channel = spec
                    .channel
                    .iter()
                    .map(|channel| -> &Url { channel.base_url.url() });
                findings.extend(
                    channel
                        .chain(&spec.url)
                        .filter_map(|address| channels::secret(address, at)),
                );
                if let Some(channel) = &spec.channel {
                    channels.push((**channel).clone(), None);
                }
            }
            Source::Solved(specs)
        };
        findings.extend(virtual_packages::check(&spec.virtual_packages));
        findings.extend(index::check(&spec.indexes).1);
        let exclude_newer = spec
            .exclude_newer
            .as_deref()
            .map(instant::cut_off)
            .and_then(|instant| {
                instant
                    .map_err(|message| {
                        let finding = Finding::error("conda.date.syntax", "/exclude-newer", message);
                        findings.push(finding.with_help(instant::HELP));
                    })
                    .ok()
            });
        let (mut pip, mut pip_places) = (file.pip, file.pip_places);
        pip.extend(spec.pip.iter().cloned());
        pip_places.extend((0..spec.pip.len()).map(|position| format!("env.conda.pip[{position}]")));
        let mut understood = Self {
            spec,
            source,
            channels,
            platform,
            exclude_newer,
            pip,
            pip_places,
            pip_folder,
            variables: file.variables,
            needs,
            warnings: Vec::new(),
        };
        understood.add_pip(&mut findings);
        understood.warnings = parts::verdict(findings)?;
        Ok(understood)
    }

    /// What pip installs needs pip, which installs it.
    fn add_pip(&mut self, findings: &mut Vec<Finding>) {
        if self.pip.is_empty() {
            return;
        }
        let Source::Solved(specs) = &mut self.source else {
            return;
        };
        let asked = |name: &str, specs: &[MatchSpec]| {
            specs.iter().any(|spec| {
                spec.name
                    .as_exact()
                    .is_some_and(|exact| exact.as_normalized() == name)
            })
        };
        if asked("pip", specs) {
            return;
        }
        if self.needs.is_empty() {
            findings.push(
                Finding::warning(
                    "conda.pip.added",
                    if self.spec.pip.is_empty() { "/file" } else { "/pip" },
                    "packages for pip are listed, and pip itself is not; it is added",
                )
                .with_help("list `pip` beside the conda packages"),
            );
        }
        if let Ok(spec) = MatchSpec::from_str("pip", ParseMatchSpecOptions::lenient()) {
            specs.push(spec);
        }
    }

    /// What names the packages.
    pub(crate) const fn origin(&self) -> Origin<'_> {
        Origin {
            channels: &self.channels,
            list: match &self.source {
                Source::Explicit(file) => Some(file),
                Source::Solved(_) | Source::Existing(_) => None,
            },
        }
    }

    /// Whether code of packages runs while the environment is built, which could change what is linked into it.
    pub(crate) fn runs_code(&self) -> bool {
        self.spec.link_scripts || !self.pip.is_empty()
    }
}

/// Keys that do not go together. What is written in a wrong way is not missing, so that is said of a spec only where
/// `is_whole`.
fn conflicts(spec: &CondaSpec, is_whole: bool) -> Vec<Finding> {
    let CondaSpec {
        packages,
        file,
        explicit,
        existing,
        channels,
        channel_priority: _,
        exclude_newer,
        platform,
        virtual_packages,
        link_scripts,
        pip,
        indexes: _,
    } = spec;
    let solved = [
        ("packages", packages.is_some()),
        ("file", file.is_some()),
        ("exclude-newer", exclude_newer.is_some()),
        ("virtual-packages", !virtual_packages.is_empty()),
        ("pip", !pip.is_empty()),
    ];
    let made = [
        ("explicit", explicit.is_some()),
        ("channels", !channels.is_empty()),
        ("platform", platform.is_some()),
        ("link-scripts", *link_scripts),
    ];
    let mut findings = Vec::new();
    let mut refuse = |keys: &[(&str, bool)], with: &str| {
        for (key, _) in keys.iter().filter(|(_, given)| *given) {
            findings.push(
                Finding::error(
                    "conda.spec.conflict",
                    format!("/{key}"),
                    format!("`{key}` does not go with `{with}`"),
                )
                .with_help("use `packages` and `file`, or `explicit`, or `existing`"),
            );
        }
    };
    if existing.is_some() {
        refuse(&solved, "existing");
        refuse(&made, "existing");
    } else if explicit.is_some() {
        refuse(&solved, "explicit");
    } else if is_whole && packages.is_none() && file.is_none() {
        findings.push(
            Finding::error("conda.spec.empty", "", "nothing says what is to be installed").with_help(
                "write `packages = [\"python=3.12\"]`, `file = \"environment.yml\"`, `explicit` or `existing`",
            ),
        );
    }
    findings
}

fn input(file: &str, at: &str, findings: &mut Vec<Finding>) -> Option<InputRequest> {
    match path::normalise(".", file) {
        Ok(path) => Some(InputRequest {
            path,
            kind: InputKind::Text,
        }),
        Err(fault) => {
            findings.push(Finding::error("conda.path", at, fault.message(file)).with_help(fault.help()));
            None
        }
    }
}

/// An environment file; `is_all` says that no packages are listed anywhere else.
fn environment_file(path: &str, text: &str, is_all: bool, findings: &mut Vec<Finding>) -> EnvironmentFile {
    let before = findings.len();
    let file = EnvironmentFile::read(path, text, findings);
    if findings.len() == before && file.packages.is_empty() && file.pip.is_empty() && is_all {
        let message = format!("`{path}` lists no packages");
        let finding = Finding::error("conda.file.empty", "/file", message);
        findings.push(finding.with_help("list them under `dependencies:`"));
    }
    file
}

/// What is wrong where an environment file is for other platforms than that which is solved for.
fn other_platforms(path: &str, file: &EnvironmentFile, platform: Subdir) -> Option<Finding> {
    let is_for = |name: &String| name == platform.as_str() || name == Subdir::NoArch.as_str();
    if file.platforms.is_empty() || file.platforms.iter().any(is_for) {
        return None;
    }
    let finding = Finding::error(
        "conda.file.platform",
        "/file",
        format!(
            "`{path}` is for the platforms `{}`, and not for `{platform}`",
            file.platforms.join("`, `")
        ),
    );
    Some(finding.with_help("add the platform to `platforms:` in the file, or remove that key"))
}

/// The platform that is asked for, else that of this machine.
fn platform(spec: &CondaSpec, explicit: &ExplicitFile, findings: &mut Vec<Finding>) -> Subdir {
    let written = spec
        .platform
        .as_ref()
        .map(|text| (text, "/platform"))
        .or_else(|| explicit.platform.as_ref().map(|text| (text, "/explicit")));
    match written {
        None => Subdir::current().unwrap_or(Subdir::NoArch),
        Some((text, at)) => Subdir::from_str(text).unwrap_or_else(|_| {
            findings.push(
                Finding::error(
                    "conda.platform.unknown",
                    at,
                    format!("`{text}` is no platform of conda packages"),
                )
                .with_help(platform_help(text)),
            );
            Subdir::NoArch
        }),
    }
}

/// The platforms that may have been meant: those of the same system, else all.
fn platform_help(text: &str) -> String {
    let known: Vec<&str> = Subdir::all().map(Subdir::as_str).collect();
    let system = text.split_once('-').map(|(system, _)| format!("{system}-"));
    if let Some(system) = system {
        let of_system = known.iter().copied().filter(|name| name.starts_with(&system));
        let of_system: Vec<&str> = of_system.collect();
        if !of_system.is_empty() {
            return format!("there are `{}`", of_system.join("`, `"));
        }
    }
    let near = suggestion(text, known.iter().copied())
        .map(|near| format!("did you mean `{near}`? "))
        .unwrap_or_default();
    format!("{near}there are `{}`", known.join("`, `"))
}
