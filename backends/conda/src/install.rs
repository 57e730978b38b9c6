//! Building an environment from a lock: no repodata, no solving.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rattler_conda_types::{PrefixRecord, RepoDataRecord, Subdir};
use wrun_backend_pip::Pip;
use wrun_backend_python::failure;
use wrun_core::backend::{Request, Slot};
use wrun_core::host::Host;
use wrun_core::plan::{Action, InstallPlan, NetworkUse, Place, Program, Run, Step, Word};
use wrun_core::problem::{Advice, Problem, StepFailure};

use crate::activation::Activation;
use crate::compile::compile;
use crate::fetch;
use crate::files;
use crate::link::{self, Linked, Linking};
use crate::lock::{Content, Packages as Locked};
use crate::packages::Packages;
use crate::pip;
use crate::shell;
use crate::understand::{Source, Understood};

/// Raised whenever the same lock may be built into another tree.
pub(crate) const REVISION: u32 = 1;

/// Where an environment that is there already is to be found in the tree that stands for it.
pub(crate) const EXISTING: &str = "environment";

/// How long one script for the time after the installation may take.
const SCRIPT_TIMEOUT: Duration = Duration::from_mins(10);

/// The shell that scripts for the time after the installation are run with.
const SCRIPT_SHELL: &str = "script-shell";

/// A build of an environment.
#[derive(Clone, Copy)]
pub(crate) struct Build<'a> {
    /// What acts.
    pub(crate) host: &'a dyn Host,
    /// What the environment is for.
    pub(crate) request: &'a Request,
    /// Where it is built.
    pub(crate) slot: &'a Slot,
    /// How long all activation scripts together may take.
    pub(crate) activation_time: Duration,
}

/// The steps of a build, for people to read before.
pub(crate) fn preview(understood: &Understood, locked: &Locked) -> Result<InstallPlan, Problem> {
    let (_, records) = locked.records()?;
    let mut steps = Vec::new();
    for record in records.iter().filter(|record| record.url.scheme() != "file") {
        let fetch = fetch::step(&understood.channels, record)?;
        steps.push(Step {
            label: format!("fetch {}", fetch.save_as),
            weight: 1,
            after: Vec::new(),
            action: Action::Fetch(fetch),
        });
    }
    steps.push(Step {
        label: format!("install {}", count(records.len(), "conda package")),
        weight: 10,
        after: (0..steps.len()).collect(),
        action: Action::MakeDir(Place::prefix("")),
    });
    Ok(InstallPlan {
        steps,
        checks: Vec::new(),
        reads: Vec::new(),
        estimated_bytes: None,
    })
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Build<'_> {
    /// Builds a lock into the slot.
    pub(crate) async fn make(self, understood: &Understood, content: &Content) -> Result<(), Problem> {
        match content {
            Content::Existing { path, state: _ } => self.enter_existing(Path::new(path)).await,
            Content::Packages(locked) => self.install(understood, locked).await,
        }
    }

    async fn install(self, understood: &Understood, locked: &Locked) -> Result<(), Problem> {
        let Self { host, slot, .. } = self;
        let (platform, records) = locked.records()?;
        runs_here(platform)?;
        let folders = Packages::open(host)?
            .provide(host, understood.origin(), &records)
            .await?;
        host.progress(&format!("install {}", count(records.len(), "conda package")));
        let specs = match &understood.source {
            Source::Solved(specs) => specs.clone(),
            Source::Explicit(_) | Source::Existing(_) => Vec::new(),
        };
        let Linked {
            records: installed,
            same,
        } = link::link(Linking {
            prefix: slot.prefix.clone(),
            records: records.clone(),
            folders,
            specs,
            platform,
            copies: understood.runs_code(),
        })
        .await?;
        for told in same.told() {
            host.progress(&told);
        }
        self.finish(locked, &records, &installed, platform).await
    }

    /// Everything after linking: what runs code of packages.
    async fn finish(
        self,
        locked: &Locked,
        records: &[RepoDataRecord],
        installed: &[PrefixRecord],
        platform: Subdir,
    ) -> Result<(), Problem> {
        let Self {
            host,
            request,
            slot,
            activation_time,
        } = self;
        let mut plan = InstallPlan::default();
        let mut request = request.clone();
        let scripts: Vec<&PrefixRecord> = installed
            .iter()
            .filter(|record| slot.prefix.join(script(record)).is_file())
            .collect();
        if locked.link_scripts && !scripts.is_empty() {
            request.tools.push(shell::find(host, SCRIPT_SHELL).await?);
            plan.steps
                .extend(scripts.iter().map(|record| script_step(record)));
        } else if !scripts.is_empty() {
            tracing::info!(
                count = scripts.len(),
                "scripts for the time after the installation are not run"
            );
        }
        if let Some(locked) = &locked.pip {
            let tools = pip::tools(host, &slot.prefix, records).await?;
            let pip_request = Request {
                spec: locked.spec.clone(),
                inputs: locked.inputs(),
                tools: tools.clone(),
                platform: request.platform.clone(),
            };
            let InstallPlan { steps, checks, .. } = Pip.plan_into(&pip_request, &locked.lock)?;
            let offset = plan.steps.len();
            plan.steps.extend(steps.into_iter().map(|mut step| {
                for after in &mut step.after {
                    *after += offset;
                }
                step
            }));
            plan.checks.extend(checks);
            request.tools.extend(tools);
            // What the lines refer to has to be there for pip to read.
            request.inputs.extend(pip_request.inputs);
        }
        in_order(&mut plan);
        if !plan.steps.is_empty() {
            host.execute(&request, &plan, slot, &explain).await?;
        }
        // pip compiles everything.
        if locked.pip.is_none() {
            compile(host, &request, records, slot).await?;
        }
        let activation = Activation::of(&slot.prefix, platform, &locked.variables, activation_time)?;
        activation.record(host, &request, slot).await
    }

    /// Makes a tree that stands for an environment that is there: a link to it, and its recorded activation.
    async fn enter_existing(self, path: &Path) -> Result<(), Problem> {
        let failed = |error: std::io::Error| {
            Problem::failed(
                "conda.existing.failed",
                format!("cannot refer to `{}`: {error}", path.display()),
            )
        };
        files::symlink(path, &self.slot.prefix.join(EXISTING)).map_err(failed)?;
        let platform = Subdir::current().unwrap_or(Subdir::NoArch);
        let activation = Activation::of(path, platform, &BTreeMap::new(), self.activation_time)?;
        activation.record(self.host, self.request, self.slot).await
    }
}

