//! How a task is started in a Python environment.

use wrun_core::launch::{EnvEdit, Launch, TaskKind};
use wrun_core::plan::Place;
use wrun_core::problem::Problem;

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
