//! Environment files: the `environment.yml` of conda.

use std::collections::BTreeMap;

use rattler_conda_types::{EnvironmentYaml, MatchSpec, NamedChannelOrUrl};
use serde_yaml::{Mapping, Value};
use wrun_core::diagnostic::{Finding, suggestion};

/// The keys of an environment file, those that say nothing here included.
const KEYS: &[&str] = &[
    "name",
    "prefix",
    "channels",
    "dependencies",
    "variables",
    "platforms",
];

/// What to do where a file is not what it should be.
const HELP: &str = "an environment file has `channels:` and `dependencies:`, each a list: \
                    <https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html>";

/// What an environment file asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct EnvironmentFile {
    /// Channels as written, the most important first.
    pub(crate) channels: Vec<String>,
    /// conda packages.
    pub(crate) packages: Vec<MatchSpec>,
    /// Lines of the `pip:` block.
    pub(crate) pip: Vec<String>,
    /// Where each of those is: the file with the line, as far as that is known.
    pub(crate) pip_places: Vec<String>,
    /// Variables of the environment.
    pub(crate) variables: BTreeMap<String, String>,
    /// The platforms that it is written for; without any it is for all.
    pub(crate) platforms: Vec<String>,
}

/// A file that is being read.
struct File<'a> {
    path: &'a str,
    text: &'a str,
}

impl EnvironmentFile {
    /// Reads a file's text.
    pub(crate) fn read(path: &str, text: &str, findings: &mut Vec<Finding>) -> Self {
        let file = File { path, text };
        let read = file.mapping().and_then(|mapping| {
            findings.extend(file.unknown_keys(&mapping));
            findings.extend(file.wrong_variables(&mapping));
            // What is wrong with a variable is told already, and in better words.
            if findings
                .iter()
                .any(|finding| finding.code == "conda.file.variable")
            {
                return Ok(Self::default());
            }
            let platforms = file.platforms(&mapping)?;
            Ok(Self {
                platforms,
                ..file.content()?
            })
        });
        read.unwrap_or_else(|finding| {
            findings.push(finding);
            Self::default()
        })
    }
}