/// Each step after the one before it.
fn in_order(plan: &mut InstallPlan) {
    for (index, step) in plan.steps.iter_mut().enumerate() {
        step.after = index.checked_sub(1).into_iter().collect();
    }
}

/// Whether programs of a platform can be started on this machine.
pub(crate) fn runs_here(platform: Subdir) -> Result<(), Problem> {
    let here = Subdir::current();
    if platform == Subdir::NoArch || Some(platform) == here {
        return Ok(());
    }
    let here = here.map_or_else(
        || "a machine that conda does not know".to_owned(),
        |here| format!("`{here}`"),
    );
    Err(Problem::Unsupported {
        code: "conda.platform.other".to_owned(),
        message: format!("the environment is for `{platform}`, and this is {here}"),
        help: Some(
            "a lock can be made for any platform (`wrun plan --lock FILE`), without packages for pip; run it on a \
             machine of that kind"
                .to_owned(),
        ),
    })
}

/// The script of a package for the time after its installation, in the environment.
fn script(record: &PrefixRecord) -> String {
    format!(
        "bin/.{}-post-link.sh",
        record.repodata_record.package_record.name.as_normalized()
    )
}

fn script_step(record: &PrefixRecord) -> Step {
    let package = &record.repodata_record.package_record;
    let mut path = Word::from(Place::prefix("bin"));
    path.0.push(wrun_core::plan::Piece::Text(
        ":/usr/local/bin:/usr/bin:/bin".to_owned(),
    ));
    Step {
        label: format!("run the script of {}", package.name.as_normalized()),
        weight: 1,
        after: Vec::new(),
        action: Action::Run(Run {
            program: Program::Tool(SCRIPT_SHELL.to_owned()),
            args: vec![Place::prefix(script(record)).into()],
            env: vec![
                ("PREFIX".to_owned(), Place::prefix("").into()),
                ("CONDA_PREFIX".to_owned(), Place::prefix("").into()),
                ("PATH".to_owned(), path),
                ("PKG_NAME".to_owned(), package.name.as_normalized().into()),
                ("PKG_VERSION".to_owned(), package.version.to_string().into()),
                ("PKG_BUILDNUM".to_owned(), package.build_number.to_string().into()),
            ],
            logins: Vec::new(),
            cwd: Place::prefix(""),
            network: NetworkUse::None,
            offline: None,
            timeout: SCRIPT_TIMEOUT,
        }),
    }
}

/// What a failed step means.
pub(crate) fn explain(failure: &StepFailure) -> Advice {
    if failure.label.starts_with("run the script of") {
        return Advice {
            code: "conda.script.failed".to_owned(),
            message: format!("{} failed", failure.label),
            help: Some("leave out `link-scripts`, or ask for another build of the package".to_owned()),
            retry: false,
        };
    }
    failure::advice("pip", failure)
}
