//! Installing into an environment by the interpreter that it is made from.
//!
//! What is built from source may change the environment and with it the environment's own interpreter, which is why that
//! one is not given the network: pip runs under the one outside, and takes no module of the environment.

use wrun_backend_python::markers::PYTHON;
use wrun_core::plan::{Place, Program, Word};

/// Becomes pip for the environment of its first argument, as the module `site` would set it up but for its packages. The
/// interpreter has none either (`-S`).
const FOR_ENVIRONMENT: &str = "\
import runpy, sys
prefix, pip, *words = sys.argv[1:]
sys.prefix = sys.exec_prefix = prefix
sys.executable = prefix + '/bin/python'
sys.argv = [pip, *words]
runpy.run_path(pip, run_name='__main__')
";

/// The program and the words before those of pip. pip itself is the last of them.
pub(crate) fn program(pip: Word) -> (Program, Vec<Word>) {
    let words = vec![
        "-I".into(),
        "-S".into(),
        "-c".into(),
        FOR_ENVIRONMENT.into(),
        Place::prefix("").into(),
        pip,
    ];
    (Program::Tool(PYTHON.to_owned()), words)
}
