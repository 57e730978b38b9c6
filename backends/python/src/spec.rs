//! Parts of a spec, and how a spec is read.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wrun_core::canon::Canon;
use wrun_core::diagnostic::{Finding, Severity, pointer_token, suggestion};
use wrun_core::id::Digest;
use wrun_core::problem::Problem;

/// One file, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a file name or a list of file names")]
pub enum Files {
    /// One file: `"requirements.txt"`.
    One(String),
    /// Several: `["requirements.txt", "more.txt"]`.
    Many(Vec<String>),
}

impl Files {
    /// The file names, with the pointer to each below `at`.
    #[must_use]
    pub fn entries(&self, at: &str) -> Vec<(String, &str)> {
        match self {
            Self::One(file) => vec![(at.to_owned(), file.as_str())],
            Self::Many(files) => files
                .iter()
                .enumerate()
                .map(|(index, file)| (format!("{at}/{index}"), file.as_str()))
                .collect(),
        }
    }
}

/// Whether source distributions may be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected true, false or a list of package names")]
pub enum NoBuild {
    /// `true`: only wheels. `false`: both.
    All(bool),
    /// Only wheels of these packages.
    Packages(Vec<String>),
}

/// What is never built from source, with names normalised (PEP 503).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BuildPolicy {
    /// Everything may be built.
    #[default]
    Anything,
    /// These are not built.
    Except(BTreeSet<String>),
    /// Nothing is built.
    Nothing,
}

impl BuildPolicy {
    /// What the spec says.
    #[must_use]
    pub fn new(no_build: Option<&NoBuild>) -> Self {
        match no_build {
            None | Some(NoBuild::All(false)) => Self::Anything,
            Some(NoBuild::All(true)) => Self::Nothing,
            Some(NoBuild::Packages(names)) => Self::Anything.and(names.iter().map(String::as_str)),
        }
    }

    /// The same, and these are not built either; `:all:` stands for every package, as in pip.
    #[must_use]
    pub fn and<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(self, |policy, name| match policy {
            Self::Nothing => Self::Nothing,
            _ if name == ":all:" => Self::Nothing,
            Self::Anything => Self::Except(BTreeSet::from([normalised_name(name)])),
            Self::Except(mut names) => {
                names.insert(normalised_name(name));
                Self::Except(names)
            }
        })
    }

    /// As part of a key; absent if everything may be built.
    #[must_use]
    pub fn canon(&self) -> Option<Canon> {
        match self {
            Self::Anything => None,
            Self::Except(names) => Some(Canon::set(names.iter().map(Canon::text))),
            Self::Nothing => Some(Canon::Bool(true)),
        }
    }
}

/// A project's name in normal form (PEP 503): lower case, with runs of `-`, `_` and `.` as one `-`.
#[must_use]
pub fn normalised_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.trim().chars() {
        if matches!(letter, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.push(letter.to_ascii_lowercase());
        }
    }
    out
}

/// Whether versions before a release are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Prerelease {
    /// They are taken like any other.
    Allow,
    /// They are never taken.
    Disallow,
}

impl Prerelease {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Disallow => "disallow",
        }
    }
}

/// The end of the code of what has a wrong form.
const WRONG_FORM: &str = ".spec.type";

