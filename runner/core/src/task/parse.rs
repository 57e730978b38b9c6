//! From the text of a task file to a task, or to everything that is wrong with it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;
use toml::de::DeTable;

use super::check::check;
use super::error::{Report, TaskError, TaskErrors};
use super::explain::explain;
use super::file::TaskFile;
use super::issue::Issue;
use super::model::Task;
use super::pointer::Pointer;
use super::tree::to_json;
use crate::backend::Manifest;
use crate::diagnostic::Finding;
use crate::ray;

/// Bytes of a task file that are read. A file that lists ten thousand packages has a fifth of it.
pub const MAXIMUM_BYTES: usize = 1 << 20;

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What errors call it: `task.toml`, `<stdin>`.
    pub name: String,
    /// The folder that relative paths in it are relative to.
    pub base: PathBuf,
}

impl Origin {
    /// The name of a task that does not give one itself: the file's name without its ending, else `task`.
    fn task_name(&self) -> String {
        Path::new(&self.name)
            .file_stem()
            .and_then(|stem| stem.to_str())
            .filter(|stem| !stem.starts_with('<') && !stem.contains(char::is_control))
            .unwrap_or("task")
            .to_owned()
    }
}

/// A task file that was understood.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The task.
    pub task: Task,
    /// What can be done and is probably not what was meant.
    pub warnings: Vec<TaskError>,
}

/// The file that a task file takes a Ray `runtime_env` from.
#[derive(Debug, Clone)]
pub struct RuntimeEnvFile {
    /// Its path, as the task file writes it.
    pub path: String,
    /// What is in it ([`ray::read`](crate::ray::read)), or why that is not known.
    pub content: Result<Value, String>,
}

/// The path of the file that a task file takes a Ray `runtime_env` from, if it does.
#[must_use]
pub fn runtime_env_file(text: &str) -> Option<String> {
    let (document, _) = DeTable::parse_recoverable(text);
    let named = document.get_ref().get("env")?.get_ref().get(ray::KEY)?;
    named.get_ref().as_str().map(str::to_owned)
}

/// Understands the text of a task file that names no other file; see [`parse_with`].
///
/// # Errors
/// Everything that is wrong with the file, each with its place.
pub fn parse(text: &str, origin: &Origin, backends: &[Manifest]) -> Result<Parsed, TaskErrors> {
    parse_with(text, origin, backends, None)
}

/// Understands the text of a task file, with the file that [`runtime_env_file`] names.
///
/// The spec of the environment is held against its backend's schema only if something is wrong anyway: the backend
/// reads it itself, and [`place_findings`] gives its findings their places.
///
/// # Errors
/// Everything that is wrong with the file, each with its place.
pub fn parse_with(
    text: &str,
    origin: &Origin,
    backends: &[Manifest],
    runtime_env: Option<&RuntimeEnvFile>,
) -> Result<Parsed, TaskErrors> {
    let report = Report::new(&origin.name, text);
    if text.len() > MAXIMUM_BYTES {
        let message = format!(
            "the file has {} bytes; a task file has at most {MAXIMUM_BYTES}",
            text.len()
        );
        let issue = Issue::error("task.file.size", Pointer::default(), message, "too large");
        return Err(report.errors(vec![report.at(&(0..0), issue)], ""));
    }
    let (document, syntax) = DeTable::parse_recoverable(text);
    let document = document.get_ref();
    let only_duplicates = syntax.iter().all(|error| error.message() == DUPLICATE_KEY);
    let syntax = report.all(syntax_issues(text, &syntax));
    if !only_duplicates {
        // What the parser made of the rest is a guess, and not worth a finding.
        return Err(report.errors(syntax, ""));
    }

    let mut issues = Vec::new();
    let json = to_json(document, &mut issues);
    let read = TaskFile::deserialize(&json);
    let otherwise = read.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let understand = |file: &TaskFile, issues: &mut Vec<Issue>| {
        check(
            file,
            &origin.base,
            &origin.task_name(),
            backends,
            runtime_env,
            issues,
        )
    };
    let task = read.ok().and_then(|file| understand(&file, &mut issues));
    match task {
        Some(task) if syntax.is_empty() && !issues.iter().any(Issue::is_error) => Ok(Parsed {
            task,
            warnings: report.place(document, issues),
        }),
        _ => {
            let mut errors = syntax;
            errors.extend(report.place(document, diagnose(document, backends, &understand)));
            errors.sort_by_key(|error| error.span.start);
            Err(report.errors(errors, otherwise))
        }
    }
}

