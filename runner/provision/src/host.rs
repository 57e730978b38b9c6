//! The host of one task: acts for backends under what the caller settled.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use wrun_core::backend::{Input, InputRequest, Request, Slot};
use wrun_core::credential::CredentialId;
use wrun_core::event::{Event, Phase};
use wrun_core::host::{
    BuilderRun, Counts, Fill, Host, ImageBuild, ImageBuilder, PartRequest, Repository, ScratchFolder,
    WebRequest, WebResponse,
};
use wrun_core::id::Digest;
use wrun_core::image::{Engine, ImageSource};
use wrun_core::plan::{Fetch, InstallPlan};
use wrun_core::platform::Platform;
use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::question::{Answer, Question};
use wrun_core::tool::{ToolFound, ToolRequest};
use wrun_sandbox::HelperAhead;
use wrun_store::{PartId, PartLease, Scratch, Store};

use crate::cleaning::Cleaning;
use crate::credentials::Credentials;
use crate::error::ProvisionError;
use crate::http::Http;
use crate::inputs;
use crate::inside::Inside;
use crate::registry::Tokens;
use crate::settings::Settings;

/// Where events go.
pub type Events = Arc<dyn Fn(Event) + Send + Sync>;

/// The host of one task.
pub struct TaskHost {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) project: PathBuf,
    pub(crate) cancel: CancellationToken,
    pub(crate) events: Events,
    pub(crate) http: Http,
    pub(crate) platform: Platform,
    /// The image whose Python environments are built for, if not the machine's.
    pub(crate) inside: Option<Inside>,
    pub(crate) tokens: Tokens,
    held: Vec<OwnedFd>,
    /// The helper for the program that is started next.
    pub(crate) helper_ahead: HelperAhead,
    /// The leases of the parts that were asked for.
    parts: Mutex<BTreeMap<PartId, PartLease>>,
    steps: Steps,
    /// What goes on after the run for which it is done.
    pub(crate) cleaning: Cleaning,
    said_tier: AtomicBool,
    said_children_online: AtomicBool,
}

/// The next step of each phase whose number of steps is not known before.
#[derive(Default)]
struct Steps {
    tools: AtomicUsize,
    solve: AtomicUsize,
    build: AtomicUsize,
    compile: AtomicUsize,
}

impl TaskHost {
    /// A host for the task in the folder `project`, which relative inputs start from. When `cancel` is cancelled, all
    /// that is under way ends, with the process trees that were started.
    #[must_use]
    pub fn new(
        store: Store,
        settings: Settings,
        credentials: Arc<dyn Credentials>,
        project: PathBuf,
        cancel: CancellationToken,
        events: Events,
    ) -> Self {
        let http = Http::new(settings.clone(), cancel.clone(), events.clone());
        Self {
            store,
            settings,
            credentials,
            project,
            cancel,
            events,
            http,
            platform: Platform::current(),
            inside: None,
            tokens: Tokens::default(),
            held: Vec::new(),
            helper_ahead: HelperAhead::default(),
            parts: Mutex::default(),
            steps: Steps::default(),
            cleaning: Cleaning::default(),
            said_tier: AtomicBool::new(false),
            said_children_online: AtomicBool::new(false),
        }
    }

    /// The same with descriptors that every process started by it inherits: locks are then held until the last of
    /// them has ended, also when this process is killed.
    #[must_use]
    pub fn holding(mut self, descriptors: Vec<OwnedFd>) -> Self {
        self.held = descriptors;
        self
    }

    /// The same with a helper that its owner starts things with afterwards.
    #[must_use]
    pub fn starting_ahead(mut self, helper_ahead: HelperAhead) -> Self {
        self.helper_ahead = helper_ahead;
        self
    }

    /// The same with somebody who waits for its cleaning up.
    #[must_use]
    pub fn cleaning_up(mut self, cleaning: Cleaning) -> Self {
        self.cleaning = cleaning;
        self
    }

