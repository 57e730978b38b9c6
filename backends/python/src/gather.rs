//! Everything that a spec's requirements come to: those it lists and those of its files, with what the files add.

use std::collections::{BTreeMap, BTreeSet};

use wrun_core::backend::{Input, InputKind, InputRequest, Inputs};
use wrun_core::canon::Canon;
use wrun_core::diagnostic::Finding;
use wrun_core::problem::Problem;

use crate::index::{self, Index, IndexEntry};
use crate::path;
use crate::redact;
use crate::requirement::{self, Fault, Requirement};
use crate::requirements_file::{self, Statement};
use crate::source::{self, Source};
use crate::spec::{BuildPolicy, Files, NoBuild};

/// The folder of the copies of folders of loose files, below the scratch folder.
pub const LINKS: &str = "wrun-links";

/// The members of a spec that requirements come from.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'spec> {
    /// Requirements of the spec itself.
    pub packages: &'spec [String],
    /// Files of requirements.
    pub requirements: Option<&'spec Files>,
    /// Files of constraints.
    pub constraints: Option<&'spec Files>,
    /// Files of overrides.
    pub overrides: Option<&'spec Files>,
    /// Indexes.
    pub indexes: &'spec [IndexEntry],
    /// Addresses and folders of loose files.
    pub find_links: &'spec [String],
    /// What is not built.
    pub no_build: Option<&'spec NoBuild>,
    /// Whether every file must match a digest.
    pub require_hashes: bool,
    /// Variables that requirements files may name.
    pub variables: &'spec BTreeMap<String, String>,
}

/// A requirement with the digests that it allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The requirement.
    pub requirement: Requirement,
    /// The digests (`sha256:…`), sorted; none if any file will do.
    pub hashes: Vec<String>,
}

impl Entry {
    fn line(&self, place_of: impl Fn(&str) -> String) -> String {
        let mut line = match &self.requirement {
            Requirement::Named(named) => named.text.clone(),
            Requirement::Local(local) => local.line(&place_of(&local.path)),
        };
        for hash in &self.hashes {
            line.push_str(" --hash=");
            line.push_str(hash);
        }
        line
    }
}

/// Everything that was gathered.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// What is to be installed.
    pub requirements: BTreeSet<Entry>,
    /// What limits versions of what is installed.
    pub constraints: BTreeSet<Entry>,
    /// What stands in for requirements of packages.
    pub overrides: BTreeSet<Entry>,
    /// Indexes, in order.
    pub indexes: Vec<Index>,
    /// Addresses of pages with loose files, in order.
    pub link_pages: Vec<String>,
    /// Local folders of loose files, in order.
    pub link_folders: Vec<String>,
    /// What is not built.
    pub build: BuildPolicy,
    /// Whether a file says `--pre`.
    pub pre: bool,
    /// Whether every file must match a digest.
    pub require_hashes: bool,
    /// What has to be read.
    pub needs: BTreeSet<InputRequest>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Requirements,
    Constraints,
    Overrides,
}

/// Gathers as far as the files are known; [`Gathered::needs`] says what is not.
#[must_use]
pub fn gather(ask: &Ask<'_>, known: &Inputs) -> Gathered {
    let (indexes, findings) = index::check(ask.indexes);
    let gathered = Gathered {
        indexes,
        findings,
        build: BuildPolicy::new(ask.no_build),
        require_hashes: ask.require_hashes,
        ..Gathered::default()
    };
    let mut walk = Walk {
        ask,
        known,
        gathered,
        seen: BTreeSet::new(),
    };
    for (position, text) in ask.packages.iter().enumerate() {
        walk.package(&format!("/packages/{position}"), text);
    }
    for (role, files, at) in [
        (Role::Requirements, ask.requirements, "/requirements"),
        (Role::Constraints, ask.constraints, "/constraints"),
        (Role::Overrides, ask.overrides, "/overrides"),
    ] {
        for (at, file) in files.map(|files| files.entries(at)).unwrap_or_default() {
            walk.file(role, &at, ".", file, "");
        }
    }
    for (position, link) in ask.find_links.iter().enumerate() {
        let at = format!("/find-links/{position}");
        if let Err(finding) = walk.find_links(&at, ".", link) {
            walk.gathered.findings.push(finding);
        }
    }
    let mut gathered = walk.gathered;
    gathered.check_hashes();
    gathered
}

