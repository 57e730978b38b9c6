//! An interpreter as part of a key.

use wrun_core::backend::Request;
use wrun_core::canon::Canon;
use wrun_core::problem::Problem;
use wrun_core::tool::Interpreter;

/// The name that both backends give their interpreter.
pub const PYTHON: &str = "python";

/// What the interpreter of a request said of itself.
///
/// # Errors
/// The host gave none.
pub fn interpreter(request: &Request) -> Result<&Interpreter, Problem> {
    request.tool(PYTHON)?.python.as_ref().ok_or_else(|| {
        Problem::failed(
            "python.interpreter.unknown",
            "the host did not say what the interpreter is",
        )
    })
}

/// Everything of the interpreter and the machine that a resolution may depend on: markers, and what chooses among
/// wheels (PEP 425).
///
/// # Errors
/// The host gave no interpreter.
pub fn canon(request: &Request) -> Result<Canon, Problem> {
    let interpreter = interpreter(request)?;
    Ok(Canon::map([
        ("libc", Canon::text(&interpreter.libc)),
        ("machine", request.platform.canon()),
        ("markers", interpreter.markers_canon()),
        ("platform", Canon::text(&interpreter.platform)),
        ("soabi", Canon::text(&interpreter.soabi)),
    ]))
}
