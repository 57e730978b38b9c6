//! A Ray `runtime_env` as the parts of a task that it stands for.
//!
//! [`translate`] goes through it field by field: each is turned into a part of a task, or is an error with the reason,
//! or, where it only steers how Ray itself works, a warning. Nothing of Ray is needed for it.

mod conda;
mod container;
mod options;
mod packages;
mod places;
mod refused;
mod schema;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::diagnostic::{Finding, Severity};
use crate::image::BACKEND;
use crate::launch::TaskKind;
use crate::task::{EnvRequest, Task, Variable};

pub(crate) use schema::schema;

/// The key of a `runtime_env` under `[env]`.
pub const KEY: &str = "runtime_env";

/// What a `runtime_env` stands for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Translated {
    /// The environment, from `pip`, `uv`, `conda`, `container`, `image_uri` and the wheels among `py_modules`.
    pub env: Option<EnvRequest>,
    /// The task's variables, from `env_vars`.
    pub vars: BTreeMap<String, Variable>,
    /// The task's folder, from `working_dir`; relative to the task's base.
    pub dir: Option<PathBuf>,
    /// Files and folders to read, from `py_modules`; relative to the task's base.
    pub read: Vec<PathBuf>,
    /// Where Python looks for modules first, from `working_dir` and `py_modules`; relative to the task's folder.
    pub python_path: Vec<String>,
}

impl Translated {
    /// Makes these parts those of a task. Variables that the task has already stay what they are.
    pub fn apply(self, task: &mut Task) {
        let Self {
            env,
            vars,
            dir,
            read,
            python_path,
        } = self;
        task.env = env.or(task.env.take());
        for (name, value) in vars {
            task.vars.entry(name).or_insert(value);
        }
        if let Some(dir) = dir {
            task.dir = dir;
        }
        task.allow.read.extend(read);
        if !python_path.is_empty() && task.kind() == TaskKind::Command {
            let path = task.vars.entry(PYTHON_PATH.to_owned());
            path.and_modify(|path| {
                // One that is taken from the caller is left as it is: what it holds is not known here.
                if let Variable::Value(own) = path {
                    *own = format!("{}:{own}", python_path.join(":"));
                }
            })
            .or_insert_with(|| Variable::Value(python_path.join(":")));
        }
    }
}

/// Where Python looks for modules.
const PYTHON_PATH: &str = "PYTHONPATH";

/// The text of a `runtime_env` as data: JSON, or YAML, which holds JSON.
///
/// # Errors
/// Why it is neither, with the place.
pub fn read(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    serde_yaml::from_str(text).map_err(|error| format!("it is neither JSON nor YAML: {error}"))
}

/// What a `runtime_env` stands for, and what is wrong with it. The findings point into it; if one of them is an error,
/// the parts are of no use.
#[must_use]
pub fn translate(written: &Value) -> (Translated, Vec<Finding>) {
    let mut reader = Reader::default();
    let Some(fields) = written.as_object() else {
        reader.wrong_type("", "`runtime_env`", "a table");
        return (Translated::default(), reader.findings);
    };
    // As in Ray, a field without a value is one that is not there.
    let fields: BTreeMap<&str, &Value> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    reader.working_dir(fields.get("working_dir").copied());
    reader.environments(&fields);
    for (name, value) in &fields {
        match *name {
            "pip" | "uv" | "conda" | "container" | "image_uri" | "working_dir" => {}
            "py_modules" => reader.py_modules(value),
            "env_vars" => reader.variables(value, "/env_vars"),
            "excludes" => reader.excludes(value),
            "config" => reader.config(value),
            other => reader.other(other),
        }
    }
    reader.finish()
}

/// A `runtime_env` that is being read.
#[derive(Default)]
struct Reader {
    translated: Translated,
    findings: Vec<Finding>,
    /// Wheels among `py_modules`, as paths from the task's folder.
    wheels: Vec<String>,
}

