//! What the caller's machine and user settled: tools, search path, proxies, certificates, index.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wrun_core::net::{NetRule, ParseNetRuleError};
use wrun_core::sandbox::Demand;
use wrun_sandbox::Helper;

use crate::error::ProvisionError;
use crate::index::{self, Index};

/// Steps of one kind that go on side by side, unless the caller says otherwise.
const CONCURRENCY: usize = 8;

/// Variables of the caller that every tool gets: proxies (curl's convention) and certificates (OpenSSL's).
const PASSED_THROUGH: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Where systems keep the certificates that they trust in one file: Debian and Alpine, Fedora, SUSE, the BSDs.
const CERTIFICATE_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Beginnings of the names of variables that backends may ask for: where conda and its kin keep environments, and what
/// they are told of the machine.
const ASKED_FOR: &[&str] = &["CONDA_", "MAMBA_"];

/// Beginnings of names among those that are never told, since their values may be secrets.
const NEVER_TOLD: &[&str] = &["CONDA_TOKEN", "CONDA_PASSWORD", "MAMBA_TOKEN"];

/// Variables that name a tool's program, and the tool.
const TOOL_VARIABLES: &[(&str, &str)] = &[("WRUN_UV", "uv")];

/// The variable that lists hosts for installers.
const INSTALLER_HOSTS: &str = "WRUN_INSTALL_HOSTS";

/// How long the host waits for servers, and between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a connection, the TLS handshake included.
    pub connect: Duration,
    /// For the next bytes of an answer, and for what an answer has to bring at least.
    pub idle: Duration,
    /// Before the second attempt; it doubles each time.
    pub backoff: Duration,
    /// Before it is said whom a step still waits for; it doubles each time.
    pub patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            backoff: Duration::from_millis(500),
            patience: Duration::from_secs(10),
        }
    }
}

impl Timing {
    /// The same with another time for the next bytes of an answer. That somebody is waited for is said before it is over.
    #[must_use]
    pub fn waiting(self, idle: Duration) -> Self {
        Self {
            idle,
            connect: self.connect.min(idle),
            patience: self.patience.min(idle / 3),
            ..self
        }
    }
}

/// A setting that is no address of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingMistake {
    /// What it is called: a variable, or a key and its file.
    pub name: String,
    /// What it is, without credentials.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What the caller's machine and user settled. Nothing in this crate reads the process's own environment.
#[derive(Clone)]
pub struct Settings {
    /// Whether the network must not be touched.
    pub offline: bool,
    /// The interpreter that is looked at first.
    pub python: Option<PathBuf>,
    /// Programs by tool name that are used in place of a search.
    pub tools: BTreeMap<String, PathBuf>,
    /// The caller's search path.
    pub search_path: Vec<PathBuf>,
    /// The caller's proxy and certificate variables.
    pub passthrough: Vec<(String, String)>,
    /// Where pyenv keeps its versions.
    pub pyenv_root: Option<PathBuf>,
    /// The versions that pyenv is told to use, separated by `:`.
    pub pyenv_version: Option<String>,
    /// The caller's home folder.
    pub home: Option<PathBuf>,
    /// Variables that backends may ask for.
    pub asked_for: BTreeMap<String, String>,
    /// Variables that container engines read.
    pub engine_variables: BTreeMap<String, String>,
    /// Folders where a distribution keeps interpreters; looked at last.
    pub python_folders: Vec<PathBuf>,
    /// Folders where a distribution keeps the wheels that `ensurepip` uses.
    pub wheel_folders: Vec<PathBuf>,
    /// The index that tools are fetched from.
    pub tool_index: Index,
    /// The index that this machine is set up to use for packages, if it is.
    pub package_index: Option<Index>,
    /// Settings of an index that are no address of one.
    pub mistakes: Vec<SettingMistake>,
    /// pip's configuration files, the strongest first.
    pub pip_configuration: Vec<PathBuf>,
    /// Fetches and questions that go on side by side; at least one.
    pub concurrency: usize,
    /// How long servers are waited for.
    pub timing: Timing,
    /// Sets up the sandboxes of installers.
    pub helper: Option<Helper>,
    /// How strongly installers are held.
    pub sandbox: Demand,
    /// Hosts that installers may reach beside those of their index, for an index that keeps its files elsewhere.
    pub installer_hosts: Vec<NetRule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            offline: false,
            python: None,
            tools: BTreeMap::new(),
            search_path: Vec::new(),
            passthrough: Vec::new(),
            pyenv_root: None,
            pyenv_version: None,
            home: None,
            asked_for: BTreeMap::new(),
            engine_variables: BTreeMap::new(),
            python_folders: vec![PathBuf::from("/usr/local/bin"), PathBuf::from("/usr/bin")],
            wheel_folders: vec![PathBuf::from("/usr/share/python-wheels")],
            tool_index: Index::python_package_index(),
            package_index: None,
            mistakes: Vec::new(),
            pip_configuration: Vec::new(),
            concurrency: CONCURRENCY,
            timing: Timing::default(),
            helper: None,
            sandbox: Demand::default(),
            installer_hosts: Vec::new(),
        }
    }
}

