//! Bytecode of Python packages.
//!
//! Packages that fit every Python bring none, and an environment that is done cannot be written to: without this every
//! start would compile them again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rattler_conda_types::RepoDataRecord;
use wrun_core::backend::{Request, Slot};
use wrun_core::host::Host;
use wrun_core::plan::{Action, NetworkUse, Place, Program, Run, Step, Word};
use wrun_core::problem::Problem;
use wrun_core::tool::ToolFound;

use crate::beside::Beside;
use crate::{files, install};

/// The interpreter of the environment, as a tool.
const PYTHON: &str = "environment-python";

/// How long compiling may take.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Compiles the modules below a folder that have no bytecode, into another folder, valid whatever the times of files are
/// (PEP 552, which Python has since 3.7). What does not compile is passed over: packages hold templates that only look
/// like modules.
const COMPILE: &str = "\
import importlib.util, os, py_compile, struct, sys
mode = getattr(py_compile, 'PycInvalidationMode', None)
source, out = sys.argv[1:]

def is_compiled(module, bytecode):
    try:
        with open(bytecode, 'rb') as file:
            head = file.read(12)
        magic, flags, time = struct.unpack('<4sLL', head)
        return magic == importlib.util.MAGIC_NUMBER and (
            flags & 1 or time == int(os.stat(module).st_mtime) & 0xFFFFFFFF)
    except (OSError, struct.error):
        return False

for folder, _, names in os.walk(source) if mode else ():
    for name in names:
        if not name.endswith('.py'):
            continue
        module = os.path.join(folder, name)
        try:
            bytecode = importlib.util.cache_from_source(module)
            if is_compiled(module, bytecode):
                continue
            made = os.path.join(out, os.path.relpath(bytecode, source))
            py_compile.compile(module, made, None, True, -1, mode.UNCHECKED_HASH)
        except Exception:
            pass
";

/// Compiles the modules of an environment, if some of its packages bring none compiled.
pub(crate) async fn compile(
    host: &dyn Host,
    request: &Request,
    records: &[RepoDataRecord],
    slot: &Slot,
) -> Result<(), Problem> {
    let has_noarch = records
        .iter()
        .any(|record| record.package_record.noarch.is_python());
    let python = records
        .iter()
        .map(|record| &record.package_record)
        .find(|record| record.name.as_normalized() == "python");
    let Some(python) = python.filter(|_| has_noarch) else {
        return Ok(());
    };
    let Some((major, minor)) = python.version.as_major_minor() else {
        return Ok(());
    };
    let modules = slot
        .prefix
        .join(format!("lib/python{major}.{minor}/site-packages"));
    let interpreter = ToolFound {
        id: PYTHON.to_owned(),
        path: slot.prefix.join("bin/python"),
        version: python.version.to_string(),
        digest: None,
        python: None,
    };
    let step = Step {
        label: "compile to bytecode".to_owned(),
        weight: 5,
        after: Vec::new(),
        action: Action::Run(Run {
            program: Program::Tool(PYTHON.to_owned()),
            // Without what packages hook into the start of an interpreter.
            args: vec![
                "-I".into(),
                "-S".into(),
                "-B".into(),
                "-c".into(),
                COMPILE.into(),
                Word::from(modules.to_string_lossy().into_owned()),
                Place::prefix("").into(),
            ],
            env: Vec::new(),
            logins: Vec::new(),
            cwd: Place::scratch(""),
            network: NetworkUse::None,
            offline: None,
            timeout: TIMEOUT,
        }),
    };
    let made = host.scratch(&step.label)?;
    let compiling = Beside {
        environment: &slot.prefix,
        made: made.path(),
        tool: interpreter,
        step,
    };
    compiling.run(host, request, slot, &install::explain).await?;
    let from: PathBuf = made.path().to_path_buf();
    let moved = tokio::task::spawn_blocking(move || take(&from, &modules));
    moved
        .await
        .map_err(|error| Problem::failed("conda.compile.failed", error.to_string()))?
        .map_err(|error| {
            Problem::failed(
                "conda.compile.failed",
                format!("compiled modules cannot be put into the environment: {error}"),
            )
        })
}

/// Moves bytecode to the modules that it is of.
fn take(from: &Path, to: &Path) -> std::io::Result<()> {
    for file in files::plain_files(from)? {
        let Ok(rel) = file.strip_prefix(from) else {
            continue;
        };
        let folder = files::parent(&to.join(rel));
        let beside_modules = folder.file_name().is_some_and(|name| name == "__pycache__")
            && files::is_folder(&files::parent(&folder));
        if beside_modules && rel.extension().is_some_and(|ending| ending == "pyc") {
            files::make_folder(&folder)?;
            files::rename(&file, &to.join(rel))?;
        }
    }
    Ok(())
}
