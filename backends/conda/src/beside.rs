//! Code of packages that runs while an environment is built and only reads it.
//!
//! The files of an environment are commonly those of the package cache under another name. Whoever may write the
//! environment could change a package for every other environment that has it, so such code writes into a folder of its
//! own, and what it made is taken from there.

use std::path::Path;

use wrun_core::backend::{Request, Slot};
use wrun_core::host::{Host, ScratchFolder};
use wrun_core::plan::{InstallPlan, Step};
use wrun_core::problem::Problem;
use wrun_core::tool::ToolFound;

use crate::install;

/// Runs a step that reads the environment at `environment`; its prefix is the folder that is given back.
pub(crate) async fn run(
    host: &dyn Host,
    request: &Request,
    environment: &Path,
    tools: Vec<ToolFound>,
    step: Step,
    slot: &Slot,
) -> Result<Box<dyn ScratchFolder>, Problem> {
    let made = host.scratch(&step.label)?;
    let mut request = request.clone();
    request.tools.extend(tools);
    let plan = InstallPlan {
        steps: vec![step],
        reads: vec![environment.to_path_buf()],
        ..InstallPlan::default()
    };
    let apart = Slot {
        id: slot.id.clone(),
        prefix: made.path().to_path_buf(),
    };
    host.execute(&request, &plan, &apart, &install::explain).await?;
    Ok(made)
}
