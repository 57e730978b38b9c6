//! Building a lock: an environment without pip, and one run of uv that makes it what the lock says.

use wrun_backend_python::environment;
use wrun_backend_python::source::{check_unchanged, with_copies};
use wrun_core::backend::Request;
use wrun_core::lock::Lock;
use wrun_core::plan::{Action, Check, InstallPlan, NetworkUse, Place, Step, Word};
use wrun_core::problem::Problem;

use crate::command::{self, Flavour};
use crate::lock::{Content, pylock_place};
use crate::solve::PYLOCK;
use crate::understand::Understood;

/// Raised whenever the same lock may be built into another tree.
pub(crate) const REVISION: u32 = 2;

/// The steps that build a lock.
pub(crate) fn plan(request: &Request, lock: &Lock) -> Result<InstallPlan, Problem> {
    let understood = Understood::of(request)?;
    let content = Content::of(lock)?;
    check_unchanged(&content.sources, &request.inputs)?;
    let make = environment::make(request, || {
        let mut args: Vec<Word> = ["venv", "--no-project", "--quiet"].map(Word::from).into();
        args.extend(command::python());
        args.push(Place::prefix("").into());
        command::run(&understood, args, "", NetworkUse::None, command::INSTALL_TIMEOUT)
    })?;
    let mut steps = vec![Step {
        label: "make the environment".to_owned(),
        weight: 1,
        after: Vec::new(),
        action: make,
    }];
    if content.count > 0 {
        steps.push(Step {
            label: "write the lock".to_owned(),
            weight: 1,
            after: Vec::new(),
            action: Action::Write {
                to: Place::scratch(pylock_place(&content.folder)),
                content: content.pylock,
                executable: false,
            },
        });
        let mut sync: Vec<Word> = ["pip", "sync", PYLOCK, "--compile-bytecode", "--python"]
            .map(Word::from)
            .into();
        sync.push(Place::prefix("bin/python").into());
        sync.extend(command::sources_of_packages(&understood, Flavour::Pip));
        let network = understood.network(content.repositories);
        let mut run = command::run(
            &understood,
            sync,
            &content.folder,
            network,
            command::INSTALL_TIMEOUT,
        );
        if let Some(offline) = &mut run.offline {
            offline.downloads = content.downloads;
        }
        steps.push(Step {
            label: format!(
                "install {} package{}",
                content.count,
                if content.count == 1 { "" } else { "s" }
            ),
            weight: 20,
            after: vec![0, 1],
            action: Action::Run(with_copies(run, &content.sources)),
        });
    }
    Ok(InstallPlan {
        steps,
        checks: vec![Check::Exists(Place::prefix("bin/python"))],
        reads: Vec::new(),
        estimated_bytes: (content.bytes > 0).then_some(content.bytes),
    })
}
