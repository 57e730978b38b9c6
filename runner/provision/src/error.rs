//! What a host could not do.

use std::path::PathBuf;
use std::time::Duration;

use wrun_core::id::Digest;
use wrun_process::ProcessError;
use wrun_store::StoreError;

use crate::http::HttpError;

/// The code of [`ProvisionError::InputMissing`].
pub(crate) const INPUT_MISSING: &str = "provision.input.missing";

/// What a host could not do.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(Box<StoreError>),
    /// A process could not be started or waited for.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(Box<ProcessError>),
    /// A program wrote more than is kept.
    #[error("`{}` wrote more than {maximum} bytes to its standard output", program.display())]
    #[diagnostic(
        code("provision.process.output"),
        help("this is an error in the backend or in the program")
    )]
    OutputTooLarge {
        /// The program.
        program: PathBuf,
        /// What is kept, in bytes.
        maximum: usize,
    },
    /// An installer cannot be held to what it may touch.
    #[error("installers cannot be sandboxed: {reason}")]
    #[diagnostic(
        code("provision.sandbox.unavailable"),
        help("pass `--sandbox best-effort` to build the environment with what this machine has")
    )]
    Unconfined {
        /// Why.
        reason: String,
    },
    /// The sandbox of an installer could not be started.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(Box<wrun_sandbox::SandboxError>),
    /// The caller's proxy settings cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Proxy(Box<wrun_proxy::ProxyError>),
    /// A container engine does not do what it is asked for.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Engine(Box<wrun_engine::EngineError>),
    /// Nothing on this machine runs images.
    #[error("nothing on this machine runs container images: {reasons}")]
    #[diagnostic(
        code("engine.none"),
        help("run as root or where user namespaces are allowed, or install podman")
    )]
    NoEngine {
        /// Why each of them does not.
        reasons: String,
    },
    /// An engine does not have an image, and may not get it.
    #[error("offline, and `{}` does not have the image `{image}`", engine.name())]
    #[diagnostic(code("engine.image.offline"), help("run once without `--offline`"))]
    ImageOffline {
        /// The engine.
        engine: wrun_core::image::Engine,
        /// The image.
        image: String,
    },
    /// The user ended it.
    #[error("cancelled")]
    #[diagnostic(code("cancelled"))]
    Cancelled,
    /// A thread of the host ended early.
    #[error("the host's own work on {what} ended early: {reason}")]
    #[diagnostic(code("provision.host.failed"))]
    Host {
        /// What it was doing.
        what: &'static str,
        /// Why it ended.
        reason: String,
    },

    /// An input is not there.
    #[error("`{}` does not exist", path.display())]
    #[diagnostic(
        code("provision.input.missing"),
        help("create it, or correct the path; paths are relative to the task's folder")
    )]
    InputMissing {
        /// The path.
        path: PathBuf,
    },
    /// An input cannot be read.
    #[error("cannot read `{}`: {reason}", path.display())]
    #[diagnostic(
        code("provision.input.unreadable"),
        help("make it readable for this user, or correct the path")
    )]
    InputUnreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An input that should be text is not.
    #[error("`{}` is not text: byte {at} is not UTF-8", path.display())]
    #[diagnostic(code("provision.input.not-text"), help("save the file as UTF-8"))]
    InputNotText {
        /// The path.
        path: PathBuf,
        /// The first byte that is not UTF-8.
        at: usize,
    },
    /// An input is larger than what is taken as text.
    #[error("`{}` is larger than {maximum} bytes", path.display())]
    #[diagnostic(
        code("provision.input.too-large"),
        help("refer to the right file; texts of this size are not taken")
    )]
    InputTooLarge {
        /// The path.
        path: PathBuf,
        /// What is taken, in bytes.
        maximum: u64,
    },

    /// Something needs the network, and the run is offline.
    #[error("{what} needs the network, and this run is offline")]
    #[diagnostic(
        code("provision.offline"),
        help("run once without `--offline`; what was fetched is kept")
    )]
    Offline {
        /// What.
        what: String,
    },
    /// A server did not give what it was asked for.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Http(#[from] HttpError),
    /// A file is not what it should be.
    #[error("`{url}` has the digest `{found}` and not `{expected}`")]
    #[diagnostic(
        code("provision.http.digest"),
        help("the file was changed on the server or on the way; do not use it before you know why")
    )]
    WrongDigest {
        /// The address, without credentials.
        url: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up HTTP: {reason}")]
    #[diagnostic(
        code("provision.http.setup"),
        help("check `SSL_CERT_FILE`, `SSL_CERT_DIR` and the proxy variables")
    )]
    HttpSetup {
        /// Why.
        reason: String,
    },
    /// A credential is named and there is none.
    #[error("there is no credential `{id}`")]
    #[diagnostic(
        code("provision.credential.missing"),
        help(
            "set `WRUN_INDEX_{variable}_USERNAME` and `WRUN_INDEX_{variable}_PASSWORD`, or add the host to `~/.netrc`"
        )
    )]
    CredentialMissing {
        /// Its name.
        id: String,
        /// Its name in variables.
        variable: String,
    },

    /// A server of tokens did not hand one out.
    #[error("`{realm}` gives no token to pull `{repository}` from `{registry}` {login}: {reason}")]
    #[diagnostic(
        code("provision.registry.token"),
        help(
            "log in, or log in again, with `podman login` or `docker login`, or name a credential with `credentials`; a name that does not exist is refused in the same way"
        )
    )]
    RegistryToken {
        /// The registry.
        registry: String,
        /// The repository in it.
        repository: String,
        /// The server of tokens.
        realm: String,
        /// What was used to log in.
        login: String,
        /// What it said.
        reason: String,
    },
    /// A builder of images failed.
    #[error("`{}` failed to {label}: {reason}{output}", program.display())]
    #[diagnostic(
        code("provision.builder.failed"),
        help("run the builder by hand to see all of what it says, and correct the Containerfile")
    )]
    Builder {
        /// What it was to do.
        label: String,
        /// The program.
        program: PathBuf,
        /// How it ended.
        reason: String,
        /// The end of what it wrote, on lines of its own.
        output: String,
    },
    /// A builder of images has too few numbers of users for an image.
    #[error("`{}` failed to {label}, since it has no number for every user of the image: {reason}", program.display())]
    #[diagnostic(
        code("provision.builder.subordinate-ids"),
        help("{}", wrun_engine::SUBORDINATE_IDS)
    )]
    BuilderSubordinateIds {
        /// What it was to do.
        label: String,
        /// The program.
        program: PathBuf,
        /// What it said.
        reason: String,
    },
    /// A registry is to be reached without TLS, and is not on this machine.
    #[error("`{url}` is a registry without TLS on another machine")]
    #[diagnostic(
        code("provision.registry.plain"),
        help("use `https://`; plain HTTP is for registries on loopback")
    )]
    PlainRegistry {
        /// The address.
        url: String,
    },
    /// An authentication file of podman or docker cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    #[diagnostic(
        code("provision.registry.auth-file"),
        help("correct it, or log in again; `REGISTRY_AUTH_FILE` names another one")
    )]
    LoginFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A credential helper did not answer.
    #[error("`{program}` does not say how to log in to `{server}`: {reason}")]
    #[diagnostic(
        code("provision.registry.helper"),
        help(
            "install the helper, run it by hand to see what it says, or take it out of the authentication file"
        )
    )]
    CredentialHelper {
        /// The program.
        program: String,
        /// What it was asked for.
        server: String,
        /// Why.
        reason: String,
    },

    /// A setting that is no address of an index.
    #[error("`{name}` is `{value}`, which is not the address of a package index: {reason}")]
    #[diagnostic(
        code("setting.index.invalid"),
        help("write an address such as `https://pypi.org/simple`, or leave it out")
    )]
    Setting {
        /// What it is called: a variable, or a key and its file.
        name: String,
        /// What it is, without credentials.
        value: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A request for Python that cannot be understood.
    #[error("`{request}` is not a request for Python: {reason}")]
    #[diagnostic(
        code("python.request.invalid"),
        help(
            "write a version (`3.12`), a range (`>=3.10,<3.13`), an implementation (`pypy@3.10`) or a path"
        )
    )]
    PythonRequest {
        /// What was asked for.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No interpreter fits.
    #[error("no Python was found for {request}{looked_at}")]
    #[diagnostic(code("python.not-found"), help("{help}"))]
    PythonNotFound {
        /// What was asked for, in words.
        request: String,
        /// The candidates, each on a line of its own, with what was wrong with them.
        looked_at: String,
        /// What to do.
        help: String,
    },

    /// An image has no interpreter that fits.
    #[error("no Python was found for {request} in the image `{image}`{looked_at}")]
    #[diagnostic(
        code("python.not-in-image"),
        help(
            "packages in an image are installed for the image's own Python: take an image that has one that fits"
        )
    )]
    PythonNotInImage {
        /// What was asked for, in words.
        request: String,
        /// The image.
        image: String,
        /// The candidates, each on a line of its own, with what was wrong with them.
        looked_at: String,
    },

    /// No tool of that name.
    #[error("the tool `{tool}` was not found: {reason}")]
    #[diagnostic(code("tool.not-found"), help("{help}"))]
    ToolNotFound {
        /// The tool.
        tool: String,
        /// Where it was looked for.
        reason: String,
        /// What to do.
        help: String,
    },
    /// A tool that is set does not work.
    #[error("`{}` cannot be used as the tool `{tool}`: {reason}", path.display())]
    #[diagnostic(
        code("tool.unusable"),
        help("correct the setting that names it (`WRUN_{}`), or remove the setting", tool.to_ascii_uppercase())
    )]
    ToolUnusable {
        /// The tool.
        tool: String,
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The index has nothing that fits.
    #[error("`{url}` has no file of `{project}` that fits: {reason}")]
    #[diagnostic(code("tool.wheel.missing"), help("{help}"))]
    WheelMissing {
        /// The project's page.
        url: String,
        /// The project.
        project: String,
        /// What was wanted.
        reason: String,
        /// What to do.
        help: String,
    },
    /// An index or a wheel that makes no sense.
    #[error("`{what}` cannot be understood: {reason}")]
    #[diagnostic(
        code("tool.index.invalid"),
        help(
            "`WRUN_TOOL_INDEX` must be the address of a simple package index (PEP 503), such as `https://pypi.org/simple`"
        )
    )]
    IndexInvalid {
        /// The page or the file.
        what: String,
        /// Why.
        reason: String,
    },

    /// A plan that must not be carried out.
    #[error("the backend's install plan is not valid: {reason}")]
    #[diagnostic(
        code("provision.plan.invalid"),
        help("this is an error in the backend, not in the task")
    )]
    PlanInvalid {
        /// Why.
        reason: String,
    },
    /// A step took too long.
    #[error("{label}: not done after {} seconds, which is its limit{output}", limit.as_secs_f64())]
    #[diagnostic(
        code("provision.step.timed-out"),
        help("try again; if it always takes so long, build less at once")
    )]
    StepTimedOut {
        /// The step.
        label: String,
        /// Its limit.
        limit: Duration,
        /// The end of what it wrote, on lines of its own.
        output: String,
    },
    /// There is too little space.
    #[error("{what}: no space left on the disk of `{}`{detail}", path.display())]
    #[diagnostic(
        code("store.disk.full"),
        help("free some space: `wrun cache ls` shows what takes it, `wrun cache rm` removes environments")
    )]
    DiskFull {
        /// What needed the space.
        what: String,
        /// Where.
        path: PathBuf,
        /// How much was needed or what was written.
        detail: String,
    },
    /// What was built does not hold.
    #[error("the environment was built, but does not work: {label}{output}")]
    #[diagnostic(
        code("provision.check.failed"),
        help("the output says why; a package may be broken on this machine")
    )]
    CheckFailed {
        /// The check.
        label: String,
        /// The end of what it wrote, on lines of its own.
        output: String,
    },
}

impl From<StoreError> for ProvisionError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<ProcessError> for ProvisionError {
    fn from(error: ProcessError) -> Self {
        Self::Process(Box::new(error))
    }
}

impl From<wrun_sandbox::SandboxError> for ProvisionError {
    fn from(error: wrun_sandbox::SandboxError) -> Self {
        match error {
            wrun_sandbox::SandboxError::Process(error) => error.into(),
            other => Self::Sandbox(Box::new(other)),
        }
    }
}

impl From<wrun_proxy::ProxyError> for ProvisionError {
    fn from(error: wrun_proxy::ProxyError) -> Self {
        Self::Proxy(Box::new(error))
    }
}
