//! A registry on this machine (OCI Distribution Specification 1.1) that can be made to fail.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;

use crate::container::image::{Document, Image};
use crate::index::{Request, drip, read_request, reason};

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

type Hook = Arc<dyn Fn(&Request) + Send + Sync>;

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

struct Shared {
    address: SocketAddr,
    content: Mutex<Content>,
    closed: Mutex<bool>,
    closing: Condvar,
}

/// A running registry. It ends when it is dropped.
pub struct Registry {
    shared: Arc<Shared>,
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            address,
            content: Mutex::default(),
            closed: Mutex::new(false),
            closing: Condvar::new(),
        });
        // What says that this is a registry at all.
        let root = Document::json("application/json", &serde_json::json!({}));
        shared.content(|content| content.documents.insert("/v2/".to_owned(), root));
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.is_closed() {
                    break;
                }
                let shared = Arc::clone(&accepting);
                // A client that goes away is no matter of the registry.
                std::thread::spawn(move || drop(shared.serve(&stream)));
            }
        });
        Self { shared }
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
        self.shared.address.to_string()
    }

    /// The full name of an image: `127.0.0.1:PORT/app:1`.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.shared.address)
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
        self.shared.content(look)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        *self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.closing.notify_all();
        // Wakes the thread that accepts, which then sees that the registry is closed.
        drop(TcpStream::connect(self.shared.address));
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
}

/// An answer on its way.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: br#"{"errors": [{"code": "TEST", "message": "as the test wants it"}]}"#.to_vec(),
        }
    }
}

impl Shared {
    fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        look(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_closed(&self) -> bool {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the registry is closed, or for some time.
    fn wait(&self, time: Duration) {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.closing.wait_timeout_while(closed, time, |closed| !*closed));
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let Some(request) = read_request(stream)? else {
            return Ok(());
        };
        let (trouble, hook) = self.content(|content| {
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
            hook(&request);
        }
        let mut cut = usize::MAX;
        let mut answer = match &trouble {
            Some(Trouble::Hang) => {
                self.wait(Duration::MAX);
                return Ok(());
            }
            Some(Trouble::Drip) => {
                return drip(stream, |time| {
                    self.wait(time);
                    !self.is_closed()
                });
            }
            Some(Trouble::Status(status)) => Answer::status(*status),
            Some(Trouble::Redirect(address)) => Answer {
                status: 307,
                headers: vec![("Location".to_owned(), address.clone())],
                body: Vec::new(),
            },
            _ => self.answer(&request),
        };
        match trouble {
            Some(Trouble::Cut(length)) => cut = length,
            Some(Trouble::Slow(time)) => self.wait(time),
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
        send(stream, &request, &answer, cut)
    }

    fn answer(&self, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let authorization = request.headers.get("authorization").map(String::as_str);
        if path == "/token" {
            return self.token(authorization, query);
        }
        self.content(|content| {
            let is_known = match &content.login {
                Login::Nothing => true,
                Login::Basic(expected) => authorization == Some(expected),
                Login::Token(_) => authorization
                    .and_then(|value| value.strip_prefix("Bearer token-"))
                    .and_then(|number| number.parse::<usize>().ok())
                    .is_some_and(|number| number > content.revoked && number <= content.issued),
            };
            if !is_known {
                let mut answer = Answer::status(401);
                let challenge = match content.login {
                    Login::Token(_) => format!(
                        "Bearer realm=\"http://{}/token\",service=\"test\",scope=\"repository:app:pull\"",
                        self.address
                    ),
                    _ => "Basic realm=\"test\"".to_owned(),
                };
                answer.headers.push(("WWW-Authenticate".to_owned(), challenge));
                return answer;
            }
            let Some(document) = content.documents.get(path) else {
                return Answer::status(404);
            };
            let mut answer = Answer {
                status: 200,
                headers: vec![
                    ("Content-Type".to_owned(), document.media_type.clone()),
                    ("Docker-Content-Digest".to_owned(), document.digest()),
                ],
                body: document.bytes.clone(),
            };
            let start = request.headers.get("range").and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse::<usize>()
                    .ok()
            });
            if let Some(start) = start.filter(|start| *start < answer.body.len()) {
                let length = answer.body.len();
                answer.status = 206;
                answer.headers.push((
                    "Content-Range".to_owned(),
                    format!("bytes {start}-{}/{length}", length - 1),
                ));
                answer.body.drain(..start);
            }
            answer
        })
    }

    fn token(&self, authorization: Option<&str>, query: &str) -> Answer {
        self.content(|content| {
            if let Login::Token(Some(expected)) = &content.login
                && authorization != Some(expected)
            {
                return Answer::status(401);
            }
            if !query.contains("service=test") || !query.contains("scope=repository%3Aapp%3Apull") {
                return Answer::status(400);
            }
            content.issued += 1;
            Answer {
                status: 200,
                headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
                body: format!("{{\"token\": \"token-{}\"}}", content.issued).into_bytes(),
            }
        })
    }
}

fn send(mut stream: &TcpStream, request: &Request, answer: &Answer, cut: usize) -> std::io::Result<()> {
    let Answer {
        status,
        headers,
        body,
    } = answer;
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(*status));
    for (name, value) in headers {
        head += &[name.as_str(), ": ", value.as_str(), "\r\n"].concat();
    }
    let length = body.len().to_string();
    head += &["Content-Length: ", &length, "\r\nConnection: close\r\n\r\n"].concat();
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(body.get(..cut.min(body.len())).unwrap_or_default())?;
    }
    stream.flush()
}
