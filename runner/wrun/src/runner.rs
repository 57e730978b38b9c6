//! The runner: what a program embeds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wrun_core::backend::Manifest;
use wrun_core::event::Event;
use wrun_core::grants::{Grants, Limits};
use wrun_core::image::Engine;
use wrun_core::problem::Problem;
use wrun_core::sandbox::{Capability, Demand, SandboxReport, State};
use wrun_core::task::Task;
use wrun_exec::{HelperAhead, Output, OutputSink, Stdin, Stdio, TerminalSize};
use wrun_provision::{Cleaning, TaskHost};
use wrun_store::Store;

use crate::context::{Context, Inner};
use crate::engine;
use crate::environment::LockPolicy;
use crate::guest::{self, LoadedModule, Module};
use crate::load::{self, LoadedTask, Source};
use crate::lock_file::LockFile;
use crate::native;
use crate::plan::{self, PlanReport};
use crate::run;
use crate::settling::Settling;
use crate::signals::Signals;
use crate::{Error, Finished, RunHandle, RunnerBuilder};

/// Builds environments and runs tasks. Cheap to clone; all clones share one store.
#[derive(Clone)]
pub struct Runner(pub(crate) Arc<Inner>);

/// A task with how it is to be run.
#[derive(Debug, Clone)]
pub struct Submission {
    pub(crate) task: Task,
    pub(crate) source: Option<Source>,
    pub(crate) stdio: Stdio,
    pub(crate) output_events: bool,
    pub(crate) policy: LockPolicy,
    pub(crate) demand: Demand,
    pub(crate) why_denied: bool,
}

impl Submission {
    /// A task that reads nothing and whose output goes where this process's goes.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self {
            task,
            source: None,
            stdio: Stdio::default(),
            output_events: false,
            policy: LockPolicy::Stored,
            demand: Demand::default(),
            why_denied: false,
        }
    }

    /// What the task reads. Default: nothing.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdio.stdin = stdin;
        self
    }

    /// Where the task's output goes. Default: to the standard output and error of this process.
    #[must_use]
    pub fn output(mut self, sink: Arc<dyn OutputSink>) -> Self {
        self.stdio.output = Output::Sink(sink);
        self
    }

    /// A native task gets a terminal of its own in place of its standard streams: how large it is, and becomes. What the
    /// task reads is typed there. `SIGCONT` lets a task go on that was stopped ([`Event::Stopped`]). A WebAssembly guest
    /// is refused it.
    #[must_use]
    pub fn terminal(mut self, size: watch::Receiver<TerminalSize>) -> Self {
        self.stdio.terminal = Some(size);
        self
    }

    /// The task's output comes as [`Event::Output`].
    #[must_use]
    pub const fn output_as_events(mut self) -> Self {
        self.output_events = true;
        self
    }

    /// Solve again, even if the lock of this request is known.
    #[must_use]
    pub fn refresh(mut self) -> Self {
        self.policy = LockPolicy::Refresh;
        self
    }

    /// Start at this lock and solve nothing. It has to be one of the same request.
    #[must_use]
    pub fn locked(mut self, lock: LockFile) -> Self {
        self.policy = LockPolicy::Given(Box::new(lock));
        self
    }

    /// How strongly a native task has to be held. Default: [`Demand::Strongest`].
    #[must_use]
    pub const fn sandbox(mut self, demand: Demand) -> Self {
        self.demand = demand;
        self
    }

    /// Watch a native task, which makes it slower, and say at its end what it was refused ([`Event::Denied`]).
    #[must_use]
    pub const fn why_denied(mut self) -> Self {
        self.why_denied = true;
        self
    }
}

impl From<LoadedTask> for Submission {
    fn from(loaded: LoadedTask) -> Self {
        let LoadedTask {
            task,
            warnings: _,
            source,
        } = loaded;
        Self {
            source: Some(source),
            ..Self::new(task)
        }
    }
}

impl From<Task> for Submission {
    fn from(task: Task) -> Self {
        Self::new(task)
    }
}

/// A WebAssembly guest with exactly what it gets.
#[derive(Debug, Clone)]
pub struct GuestRun {
    /// The WASI 0.1 module or 0.2 component.
    pub module: Module,
    /// Its arguments, without its own name.
    pub args: Vec<String>,
    /// Its variables.
    pub env: BTreeMap<String, String>,
    /// What it may touch, and its limits.
    pub grants: Grants,
    /// Its standard streams.
    pub stdio: Stdio,
    /// Its output comes as [`Event::Output`], in place of where its streams send it.
    pub output_events: bool,
}