/// A spec from its JSON, with everything that is wrong with its form: each unknown key and each wrong type at its own
/// place, by codes of a `family`. Members of a wrong form are left out, so that what the rest means can be checked too.
/// Every field of `T` must have a default.
///
/// # Errors
/// It is no table.
pub fn read<T: DeserializeOwned>(
    family: &str,
    spec: &Value,
    known: &[&str],
) -> Result<(T, Vec<Finding>), Problem> {
    let wrong_form = format!("{family}{WRONG_FORM}");
    let Some(members) = spec.as_object() else {
        let finding = Finding::error(&wrong_form, "", "the environment's spec is not a table")
            .with_help("write a table, or a list of packages");
        return Err(Problem::invalid(finding));
    };
    let mut findings = Vec::new();
    let mut rest = members.clone();
    for (key, value) in members {
        let before = findings.len();
        let at = format!("/{}", pointer_token(key));
        if !known.contains(&key.as_str()) {
            let finding = Finding::error(
                format!("{family}.spec.unknown-key"),
                at,
                format!("unknown key `{key}`"),
            );
            let help = suggestion(key, known.iter().copied()).map_or_else(
                || format!("known keys: {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            findings.push(finding.with_help(help));
        } else if let Err(error) = alone::<T>(key, value) {
            let (good, wrong) = items::<T>(key, value);
            if let Some(good) = good {
                rest.insert(key.clone(), good);
                findings.extend(wrong.into_iter().map(|(index, error)| {
                    Finding::error(&wrong_form, format!("{at}/{index}"), format!("`{key}`: {error}"))
                }));
                continue;
            }
            findings.push(Finding::error(&wrong_form, at, format!("`{key}`: {error}")));
        }
        if findings.len() > before {
            rest.remove(key);
        }
    }
    // The order of members depends on the features that `serde_json` is built with.
    findings.sort_by(|one, other| one.at.cmp(&other.at));
    let read = serde_json::from_value(Value::Object(rest))
        .map_err(|error| Problem::invalid(Finding::error(&wrong_form, "", error.to_string())))?;
    Ok((read, findings))
}

/// Why a member by itself is not of the right form, if it is not.
fn alone<T: DeserializeOwned>(key: &str, value: &Value) -> Result<(), serde_json::Error> {
    serde_json::from_value::<T>(serde_json::json!({ key: value })).map(drop)
}

/// A list in which one of its good items stands in the place of each item of a wrong form, so that the others are checked
/// further at the places where they stand, and all items of a wrong form with the reasons; nothing if it is no list or is
/// wrong as a whole.
fn items<T: DeserializeOwned>(key: &str, value: &Value) -> (Option<Value>, Vec<(usize, serde_json::Error)>) {
    let Some(all) = value
        .as_array()
        .filter(|_| alone::<T>(key, &Value::Array(Vec::new())).is_ok())
    else {
        return (None, Vec::new());
    };
    let checked = all.iter().map(|item| {
        alone::<T>(key, &serde_json::json!([item]))
            .err()
            .map_or(Ok(item), Err)
    });
    let checked: Vec<Result<&Value, serde_json::Error>> = checked.collect();
    let good = checked.iter().find_map(|item| item.as_ref().ok().copied());
    let rest = checked
        .iter()
        .filter_map(|item| item.as_ref().ok().copied().or(good))
        .cloned()
        .collect();
    let wrong: Vec<(usize, serde_json::Error)> = checked
        .into_iter()
        .enumerate()
        .filter_map(|(index, item)| Some((index, item.err()?)))
        .collect();
    ((!wrong.is_empty()).then_some(Value::Array(rest)), wrong)
}

/// Ends with the findings if one of them is an error, else gives the warnings. Of what has a wrong form nothing else is
/// said.
///
/// # Errors
/// [`Problem::Invalid`].
pub fn verdict(mut findings: Vec<Finding>) -> Result<Vec<Finding>, Problem> {
    let of_wrong_form: BTreeSet<String> = findings
        .iter()
        .filter(|finding| finding.code.ends_with(WRONG_FORM))
        .map(|finding| finding.at.clone())
        .collect();
    findings.retain(|finding| finding.code.ends_with(WRONG_FORM) || !of_wrong_form.contains(&finding.at));
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(Problem::Invalid(findings));
    }
    Ok(findings)
}

/// Findings about variables that builds get: names that no shell could set, and names that belong to the host or to
/// the package manager.
#[must_use]
pub fn check_variables(variables: &BTreeMap<String, String>) -> Vec<Finding> {
    const HOSTS: &[&str] = &[
        "PATH",
        "HOME",
        "TMPDIR",
        "VIRTUAL_ENV",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
    ];
    const PREFIXES: &[&str] = &["UV_", "PIP_", "PYTHON", "WRUN_"];
    let mut findings = Vec::new();
    for (name, value) in variables {
        let at = format!("/variables/{}", pointer_token(name));
        let mut letters = name.chars();
        let starts_well = letters
            .next()
            .is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
        if !starts_well || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            findings.push(
                Finding::error(
                    "python.variable.name",
                    at,
                    format!("`{name}` is not the name of a variable"),
                )
                .with_help("use letters, digits and `_`, and start with no digit"),
            );
        } else if HOSTS.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            findings.push(
                Finding::error(
                    "python.variable.reserved",
                    at,
                    format!("`{name}` is set by wrun itself"),
                )
                .with_help(
                    "use the keys of the environment's table in its place, such as `indexes` or `python`",
                ),
            );
        } else if value.contains('\0') {
            findings.push(Finding::error(
                "python.variable.value",
                at,
                format!("the value of `{name}` holds a NUL"),
            ));
        }
    }
    findings
}

/// Declared variables as part of a key.
#[must_use]
pub fn variables_canon(variables: &BTreeMap<String, String>) -> Canon {
    Canon::map(variables.iter().map(|(name, value)| (name, Canon::text(value))))
}

/// The content of a lock with what a build sees beside the files: with other variables or another network, the same files may
/// become another tree.
#[must_use]
pub fn with_builds(mut content: Value, variables: &BTreeMap<String, String>, network: bool) -> Value {
    if let Some(members) = content.as_object_mut() {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        members.insert("variables".to_owned(), Value::Object(variables.collect()));
        if network {
            members.insert("build_network".to_owned(), true.into());
        }
    }
    content
}