/// Gives the findings of a backend about a spec their places in the text that the spec was written in. Warnings stay
/// warnings.
///
/// A finding about something that is not written is placed at the table around it.
#[must_use]
pub fn place_findings(text: &str, origin: &Origin, backend: &Manifest, findings: &[Finding]) -> TaskErrors {
    let report = Report::new(&origin.name, text);
    let (document, _) = DeTable::parse_recoverable(text);
    let document = document.get_ref();
    let spec = Pointer::of(["env", backend.id.as_str()]);
    let of_ray = Pointer::of(["env", ray::KEY]);
    let is_written = |keys: &[&str]| {
        let mut value = document.get("env").map(toml::Spanned::get_ref);
        for key in keys {
            value = value
                .and_then(|value| value.get(*key))
                .map(toml::Spanned::get_ref);
        }
        value.is_some()
    };
    if !is_written(&[&backend.id]) && is_written(&[ray::KEY]) {
        // The spec was made from what is written there, and its own places are not.
        let place = if is_written(&[ray::KEY, &backend.id]) {
            of_ray.join(&backend.id)
        } else {
            of_ray
        };
        let issues = findings
            .iter()
            .map(|finding| issue_of(finding, place.clone()))
            .collect();
        return report.errors(report.place(document, issues), "the runtime_env is wrong");
    }
    let is_short = document
        .get("env")
        .and_then(|env| env.get_ref().get(backend.id.as_str()))
        .is_some_and(|spec| spec.get_ref().is_array());
    let mut of_form: Vec<Issue> = explain(&to_json(document, &mut Vec::new()), std::slice::from_ref(backend));
    let issues = findings
        .iter()
        .flat_map(|finding| {
            let at = Pointer::parse(&finding.at);
            let rest = match at.segments() {
                [first, rest @ ..] if is_short && Some(first) == backend.short_form.as_ref() => rest,
                whole => whole,
            };
            let place = spec.append(rest);
            // The schema knows which part of a value has the wrong form, and which key was probably meant.
            if finding.code.ends_with(".spec.type") {
                let (better, others): (Vec<Issue>, Vec<Issue>) = std::mem::take(&mut of_form)
                    .into_iter()
                    .partition(|issue| issue.at.segments().starts_with(place.segments()));
                of_form = others;
                if !better.is_empty() {
                    return better;
                }
            }
            let issue = issue_of(finding, place);
            vec![if finding.code.ends_with(".unknown-key") {
                issue.at_key()
            } else {
                issue
            }]
        })
        .collect();
    report.errors(
        report.place(document, issues),
        format!("the spec of `{backend}` is wrong", backend = backend.id),
    )
}

/// Gives findings about a task file their places in its text; they point into the whole file.
#[must_use]
pub fn place(text: &str, origin: &Origin, findings: &[Finding]) -> TaskErrors {
    let report = Report::new(&origin.name, text);
    let (document, _) = DeTable::parse_recoverable(text);
    let issues = findings
        .iter()
        .map(|finding| issue_of(finding, Pointer::parse(&finding.at)))
        .collect();
    report.errors(report.place(document.get_ref(), issues), "the task is wrong")
}

fn issue_of(finding: &Finding, at: Pointer) -> Issue {
    Issue {
        severity: finding.severity,
        help: finding.help.clone(),
        ..Issue::error(&finding.code, at, &finding.message, "here")
    }
}

/// The specs of environments in a text, by backend, as far as they can be read; for files that are wrong elsewhere.
#[must_use]
pub fn specs(text: &str, backends: &[Manifest]) -> Vec<(String, Value)> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        return Vec::new();
    }
    let json = to_json(document.get_ref(), &mut Vec::new());
    let written = |backend: &Manifest| {
        let spec = json.get("env")?.get(&backend.id)?;
        let spec = match (spec, &backend.short_form) {
            (Value::Object(_), _) => spec.clone(),
            (Value::Array(_), Some(member)) => serde_json::json!({ member: spec }),
            _ => return None,
        };
        Some((backend.id.clone(), spec))
    };
    backends.iter().filter_map(written).collect()
}