    /// The same for environments inside of a container image: interpreters are those of the image, and every program
    /// that is started runs among the image's files.
    #[must_use]
    pub fn inside(mut self, inside: Inside) -> Self {
        self.inside = Some(inside.unsteered());
        self
    }

    /// Fresh descriptors of what is held, for one process.
    pub(crate) fn held(&self) -> Result<Vec<OwnedFd>, ProvisionError> {
        self.held
            .iter()
            .map(OwnedFd::try_clone)
            .collect::<Result<_, _>>()
            .map_err(|error| ProvisionError::Host {
                what: "descriptors for a process",
                reason: error.to_string(),
            })
    }

    /// The parts that were asked for, which the environment that was built has to name. Their leases are held as long
    /// as this host is there.
    #[must_use]
    pub fn parts(&self) -> Vec<PartId> {
        self.part_leases().keys().cloned().collect()
    }

    pub(crate) fn part_leases(&self) -> MutexGuard<'_, BTreeMap<PartId, PartLease>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was said how installers are held; from now on it was.
    pub(crate) fn said_tier(&self) -> bool {
        self.said_tier.swap(true, Ordering::Relaxed)
    }

    /// Whether it was said that builds have the network of their installer; from now on it was.
    pub(crate) fn said_children_online(&self) -> bool {
        self.said_children_online.swap(true, Ordering::Relaxed)
    }

    /// The search path as a variable's value.
    pub(crate) fn path_variable(&self) -> OsString {
        let folders = match &self.inside {
            Some(inside) => inside.search_path(),
            None => &self.settings.search_path,
        };
        std::env::join_paths(folders).unwrap_or_default()
    }

    /// Does what blocks on a thread of its own.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ProvisionError> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| ProvisionError::Host {
                what,
                reason: error.to_string(),
            })
    }

    /// What is remembered under a name. What cannot be read any more counts as nothing.
    pub(crate) fn fact<T: DeserializeOwned>(
        &self,
        kind: &str,
        key: &str,
    ) -> Result<Option<T>, ProvisionError> {
        Ok(self
            .store
            .fact(kind, key)?
            .and_then(|value| serde_json::from_value(value).ok()))
    }

    /// Remembers something under a name.
    pub(crate) fn remember<T: Serialize>(
        &self,
        kind: &str,
        key: &str,
        fact: &T,
    ) -> Result<(), ProvisionError> {
        let value = serde_json::to_value(fact).map_err(|error| ProvisionError::Host {
            what: "remembering a fact",
            reason: error.to_string(),
        })?;
        Ok(self.store.put_fact(kind, key, &value)?)
    }

    /// Begins a step of a phase whose number of steps is not known before.
    pub(crate) fn begin(&self, phase: Phase, label: String) -> crate::progress::StepProgress {
        let counter = match phase {
            Phase::Tools => &self.steps.tools,
            Phase::Solve => &self.steps.solve,
            Phase::Build => &self.steps.build,
            Phase::Compile => &self.steps.compile,
        };
        let step = counter.fetch_add(1, Ordering::Relaxed);
        crate::progress::StepProgress::begin(&self.events, phase, step, step + 1, label)
    }
}

#[async_trait]
impl Host for TaskHost {
    fn platform(&self) -> &Platform {
        &self.platform
    }

    fn offline(&self) -> bool {
        self.settings.offline
    }

    async fn read(&self, request: &InputRequest) -> Result<Input, Problem> {
        let (project, request) = (self.project.clone(), request.clone());
        Ok(self
            .blocking("reading an input", move || inputs::read(&project, &request))
            .await??)
    }

    async fn tree_digest(&self, folder: &Path, counts: Counts) -> Result<Digest, Problem> {
        let (project, folder) = (self.project.clone(), folder.to_owned());
        Ok(self
            .blocking("reading a folder", move || {
                inputs::tree_digest(&project, &folder, &*counts)
            })
            .await??)
    }

    async fn find_tool(&self, request: &ToolRequest, found: &[ToolFound]) -> Result<ToolFound, Problem> {
        Ok(self.tool(request, found).await?)
    }

