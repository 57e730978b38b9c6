//! Finds the interpreter of a container image.

use std::path::PathBuf;

use wrun_core::tool::ToolFound;

use super::find::{listed, version};
use super::probe::{Probed, Verdict};
use super::request::{PythonRequest, Versions};
use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::inside::Inside;

/// Names under which an interpreter of any version is found.
const NAMES: [&str; 2] = ["python3", "python"];

/// Minor versions of Python 3 that are looked for by their own names.
const MINORS: std::ops::RangeInclusive<u64> = 8..=15;

impl TaskHost {
    /// Finds the interpreter of an image that a request asks for.
    ///
    /// # Errors
    /// It is no request, or the image has no interpreter that fits; the error lists what was looked at.
    pub(super) async fn find_python_inside(
        &self,
        id: &str,
        request: &PythonRequest,
        inside: &Inside,
    ) -> Result<ToolFound, ProvisionError> {
        let mut looked_at = Vec::new();
        for name in candidates(request) {
            match self.probe_python_inside(&name, inside).await? {
                Verdict::Unusable(reason) => looked_at.push((name, reason)),
                Verdict::Interpreter(probed) => {
                    let Probed {
                        interpreter,
                        executable,
                        wheel_folders: _,
                    } = *probed;
                    let fits = version(&interpreter.version)
                        .is_some_and(|version| request.accepts(&interpreter.implementation, &version));
                    if fits {
                        return Ok(ToolFound {
                            id: id.to_owned(),
                            path: executable,
                            version: interpreter.version.clone(),
                            digest: None,
                            python: Some(interpreter),
                        });
                    }
                    looked_at.push((
                        executable,
                        format!("{} {}", interpreter.implementation, interpreter.version),
                    ));
                }
            }
        }
        Err(ProvisionError::PythonNotInImage {
            request: match &request.path {
                Some(path) => format!("`{}`", path.display()),
                None => request.describe(),
            },
            image: inside.name.clone(),
            looked_at: listed(&looked_at),
        })
    }
}

/// The programs of an image that may be what is asked for, best first.
fn candidates(request: &PythonRequest) -> Vec<PathBuf> {
    if let Some(path) = &request.path {
        return vec![path.clone()];
    }
    let implementation = request.implementation.iter().map(|name| match name.as_str() {
        "cpython" => "python3".to_owned(),
        other => other.to_owned(),
    });
    let minors = MINORS
        .rev()
        .filter(|minor| !matches!(request.versions, Versions::Any) && request.may_accept(None, &[3, *minor]))
        .map(|minor| format!("python3.{minor}"));
    let mut names: Vec<String> = minors
        .chain(implementation)
        .chain(NAMES.map(str::to_owned))
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.into_iter().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(request: Option<&str>) -> Vec<String> {
        candidates(&PythonRequest::parse(request).unwrap())
            .into_iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn names_with_the_version_come_first() {
        assert_eq!(names(None), ["python3", "python"]);
        assert_eq!(names(Some("3.11")), ["python3.11", "python3", "python"]);
        assert_eq!(
            names(Some(">=3.13,<3.15")),
            ["python3.14", "python3.13", "python3", "python"]
        );
        assert_eq!(names(Some("pypy")), ["pypy", "python3", "python"]);
        assert_eq!(names(Some("/opt/python/bin/python")), ["/opt/python/bin/python"]);
    }
}
