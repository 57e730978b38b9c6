//! What the JSON Schema has against a document, in the words of a task file.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use super::elsewhere;
use super::issue::{Issue, unknown_backend};
use super::pointer::Pointer;
use super::schema::schema;
use super::words::{listed, literal};
use crate::backend::Manifest;
use crate::diagnostic::suggestion;

/// Everything that the schema has against the document.
pub(super) fn explain(document: &Value, backends: &[Manifest]) -> Vec<Issue> {
    let Some((schema, validator)) = compile(backends) else {
        return Vec::new();
    };
    let mut explainer = Explainer {
        schema: &schema,
        issues: Vec::new(),
    };
    for error in validator.iter_errors(document) {
        explainer.error(&error);
    }
    explainer.issues
}

/// The schema, ready for use. The schema of a backend that is not one is left out, for what it says about the rest of
/// the file not to be lost.
fn compile(backends: &[Manifest]) -> Option<(Value, Validator)> {
    let build = |backends: &[Manifest]| {
        let schema = schema(backends);
        jsonschema::draft202012::options()
            .build(&schema)
            .ok()
            .map(|validator| (schema, validator))
    };
    build(backends).or_else(|| {
        let usable = |backend: &Manifest| match build(std::slice::from_ref(backend)) {
            Some(_) => backend.clone(),
            None => Manifest {
                schema: json!({ "type": "object" }).into(),
                ..backend.clone()
            },
        };
        build(&backends.iter().map(usable).collect::<Vec<_>>())
    })
}

struct Explainer<'s> {
    schema: &'s Value,
    issues: Vec<Issue>,
}

impl Explainer<'_> {
    fn error(&mut self, error: &ValidationError<'_>) {
        let at = Pointer::parse(error.instance_path().as_str());
        if is_left_to_checks(&at, error.kind()) {
            return;
        }
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for key in unexpected {
                    let issue = self.unknown_key(error, &at, key);
                    self.issues.push(issue);
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                self.issues.push(missing_key(&at, key));
            }
            ValidationErrorKind::Type { kind } => {
                let expected = types(kind);
                self.wrong_type(error, at, &expected);
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                self.no_alternative(error, at, context);
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<&Value> = options.as_array().into_iter().flatten().collect();
                self.issues.push(wrong_choice(error, at, &options));
            }
            ValidationErrorKind::Constant { expected_value } => {
                self.issues.push(wrong_choice(error, at, &[expected_value]));
            }
            ValidationErrorKind::Minimum { limit } => {
                let message = format!("`{at}` is {}, and must be at least {limit}", error.instance());
                self.issues
                    .push(Issue::error("task.value.range", at, message, "too small"));
            }
            ValidationErrorKind::Maximum { limit } => {
                let message = format!("`{at}` is {}, and must be at most {limit}", error.instance());
                self.issues
                    .push(Issue::error("task.value.range", at, message, "too large"));
            }
            _ => {
                let message = format!("`{at}`: {}", error.masked_with("the value"));
                self.issues
                    .push(Issue::error("task.value", at, message, "not allowed here"));
            }
        }
    }

    /// The schema that has the keyword that failed.
    fn failed(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(parent)
    }

    fn unknown_key(&self, error: &ValidationError<'_>, at: &Pointer, key: &str) -> Issue {
        let known = self
            .failed(error)
            .and_then(|schema| schema.get("properties"))
            .and_then(Value::as_object);
        let mut known: Vec<&str> = known
            .into_iter()
            .flat_map(|members| members.keys())
            .map(String::as_str)
            .collect();
        known.sort_unstable();
        let place = at.join(key);
        let tables = elsewhere::tables_of(self.schema, key, at);
        if at.segments() == ["env"] {
            let issue = unknown_backend(key, place, known.into_iter());
            return match belongs(key, &tables) {
                Some(help) => issue.with_help(help),
                None => issue,
            };
        }
        let message = format!("the key `{key}` is not known {}", at.in_table());
        let mut issue = Issue::error("task.key.unknown", place, message, "unknown key").at_key();
        if let Some(help) = belongs(key, &tables) {
            if let [table] = tables.as_slice() {
                issue.meant = Some(table.join(key));
            }
            return issue.with_help(help);
        }
        let meant = suggestion(key, known.iter().copied());
        issue.meant = meant.map(|meant| at.join(meant));
        issue.help = match meant {
            Some(meant) => Some(format!("did you mean `{meant}`?")),
            None if known.is_empty() => None,
            None => Some(format!("the keys here are {}", listed(known, "and"))),
        };
        issue
    }

    fn wrong_type(&mut self, error: &ValidationError<'_>, at: Pointer, expected: &[&str]) {
        let words: Vec<&str> = expected.iter().map(|name| type_word(name)).collect();
        let found = type_word(type_of(error.instance()));
        let message = format!("`{at}` must be {}, not {found}", words.join(" or "));
        let mut issue = Issue::error("task.type", at, message, found);
        issue.help = self.right_value(error, &issue.at, expected);
        self.issues.push(issue);
    }

    /// How the value could be written: as the schema's example, or as what is there in another form.
    fn right_value(&self, error: &ValidationError<'_>, at: &Pointer, expected: &[&str]) -> Option<String> {
        let found = error.instance().as_ref();
        let example = self
            .failed(error)
            .and_then(|schema| schema.pointer("/examples/0"))
            .and_then(literal);
        if let (Some(example), Some(key)) = (example, at.last()) {
            return Some(format!("for example `{key} = {example}`"));
        }
        if expected == ["object"] {
            return Some(format!("write a table: `[{at}]`"));
        }
        let scalar = matches!(found, Value::Bool(_) | Value::Number(_));
        let rewritten = if expected.contains(&"string") && scalar {
            json!(found.to_string())
        } else if expected.contains(&"array") && found.is_string() {
            json!([found])
        } else {
            return None;
        };
        literal(&rewritten).map(|text| format!("write `{text}`"))
    }

    /// None of several forms fits: speaks of the one that was probably meant, which is one of the same type.
    fn no_alternative(
        &mut self,
        error: &ValidationError<'_>,
        at: Pointer,
        forms: &[Vec<ValidationError<'static>>],
    ) {
        let is_here = |inner: &ValidationError<'_>| inner.instance_path() == error.instance_path();
        let mut expected = Vec::new();
        let mut choices = Vec::new();
        for inner in forms.iter().flatten().filter(|inner| is_here(inner)) {
            match inner.kind() {
                ValidationErrorKind::Type { kind } => expected.extend(types(kind)),
                ValidationErrorKind::Constant { expected_value } => choices.push(expected_value.as_ref()),
                ValidationErrorKind::Enum { options } => {
                    choices.extend(options.as_array().into_iter().flatten());
                }
                _ => {}
            }
        }
        let is_type = |inner: &ValidationError<'_>| matches!(inner.kind(), ValidationErrorKind::Type { .. });
        let is_choice = |inner: &ValidationError<'_>| {
            matches!(
                inner.kind(),
                ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. }
            )
        };
        let fits = |form: &&Vec<ValidationError<'static>>| {
            !form
                .iter()
                .any(|inner| is_here(inner) && (is_type(inner) || is_choice(inner)))
        };
        if let Some(form) = forms.iter().filter(|form| !form.is_empty()).find(fits) {
            for inner in form {
                self.error(inner);
            }
        } else if !choices.is_empty()
            && choices
                .iter()
                .any(|choice| type_of(choice) == type_of(error.instance()))
        {
            self.issues.push(wrong_choice(error, at, &choices));
        } else {
            let mut distinct: Vec<&str> = Vec::new();
            for name in expected {
                if !distinct.contains(&name) {
                    distinct.push(name);
                }
            }
            if distinct.is_empty() {
                let message = format!("`{at}` has none of the forms that are allowed here");
                self.issues
                    .push(Issue::error("task.value", at, message, "not allowed here"));
            } else {
                self.wrong_type(error, at, &distinct);
            }
        }
    }
}