impl Reader {
    /// The fields of which a task has one: what its environment is made of.
    fn environments(&mut self, fields: &BTreeMap<&str, &Value>) {
        let mut made: Vec<(&str, Option<EnvRequest>)> = Vec::new();
        for name in ["pip", "uv", "conda", "container", "image_uri"] {
            let Some(value) = fields.get(name) else { continue };
            let request = match name {
                "pip" => self.python(packages::PIP, value),
                "uv" => self.python(packages::UV, value),
                "conda" => self.conda(value),
                "container" => self.container(value),
                _ => self.image(value, "/image_uri"),
            };
            made.push((name, request));
        }
        // An image may have packages beside it, which Ray itself does not know.
        let is_image = |name: &str| matches!(name, "container" | "image_uri");
        let with_image = made.iter().any(|(name, _)| is_image(name));
        let (images, others): (Vec<_>, Vec<_>) = made.into_iter().partition(|(name, _)| is_image(name));
        for alternatives in [&images, &others] {
            if let [(first, _), rest @ ..] = alternatives.as_slice() {
                for (name, _) in rest {
                    self.several(name, first, "a task has one environment: remove one of the two");
                }
            }
        }
        if with_image && others.iter().any(|(name, _)| *name == "conda") {
            let help = "inside of an image `pip` and `uv` can be built: remove one of the two";
            self.several("conda", "an image", help);
        }
        let image = images.into_iter().find_map(|(_, request)| request);
        let packages = others.into_iter().find_map(|(_, request)| request);
        self.translated.env = match (packages, image) {
            (Some(packages), Some(image)) => Some(packages.in_image(image.spec)),
            (packages, image) => packages.or(image),
        };
    }

    fn several(&mut self, name: &str, other: &str, help: &str) {
        let other = if other.contains(' ') {
            other.to_owned()
        } else {
            format!("`{other}`")
        };
        let message = format!("`{name}` does not go together with {other}");
        let finding = Finding::error("ray.several", format!("/{name}"), message);
        self.findings.push(finding.with_help(help));
    }

    fn finish(mut self) -> (Translated, Vec<Finding>) {
        let wheels = std::mem::take(&mut self.wheels);
        if !wheels.is_empty() {
            let none = || EnvRequest::new("uv", json!({ "packages": [] }));
            let env = match self.translated.env.take() {
                Some(image) if image.backend == BACKEND => none().in_image(image.spec),
                Some(env) => env,
                None => none(),
            };
            let env = self.translated.env.insert(env);
            let member = if env.backend == "conda" { "pip" } else { "packages" };
            if let Some(spec) = env.spec.as_object_mut() {
                append(spec, member, wheels.into_iter().map(Value::from));
            }
        }
        // A runtime_env has few fields, and findings read best in their order.
        self.findings.sort_by(|one, other| one.at.cmp(&other.at));
        (self.translated, self.findings)
    }

    fn error(&mut self, code: &str, at: impl Into<String>, message: impl Into<String>, help: &str) {
        self.findings
            .push(Finding::error(code, at, message).with_help(help));
    }

    fn wrong_type(&mut self, at: impl Into<String>, what: &str, expected: &str) {
        self.findings.push(Finding::error(
            "ray.type",
            at,
            format!("{what} must be {expected}"),
        ));
    }

    fn no_effect(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding::warning("ray.no-effect", at, message));
    }

    /// The texts of a list; an item that is none is an error.
    fn texts<'v>(&mut self, value: &'v Value, at: &str, what: &str) -> Vec<(String, &'v str)> {
        let Some(items) = value.as_array() else {
            self.wrong_type(at, what, "a list of strings");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = format!("{at}/{index}");
            match item.as_str() {
                Some(text) => texts.push((place, text)),
                None => self.wrong_type(place, &format!("an item of {what}"), "a string"),
            }
        }
        texts
    }

    /// A path that was written relative to the task's file, as one from the task's folder, which is what specs are
    /// relative to.
    fn path_in_folder(&self, path: &str) -> String {
        let dir = self.translated.dir.as_deref().unwrap_or(Path::new("."));
        let depth = dir
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .count();
        if Path::new(path).is_absolute() || depth == 0 {
            return path.to_owned();
        }
        format!("{}{}", "../".repeat(depth), path.trim_start_matches("./"))
    }
}

/// Adds items to a list of a spec.
fn append(spec: &mut Map<String, Value>, member: &str, items: impl IntoIterator<Item = Value>) {
    let list = spec.entry(member).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.extend(items);
    }
}

/// Whether one of the findings is an error.
#[must_use]
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
