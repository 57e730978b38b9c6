//! What the tests of this crate share: a store, a host, a server with faults, a backend made of closures.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wrun_core::backend::{Inputs, Request, Slot};
use wrun_core::canon::Canon;
use wrun_core::event::Event;
use wrun_core::host::Host as _;
use wrun_core::id::{EnvId, LockId};
use wrun_core::plan::{Action, Check, InstallPlan, NetworkUse, Place, Program, Run, Step, Word};
use wrun_core::platform::Platform;
use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::tool::ToolFound;
use wrun_provision::{EnvironmentCredentials, Settings, TaskHost, Timing};
use wrun_store::{Build, Flight, FlightKey, Store};

/// A store, a project folder and settings that meet nothing of this machine but `/usr/bin` and `/bin`.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) credentials: EnvironmentCredentials,
    pub(crate) cancel: CancellationToken,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        std::fs::create_dir(folder.path().join("project")).unwrap();
        let settings = Settings {
            search_path: vec!["/usr/bin".into(), "/bin".into()],
            python_folders: Vec::new(),
            wheel_folders: Vec::new(),
            timing: Timing {
                connect: Duration::from_secs(10),
                idle: Duration::from_secs(10),
                backoff: Duration::from_millis(1),
                patience: Duration::from_millis(50),
            },
            ..Settings::default()
        };
        Self {
            folder,
            store,
            settings,
            credentials: EnvironmentCredentials::default(),
            cancel: CancellationToken::new(),
            events: Arc::default(),
        }
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A host with what is set now.
    pub(crate) fn host(&mut self) -> TaskHost {
        let events = Arc::clone(&self.events);
        TaskHost::new(
            self.store.clone(),
            self.settings.clone(),
            Arc::new(std::mem::take(&mut self.credentials)),
            self.project(),
            self.cancel.clone(),
            Arc::new(move |event| events.lock().unwrap().push(event)),
        )
    }

    /// Carries out a plan in a fresh slot, with `sh` as the only tool.
    pub(crate) async fn build(
        &mut self,
        plan: &InstallPlan,
        explain: impl Fn(&StepFailure) -> Advice + Sync,
    ) -> Built {
        let id = EnvId::of(
            &LockId::of(&Canon::text("lock")),
            &Canon::text(format!("{plan:?}")),
        );
        let flight = self
            .store
            .flight(&FlightKey::Env(id.clone()), &|| false, &mut |_| {})
            .unwrap();
        let build = self.store.begin(&flight, &id).unwrap();
        let slot = Slot {
            id,
            prefix: build.prefix().to_path_buf(),
        };
        let result = self
            .host()
            .execute(&request(), plan, &slot, &|failure: &StepFailure| explain(failure))
            .await;
        Built {
            result,
            prefix: slot.prefix,
            _build: build,
            _flight: flight,
        }
    }
}

/// What came of a plan; the tree is there as long as this is.
pub(crate) struct Built {
    pub(crate) result: Result<(), Problem>,
    pub(crate) prefix: PathBuf,
    _build: Build,
    _flight: Flight,
}

impl Built {
    pub(crate) fn text(&self, rel: &str) -> String {
        std::fs::read_to_string(self.prefix.join(rel)).unwrap()
    }
}

/// A request with the shell as the tool `sh`.
pub(crate) fn request() -> Request {
    let shell = ToolFound {
        id: "sh".to_owned(),
        path: "/bin/sh".into(),
        version: "0".to_owned(),
        digest: None,
        python: None,
    };
    Request {
        spec: serde_json::Value::Null,
        inputs: Inputs::new(),
        tools: vec![shell],
        platform: Platform::current(),
    }
}

/// A run of a shell script in the prefix-less scratch folder.
pub(crate) fn shell(script: &str) -> Run {
    Run {
        program: Program::Tool("sh".to_owned()),
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        logins: Vec::new(),
        cwd: Place::scratch(""),
        network: NetworkUse::None,
        offline: None,
        timeout: Duration::from_mins(1),
    }
}

