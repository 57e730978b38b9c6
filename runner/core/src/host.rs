//! What a host does for a backend.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::backend::{Input, InputRequest, Request, Slot};
use crate::credential::CredentialId;
use crate::id::Digest;
use crate::image::{Engine, ImageSource};
use crate::plan::{Fetch, InstallPlan};
use crate::platform::Platform;
use crate::problem::{Advice, Problem, StepFailure};
use crate::question::{Answer, Question};
use crate::tool::{ToolFound, ToolRequest};

/// What a web request asks for (RFC 9110, 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebMethod {
    /// The content.
    Get,
    /// What there is, without the content.
    Head,
}

/// A request that a library of a trusted backend makes through the host, so that proxies, certificates, credentials,
/// time limits, retries and `--offline` hold for it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRequest {
    /// What is asked for.
    pub method: WebMethod,
    /// The address; without credentials.
    pub url: String,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
    /// The credential to use, by name.
    pub credential: Option<CredentialId>,
    /// The largest body that is taken, in bytes.
    pub maximum_bytes: u64,
    /// What the body of a good answer begins with: one of these, after blanks; an answer that begins in another way is not
    /// read any further. Without any it may be anything.
    pub begins_with: &'static [&'static [u8]],
}

/// What a server said, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebResponse {
    /// The status code.
    pub status: u16,
    /// The address after redirections.
    pub url: String,
    /// The headers that are text.
    pub headers: Vec<(String, String)>,
    /// The body as it came, encodings and all.
    pub body: Vec<u8>,
    /// What it was asked with, for people and without secrets: "the login of `ada` in `FILE`". `None` if anyone could have
    /// asked it so.
    pub login: Option<String>,
}

/// A repository of a registry of container images (OCI Distribution Specification 1.1), which requests are made to with
/// the registry's own way of logging in. What it takes to log in stays in the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The registry as people and authentication files name it: `docker.io`, `registry.example:5000`.
    pub registry: String,
    /// The repository in it: `library/python`.
    pub name: String,
    /// The credential to log in with, by name; without it the caller's authentication files are looked at.
    pub credential: Option<CredentialId>,
}

/// What kind of builder of images a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuilderKind {
    /// `buildah`.
    Buildah,
    /// `podman`, which keeps images where `buildah` does.
    Podman,
    /// `docker`, whose images are kept by its daemon.
    Docker,
}

/// A builder of images: a program of the machine that keeps images of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBuilder {
    /// What kind it is.
    pub kind: BuilderKind,
    /// The program.
    pub program: PathBuf,
}

/// A build that was begun. Dropped before it is finished, all that bears its name is removed from where the builder keeps it.
pub trait ImageBuild: Send + Sync {
    /// The name for its image, and for the group of its containers.
    fn name(&self) -> &str;

    /// The builder keeps nothing of it any more.
    fn finish(self: Box<Self>);
}

/// A credential whose password a builder of images finds in a variable of its own process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderSecret {
    /// The name of the variable.
    pub variable: String,
    /// The name of the credential.
    pub credential: CredentialId,
}

/// A run of a builder of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderRun {
    /// What is being done, for people.
    pub label: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Variables beside those of the caller that builders read.
    pub variables: Vec<(String, String)>,
    /// What it is trusted with. It is blotted out of what the builder says.
    pub secrets: Vec<BuilderSecret>,
    /// Its working folder.
    pub folder: PathBuf,
}

/// A fresh folder that is removed when this is dropped.
pub trait ScratchFolder: Send + Sync {
    /// Its path, absolute.
    fn path(&self) -> &Path;
}

/// A tree that environments share: the same kind and digest stand for the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRequest {
    /// What kind of thing it is, 1 to 20 lower-case letters: `layer`.
    pub kind: String,
    /// What decides the content.
    pub digest: Digest,
    /// A name for people.
    pub label: String,
}

/// Fills the empty folder of a part.
pub type Fill = Box<dyn FnOnce(&Path) -> Result<(), Problem> + Send>;

