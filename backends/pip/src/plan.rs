//! Building a lock: an environment without pip, filled by a pip that stands beside it.

use wrun_backend_python::environment;
use wrun_backend_python::markers::PYTHON;
use wrun_backend_python::source::{Source, check_unchanged, with_copies};
use wrun_core::backend::Request;
use wrun_core::lock::Lock;
use wrun_core::plan::{Action, Check, InstallPlan, NetworkUse, Place, Program, Run, Step, Word};
use wrun_core::problem::Problem;

use crate::command::Under;
use crate::understand::{Understood, check_venv};
use crate::{command, lock};

/// Raised whenever the same lock may be built into another tree.
pub(crate) const REVISION: u32 = 2;

/// Compiles everything to bytecode that is valid whatever the times of files are (PEP 552). What does not compile is
/// passed over, as pip does: packages hold templates that only look like modules.
const COMPILE: &str = "\
import compileall, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
def compile_all(workers):
    compileall.compile_dir(sys.argv[1], quiet=2, workers=workers, invalidation_mode=mode)
try:
    compile_all(0)
except OSError:
    compile_all(1)
";

/// The steps that build a lock.
pub(crate) fn plan(request: &Request, lock: &Lock) -> Result<InstallPlan, Problem> {
    check_venv(request)?;
    let mut steps = Steps::default();
    let make = environment::make(request, || {
        let mut args: Vec<Word> = ["-m", "venv", "--without-pip"].map(Word::from).into();
        args.push(Place::prefix("").into());
        command::python(Program::Tool(PYTHON.to_owned()), args, command::INSTALL_TIMEOUT)
    })?;
    steps.push("make the environment", 1, make);
    fill(request, lock, &Understood::of(request)?, steps)
}

/// The steps that install a lock into an environment that is there, with its interpreter at `bin/python`.
pub(crate) fn plan_into(request: &Request, lock: &Lock) -> Result<InstallPlan, Problem> {
    let understood = Understood::of(request)?.within();
    let mut plan = fill(request, lock, &understood, Steps::default())?;
    // What was there before may have been put together by other rules than pip's.
    plan.checks.retain(|check| matches!(check, Check::Exists(_)));
    Ok(plan)
}

fn fill(
    request: &Request,
    lock: &Lock,
    understood: &Understood,
    mut steps: Steps,
) -> Result<InstallPlan, Problem> {
    let (packages, sources) = lock::read(lock)?;
    check_unchanged(&sources, &request.inputs)?;
    let (checked, unchecked): (Vec<_>, Vec<_>) = packages.iter().partition(|package| package.has_digest());
    for (list, file, hashes) in [
        (checked, "locked.txt", true),
        (unchecked, "locked-sources.txt", false),
    ] {
        if list.is_empty() {
            continue;
        }
        let network = understood.network(list.iter().any(|package| package.is_in_repository()));
        let content: String = list.iter().map(|package| package.line() + "\n").collect();
        steps.push(
            "write the lock",
            1,
            Action::Write {
                to: Place::scratch(file),
                content,
                executable: false,
            },
        );
        let label = format!(
            "install {} package{}",
            list.len(),
            if list.len() == 1 { "" } else { "s" }
        );
        steps.push(
            &label,
            20,
            Action::Run(install(understood, file, hashes, network, &sources)),
        );
    }
    let mut checks = vec![Check::Exists(Place::prefix("bin/python"))];
    if !packages.is_empty() {
        let interpreter = Program::Place(Place::prefix("bin/python"));
        let compile: Vec<Word> = vec!["-c".into(), COMPILE.into(), Place::prefix("lib").into()];
        let compile = command::python(interpreter, compile, command::INSTALL_TIMEOUT);
        steps.push("compile to bytecode", 5, Action::Run(compile));
        let mut run = command::pip(
            understood,
            Under::Environment,
            vec!["check".into(), "--disable-pip-version-check".into()],
            NetworkUse::None,
            command::SOLVE_TIMEOUT,
        );
        run.logins = Vec::new();
        checks.push(Check::Succeeds {
            label: "packages go together".to_owned(),
            run,
        });
    }
    Ok(InstallPlan {
        steps: steps.0,
        checks,
        reads: Vec::new(),
        estimated_bytes: None,
    })
}

fn install(
    understood: &Understood,
    file: &str,
    hashes: bool,
    network: NetworkUse,
    sources: &[Source],
) -> Run {
    let mut args = command::install(understood, network);
    args.extend(["--no-deps", "--no-compile", "-r", file].map(Word::from));
    if hashes {
        args.push("--require-hashes".into());
    }
    let under = match network {
        NetworkUse::Program => Under::ToolForEnvironment,
        NetworkUse::None | NetworkUse::Everyone => Under::Environment,
    };
    let run = command::pip(understood, under, args, network, command::INSTALL_TIMEOUT);
    with_copies(run, sources)
}

/// Steps that follow one after the other.
#[derive(Debug, Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn push(&mut self, label: &str, weight: u16, action: Action) {
        let after = self.0.len().checked_sub(1).into_iter().collect();
        self.0.push(Step {
            label: label.to_owned(),
            weight,
            after,
            action,
        });
    }
}
