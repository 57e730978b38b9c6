//! The shell of the machine that scripts of packages are run with.

use std::path::Path;

use wrun_core::host::Host;
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};

use crate::files;

/// The programs that can be it, the better one first.
const NAMES: [&str; 2] = ["bash", "sh"];

/// Where shells are whatever the search path is.
const FOLDERS: [&str; 2] = ["/bin", "/usr/bin"];

/// The code by which the host says that there is no such program.
const NOT_FOUND: &str = "tool.not-found";

/// Not every shell says its version, and every one of them can be told to say one.
const VERSION: &str = "1.0";

/// Finds it, as the tool `id`: on the search path, or where it commonly is.
pub(crate) async fn find(host: &dyn Host, id: &str) -> Result<ToolFound, Problem> {
    let request = ToolRequest {
        id: id.to_owned(),
        kind: ToolKind::Program {
            names: NAMES.map(str::to_owned).into(),
            version_args: vec!["-c".to_owned(), format!("echo {VERSION}")],
            minimum: None,
            wheel: None,
        },
    };
    match host.find_tool(&request, &[]).await {
        Err(Problem::Failed { code, .. }) if code == NOT_FOUND => common(id, &FOLDERS.map(Path::new)),
        other => other,
    }
}

fn common(id: &str, folders: &[&Path]) -> Result<ToolFound, Problem> {
    let programs = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let Some(path) = programs.into_iter().find(|path| files::is_program(path)) else {
        let folders: Vec<String> = folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        return Err(Problem::Failed {
            code: "conda.shell.missing".to_owned(),
            message: format!(
                "scripts of packages have to be run, and there is neither `bash` nor `sh`, on the search path or in {}",
                folders.join(" or ")
            ),
            help: Some("install `bash`, or set `PATH` to where it is".to_owned()),
        });
    };
    Ok(ToolFound {
        id: id.to_owned(),
        path,
        version: VERSION.to_owned(),
        digest: None,
        python: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_shell_its_common_names_are_told() {
        let message = common("id", &[Path::new("/nonexistent")])
            .unwrap_err()
            .to_string();
        assert!(message.contains("neither `bash` nor `sh`"), "{message}");
        assert!(message.contains("/nonexistent"), "{message}");
    }
}
