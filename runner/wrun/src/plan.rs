//! What a submit would do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use wrun_core::grants::Grants;
use wrun_core::id::{EnvId, LockId, SpecId};
use wrun_core::image::{Engine, ImageUser};
use wrun_core::launch::{Launch, TaskKind};
use wrun_core::plan::InstallPlan;
use wrun_core::sandbox::Demand;
use wrun_core::task::{Run, Variable};
use wrun_engine::task_user;

use crate::context::Context;
use crate::environment::{self, LockPolicy};
use crate::grants::{grants, refused_guest, task_folder};
use crate::image;
use crate::lock_file::LockFile;
use crate::run::{check_paths, placed};
use crate::{Error, Submission};

/// Whether something is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It is.
    Hit,
    /// It is not.
    Miss,
    /// It cannot be known, because the lock is not known and may not be asked for.
    Unknown,
}

/// A package of the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from.
    pub source: String,
}

/// What stands for the scratch folder, which every run has a fresh one of.
const SCRATCH: &str = "<scratch>";

/// Where the value of a variable comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PlannedVariable {
    /// It is this text.
    Value(String),
    /// It comes from the caller.
    FromCaller {
        /// The caller's variable.
        from: String,
    },
}

impl From<&Variable> for PlannedVariable {
    fn from(variable: &Variable) -> Self {
        match variable {
            Variable::Value(value) => Self::Value(value.clone()),
            Variable::FromCaller(from) => Self::FromCaller { from: from.clone() },
        }
    }
}

/// A container image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedImage {
    /// Its name with its digest.
    pub reference: String,
    /// What runs it.
    pub engine: Engine,
    /// How many layers it has in the store.
    pub layers: usize,
    /// The folder that the task starts in.
    pub folder: PathBuf,
    /// Who the task is, as it sees itself.
    pub user: ImageUser,
}

/// What a submit would do, without doing it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// The version of this report.
    pub v: u32,
    /// The task's name.
    pub task: String,
    /// The command or module with its arguments. Where the image has the command, that is known once it is built; before
    /// only what the task says of it.
    pub run: Vec<String>,
    /// What kind of run the task asks for.
    pub kind: TaskKind,
    /// The task's folder.
    pub folder: PathBuf,
    /// The backend, if the task has an environment.
    pub backend: Option<String>,
    /// The canonical spec: what is hashed.
    pub spec: Option<Value>,
    /// What was asked for.
    pub spec_id: Option<SpecId>,
    /// What it resolved to.
    pub lock_id: Option<LockId>,
    /// Whether that was known.
    pub lock: Option<Level>,
    /// What it is built into.
    pub env_id: Option<EnvId>,
    /// Whether that is built.
    pub environment: Option<Level>,
    /// The packages of the lock.
    pub packages: Vec<PlannedPackage>,
    /// The steps that would build it, if it is not built.
    pub steps: Option<InstallPlan>,
    /// How the task is started.
    pub launch: Option<Launch>,
    /// The container image that its files come from, if it has one and that is built.
    pub image: Option<PlannedImage>,
    /// The task's variables; values that come from the caller are not shown.
    pub vars: BTreeMap<String, PlannedVariable>,
    /// What the task gets.
    pub grants: Grants,
    /// Whether the task is held to its paths and hosts: a process is not, if it is asked to be held by nothing.
    pub sandboxed: bool,
    /// Why the task would be refused, if it would.
    pub refused: Option<String>,
    /// The lock itself with its request, for `--lock FILE`.
    #[serde(skip)]
    pub found_lock: Option<LockFile>,
}

