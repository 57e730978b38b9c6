//! Putting a runner together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use wrun_backend_conda::Conda;
use wrun_core::backend::{Backend, PlanBackend};
use wrun_core::task::{duration, size};
use wrun_exec::{CompileLimits, Helper, RuntimeOptions, WasiRuntime};
use wrun_provision::{EnvironmentCredentials, PlanAdapter, Settings};
use wrun_store::Store;

use crate::context::Inner;
use crate::{Error, Runner, index};

/// Puts a [`Runner`] together. Everything has a default.
pub struct RunnerBuilder {
    cache_dir: Option<PathBuf>,
    variables: Option<BTreeMap<String, String>>,
    /// The caller's own.
    backends: Vec<Arc<dyn Backend>>,
    offline: bool,
    pooling: bool,
    helper: Option<Helper>,
}

impl RunnerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            cache_dir: None,
            variables: None,
            backends: Vec::new(),
            offline: false,
            pooling: false,
            helper: None,
        }
    }

    /// The store's folder. Default: `WRUN_CACHE_DIR`, else `wrun` in `XDG_CACHE_HOME`, else `.cache/wrun` in `HOME`.
    #[must_use]
    pub fn cache_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(path.into());
        self
    }

    /// The variables that settings, credentials and `[vars]` with `from` are taken from. Default: those of this
    /// process at the time of [`RunnerBuilder::build`]. A task sees none of them unless it asks by name.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables = Some(variables.into_iter().collect());
        self
    }

    /// Adds a backend, or replaces the one of the same name.
    #[must_use]
    pub fn backend(mut self, backend: impl Backend + 'static) -> Self {
        self.backends.retain(|other| other.id() != backend.id());
        self.backends.push(Arc::new(backend));
        self
    }

    /// Adds a backend that decides and leaves the acting to the runner.
    #[must_use]
    pub fn plan_backend(self, backend: impl PlanBackend + 'static) -> Self {
        self.backend(PlanAdapter::new(backend))
    }

    /// Never touch the network: what is not in the store or in the download caches fails. Default: off.
    #[must_use]
    pub const fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Keep a pool of memories for WebAssembly guests, which makes each start cheaper and reserves address space. For
    /// a program that runs many of them. Default: off.
    #[must_use]
    pub const fn pooling(mut self, pooling: bool) -> Self {
        self.pooling = pooling;
        self
    }

    /// What sets sandboxes up for native tasks; without it they run only if they are asked to be held by nothing
    /// ([`wrun_core::sandbox::Demand::Off`]). It also compiles WebAssembly guests, in a process of its own; without it they
    /// are compiled in this process, with nothing that bounds the time and memory that a guest makes the compiler take.
    /// See [`Helper::enter`].
    #[must_use]
    pub fn helper(mut self, helper: Helper) -> Self {
        self.helper = Some(helper);
        self
    }

    /// Opens the store and makes the runner.
    ///
    /// # Errors
    /// No folder for the store is known, it cannot be opened, or a variable has a value that means nothing.
    pub fn build(self) -> Result<Runner, Error> {
        let Self {
            cache_dir,
            variables,
            backends,
            offline,
            pooling,
            helper,
        } = self;
        let mut not_text = BTreeSet::new();
        let variables = variables.unwrap_or_else(|| {
            let mut variables = BTreeMap::new();
            for (name, value) in std::env::vars_os() {
                match (name.to_str(), value.to_str()) {
                    (Some(name), Some(value)) => drop(variables.insert(name.to_owned(), value.to_owned())),
                    _ => drop(not_text.insert(name)),
                }
            }
            variables
        });
        let mut all = built_in(&variables)?;
        all.retain(|backend| !backends.iter().any(|own| own.id() == backend.id()));
        all.extend(backends);
        let root = cache_dir
            .or_else(|| default_root(&variables))
            .ok_or(Error::NoCacheDir)?;
        let store = Store::open(&root)?;
        let pairs = || {
            variables
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
        };
        let mut settings = Settings::from_environment(pairs())
            .with_pip_configuration()
            .with_certificates();
        settings.offline |= offline;
        settings.helper = helper.clone().map(Into::into);
        if let Some(time) = setting(&variables, "WRUN_HTTP_TIMEOUT", duration)? {
            settings.timing = settings.timing.waiting(time);
        }
        let mut credentials = EnvironmentCredentials::from_environment(pairs());
        if let Some(credential) = settings
            .package_index
            .as_ref()
            .and_then(|index| index.credential.clone())
        {
            credentials = credentials.with(index::NAME, credential);
        }
        let wasi = WasiRuntime::new(RuntimeOptions {
            pooling,
            helper: helper.clone(),
            compile: compile_limits(&variables)?,
        })?;
        Ok(Runner(Arc::new(Inner {
            store,
            settings,
            credentials: Arc::new(credentials),
            backends: all,
            variables,
            not_text,
            wasi,
            helper,
        })))
    }
}

/// The value of a variable, if it is set to something.
fn setting<T>(
    variables: &BTreeMap<String, String>,
    name: &'static str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    let value = variables.get(name).filter(|value| !value.is_empty());
    value
        .map(|value| read(value).map_err(|reason| Error::Setting { name, reason }))
        .transpose()
}

/// What the compilation of a guest may take, as the variables say.
fn compile_limits(variables: &BTreeMap<String, String>) -> Result<CompileLimits, Error> {
    let mut limits = CompileLimits::default();
    if let Some(time) = setting(variables, "WRUN_COMPILE_TIME", duration)? {
        limits.time = time;
    }
    if let Some(memory) = setting(variables, "WRUN_COMPILE_MEMORY", size)? {
        limits.memory = memory;
    }
    Ok(limits)
}

/// The backends that there always are, as the variables want them.
fn built_in(variables: &BTreeMap<String, String>) -> Result<Vec<Arc<dyn Backend>>, Error> {
    let mut conda = Conda::default();
    if let Some(time) = setting(variables, "WRUN_ACTIVATION_TIME", duration)? {
        conda = conda.activation_time(time);
    }
    Ok(vec![
        Arc::new(PlanAdapter::new(wrun_backend_uv::Uv)),
        Arc::new(PlanAdapter::new(wrun_backend_pip::Pip)),
        Arc::new(conda),
        Arc::new(wrun_backend_container::Container),
    ])
}

fn default_root(variables: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| {
        variables
            .get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("WRUN_CACHE_DIR")
        .or_else(|| {
            set("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .map(|path| path.join("wrun"))
        })
        .or_else(|| set("HOME").map(|home| home.join(".cache/wrun")))
}