impl File<'_> {
    fn wrong(&self, line: Option<usize>, why: &str) -> Finding {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Finding::error(
            "conda.file.syntax",
            "/file",
            format!("`{}{line}` is no environment file: {why}", self.path),
        )
        .with_help(HELP)
    }

    fn of_yaml(&self, error: &serde_yaml::Error) -> Finding {
        let said = error.to_string();
        let Some(place) = error.location() else {
            return self.wrong(None, &said);
        };
        let (line, column) = (place.line(), place.column());
        let suffix = format!(" at line {line} column {column}");
        let at = format!("{}:{line}:{column}", self.path);
        File {
            path: &at,
            text: self.text,
        }
        .wrong(None, &said.replacen(&suffix, "", 1))
    }

    fn mapping(&self) -> Result<Mapping, Finding> {
        let value: Value = serde_yaml::from_str(self.text).map_err(|error| self.of_yaml(&error))?;
        let is = match value {
            Value::Mapping(mapping) => return Ok(mapping),
            Value::Null => "it is empty",
            Value::Sequence(_) => "it is a list, and not a table of `dependencies:` and other keys",
            _ => "it is a single value, and not a table of `dependencies:` and other keys",
        };
        Err(self.wrong(None, is))
    }

    /// The line of a key; nothing if it is written in an unusual way.
    fn line_of(&self, key: &str, is_within: bool) -> Option<usize> {
        let is_it = |line: &str| {
            let begin = line.trim_start();
            (is_within || begin.len() == line.len())
                && begin
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start().starts_with(':'))
        };
        self.text.lines().position(is_it).map(|line| line + 1)
    }

    /// The place of an item of a list.
    fn place_of(&self, item: &str) -> String {
        let is_it = |line: &str| line.trim_start().starts_with('-') && line.contains(item);
        let line = self.text.lines().position(is_it);
        line.map_or_else(
            || self.path.to_owned(),
            |line| format!("{}:{}", self.path, line + 1),
        )
    }

    fn unknown_keys(&self, mapping: &Mapping) -> Vec<Finding> {
        let unknown = mapping
            .keys()
            .map(|key| key.as_str().unwrap_or("?"))
            .filter(|key| !KEYS.contains(key));
        unknown
            .map(|key| {
                let line = self.line_of(key, false).map(|line| format!(":{line}:1"));
                let message = format!(
                    "`{}{}` has the key `{key}`, which means nothing in an environment file",
                    self.path,
                    line.unwrap_or_default()
                );
                let help = suggestion(key, KEYS.iter().copied()).map_or_else(
                    || format!("remove it; the keys are `{}`", KEYS.join("`, `")),
                    |near| format!("did you mean `{near}`?"),
                );
                Finding::error("conda.file.unknown-key", "/file", message).with_help(help)
            })
            .collect()
    }

    fn wrong_variables(&self, mapping: &Mapping) -> Vec<Finding> {
        let Some(Value::Mapping(variables)) = mapping.get("variables") else {
            return Vec::new();
        };
        let wrong = variables.iter().filter_map(|(name, value)| {
            let name = match name {
                Value::String(name) => name.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(word) => word.to_string(),
                _ => "?".to_owned(),
            };
            let is_name = |letter: char| letter != '=' && !letter.is_whitespace() && !letter.is_control();
            let (why, help) = if name.is_empty() || !name.chars().all(is_name) {
                (
                    "is no name of a variable",
                    "a name has no `=`, no spaces and nothing that cannot be seen",
                )
            } else if value.is_null() {
                ("has no value", "write a value, or `\"\"` for one that is empty")
            } else {
                return None;
            };
            Some(Finding::error("conda.file.variable", "/file", self.of_variable(&name, why)).with_help(help))
        });
        let path = variables.get("PATH").filter(|path| !path.is_null()).map(|_| {
            let why = "takes the place of the caller's";
            Finding::warning("conda.file.search-path", "/file", self.of_variable("PATH", why))
                .with_help("programs of the environment are found without it: its `bin` comes first")
        });
        wrong.chain(path).collect()
    }

    fn of_variable(&self, name: &str, why: &str) -> String {
        let line = self.line_of(name, true).map(|line| format!(":{line}"));
        format!(
            "`{}{}`: `{name}` in `variables:` {why}",
            self.path,
            line.unwrap_or_default()
        )
    }

    fn platforms(&self, mapping: &Mapping) -> Result<Vec<String>, Finding> {
        match mapping.get("platforms") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(value) => serde_yaml::from_value(value.clone()).map_err(|_| {
                self.wrong(
                    self.line_of("platforms", false),
                    "`platforms:` is not a list of platforms",
                )
            }),
        }
    }

    fn content(&self) -> Result<EnvironmentFile, Finding> {
        let yaml = EnvironmentYaml::from_yaml_str(self.text).map_err(|error| self.of_yaml(&error))?;
        let mut read = EnvironmentFile {
            channels: yaml
                .channels
                .iter()
                .map(|channel: &NamedChannelOrUrl| channel.as_str().to_owned())
                .collect(),
            variables: yaml.variables.into_iter().collect(),
            ..EnvironmentFile::default()
        };
        for dependency in yaml.dependencies {
            if let Some(spec) = dependency.as_match_spec() {
                read.packages.push(spec.clone());
            } else if let Some((manager, lines)) = dependency.as_sub_section() {
                if manager != "pip" {
                    let why = format!(
                        "`{manager}:` is no package manager that can be used in it; `pip:` is the only one"
                    );
                    return Err(self.wrong(None, &why));
                }
                read.pip_places
                    .extend(lines.iter().map(|line| self.place_of(line)));
                read.pip.extend(lines.iter().cloned());
            }
        }
        Ok(read)
    }
}
