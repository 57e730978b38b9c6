//! Reading a task file from the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wrun_core::backend::{Backend, Manifest};
use wrun_core::diagnostic::Finding;
use wrun_core::ray;
use wrun_core::task::{
    MAXIMUM_BYTES, Origin, Parsed, RuntimeEnvFile, Task, TaskError, parse_with, place, place_findings,
    runtime_env_file, specs,
};

use crate::Error;

/// A task with the text that it was written in, so that a mistake which is found later still has its place.
#[derive(Debug, Clone)]
pub struct LoadedTask {
    /// The task.
    pub task: Task,
    /// What is probably not meant.
    pub warnings: Vec<TaskError>,
    pub(crate) source: Source,
}

/// The text of a task file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    text: String,
    origin: Origin,
}

impl Source {
    /// Gives the findings of a backend their places in the text.
    pub(crate) fn place(&self, backend: &Manifest, findings: &[Finding]) -> Error {
        Error::Task(Box::new(place_findings(
            &self.text,
            &self.origin,
            backend,
            findings,
        )))
    }
}

impl Source {
    /// Gives findings about the task their places in the text; they point into the whole file. Those of a backend about
    /// its spec are told with them.
    pub(crate) fn place_all(&self, findings: &[Finding], of_spec: Option<(Manifest, Vec<Finding>)>) -> Error {
        let mut errors = place(&self.text, &self.origin, findings);
        if let Some((backend, findings)) = of_spec.filter(|(_, findings)| !findings.is_empty()) {
            errors.merge(place_findings(&self.text, &self.origin, &backend, &findings));
        }
        Error::Task(Box::new(errors))
    }
}

/// Reads and understands a task file.
///
/// # Errors
/// The file cannot be read, is no text, or has mistakes; all of them are in the error.
pub(crate) fn load(path: &Path, backends: &[Arc<dyn Backend>]) -> Result<LoadedTask, Error> {
    let unreadable = |reason: String| Error::TaskFile {
        path: path.to_owned(),
        reason,
    };
    let text = read(path).map_err(unreadable)?;
    let absolute = std::path::absolute(path).map_err(|error| unreadable(error.to_string()))?;
    let base = absolute
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    load_text(&text, &path.display().to_string(), base, backends)
}

/// Understands a task that was read elsewhere.
pub(crate) fn load_text(
    text: &str,
    name: &str,
    base: PathBuf,
    backends: &[Arc<dyn Backend>],
) -> Result<LoadedTask, Error> {
    let origin = Origin {
        name: name.to_owned(),
        base,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    let manifests: Vec<Manifest> = backends.iter().map(|backend| backend.manifest()).collect();
    let runtime_env = runtime_env_file(&text).map(|path| RuntimeEnvFile {
        content: read(&origin.base.join(&path)).and_then(|text| ray::read(&text)),
        path,
    });
    let parsed = parse_with(&text, &origin, &manifests, runtime_env.as_ref());
    let Parsed { task, warnings } = parsed.map_err(|mut errors| {
        // A file that is wrong elsewhere is told what is wrong with its environment at the same time.
        for (id, spec) in specs(&text, &manifests) {
            let backend = backends.iter().find(|backend| backend.id() == id);
            let findings = backend.map(|backend| backend.check(&spec)).unwrap_or_default();
            if let (Some(backend), false) = (backend, findings.is_empty()) {
                errors.merge(place_findings(&text, &origin, &backend.manifest(), &findings));
            }
        }
        Error::Task(Box::new(errors))
    })?;
    Ok(LoadedTask {
        task,
        warnings,
        source: Source { text, origin },
    })
}

#[expect(
    clippy::disallowed_types,
    reason = "a task file and the one it names lie outside of the store; this is the one place that reads them"
)]
fn read(path: &Path) -> Result<String, String> {
    use std::io::Read as _;

    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err("it is a folder; name the file in it".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAXIMUM_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > MAXIMUM_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "it is not UTF-8 text (byte {} is not)",
            error.utf8_error().valid_up_to()
        )
    })
}
