//! A registry on this machine (OCI Distribution Specification 1.1) that can be made to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::container::image::{Document, Image};
use crate::server::{Answer, Asked, Hook, HttpServer, Request, basic, look_at};

/// What goes wrong with requests for a path.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The connection is taken, and nothing is ever answered.
    Hang,
    /// The answer is this status.
    Status(u16),
    /// The connection is dropped after so many bytes of the answer's body.
    Cut(usize),
    /// The answer is whole, says so, and is so many bytes shorter than it should be.
    Truncated(usize),
    /// The answer brings one byte a second.
    Drip,
    /// The answer comes only after this time.
    Slow(Duration),
    /// One byte of the answer is another.
    Changed,
    /// The client is sent to this address.
    Redirect(String),
}

struct Fault {
    path: String,
    trouble: Trouble,
    times: usize,
}

#[derive(Default)]
struct Content {
    documents: BTreeMap<String, Document>,
    faults: Vec<Fault>,
    requests: Vec<Request>,
    hook: Option<Hook>,
    login: Login,
    issued: usize,
    revoked: usize,
}

/// What a client has to show.
#[derive(Default, Clone)]
enum Login {
    #[default]
    Nothing,
    Basic(String),
    /// A token, for this user alone if there is one.
    Token(Option<String>),
}

/// A running registry. It ends when it is dropped.
pub struct Registry {
    server: HttpServer,
    content: Arc<Mutex<Content>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::start()
    }
}

impl Registry {
    /// Starts a registry without any image.
    #[must_use]
    pub fn start() -> Self {
        let content = Arc::<Mutex<Content>>::default();
        // What says that this is a registry at all.
        let root = Document::json("application/json", &serde_json::json!({}));
        look_at(&content, |content| {
            content.documents.insert("/v2/".to_owned(), root)
        });
        let answering = Arc::clone(&content);
        let server = HttpServer::start(move |asked| serve(asked, &answering));
        Self { server, content }
    }

    /// A registry with one image.
    #[must_use]
    pub fn with(name: &str, image: &Image) -> Self {
        let registry = Self::start();
        registry.push(name, image);
        registry
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.address.to_string()
    }

    /// The full name of an image: `127.0.0.1:PORT/app:1`.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.server.address)
    }

    /// Adds an image under `repository:tag`.
    pub fn push(&self, name: &str, image: &Image) {
        let (repository, _) = name.split_once(':').expect("a name with a tag");
        for blob in image.blobs() {
            self.put(&format!("/v2/{repository}/blobs/{}", blob.digest()), blob);
        }
        self.push_document(name, image.manifest());
    }

    /// Adds a manifest or an index under `repository:tag`.
    pub fn push_document(&self, name: &str, document: Document) {
        let (repository, tag) = name.split_once(':').expect("a name with a tag");
        let base = format!("/v2/{repository}/manifests");
        self.put(&format!("{base}/{}", document.digest()), document.clone());
        self.put(&format!("{base}/{tag}"), document);
    }

    /// Puts something at a path.
    pub fn put(&self, path: &str, document: Document) {
        self.content(|content| drop(content.documents.insert(path.to_owned(), document)));
    }

    /// From now on requests for paths that hold this go wrong.
    pub fn fault(&self, path: &str, trouble: Trouble) {
        self.fault_times(path, trouble, usize::MAX);
    }

    /// The next requests for paths that hold this go wrong, so many of them.
    pub fn fault_times(&self, path: &str, trouble: Trouble, times: usize) {
        self.content(|content| {
            content.faults.push(Fault {
                path: path.to_owned(),
                trouble,
                times,
            });
        });
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.content(|content| content.faults.clear());
    }

    /// From now on requests need this user name and password.
    pub fn require_password(&self, user: &str, password: &str) {
        self.content(|content| content.login = Login::Basic(basic(user, password)));
    }

    /// From now on requests need a token, which anybody gets.
    pub fn require_token(&self) {
        self.content(|content| content.login = Login::Token(None));
    }

    /// From now on requests need a token, which this user gets.
    pub fn require_token_of(&self, user: &str, password: &str) {
        self.content(|content| content.login = Login::Token(Some(basic(user, password))));
    }

    /// From now on no token is taken that was handed out before.
    pub fn revoke_tokens(&self) {
        self.content(|content| content.revoked = content.issued);
    }

    /// Does something at each request, while whoever asks is waiting.
    pub fn at_each_request(&self, hook: impl Fn(&Request) + Send + Sync + 'static) {
        self.content(|content| content.hook = Some(Arc::new(hook)));
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.content(|content| content.requests.clone())
    }

    /// How often a path that holds this was asked for.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.path.contains(path))
            .count()
    }

    fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        look_at(&self.content, look)
    }
}