struct Walk<'walk> {
    ask: &'walk Ask<'walk>,
    known: &'walk Inputs,
    gathered: Gathered,
    seen: BTreeSet<(Role, String)>,
}

impl Walk<'_> {
    fn package(&mut self, at: &str, text: &str) {
        let entry = requirements_file::entry(text).and_then(|(text, hashes)| {
            Ok(Entry {
                requirement: requirement::parse(&text, ".")?,
                hashes,
            })
        });
        match entry {
            Ok(entry) => self.keep(Role::Requirements, entry, at, ""),
            Err(fault) => self.gathered.findings.push(finding(at, "", fault)),
        }
    }

    fn keep(&mut self, role: Role, entry: Entry, at: &str, place: &str) {
        if let Requirement::Local(local) = &entry.requirement {
            self.need(source::request(&local.path), at, place);
        }
        match role {
            Role::Requirements => self.gathered.requirements.insert(entry),
            Role::Constraints => self.gathered.constraints.insert(entry),
            Role::Overrides => self.gathered.overrides.insert(entry),
        };
    }

    /// Asks for something to be read, and tells who does if it is not there.
    fn need(&mut self, request: InputRequest, at: &str, place: &str) {
        if self.known.get(&request) == Some(&Input::Absent) {
            self.gathered
                .findings
                .push(source::absent(&request.path, at, place));
        }
        self.gathered.needs.insert(request);
    }

    fn file(&mut self, role: Role, at: &str, base: &str, written: &str, named_in: &str) {
        let path = match locate(base, written) {
            Ok(path) => path,
            Err(fault) => return self.gathered.findings.push(finding(at, named_in, fault)),
        };
        if !self.seen.insert((role, path.clone())) {
            return;
        }
        let request = InputRequest {
            path: path.clone(),
            kind: InputKind::Text,
        };
        let text = self.known.get(&request).and_then(Input::text).map(str::to_owned);
        self.need(request, at, named_in);
        let Some(text) = text else { return };
        for line in requirements_file::scan(&text, self.ask.variables) {
            let place = format!("{path}:{}: ", line.number);
            let done = line
                .statement
                .and_then(|statement| self.statement(role, at, &path, statement, &place));
            if let Err(fault) = done {
                self.gathered.findings.push(finding(at, &place, fault));
            }
        }
    }

    fn statement(
        &mut self,
        role: Role,
        at: &str,
        path: &str,
        statement: Statement,
        place: &str,
    ) -> Result<(), Fault> {
        let base = path::parent(path).to_owned();
        match statement {
            Statement::Requirement { text, hashes } => {
                let requirement = requirement::parse(&text, ".")?;
                if role != Role::Requirements && matches!(requirement, Requirement::Local(_)) {
                    return Err(Fault::new(
                        "constraint",
                        format!("`{text}` is a path, which limits no versions"),
                        "write a name with versions: `requests<3`",
                    ));
                }
                self.keep(role, Entry { requirement, hashes }, at, place);
            }
            Statement::Include(file) => self.file(role, at, &base, &file, place),
            Statement::Constrain(file) => self.file(Role::Constraints, at, &base, &file, place),
            Statement::IndexUrl(url) => self.index(at, &url, true, place),
            Statement::ExtraIndexUrl(url) => self.index(at, &url, false, place),
            Statement::FindLinks(link) => {
                if let Err(mut finding) = self.find_links(at, &base, &link) {
                    finding.message = format!("{place}{}", finding.message);
                    self.gathered.findings.push(finding);
                }
            }
            Statement::Pre => self.gathered.pre = true,
            Statement::RequireHashes => self.gathered.require_hashes = true,
            Statement::OnlyBinary(names) => {
                let build = std::mem::take(&mut self.gathered.build);
                self.gathered.build = build.and(names.iter().map(String::as_str));
            }
        }
        Ok(())
    }

    fn index(&mut self, at: &str, url: &str, default: bool, place: &str) {
        let url = match index::check_url(url, at) {
            Ok(url) => url,
            Err(mut finding) => {
                finding.message = format!("{place}{}", finding.message);
                return self.gathered.findings.push(finding);
            }
        };
        if self
            .gathered
            .indexes
            .iter()
            .any(|known| known.url == url && known.default == default)
        {
            return;
        }
        if default && self.gathered.indexes.iter().any(|known| known.default) {
            let message = format!("{place}`{url}` is a second index that stands in for the public one");
            self.gathered.findings.push(
                Finding::error("python.index.default", at, message)
                    .with_help("let one index at most have `default = true`, or one file `--index-url`"),
            );
            return;
        }
        self.gathered.indexes.push(Index {
            name: None,
            url,
            credentials: None,
            default,
        });
    }

    fn find_links(&mut self, at: &str, base: &str, link: &str) -> Result<(), Finding> {
        if link.contains("://") && !link.starts_with("file:") {
            let url = index::check_url(link, at)?.to_string();
            if !self.gathered.link_pages.contains(&url) {
                self.gathered.link_pages.push(url);
            }
            return Ok(());
        }
        let written = link.strip_prefix("file://").unwrap_or(link);
        let folder =
            path::normalise(base, written).map_err(|fault| finding(at, "", Fault::path(fault, written)))?;
        self.need(source::request(&folder), at, "");
        if !self.gathered.link_folders.contains(&folder) {
            self.gathered.link_folders.push(folder);
        }
        Ok(())
    }
}