pub(crate) async fn plan(context: &Context, submission: &Submission) -> Result<PlanReport, Error> {
    let task = &submission.task;
    check_paths(context, submission)?;
    let folder = task_folder(task)?;
    let refused = match task.run {
        Run::Command(_) | Run::Image { .. } => None,
        Run::Module { .. } => refused_guest(task).map(|(_, reason)| reason),
    };
    let mut report = PlanReport {
        v: 1,
        task: task.name.clone(),
        run: words(&task.run),
        kind: task.kind(),
        folder: folder.clone(),
        backend: None,
        spec: None,
        spec_id: None,
        lock_id: None,
        lock: None,
        env_id: None,
        environment: None,
        packages: Vec::new(),
        steps: None,
        launch: None,
        image: None,
        vars: task
            .vars
            .iter()
            .map(|(name, value)| (name.clone(), PlannedVariable::from(value)))
            .collect(),
        grants: grants(task, &folder, Path::new(SCRATCH))?,
        sandboxed: task.kind() == TaskKind::Module || submission.demand != Demand::Off,
        refused,
        found_lock: None,
    };
    if let Some(request) = &task.env {
        let keyed = environment::key(context, request, &folder, &submission.policy, &task.name)
            .await
            .map_err(|error| placed(context, submission, error))?;
        report.backend = Some(request.backend.clone());
        report.spec = Some(keyed.spec.to_json());
        report.spec_id = Some(keyed.spec_id.clone());
        fill_from_lock(context, submission, &keyed, &mut report).await?;
    } else if matches!(submission.policy, LockPolicy::Given(_)) {
        return Err(Error::LockUnused);
    }
    Ok(report)
}

async fn fill_from_lock(
    context: &Context,
    submission: &Submission,
    keyed: &environment::Keyed,
    report: &mut PlanReport,
) -> Result<(), Error> {
    let known = environment::stored_lock(context, &keyed.spec_id)?.is_some();
    let given = matches!(submission.policy, LockPolicy::Given(_));
    if context.inner.settings.offline && !known && !given {
        report.lock = Some(Level::Unknown);
        report.environment = Some(Level::Unknown);
        return Ok(());
    }
    let locked = environment::lock(context, keyed, &submission.policy).await?;
    let (env_id, _) = environment::env_id(context, keyed, &locked.lock_id);
    // Held for as long as the environment is looked at.
    let lease = context.inner.store.lease(&env_id)?;
    let environment = lease.environment()?;
    let built = environment.is_some();
    let wrong = |problem| Error::Environment {
        backend: keyed.backend.id().to_owned(),
        problem,
    };
    report.lock = Some(if locked.hit { Level::Hit } else { Level::Miss });
    report.environment = Some(if built { Level::Hit } else { Level::Miss });
    report.steps = if built {
        None
    } else {
        keyed
            .backend
            .preview(&keyed.assessed, &locked.lock)
            .map_err(wrong)?
    };
    let launch = keyed
        .backend
        .enter(&locked.lock, keyed.kind(&submission.task))
        .map_err(wrong)?;
    let image = match (&keyed.base, &environment) {
        (Some(base), _) => Some(base.image.clone()),
        (None, Some(environment)) => image::of(&launch, &environment.prefix)?,
        (None, None) => None,
    };
    if let Some(image) = image {
        let run = &submission.task.run;
        report.run = image::command(&image, run)?;
        report.image = Some(PlannedImage {
            folder: image
                .folder(run)
                .map_or_else(|| report.folder.clone(), PathBuf::from),
            reference: image.reference,
            engine: image.engine,
            layers: image.layers.len(),
            user: task_user(image.engine, &image.config.user),
        });
    }
    report.launch = Some(launch);
    report.packages = locked
        .lock
        .packages
        .iter()
        .map(|package| PlannedPackage {
            name: package.name.clone(),
            version: package.version.clone(),
            source: package.source.clone(),
        })
        .collect();
    report.lock_id = Some(locked.lock_id);
    report.env_id = Some(env_id);
    report.found_lock = Some(LockFile {
        spec_id: keyed.spec_id.clone(),
        spec: keyed.spec.to_json(),
        image: keyed.base.as_ref().map(|base| Box::new(base.lock_file.clone())),
        lock: locked.lock,
    });
    Ok(())
}

fn words(run: &Run) -> Vec<String> {
    match run {
        Run::Command(words) => words.clone(),
        Run::Module { path, args } => std::iter::once(path.display().to_string())
            .chain(args.iter().cloned())
            .collect(),
        Run::Image { args } => args.clone().unwrap_or_default(),
    }
}
