//! `pip` and `uv`.

use serde_json::{Map, Value, json};

use super::options::{self, Meaning};
use super::{Reader, append};
use crate::diagnostic::suggestion;
use crate::task::EnvRequest;

/// What the fields of one of the two are called.
pub(super) struct Names {
    /// The field, which is the backend's name too.
    field: &'static str,
    check: &'static str,
    version: &'static str,
    options: &'static str,
}

pub(super) const PIP: &Names = &Names {
    field: "pip",
    check: "pip_check",
    version: "pip_version",
    options: "pip_install_options",
};

pub(super) const UV: &Names = &Names {
    field: "uv",
    check: "uv_check",
    version: "uv_version",
    options: "uv_pip_install_options",
};

/// The variable that Ray has for the folder of `working_dir`.
const WORKING_DIR: &str = "${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}";

impl Reader {
    /// A list of packages, the path of a requirements file, or a table.
    pub(super) fn python(&mut self, names: &Names, value: &Value) -> Option<EnvRequest> {
        let Names {
            field,
            check,
            version,
            options,
        } = names;
        let at = format!("/{field}");
        let mut spec = Map::from_iter([("packages".to_owned(), json!([]))]);
        match value {
            Value::String(_) | Value::Array(_) => self.packages(&mut spec, names, value, &at),
            Value::Object(members) => {
                if !members.contains_key("packages") {
                    let message = format!("`{field}` does not say which packages");
                    self.error("ray.key.missing", &at, message, "add `packages`");
                }
                for (key, value) in members {
                    let place = format!("{at}/{key}");
                    match key.as_str() {
                        "packages" => self.packages(&mut spec, names, value, &place),
                        key if key == *check => match value.as_bool() {
                            Some(true) => {}
                            Some(false) => self.no_effect(
                                place,
                                format!("`{check} = false` has no effect: an environment is always checked"),
                            ),
                            None => self.wrong_type(place, &format!("`{check}`"), "true or false"),
                        },
                        key if key == *version => self.error(
                            "ray.refused",
                            place,
                            format!("`{version}` cannot be chosen: wrun brings the tool itself, outside of the environment"),
                            "leave it out",
                        ),
                        key if key == *options => {
                            let texts = self.texts(value, &place, &format!("`{options}`"));
                            self.options(&mut spec, names, &texts);
                        }
                        key => {
                            let known = ["packages", check, version, options];
                            let help = suggestion(key, known)
                                .map_or_else(|| format!("known are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
                            self.error("ray.key.unknown", place, format!("`{field}` has no `{key}`"), &help);
                        }
                    }
                }
            }
            _ => {
                self.wrong_type(
                    &at,
                    &format!("`{field}`"),
                    "a list of packages, the path of a requirements file, or a table",
                );
                return None;
            }
        }
        Some(EnvRequest::new(*field, Value::Object(spec)))
    }

    /// Packages as lines of a requirements file, or the path of one.
    fn packages(&mut self, spec: &mut Map<String, Value>, names: &Names, value: &Value, at: &str) {
        if let Some(path) = value.as_str() {
            append(spec, "requirements", [self.path_in_folder(path).into()]);
            return;
        }
        let lines = self.texts(value, at, &format!("`{}`", names.field));
        for (place, line) in lines {
            let line = line.split_once(" #").map_or(line, |(line, _)| line).trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with('-') {
                let words: Vec<(String, &str)> = line
                    .split_whitespace()
                    .map(|word| (place.clone(), word))
                    .collect();
                self.options(spec, names, &words);
                continue;
            }
            append(spec, "packages", [self.package(line).into()]);
        }
    }

    /// A requirement; a path in it as one from the task's folder.
    fn package(&self, line: &str) -> String {
        if let Some(rest) = line.strip_prefix(WORKING_DIR) {
            return format!(".{rest}");
        }
        if line.starts_with("./") || line.starts_with("../") {
            return self.path_in_folder(line);
        }
        line.replace(&format!("file://{WORKING_DIR}/"), "./")
            .replace(&format!("{WORKING_DIR}/"), "./")
    }

    /// The options of an install.
    fn options(&mut self, spec: &mut Map<String, Value>, names: &Names, words: &[(String, &str)]) {
        let mut words = words.iter().peekable();
        while let Some((place, word)) = words.next() {
            let (option, mut value) = match word.split_once('=').filter(|_| word.starts_with("--")) {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => match word.split_once(char::is_whitespace) {
                    Some((option, value)) => (option, Some(value.trim().to_owned())),
                    None => (*word, None),
                },
            };
            let meaning = options::meaning(names.field, option);
            if value.is_none() && meaning.takes_value() {
                value = words.next().map(|(_, word)| (*word).to_owned());
                if value.is_none() {
                    let message = format!("the option `{option}` needs a value");
                    self.error("ray.option", place, message, "add it, or leave the option out");
                    continue;
                }
            }
            if matches!(meaning, Meaning::Refused(_)) && value.is_none() {
                // What follows is the option's value, if it has one, and not worth another word.
                words.next_if(|(_, word)| !word.starts_with('-'));
            }
            let value = value.unwrap_or_default();
            self.option(spec, meaning, &value, (place, option));
        }
    }

    fn option(
        &mut self,
        spec: &mut Map<String, Value>,
        meaning: Meaning,
        value: &str,
        (place, option): (&str, &str),
    ) {
        match meaning {
            Meaning::Nothing | Meaning::NothingWithValue => {}
            Meaning::DefaultIndex => append(spec, "indexes", [json!({ "url": value, "default": true })]),
            Meaning::Index => append(spec, "indexes", [json!({ "url": value })]),
            Meaning::Path(member) => append(spec, member, [self.path_in_folder(value).into()]),
            Meaning::Links => {
                let is_address = value.contains("://");
                let value = if is_address {
                    value.to_owned()
                } else {
                    self.path_in_folder(value)
                };
                append(spec, "find-links", [value.into()]);
            }
            Meaning::Set(member, fixed) => {
                spec.insert(member.to_owned(), Value::from(fixed));
            }
            Meaning::Flag(member) => {
                spec.insert(member.to_owned(), Value::from(true));
            }
            Meaning::Value(member) => {
                spec.insert(member.to_owned(), Value::from(value));
            }
            Meaning::Wheels => {
                for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    match spec.get("no-build") {
                        Some(Value::Bool(true)) => {}
                        _ if name == ":all:" => {
                            spec.insert("no-build".to_owned(), Value::from(true));
                        }
                        _ => append(spec, "no-build", [name.into()]),
                    }
                }
            }
            Meaning::Refused(reason) => self.error(
                "ray.option",
                place,
                format!("the option `{option}` cannot be used: {reason}"),
                "leave it out",
            ),
        }
    }
}