fn locate(base: &str, written: &str) -> Result<String, Fault> {
    if written.contains("://") {
        return Err(Fault::new(
            "include",
            format!("`{}` is not a file of this machine", redact::strip(written)),
            "save it in the task's folder and name that file",
        ));
    }
    path::normalise(base, written).map_err(|fault| Fault::path(fault, written))
}

fn finding(at: &str, place: &str, fault: Fault) -> Finding {
    let Fault { kind, message, help } = fault;
    Finding::error(
        format!("python.requirement.{kind}"),
        at,
        format!("{place}{message}"),
    )
    .with_help(help)
}

impl Gathered {
    /// With `require-hashes`, each requirement has to say one version and its digests.
    fn check_hashes(&mut self) {
        if !self.require_hashes {
            return;
        }
        for entry in &self.requirements {
            let (shown, complete) = match &entry.requirement {
                Requirement::Named(named) => (&named.text, named.exact && !entry.hashes.is_empty()),
                Requirement::Local(local) => (
                    &local.path,
                    path::is_archive(&local.path) && !entry.hashes.is_empty(),
                ),
            };
            if !complete {
                let message =
                    format!("`{shown}` does not say one version and its digests, and digests are required");
                self.findings.push(
                    Finding::error("python.requirement.hash", "/require-hashes", message)
                        .with_help("write `name==1.2.3 --hash=sha256:…` for each requirement"),
                );
            }
        }
    }

    /// One digest binds all requirements, as in pip.
    pub fn bind_all_hashes(&mut self) {
        if self.has_hashes() && !self.require_hashes {
            self.require_hashes = true;
            self.check_hashes();
        }
    }

    /// Whether a requirement says which digests it allows.
    #[must_use]
    pub fn has_hashes(&self) -> bool {
        self.requirements
            .iter()
            .chain(&self.constraints)
            .any(|entry| !entry.hashes.is_empty())
    }