impl Runner {
    /// Starts putting a runner together.
    #[must_use]
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder::new()
    }

    /// Runs a task. Must be called within a tokio runtime.
    #[must_use = "dropping the handle cancels the run"]
    pub fn submit(&self, submission: impl Into<Submission>) -> RunHandle {
        let submission = submission.into();
        self.start(|context, signals| {
            let context = context.held_by(submission.demand);
            run::submit(context, submission, signals)
        })
    }

    /// Runs a WebAssembly guest with exactly what is listed: no folder, no variable and no scratch folder of its own.
    /// Must be called within a tokio runtime.
    #[must_use = "dropping the handle cancels the run"]
    pub fn exec(&self, guest: GuestRun) -> RunHandle {
        self.start(|context, signals| run::exec(context, guest, signals))
    }

    /// Compiles and links a WebAssembly program, or finds it compiled in the store, for many runs.
    ///
    /// # Errors
    /// The file cannot be read or is no WASI program.
    pub async fn load_module(&self, path: impl Into<PathBuf>) -> Result<LoadedModule, Error> {
        let (sender, _events) = mpsc::unbounded_channel();
        guest::load(&self.context(sender, CancellationToken::new()), &path.into()).await
    }

    fn start<F>(&self, run: impl FnOnce(Context, Signals) -> F) -> RunHandle
    where
        F: Future<Output = Result<Finished, Error>> + Send + 'static,
    {
        let (sender, events) = mpsc::unbounded_channel();
        let (signals, received) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let context = self.context(sender, cancel.clone());
        let run = tokio::spawn(run(context, Signals::new(received)));
        RunHandle {
            events,
            signals,
            cancel,
            run,
        }
    }

    /// Says what a submit would do, without running the task or building anything. The lock is solved and kept if it is
    /// not known and the runner is not offline.
    ///
    /// # Errors
    /// The task is wrong or cannot be solved.
    pub async fn plan(&self, submission: impl Into<Submission>) -> Result<PlanReport, Error> {
        self.plan_until(submission, std::future::pending()).await
    }

    /// As [`Runner::plan`], given up when `cancelled` is ready. Nothing that solving the lock had started is left then.
    ///
    /// # Errors
    /// As for [`Runner::plan`], and [`Error::Cancelled`].
    pub async fn plan_until(
        &self,
        submission: impl Into<Submission>,
        cancelled: impl Future<Output = ()>,
    ) -> Result<PlanReport, Error> {
        let submission = submission.into();
        let (sender, _events) = mpsc::unbounded_channel();
        let context = self.context(sender, CancellationToken::new());
        let report = tokio::select! {
            report = plan::plan(&context, &submission) => report,
            () = cancelled => {
                context.cancel.cancel();
                Err(Error::Cancelled)
            }
        };
        context.cleaning.done().await;
        context.settling.done(&context).await;
        report
    }

    /// Tries the sandbox for native tasks out, with nothing in it, and says what of it the kernel holds.
    ///
    /// # Errors
    /// It cannot be had, with why and what to do, or something failed.
    pub async fn try_sandbox(&self, demand: Demand) -> Result<SandboxReport, Error> {
        let (sender, _events) = mpsc::unbounded_channel();
        let context = self.context(sender, CancellationToken::new());
        native::try_sandbox(&context, demand, Limits::default()).await
    }

    /// Tries each limit that depends on the machine out, as [`Runner::try_sandbox`] does the rest.
    ///
    /// # Errors
    /// Something failed. A limit that cannot be held is no error.
    pub async fn try_limits(&self, demand: Demand) -> Result<Vec<(Capability, State)>, Error> {
        let (sender, _events) = mpsc::unbounded_channel();
        let context = self.context(sender, CancellationToken::new());
        native::try_limits(&context, demand).await
    }

    /// The container engines of this machine: each that is there, with its version, or why it does not work. None of them is
    /// needed.
    pub async fn engines(&self) -> Vec<(Engine, Result<String, String>)> {
        engine::found(&self.0.settings.engine_variables).await
    }

    /// Understands a task file, with the backends of this runner.
    ///
    /// # Errors
    /// The file cannot be read or has mistakes.
    pub fn load(&self, path: impl Into<PathBuf>) -> Result<LoadedTask, Error> {
        load::load(&path.into(), &self.0.backends)
    }

    /// Understands a task that was read elsewhere. `name` stands for the file in messages, and `base` is the folder that
    /// its paths are relative to.
    ///
    /// # Errors
    /// The text has mistakes; all of them are in the error.
    pub fn load_text(&self, text: &str, name: &str, base: impl Into<PathBuf>) -> Result<LoadedTask, Error> {
        load::load_text(text, name, base.into(), &self.0.backends)
    }

    /// The backends of this runner.
    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        self.0.manifests()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Sees to it that what this machine is set up with makes sense, for instance the address of its package index.
    ///
    /// # Errors
    /// The first setting that does not.
    pub fn check_settings(&self) -> Result<(), Problem> {
        Ok(self.0.settings.check_indexes()?)
    }

    /// The acting half that backends get, for a task in this folder: finds tools and reads files.
    #[must_use]
    pub fn host(&self, folder: PathBuf) -> TaskHost {
        let (sender, _events) = mpsc::unbounded_channel();
        self.context(sender, CancellationToken::new()).host(folder)
    }

    fn context(&self, sender: mpsc::UnboundedSender<Event>, cancel: CancellationToken) -> Context {
        Context {
            inner: Arc::clone(&self.0),
            // Nobody may be listening; that is no reason to stop.
            emit: Arc::new(move |event| drop(sender.send(event))),
            cancel,
            submitted: Instant::now(),
            demand: Demand::default(),
            helper_ahead: HelperAhead::default(),
            cleaning: Cleaning::default(),
            settling: Settling::default(),
        }
    }
}