/// What the parser says of a key that is there twice.
const DUPLICATE_KEY: &str = "duplicate key";

/// The parser's errors, the first of each line: what follows on a line is mostly a consequence.
fn syntax_issues(text: &str, errors: &[toml::de::Error]) -> Vec<(Range<usize>, Issue)> {
    let mut placed: Vec<(Range<usize>, &str)> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(text.len()..text.len()), error.message()))
        .collect();
    placed.sort_by_key(|(span, _)| span.start);
    let mut reported_to = 0;
    placed.retain(|(span, _)| {
        let first_of_line = span.start >= reported_to;
        if first_of_line {
            let rest = text.as_bytes().iter().skip(span.start);
            reported_to = span.start + 1 + rest.take_while(|byte| **byte != b'\n').count();
        }
        first_of_line
    });
    placed
        .into_iter()
        .map(|(span, message)| {
            let written = text.get(span.clone()).unwrap_or_default().trim();
            let issue = if message == DUPLICATE_KEY {
                let message = format!("the key `{written}` is there twice");
                Issue::error("task.key.duplicate", Pointer::default(), message, "a second time")
                    .with_help("keep one of the two")
            } else {
                let message = format!("not TOML: {}", message.lines().collect::<Vec<_>>().join(", "));
                Issue::error("task.toml.syntax", Pointer::default(), message, "here")
            };
            (span, issue)
        })
        .collect()
}

/// Finds everything that is wrong: the schema speaks of the form; then what is wrong in form is left out, and the
/// checks speak of the rest.
fn diagnose(
    document: &DeTable<'_>,
    backends: &[Manifest],
    understand: &dyn Fn(&TaskFile, &mut Vec<Issue>) -> Option<Task>,
) -> Vec<Issue> {
    let mut issues = Vec::new();
    let json = to_json(document, &mut issues);
    let unreadable: BTreeSet<Pointer> = issues.iter().map(|issue| issue.at.clone()).collect();
    issues.extend(
        explain(&json, backends)
            .into_iter()
            .filter(|issue| !is_within_any(&issue.at, &unreadable)),
    );

    let wrong: BTreeSet<Pointer> = issues
        .iter()
        .filter(|issue| issue.missing.is_empty())
        .flat_map(|issue| std::iter::once(&issue.at).chain(&issue.meant))
        .filter(|place| !place.is_root())
        .cloned()
        .collect();
    issues.retain(|issue| !issue.missing.iter().any(|place| wrong.contains(place)));
    let known: BTreeSet<Pointer> = issues
        .iter()
        .flat_map(|issue| &issue.missing)
        .chain(&wrong)
        .cloned()
        .collect();

    if let Some(file) = read_rest(&json, &known) {
        let mut meaning = Vec::new();
        understand(&file, &mut meaning);
        let is_new = |issue: &Issue| {
            !is_within_any(&issue.at, &wrong) && !issue.missing.iter().any(|place| known.contains(place))
        };
        issues.extend(meaning.into_iter().filter(is_new));
    }
    issues
}

/// Whether the place is one of these or in one of them.
fn is_within_any(place: &Pointer, places: &BTreeSet<Pointer>) -> bool {
    (0..=place.segments().len()).any(|length| places.contains(&place.cut(length)))
}

/// The file without the places that are wrong; if that is not enough, without the entries of tables that they are in.
fn read_rest(json: &Value, wrong: &BTreeSet<Pointer>) -> Option<TaskFile> {
    /// Steps to an entry of one of the tables.
    const ENTRY: usize = 2;
    [usize::MAX, ENTRY].into_iter().find_map(|depth| {
        let mut rest = json.clone();
        for place in wrong {
            place.cut(depth).take_out(&mut rest);
        }
        TaskFile::deserialize(&rest).ok()
    })
}