/// An answer without what was asked for.
fn refused(status: u16) -> Answer {
    let said = r#"{"errors": [{"code": "TEST", "message": "as the test wants it"}]}"#;
    Answer {
        status,
        headers: Vec::new(),
        body: said.as_bytes().to_vec(),
    }
}

fn serve(asked: &Asked<'_>, content: &Mutex<Content>) -> std::io::Result<()> {
    let request = &asked.request;
    let (trouble, hook) = look_at(content, |content| {
        content.requests.push(request.clone());
        let fault = content
            .faults
            .iter_mut()
            .find(|fault| fault.times > 0 && request.path.contains(&fault.path));
        let trouble = fault.map(|fault| {
            fault.times = fault.times.saturating_sub(1);
            fault.trouble.clone()
        });
        (trouble, content.hook.clone())
    });
    if let Some(hook) = hook {
        hook(request);
    }
    let mut most = None;
    let mut answer = match &trouble {
        Some(Trouble::Hang) => {
            asked.closing.wait_for_ever();
            return Ok(());
        }
        Some(Trouble::Drip) => return asked.drip(),
        Some(Trouble::Status(status)) => refused(*status),
        Some(Trouble::Redirect(address)) => Answer {
            status: 307,
            headers: vec![("Location".to_owned(), address.clone())],
            body: Vec::new(),
        },
        _ => look_at(content, |content| content.answer(request)),
    };
    match trouble {
        Some(Trouble::Cut(length)) => most = Some(length),
        Some(Trouble::Slow(time)) => asked.closing.wait(time),
        Some(Trouble::Truncated(length)) => {
            answer.body.truncate(answer.body.len().saturating_sub(length));
        }
        Some(Trouble::Changed) => {
            if let Some(byte) = answer.body.last_mut() {
                *byte ^= 1;
            }
        }
        _ => {}
    }
    asked.send(&answer, most)
}

impl Content {
    fn answer(&mut self, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let authorization = request.headers.get("authorization").map(String::as_str);
        if path == "/token" {
            return self.token(authorization, query);
        }
        let is_known = match &self.login {
            Login::Nothing => true,
            Login::Basic(expected) => authorization == Some(expected),
            Login::Token(_) => authorization
                .and_then(|value| value.strip_prefix("Bearer token-"))
                .and_then(|number| number.parse::<usize>().ok())
                .is_some_and(|number| number > self.revoked && number <= self.issued),
        };
        if !is_known {
            let host = request.headers.get("host").map_or("", String::as_str);
            let challenge = match self.login {
                Login::Token(_) => format!(
                    "Bearer realm=\"http://{host}/token\",service=\"test\",scope=\"repository:app:pull\""
                ),
                _ => "Basic realm=\"test\"".to_owned(),
            };
            return refused(401).header("WWW-Authenticate", &challenge);
        }
        let Some(document) = self.documents.get(path) else {
            return refused(404);
        };
        Answer::new(200, &document.media_type, document.bytes.clone())
            .header("Docker-Content-Digest", &document.digest())
            .part(request)
    }

    fn token(&mut self, authorization: Option<&str>, query: &str) -> Answer {
        if let Login::Token(Some(expected)) = &self.login
            && authorization != Some(expected)
        {
            return refused(401);
        }
        if !query.contains("service=test") || !query.contains("scope=repository%3Aapp%3Apull") {
            return refused(400);
        }
        self.issued += 1;
        let token = format!("{{\"token\": \"token-{}\"}}", self.issued);
        Answer::new(200, "application/json", token)
    }
}