/// The name of a package manager's download cache. What was built with variables is kept apart by them: package
/// managers keep wheels that they built by their sources alone, and another value may build another wheel.
#[must_use]
pub fn cache_name(tool: &str, variables: &BTreeMap<String, String>) -> String {
    if variables.is_empty() {
        return tool.to_owned();
    }
    let digest = Digest::of(&variables_canon(variables).to_bytes()).hex();
    format!("{tool}-{}", digest.get(..16).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        packages: Vec<String>,
        #[serde(rename = "requirements")]
        _requirements: Option<Files>,
    }

    #[test]
    fn all_errors_of_form_are_told_at_once() {
        let spec = serde_json::json!({"packges": [], "packages": "emoji", "requirements": 3});
        let (_, findings) = read::<Example>("python", &spec, &["packages", "requirements"]).unwrap();
        let told: Vec<_> = findings
            .iter()
            .map(|finding| (finding.at.as_str(), finding.message.as_str()))
            .collect();
        insta::assert_debug_snapshot!(told, @r#"
        [
            (
                "/packages",
                "`packages`: invalid type: string \"emoji\", expected a sequence",
            ),
            (
                "/packges",
                "unknown key `packges`",
            ),
            (
                "/requirements",
                "`requirements`: expected a file name or a list of file names",
            ),
        ]
        "#);
        assert_eq!(findings[1].help.as_deref(), Some("did you mean `packages`?"));
        let (_, findings) = read::<Example>("conda", &spec, &["packages"]).unwrap();
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "conda.spec.type",
                "conda.spec.unknown-key",
                "conda.spec.unknown-key"
            ]
        );
    }

    #[test]
    fn one_wrong_item_hides_no_other() {
        let spec = serde_json::json!({ "packages": [1, "a", {}, "b"] });
        let (read, findings) = read::<Example>("python", &spec, &["packages"]).unwrap();
        assert_eq!(read.packages, ["a", "a", "a", "b"]);
        let places: Vec<&str> = findings.iter().map(|finding| finding.at.as_str()).collect();
        assert_eq!(places, ["/packages/0", "/packages/2"]);
        let of_what_stands_there = Finding::error("python.requirement.syntax", "/packages/0", "a");
        let of_another = Finding::error("python.requirement.syntax", "/packages/3", "b");
        let all = findings.into_iter().chain([of_what_stands_there, of_another]);
        let Err(Problem::Invalid(told)) = verdict(all.collect()) else {
            panic!("it is right");
        };
        let places: Vec<&str> = told.iter().map(|finding| finding.at.as_str()).collect();
        assert_eq!(places, ["/packages/0", "/packages/2", "/packages/3"]);
    }

    #[test]
    fn names_are_normalised_as_pep_503_says() {
        for name in [
            "friendly-bard",
            "Friendly-Bard",
            "FRIENDLY-BARD",
            "friendly.bard",
            "friendly--bard",
            "FrIeNdLy-._.-bArD",
        ] {
            assert_eq!(normalised_name(name), "friendly-bard");
        }
    }

    #[test]
    fn build_policies_add_up() {
        let some = NoBuild::Packages(vec!["A_b".to_owned()]);
        assert_eq!(
            BuildPolicy::new(Some(&some)).canon(),
            Some(Canon::list([Canon::text("a-b")]))
        );
        assert_eq!(BuildPolicy::new(Some(&some)).and([":all:"]), BuildPolicy::Nothing);
        assert_eq!(BuildPolicy::new(Some(&NoBuild::All(false))).canon(), None);
    }

    #[test]
    fn other_variables_have_another_cache() {
        let with = |value: &str| BTreeMap::from([("CFLAGS".to_owned(), value.to_owned())]);
        assert_eq!(cache_name("uv", &BTreeMap::new()), "uv");
        assert_eq!(cache_name("uv", &with("-O2")), cache_name("uv", &with("-O2")));
        assert_ne!(cache_name("uv", &with("-O2")), cache_name("uv", &with("-O3")));
    }

    #[test]
    fn reserved_and_broken_variables_are_refused() {
        let variables =
            ["CFLAGS", "UV_INDEX", "9A", "", "PATH"].map(|name| (name.to_owned(), "x".to_owned()));
        let findings = check_variables(&BTreeMap::from(variables));
        let codes: Vec<_> = findings
            .iter()
            .map(|finding| (finding.at.as_str(), finding.code.as_str()))
            .collect();
        assert_eq!(
            codes,
            [
                ("/variables/", "python.variable.name"),
                ("/variables/9A", "python.variable.name"),
                ("/variables/PATH", "python.variable.reserved"),
                ("/variables/UV_INDEX", "python.variable.reserved"),
            ]
        );
    }
}