/// Where a key belongs that was written into another table.
fn belongs(key: &str, tables: &[Pointer]) -> Option<String> {
    let named = tables.iter().filter(|table| !table.is_root());
    let named: Vec<String> = named.map(|table| format!("[{table}]")).collect();
    match (tables, named.as_slice()) {
        ([], _) => None,
        (_, []) => Some(format!("`{key}` belongs above the first table")),
        (_, named) => {
            let named = listed(named.iter().map(String::as_str), "or");
            Some(format!("`{key}` belongs in {named}"))
        }
    }
}

/// Whether the checks find the same and say it better.
fn is_left_to_checks(at: &Pointer, kind: &ValidationErrorKind) -> bool {
    match kind {
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::OneOfMultipleValid { .. } => {
            at.segments() == ["run"]
        }
        ValidationErrorKind::PropertyNames { .. } => at.segments() == ["vars"],
        ValidationErrorKind::Required { property } => match at.segments() {
            [] => property == "run",
            [table] => (table == "run" && property == "module") || (table == "retry" && property == "on"),
            _ => false,
        },
        ValidationErrorKind::MinItems { .. } => at.segments() == ["run", "command"],
        ValidationErrorKind::Pattern { .. } => at.segments() == ["run", "command", "0"],
        ValidationErrorKind::MaxProperties { .. } => at.segments() == ["env"],
        ValidationErrorKind::Not { .. } => at.segments() == ["run"],
        // What has to be there: something to run, and one environment with an image at most beside it.
        ValidationErrorKind::AnyOf { .. } => at.is_root() || at.segments() == ["env"],
        _ => false,
    }
}

fn missing_key(at: &Pointer, key: &str) -> Issue {
    let message = format!("the key `{key}` is missing {}", at.in_table());
    Issue::error("task.key.missing", at.clone(), message, format!("no `{key}`"))
        .with_help(format!("add `{key}`"))
        .for_missing([at.join(key)])
}

fn wrong_choice(error: &ValidationError<'_>, at: Pointer, options: &[&Value]) -> Issue {
    let texts: Vec<&str> = options.iter().filter_map(|option| option.as_str()).collect();
    let written = error
        .instance()
        .as_str()
        .map_or_else(|| error.instance().to_string(), str::to_owned);
    let message = format!("`{at}`: `{written}` is not one of the values that are allowed here");
    let issue = Issue::error("task.value.choice", at, message, "not a value of this key");
    let one_of = if texts.is_empty() {
        listed(
            options
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str),
            "or",
        )
    } else {
        listed(texts.iter().copied(), "or")
    };
    match suggestion(&written, texts.iter().copied()) {
        Some(meant) => issue.with_help(format!("did you mean `{meant}`? It is one of {one_of}")),
        None => issue.with_help(format!("it is one of {one_of}")),
    }
}

fn types(kind: &TypeKind) -> Vec<&'static str> {
    match kind {
        TypeKind::Single(only) => vec![only.as_str()],
        TypeKind::Multiple(set) => set.iter().map(jsonschema::JsonType::as_str).collect(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A type of JSON as a type of TOML, in words.
fn type_word(name: &str) -> &'static str {
    match name {
        "boolean" => "a boolean",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}
