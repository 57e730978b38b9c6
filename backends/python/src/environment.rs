//! How a Python environment is made, and a task started in it.

use wrun_core::backend::Request;
use wrun_core::launch::{EnvEdit, Launch, TaskKind};
use wrun_core::plan::{Action, Place, Run};
use wrun_core::problem::Problem;

use crate::markers::{self, PYTHON};

/// Makes the environment without packages. Where the interpreter does not say how that is done, a program makes it.
///
/// # Errors
/// The host did not say what the interpreter is.
pub fn make(request: &Request, program: impl FnOnce() -> Run) -> Result<Action, Problem> {
    Ok(match markers::interpreter(request)?.virtual_environment {
        Some(_) => Action::VirtualEnvironment(PYTHON.to_owned()),
        None => Action::Run(program()),
    })
}

/// A command with the environment's `bin` first on its search path.
///
/// # Errors
/// A module cannot be started in one.
pub fn enter(backend: &str, kind: TaskKind) -> Result<Launch, Problem> {
    match kind {
        TaskKind::Command => Ok(Launch::Native {
            env: vec![EnvEdit::Set("VIRTUAL_ENV".to_owned(), Place::prefix("").into())],
            search_path: vec![Place::prefix("bin")],
        }),
        TaskKind::Module | TaskKind::Image => Err(Problem::Unsupported {
            code: format!("{backend}.module.unsupported"),
            message: "a WebAssembly module cannot use a Python environment".to_owned(),
            help: Some(
                "a Python environment goes with `command`: remove the environment or run a command"
                    .to_owned(),
            ),
        }),
    }
}
