//! Environment files: the `environment.yml` of conda.

use rattler_conda_types::{EnvironmentYaml, MatchSpec, NamedChannelOrUrl};
use std::collections::BTreeMap;
use wrun_core::diagnostic::Finding;

/// What an environment file asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct EnvironmentFile {
    /// Channels as written, the most important first.
    pub(crate) channels: Vec<String>,
    /// conda packages.
    pub(crate) packages: Vec<MatchSpec>,
    /// Lines of the `pip:` block.
    pub(crate) pip: Vec<String>,
    /// Variables of the environment.
    pub(crate) variables: BTreeMap<String, String>,
}

impl EnvironmentFile {
    /// Reads a file's text.
    pub(crate) fn read(path: &str, text: &str) -> Result<Self, Finding> {
        let wrong = |why: String| {
            Finding::error(
                "conda.file.syntax",
                "/file",
                format!("`{path}` is no environment file: {why}"),
            )
            .with_help(
                "an environment file has `channels:` and `dependencies:`, each a list: \
                 <https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html>",
            )
        };
        let yaml = EnvironmentYaml::from_yaml_str(text).map_err(|error| wrong(error.to_string()))?;
        let mut read = Self {
            channels: yaml
                .channels
                .iter()
                .map(|channel: &NamedChannelOrUrl| channel.as_str().to_owned())
                .collect(),
            variables: yaml.variables.into_iter().collect(),
            ..Self::default()
        };
        for dependency in yaml.dependencies {
            if let Some(spec) = dependency.as_match_spec() {
                read.packages.push(spec.clone());
            } else if let Some((manager, lines)) = dependency.as_sub_section() {
                if manager != "pip" {
                    return Err(wrong(format!(
                        "`{manager}:` is no package manager that can be used in it; `pip:` is the only one"
                    )));
                }
                read.pip.extend(lines.iter().cloned());
            }
        }
        Ok(read)
    }
}