    /// Whether nothing is to be installed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    fn local_paths(&self) -> BTreeSet<&str> {
        self.requirements
            .iter()
            .filter_map(|entry| match &entry.requirement {
                Requirement::Local(local) => Some(local.path.as_str()),
                Requirement::Named(_) => None,
            })
            .collect()
    }

    /// The copy of a local source, below the scratch folder.
    fn place(&self, path: &str) -> String {
        let number = self
            .local_paths()
            .iter()
            .position(|other| *other == path)
            .unwrap_or_default();
        if path::is_archive(path) {
            format!("sources/{number}/{}", path::file_name(path))
        } else {
            format!("sources/{number}")
        }
    }

    /// The folders of loose files, as the tools get them.
    #[must_use]
    pub fn link_places(&self) -> Vec<String> {
        (0..self.link_folders.len())
            .map(|number| format!("{LINKS}/{number}"))
            .collect()
    }

    /// Everything local that has to be copied.
    ///
    /// # Errors
    /// The host did not read one of them.
    pub fn sources(&self, inputs: &Inputs) -> Result<Vec<Source>, Problem> {
        let locals = self
            .local_paths()
            .into_iter()
            .map(|path| Source::new(path, self.place(path), inputs));
        let links = self.link_folders.iter().zip(self.link_places());
        locals
            .chain(links.map(|(path, place)| Source::new(path, place, inputs)))
            .collect()
    }

    /// The text of a requirements file with these entries, for a tool that runs in the scratch folder.
    #[must_use]
    pub fn file(&self, entries: &BTreeSet<Entry>) -> String {
        entries
            .iter()
            .map(|entry| entry.line(|path| format!("./{}", self.place(path))) + "\n")
            .collect()
    }

    /// Everything as parts of a key: `indexes` in order, the rest without order. [`Gathered::pre`] is left to the
    /// backend, whose spec may say the same.
    ///
    /// # Errors
    /// The host did not read something.
    pub fn canon(
        &self,
        inputs: &Inputs,
        named_indexes: bool,
    ) -> Result<Vec<(&'static str, Option<Canon>)>, Problem> {
        let Self {
            requirements,
            constraints,
            overrides,
            indexes,
            link_pages,
            link_folders,
            build,
            pre: _,
            require_hashes,
            needs: _,
            findings: _,
        } = self;
        let digest = |path: &str| {
            let found = inputs.get(&source::request(path)).and_then(Input::digest);
            found
                .map(|digest| Canon::text(digest.to_string()))
                .ok_or_else(|| source::unread(path))
        };
        let entries = |entries: &BTreeSet<Entry>| -> Result<Canon, Problem> {
            let mut out = Vec::new();
            for entry in entries {
                let line = Canon::text(entry.line(str::to_owned));
                out.push(match &entry.requirement {
                    Requirement::Named(_) => line,
                    Requirement::Local(local) => {
                        Canon::map([("digest", digest(&local.path)?), ("requirement", line)])
                    }
                });
            }
            Ok(Canon::set(out))
        };
        let mut links: Vec<Canon> = link_pages.iter().map(Canon::text).collect();
        for folder in link_folders {
            links.push(Canon::map([
                ("digest", digest(folder)?),
                ("folder", Canon::text(folder)),
            ]));
        }
        Ok(vec![
            ("constraints", Some(entries(constraints)?)),
            ("find_links", Some(Canon::list(links))),
            (
                "indexes",
                Some(Canon::list(
                    indexes.iter().map(|index| index.canon(named_indexes)),
                )),
            ),
            ("no_build", build.canon()),
            ("overrides", Some(entries(overrides)?)),
            ("require_hashes", require_hashes.then_some(Canon::Bool(true))),
            ("requirements", Some(entries(requirements)?)),
        ])
    }
}

#[cfg(test)]
mod tests;
