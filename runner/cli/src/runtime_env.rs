//! `--runtime-env` and `--runtime-env-json` of `wrun run`.

use std::path::Path;

use serde_json::Value;
use wrun::core::diagnostic::Severity;
use wrun::core::ray;
use wrun::{Error, Problem, Task};

use crate::failure::Failure;
use crate::speak::Speaker;

/// The `runtime_env` that the options give, if one does.
///
/// # Errors
/// It cannot be read, or is neither JSON nor YAML.
pub(crate) fn written(file: Option<&Path>, json: Option<&str>) -> Result<Option<Value>, Failure> {
    let (text, what) = match (file, json) {
        (Some(file), _) => (read(file)?, format!("`{}`", file.display())),
        (None, Some(json)) => (json.to_owned(), "--runtime-env-json".to_owned()),
        (None, None) => return Ok(None),
    };
    ray::read(&text).map(Some).map_err(|reason| {
        Failure::usage(
            format!("{what} holds no runtime_env: {reason}"),
            "write a table of fields, such as `{\"pip\": [\"emoji\"]}`",
        )
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file that a person keeps lies outside of the store"
)]
fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::io(format!("read the runtime_env `{}`", file.display()), error))
}

/// Makes what a `runtime_env` stands for parts of the task.
///
/// # Errors
/// Everything in it that cannot be had.
pub(crate) fn apply(written: &Value, task: &mut Task, speaker: &Speaker) -> Result<(), Failure> {
    let (translated, findings) = ray::translate(written);
    if ray::has_errors(&findings) {
        return Err(Failure::from(Error::Environment {
            backend: ray::KEY.to_owned(),
            problem: Problem::Invalid(findings),
        }));
    }
    for finding in findings {
        if finding.severity == Severity::Warning {
            speaker.line("warning", &finding.message);
        }
    }
    translated.apply(task);
    Ok(())
}