    async fn ask(&self, request: &Request, questions: &[Question]) -> Result<Vec<Answer>, Problem> {
        Ok(self.answers(request, questions).await?)
    }

    async fn execute(
        &self,
        request: &Request,
        plan: &InstallPlan,
        slot: &Slot,
        explain: &(dyn for<'failure> Fn(&'failure StepFailure) -> Advice + Sync),
    ) -> Result<(), Problem> {
        crate::execute::execute(self, request, plan, slot, explain).await
    }

    fn progress(&self, label: &str) {
        drop(self.begin(Phase::Build, label.to_owned()));
    }

    async fn web(&self, request: &WebRequest) -> Result<WebResponse, Problem> {
        Ok(self.web_request(request).await?)
    }

    async fn fetch(&self, label: &str, file: &Fetch) -> Result<PathBuf, Problem> {
        Ok(self.fetch_file(label, file).await?)
    }

    async fn ask_registry(
        &self,
        repository: &Repository,
        request: &WebRequest,
    ) -> Result<WebResponse, Problem> {
        Ok(self.registry_request(repository, request).await?)
    }

    async fn fetch_from_registry(
        &self,
        label: &str,
        repository: &Repository,
        file: &Fetch,
    ) -> Result<PathBuf, Problem> {
        Ok(self.registry_file(label, repository, file).await?)
    }

    async fn fetch_unknown(
        &self,
        label: &str,
        url: &str,
        credential: Option<&CredentialId>,
    ) -> Result<(PathBuf, Digest), Problem> {
        Ok(self.fetch_unknown_file(label, url, credential).await?)
    }

    async fn begin_build(&self, builder: &ImageBuilder) -> Result<Box<dyn ImageBuild>, Problem> {
        Ok(Box::new(self.begin_image_build(builder).await?))
    }

    async fn run_builder(&self, run: &BuilderRun) -> Result<(), Problem> {
        Ok(self.run_image_builder(run).await?)
    }

    async fn keep(&self, file: &Path) -> Result<Digest, Problem> {
        Ok(self.keep_file(file).await?)
    }

    fn kept(&self, digest: &Digest) -> Result<Option<PathBuf>, Problem> {
        Ok(self.store.artifact(digest).map_err(ProvisionError::from)?)
    }

    fn discard(&self, digest: &Digest) -> Result<(), Problem> {
        Ok(self
            .store
            .discard_artifact(digest)
            .map_err(ProvisionError::from)?)
    }

    fn downloads(&self, name: &str) -> Result<PathBuf, Problem> {
        Ok(self.store.downloads(name).map_err(ProvisionError::from)?)
    }

    fn scratch(&self, purpose: &str) -> Result<Box<dyn ScratchFolder>, Problem> {
        let scratch = self.store.scratch(purpose).map_err(ProvisionError::from)?;
        Ok(Box::new(StoreScratch(scratch)))
    }

    async fn part(&self, part: &PartRequest, fill: Fill) -> Result<PathBuf, Problem> {
        self.shared_part(part, fill).await
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "HOME" => self
                .settings
                .home
                .as_ref()
                .map(|home| home.to_string_lossy().into_owned()),
            _ => self.settings.asked_for.get(name).cloned(),
        }
    }

    async fn engine(&self, wanted: Option<Engine>) -> Result<Engine, Problem> {
        Ok(self.choose_engine(wanted).await?)
    }

    async fn keep_image(
        &self,
        engine: Engine,
        source: &ImageSource,
        digest: &Digest,
    ) -> Result<String, Problem> {
        Ok(self.keep_in_engine(engine, source, digest).await?)
    }

    fn project(&self) -> Option<&Path> {
        Some(&self.project)
    }
}

/// A scratch folder of the store.
struct StoreScratch(Scratch);

impl ScratchFolder for StoreScratch {
    fn path(&self) -> &Path {
        self.0.path()
    }
}