/// A run of a shell script with the environment's folder as `$1`.
pub(crate) fn shell_in_prefix(script: &str) -> Run {
    let mut run = shell(script);
    run.args.extend(["sh".into(), Word::from(Place::prefix(""))]);
    run
}

pub(crate) fn plan(steps: impl IntoIterator<Item = Step>) -> InstallPlan {
    InstallPlan {
        steps: steps.into_iter().collect(),
        ..InstallPlan::default()
    }
}

pub(crate) fn step(label: &str, after: &[usize], action: Action) -> Step {
    Step {
        label: label.to_owned(),
        weight: 1,
        after: after.to_vec(),
        action,
    }
}

pub(crate) fn checked(mut plan: InstallPlan, check: Check) -> InstallPlan {
    plan.checks.push(check);
    plan
}

/// Advice that never tries again.
pub(crate) fn give_up(failure: &StepFailure) -> Advice {
    Advice {
        code: "test.failed".to_owned(),
        message: format!("{} failed with {:?}", failure.label, failure.exit),
        help: Some("help".to_owned()),
        retry: false,
    }
}

/// Writes a program that a shell runs.
pub(crate) fn script(path: &Path, body: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// How a server treats one request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A status and a body.
    Status(u16, Vec<u8>),
    /// A 200 with this media type.
    Page(&'static str, Vec<u8>),
    /// A status, headers and a body.
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Announces the whole body and ends after so many bytes of it.
    Cut(Vec<u8>, usize),
    /// Announces the body from a byte on and ends after so many bytes of that.
    CutFrom(Vec<u8>, usize, usize),
    /// Announces a body, and brings a byte of it now and then.
    Drip,
    /// Never answers.
    Hang,
}

/// A server on this machine that answers as it was told, one reply per request; the last one is repeated.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        Self::routed(move |index, _| replies[index.min(replies.len() - 1)].clone()).await
    }

    /// A server whose replies follow from the number and the path of the request.
    pub(crate) async fn routed(route: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, route) = (Arc::clone(&requests), Arc::new(route));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&route)));
            }
        });
        Self { url, requests, task }
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<String>>>,
    route: Arc<impl Fn(usize, &str) -> Reply + Send + Sync>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let index = {
        let mut seen = seen.lock().unwrap();
        seen.push(head.to_lowercase());
        seen.len() - 1
    };
    let (status, headers, body, sent) = match route(index, &path) {
        Reply::Hang => return std::future::pending().await,
        Reply::Drip => {
            let head = b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n";
            let mut went = stream.write_all(head).await;
            while went.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                went = stream.write_all(b" ").await;
            }
            return;
        }
        Reply::Status(status, body) => (status, Vec::new(), body, usize::MAX),
        Reply::Page(kind, body) => (200, vec![("content-type", kind.to_owned())], body, usize::MAX),
        Reply::Full(status, headers, body) => (status, headers, body, usize::MAX),
        Reply::Cut(body, sent) => (200, vec![("etag", "\"one\"".to_owned())], body, sent),
        Reply::CutFrom(body, start, sent) => {
            let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
            let headers = vec![("etag", "\"one\"".to_owned()), ("content-range", range)];
            (206, headers, body[start..].to_vec(), sent)
        }
    };
    let mut answer = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        writeln!(answer, "{name}: {value}\r").unwrap();
    }
    answer.push_str("\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.write_all(&body[..sent.min(body.len())]).await;
    let _ = stream.shutdown().await;
}

/// A zip file of these files: path, content and mode.
pub(crate) fn zip(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    use std::io::Write as _;

    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content, mode) in files {
        writer
            .start_file(
                *name,
                zip::write::SimpleFileOptions::default()
                    .last_modified_time(zip::DateTime::default())
                    .unix_permissions(*mode),
            )
            .unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
