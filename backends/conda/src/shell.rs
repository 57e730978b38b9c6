//! The shell of the machine that scripts of packages are run with.

use wrun_core::host::Host;
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};

/// Where shells are whatever the search path is.
const FOLDERS: [&str; 2] = ["/bin", "/usr/bin"];

/// The code by which the host says that there is no such program.
const NOT_FOUND: &str = "tool.not-found";

/// Finds it, as the tool `id`: on the search path, or where it commonly is.
pub(crate) async fn find(host: &dyn Host, id: &str) -> Result<ToolFound, Problem> {
    let request = ToolRequest {
        id: id.to_owned(),
        kind: ToolKind::Program {
            names: vec!["bash".to_owned(), "sh".to_owned()],
            folders: FOLDERS.map(Into::into).into(),
            // Not every shell says its version, and every one of them can be told to say one.
            version_args: vec!["-c".to_owned(), "echo 1.0".to_owned()],
            minimum: None,
            wheel: None,
        },
    };
    host.find_tool(&request, &[]).await.map_err(|problem| {
        if problem.code() == NOT_FOUND {
            missing()
        } else {
            problem
        }
    })
}

fn missing() -> Problem {
    Problem::Failed {
        code: "conda.shell.missing".to_owned(),
        message: format!(
            "scripts of packages have to be run, and there is neither `bash` nor `sh`, on the search path or in {}",
            FOLDERS.join(" or ")
        ),
        help: Some("install `bash`, or set `PATH` to where it is".to_owned()),
    }
}