/// What of an entry of a tree counts in the digest of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The entry, and what is in it is asked about.
    Entry,
    /// Not the entry itself, but what is in it is asked about.
    Inside,
    /// Neither it nor what is in it.
    Nothing,
}

/// Says of an entry, by its path in the tree, whether it counts.
pub type Counts = Box<dyn Fn(&Path) -> Counted + Send>;

/// A host that does not do what a trusted backend asks for.
fn not_offered(what: &str) -> Problem {
    Problem::Unsupported {
        code: "host.unsupported".to_owned(),
        message: format!("this host does not {what}"),
        help: None,
    }
}

/// The acting half: reads, finds, asks and builds under the grants of the task at hand. `wrun-provision` implements
/// it.
#[async_trait]
pub trait Host: Send + Sync {
    /// The machine.
    fn platform(&self) -> &Platform;

    /// Whether the network must not be touched.
    fn offline(&self) -> bool;

    /// Reads a file or the digest of a tree.
    ///
    /// # Errors
    /// It is not there, not text, or cannot be read.
    async fn read(&self, request: &InputRequest) -> Result<Input, Problem>;

    /// The digest of a folder, relative to the task's or absolute: the kinds, the modes with all of their bits, the paths and
    /// the contents of all that counts. [`Host::read`] gives that of a package, of which the mode bits but the executable one
    /// and caches do not count.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    async fn tree_digest(&self, _folder: &Path, _counts: Counts) -> Result<Digest, Problem> {
        Err(not_offered("digest trees for a backend"))
    }

    /// Finds a tool. `found` are those found before for the same spec.
    ///
    /// # Errors
    /// There is none, with what was looked at and what to do.
    async fn find_tool(&self, request: &ToolRequest, found: &[ToolFound]) -> Result<ToolFound, Problem>;

    /// Answers questions, side by side.
    ///
    /// # Errors
    /// The user ended it, or the host itself failed. What a server or tool said is an answer, not an error.
    async fn ask(&self, request: &Request, questions: &[Question]) -> Result<Vec<Answer>, Problem>;

    /// Carries out a plan in a slot. `explain` says what a failure means and whether to try again.
    ///
    /// # Errors
    /// A step or a check failed.
    async fn execute(
        &self,
        request: &Request,
        plan: &InstallPlan,
        slot: &Slot,
        explain: &(dyn for<'failure> Fn(&'failure StepFailure) -> Advice + Sync),
    ) -> Result<(), Problem>;

    /// Says what is being done, for backends that build by themselves.
    fn progress(&self, label: &str);
    /// Makes a request for a library of the backend. What may work when tried again is tried again.
    ///
    /// # Errors
    /// Offline, cancelled, unreachable or too large; a status is no error.
    async fn web(&self, _request: &WebRequest) -> Result<WebResponse, Problem> {
        Err(not_offered("make requests for a backend"))
    }

    /// Brings a file, checked by its digest, and gives its path. It is kept for later builds, and a download that was
    /// cut off goes on where it ended. `label` is for people.
    ///
    /// # Errors
    /// Offline, cancelled, unreachable, refused, too large or of another digest.
    async fn fetch(&self, _label: &str, _file: &Fetch) -> Result<PathBuf, Problem> {
        Err(not_offered("fetch files for a backend"))
    }

    /// Makes a request to a registry of images, logged in to if the registry asks for it. The credential of the request
    /// is not used.
    ///
    /// # Errors
    /// As for [`Host::web`], or logging in failed; a status is no error.
    async fn ask_registry(
        &self,
        _repository: &Repository,
        _request: &WebRequest,
    ) -> Result<WebResponse, Problem> {
        Err(not_offered("make requests to registries of images"))
    }

    /// Brings a file of a registry of images as [`Host::fetch`] does, logged in to as by [`Host::ask_registry`]. Several
    /// that want the same file fetch it once.
    ///
    /// # Errors
    /// As for both.
    async fn fetch_from_registry(
        &self,
        _label: &str,
        _repository: &Repository,
        _file: &Fetch,
    ) -> Result<PathBuf, Problem> {
        Err(not_offered("fetch files of registries of images"))
    }

    /// Brings a file whose digest is not known yet, and gives its path and digest.
    ///
    /// # Errors
    /// As for [`Host::fetch`].
    async fn fetch_unknown(
        &self,
        _label: &str,
        _url: &str,
        _credential: Option<&CredentialId>,
    ) -> Result<(PathBuf, Digest), Problem> {
        Err(not_offered("fetch files for a backend"))
    }

    /// Begins a build. What builds of processes that are gone have left is removed from where the builder keeps it.
    ///
    /// # Errors
    /// The system gives no name that no other build has.
    async fn begin_build(&self, _builder: &ImageBuilder) -> Result<Box<dyn ImageBuild>, Problem> {
        Err(not_offered("run builders of images"))
    }

    /// Runs a builder of images to its end, with the network. It is not held by the sandbox of installers: it sets up
    /// sandboxes of its own, and keeps images where the caller's are.
    ///
    /// # Errors
    /// Offline, cancelled, it cannot be started, or it failed; with the end of what it wrote.
    async fn run_builder(&self, _run: &BuilderRun) -> Result<(), Problem> {
        Err(not_offered("run builders of images"))
    }

    /// Keeps a file as one that was fetched, and gives its digest.
    ///
    /// # Errors
    /// It cannot be read or kept.
    async fn keep(&self, _file: &Path) -> Result<Digest, Problem> {
        Err(not_offered("keep files of a backend"))
    }

    /// The path of a file that was fetched or kept before.
    ///
    /// # Errors
    /// The store cannot be looked at.
    fn kept(&self, _digest: &Digest) -> Result<Option<PathBuf>, Problem> {
        Ok(None)
    }

    /// Throws away a file that was fetched or kept before and is not what its digest says any more, so that it is fetched
    /// anew. One that is right stays.
    ///
    /// # Errors
    /// It cannot be read or removed.
    fn discard(&self, _digest: &Digest) -> Result<(), Problem> {
        Err(not_offered("throw away files of a backend"))
    }

    /// The folder of a download cache, shared by all builds and safe to delete; made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    fn downloads(&self, _name: &str) -> Result<PathBuf, Problem> {
        Err(not_offered("keep downloads of a backend"))
    }

    /// A fresh folder in the store. `purpose` is for people.
    ///
    /// # Errors
    /// It cannot be made.
    fn scratch(&self, _purpose: &str) -> Result<Box<dyn ScratchFolder>, Problem> {
        Err(not_offered("make scratch folders for a backend"))
    }

    /// A tree that environments share, made by `fill` if the store has none: its path, absolute. `fill` gets an empty
    /// folder, which is the part's final address, on a thread where it may block; one fills at a time, in all
    /// processes, and what was not filled to the end is thrown away. Modes are kept, other metadata is `fill`'s own
    /// business. The environment that is being built names the part from then on, and keeps it in the store.
    ///
    /// # Errors
    /// What `fill` failed with, also for those who waited for it; cancelled; or the tree cannot be kept.
    async fn part(&self, _part: &PartRequest, _fill: Fill) -> Result<PathBuf, Problem> {
        Err(not_offered("keep parts of environments for a backend"))
    }

    /// A variable of the caller that says where things are or what the machine is; only those of the backends' own
    /// tools are told, and never a secret.
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    /// Chooses what runs images on this machine: the wanted engine, or the first of this program, podman and docker that
    /// works; what is chosen in place of this program is said.
    ///
    /// # Errors
    /// None works, or not the wanted one.
    async fn engine(&self, _wanted: Option<Engine>) -> Result<Engine, Problem> {
        Err(not_offered("run images"))
    }

    /// Has an engine keep an image, and gives what the image is known by there. One that it has is not brought again.
    ///
    /// # Errors
    /// Offline, cancelled, or the engine does not get it.
    async fn keep_image(
        &self,
        _engine: Engine,
        _source: &ImageSource,
        _digest: &Digest,
    ) -> Result<String, Problem> {
        Err(not_offered("bring images into an engine"))
    }

    /// The task's folder, which relative paths of a spec start from.
    fn project(&self) -> Option<&Path> {
        None
    }
}