impl Settings {
    /// The settings that a process's variables stand for. Pure; follow it with
    /// [`Settings::with_pip_configuration`] to take an index from pip's configuration files too.
    ///
    /// `WRUN_OFFLINE`, `WRUN_PYTHON`, `WRUN_UV` and `WRUN_TOOL_INDEX` are `wrun`'s own. The index for packages is
    /// that of `UV_DEFAULT_INDEX`, `UV_INDEX_URL` or `PIP_INDEX_URL`, in this order.
    pub fn from_environment<K: Into<OsString>, V: Into<OsString>>(
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let vars: BTreeMap<OsString, OsString> = vars
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let raw = |name: &str| vars.get(&OsString::from(name));
        let text = |name: &str| raw(name).and_then(|value| value.to_str()).map(str::to_owned);
        let path = |name: &str| raw(name).map(PathBuf::from);

        let home = path("HOME");
        let mut mistakes = Vec::new();
        let mut index = |names: &[&str]| {
            let (name, value) = names.iter().find_map(|name| Some((*name, text(name)?)))?;
            read_index(name, &value, &mut mistakes)
        };
        let package_index = index(&["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"]);
        let tool_index = index(&["WRUN_TOOL_INDEX"])
            .or_else(|| package_index.clone())
            .unwrap_or_else(Index::python_package_index);
        let installer_hosts = text(INSTALLER_HOSTS)
            .map(|value| read_hosts(&value, &mut mistakes))
            .unwrap_or_default();
        Self {
            offline: text("WRUN_OFFLINE")
                .is_some_and(|value| matches!(value.as_str(), "1" | "true" | "yes" | "on")),
            python: path("WRUN_PYTHON"),
            tools: TOOL_VARIABLES
                .iter()
                .filter_map(|(variable, tool)| Some(((*tool).to_owned(), path(variable)?)))
                .collect(),
            search_path: raw("PATH")
                .map(|value| std::env::split_paths(value).collect())
                .unwrap_or_default(),
            passthrough: PASSED_THROUGH
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), text(name)?)))
                .collect(),
            pyenv_root: path("PYENV_ROOT").or_else(|| Some(home.as_ref()?.join(".pyenv"))),
            pyenv_version: text("PYENV_VERSION"),
            pip_configuration: index::pip_configuration_files(
                path("PIP_CONFIG_FILE"),
                path("XDG_CONFIG_HOME"),
                home.as_deref(),
            ),
            asked_for: vars
                .iter()
                .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
                .filter(|(name, _)| {
                    let begins = |beginnings: &[&str]| beginnings.iter().any(|start| name.starts_with(start));
                    begins(ASKED_FOR) && !begins(NEVER_TOLD)
                })
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            engine_variables: vars
                .iter()
                .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
                .filter(|(name, _)| wrun_engine::reads(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            home,
            tool_index,
            package_index,
            mistakes,
            installer_hosts,
            ..Self::default()
        }
    }

    /// The same with `PIP_CERT` for tools that bring certificates of their own: the caller's `SSL_CERT_FILE`, else the
    /// file of the system, if there is one.
    #[must_use]
    pub fn with_certificates(mut self) -> Self {
        let of_caller = self.passed("SSL_CERT_FILE").map(str::to_owned);
        let of_system = || {
            CERTIFICATE_FILES
                .iter()
                .find(|path| Path::new(path).exists())
                .map(ToString::to_string)
        };
        if let Some(path) = of_caller.or_else(of_system) {
            self.passthrough.push(("PIP_CERT".to_owned(), path));
        }
        self
    }

    /// The same with the index of pip's configuration files (`index-url` in `[global]` or `[install]`), where no
    /// variable named one.
    #[must_use]
    pub fn with_pip_configuration(mut self) -> Self {
        if self.package_index.is_none()
            && self.mistakes.is_empty()
            && let Some((name, value)) = index::from_pip_configuration(&self.pip_configuration)
        {
            self.package_index = read_index(&name, &value, &mut self.mistakes);
            if let Some(index) = &self.package_index
                && self.tool_index == Index::python_package_index()
            {
                self.tool_index = index.clone();
            }
        }
        self
    }

    /// Sees to it that what names an index is an address: another index in its place, such as the public one, would
    /// not be what was meant.
    ///
    /// # Errors
    /// [`ProvisionError::Setting`].
    pub fn check_indexes(&self) -> Result<(), ProvisionError> {
        self.mistakes.first().map_or(Ok(()), |mistake| {
            let SettingMistake { name, value, reason } = mistake.clone();
            Err(ProvisionError::Setting { name, value, reason })
        })
    }

    /// The address of the index that this machine is set up to use for packages, without credentials; `None` where
    /// nothing is set up.
    #[must_use]
    pub fn default_index(&self) -> Option<String> {
        self.package_index.as_ref().map(|index| index.url.clone())
    }

    /// A variable that is passed through, in either case.
    pub(crate) fn passed(&self, name: &str) -> Option<&str> {
        self.passthrough
            .iter()
            .find(|(passed, _)| passed.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// An index from a setting, or a mistake.
fn read_index(name: &str, value: &str, mistakes: &mut Vec<SettingMistake>) -> Option<Index> {
    Index::parse(value)
        .map_err(|reason| {
            // What is no address has no part that is known to be the password.
            let shown = value
                .rsplit_once('@')
                .map_or_else(|| value.to_owned(), |(_, host)| format!("***@{host}"));
            mistakes.push(SettingMistake {
                name: name.to_owned(),
                value: shown,
                reason,
            });
        })
        .ok()
}

/// Rules separated by commas or white space.
fn read_hosts(value: &str, mistakes: &mut Vec<SettingMistake>) -> Vec<NetRule> {
    value
        .split(|letter: char| letter == ',' || letter.is_whitespace())
        .filter(|rule| !rule.is_empty())
        .filter_map(|rule| {
            rule.parse()
                .map_err(|error: ParseNetRuleError| {
                    mistakes.push(SettingMistake {
                        name: INSTALLER_HOSTS.to_owned(),
                        value: rule.to_owned(),
                        reason: error.to_string(),
                    });
                })
                .ok()
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test prepares a configuration file")]
mod tests {
    use super::*;

    #[test]
    fn variables_become_settings() {
        let settings = Settings::from_environment([
            ("PATH", "/a:/b"),
            ("HOME", "/home/ada"),
            ("https_proxy", "http://proxy:3128"),
            ("SECRET", "not passed"),
            ("WRUN_UV", "/opt/uv"),
            (
                "UV_DEFAULT_INDEX",
                "corporate=https://ada:pw@index.example/simple/",
            ),
        ]);
        assert_eq!(settings.search_path, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(
            settings.passthrough,
            [("https_proxy".to_owned(), "http://proxy:3128".to_owned())]
        );
        assert_eq!(settings.tools.get("uv"), Some(&PathBuf::from("/opt/uv")));
        assert_eq!(
            settings.default_index().as_deref(),
            Some("https://index.example/simple")
        );
        assert_eq!(settings.tool_index, settings.package_index.clone().unwrap());
        assert_eq!(settings.pyenv_root, Some(PathBuf::from("/home/ada/.pyenv")));
        let credential = settings.package_index.unwrap().credential.unwrap();
        assert_eq!(
            (credential.username.as_str(), credential.password.expose()),
            ("ada", "pw")
        );
    }

    #[test]
    fn an_empty_environment_uses_the_public_index() {
        let settings = Settings::from_environment::<String, String>([]);
        assert_eq!(settings.tool_index.url, "https://pypi.org/simple");
        assert_eq!(settings.default_index(), None);
    }

    #[test]
    fn what_is_no_address_of_an_index_is_a_mistake() {
        for (name, value) in [
            ("PIP_INDEX_URL", "corp.example/simple"),
            ("UV_DEFAULT_INDEX", "not a url"),
            ("UV_INDEX_URL", "https://"),
            ("WRUN_TOOL_INDEX", "corp.example:8080/simple"),
        ] {
            let error = Settings::from_environment([(name, value)])
                .check_indexes()
                .unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("`{name}` is `{value}`")),
                "{error}"
            );
        }
        let secret = Settings::from_environment([("PIP_INDEX_URL", "ada:hunter2@corp.example")]);
        assert!(
            !secret
                .check_indexes()
                .unwrap_err()
                .to_string()
                .contains("hunter2")
        );
        let unused = Settings::from_environment([
            ("UV_DEFAULT_INDEX", "https://corp.example/simple"),
            ("PIP_INDEX_URL", "nonsense"),
        ]);
        assert!(unused.check_indexes().is_ok());
    }

    #[test]
    fn the_index_of_pips_configuration_is_used_where_no_variable_names_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pip.conf");
        std::fs::write(
            &file,
            "[install]\nquiet = 1\n[global]\n; note\nindex-url: https://mirror.example/simple/\n",
        )
        .unwrap();
        let from_file =
            Settings::from_environment([("PIP_CONFIG_FILE", file.as_os_str())]).with_pip_configuration();
        assert_eq!(from_file.tool_index.url, "https://mirror.example/simple");
        let from_variable = Settings::from_environment([
            ("PIP_CONFIG_FILE", file.to_str().unwrap()),
            ("PIP_INDEX_URL", "https://other.example/simple"),
        ])
        .with_pip_configuration();
        assert_eq!(
            from_variable.default_index().as_deref(),
            Some("https://other.example/simple")
        );
    }
}
