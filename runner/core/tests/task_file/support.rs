//! What the tests share: two backends, and errors as text.

use std::fmt::Write as _;

use serde_json::json;
use wrun_core::backend::Manifest;
use wrun_core::task::{Origin, Parsed, TaskErrors, parse};

/// A file with every key of every table.
pub(crate) const FULL: &str = r#"
name = "greet"

[run]
command = ["python", "main.py", "--loud"]
dir = "src"

[env.uv]
packages = ["emoji>=2", "rich"]
python = "3.11"
released = "2024-01-01"
index = [{ name = "inner", url = "https://example.org/simple" }]

[vars]
GREETING = "hi"
TOKEN = { from = "API_TOKEN" }

[allow]
read = ["data", "/etc/hosts"]
write = ["out"]
net = ["example.org:443", "*.example.org:443", "[::1]:8000"]

[limits]
time = "1m 30s"
memory = "1GiB"
processes = 64
output = "64MiB"

[retry]
attempts = 3
on = ["exit", "timeout"]
delay = "500ms"
"#;

pub(crate) fn origin() -> Origin {
    Origin {
        name: "task.toml".to_owned(),
        base: "/home/me/project".into(),
    }
}

/// A backend with a short form, and one without.
pub(crate) fn backends() -> Vec<Manifest> {
    let uv = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Spec",
        "description": "Python packages, installed by uv.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "packages": {
                "description": "The packages.",
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "default": [],
                "examples": [["emoji>=2"]],
            },
            "python": { "description": "The version of Python.", "type": ["string", "null"], "examples": ["3.11"] },
            "released": { "description": "Nothing newer than this day.", "type": ["string", "null"] },
            "resolution": {
                "description": "Which versions are taken.",
                "type": "string",
                "enum": ["highest", "lowest"],
                "default": "highest",
            },
            "index": {
                "description": "Where packages come from.",
                "type": "array",
                "items": { "$ref": "#/$defs/Index" },
            },
        },
        "$defs": {
            "Index": {
                "description": "An index.",
                "type": "object",
                "additionalProperties": false,
                "required": ["url"],
                "properties": {
                    "name": { "description": "Its name.", "type": ["string", "null"] },
                    "url": { "description": "Its address.", "type": "string" },
                },
            },
        },
    });
    let conda = json!({
        "type": "object",
        "properties": { "file": { "type": "string", "description": "The file of the environment." } },
    });
    let manifest = |id: &str, summary: &str, schema, short_form: Option<&str>| Manifest {
        id: id.to_owned(),
        summary: summary.to_owned(),
        canonical_revision: 1,
        plan_revision: 1,
        schema,
        short_form: short_form.map(str::to_owned),
        in_images: false,
    };
    vec![
        manifest(
            "uv",
            "Python packages, installed by uv.",
            uv.into(),
            Some("packages"),
        ),
        manifest("conda", "Conda packages.", conda.into(), None),
    ]
}

pub(crate) fn parse_with_backends(text: &str) -> Result<Parsed, TaskErrors> {
    parse(text, &origin(), &backends())
}

/// Errors with the lines that they are about, as a person reads them.
pub(crate) fn rendered(text: &str, errors: &[wrun_core::task::TaskError]) -> String {
    let mut out = String::new();
    for error in errors {
        let severity = format!("{:?}", error.severity).to_lowercase();
        let place = format!("{}:{}:{}", error.file, error.line, error.column);
        let _ = writeln!(out, "{place}: {severity}[{}]: {}", error.code, error.message);
        let line = text.lines().nth(error.line - 1).unwrap_or_default();
        let written = text[error.span.clone()].lines().next().unwrap_or_default();
        let marks = "^".repeat(written.chars().count().max(1));
        let _ = writeln!(
            out,
            "  | {line}\n  | {}{marks} {}",
            " ".repeat(error.column - 1),
            error.label
        );
        if let Some(help) = &error.help {
            let _ = writeln!(out, "  help: {help}");
        }
    }
    out
}
