//! A package index on this machine (PEP 503, PEP 691, PEP 658) that can be made to fail.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;

use crate::files::sha256;
use crate::pages::{Answer, File, Projects};
use crate::source::Source;
use crate::wheel::Wheel;

/// What goes wrong with requests for some paths.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection is taken, and nothing is ever answered.
    Hang,
    /// The answer is this status.
    Status(u16),
    /// The connection is dropped after so many bytes of the answer's body.
    Cut(usize),
    /// Nothing comes any more after so many bytes of the answer's body, and the connection stays.
    Stall(usize),
    /// The answer brings one byte a second.
    Drip,
    /// The answer comes only after this time.
    Slow(Duration),
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// The path.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    /// Whether a wheel itself was asked for, and not what an index says about it.
    #[must_use]
    pub fn is_wheel(&self) -> bool {
        self.method == "GET" && self.path.strip_suffix(".whl").is_some()
    }
}

type Hook = Arc<dyn Fn(&Request) + Send + Sync>;

#[derive(Default)]
struct Content {
    projects: Projects,
    faults: Vec<(String, Fault)>,
    authorization: Option<String>,
    requests: Vec<Request>,
    hook: Option<Hook>,
}

struct Shared {
    content: Mutex<Content>,
    closed: Mutex<bool>,
    closing: Condvar,
}

/// A running index. It ends when it is dropped.
pub struct Index {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Index {
    /// Starts an index without any package.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            content: Mutex::default(),
            closed: Mutex::new(false),
            closing: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.is_closed() {
                    break;
                }
                let shared = Arc::clone(&accepting);
                // A client that goes away is no matter of the index.
                std::thread::spawn(move || drop(shared.serve(&stream)));
            }
        });
        Self { address, shared }
    }

    /// An index with these wheels.
    #[must_use]
    pub fn with(wheels: impl IntoIterator<Item = Wheel>) -> Self {
        let index = Self::start();
        for wheel in wheels {
            index.add(&wheel);
        }
        index
    }

    /// Adds a wheel, in place of one of the same name and version.
    pub fn add(&self, wheel: &Wheel) {
        let bytes = wheel.bytes();
        let digest = sha256(&bytes);
        self.put(
            wheel,
            File {
                bytes,
                metadata: Some(wheel.metadata()),
                digest,
            },
        );
    }

    /// Adds a source distribution.
    pub fn add_source(&self, source: &Source) {
        let bytes = source.bytes();
        let file = File {
            digest: sha256(&bytes),
            bytes,
            metadata: None,
        };
        self.content(|content| {
            content
                .projects
                .add(source.name.clone(), source.file_name(), file);
        });
    }

    /// Adds a wheel and says that its digest is another one.
    pub fn add_with_wrong_digest(&self, wheel: &Wheel) {
        let file = File {
            bytes: wheel.bytes(),
            metadata: Some(wheel.metadata()),
            digest: sha256(b"something else"),
        };
        self.put(wheel, file);
    }

    fn put(&self, wheel: &Wheel, file: File) {
        let project = wheel.name.to_ascii_lowercase().replace(['_', '.'], "-");
        self.content(|content| {
            content.projects.add(project, wheel.file_name(), file);
        });
    }

    /// The address to give to package managers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/simple", self.address)
    }

    /// From now on requests for paths that begin like this go wrong.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.content(|content| content.faults.push((path.to_owned(), fault)));
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.content(|content| content.faults.clear());
    }

    /// From now on requests need this user name and password (RFC 7617).
    pub fn require(&self, user: &str, password: &str) {
        let expected = format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()));
        self.content(|content| content.authorization = Some(expected));
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

    /// How often wheels were downloaded so far.
    #[must_use]
    pub fn downloads(&self) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.is_wheel())
            .count()
    }

    fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        self.shared.content(look)
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        *self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.closing.notify_all();
        // Wakes the thread that accepts, which then sees that the index is closed.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        look(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_closed(&self) -> bool {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the index is closed, or for some time.
    fn wait(&self, time: Duration) {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.closing.wait_timeout_while(closed, time, |closed| !*closed));
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let Some(request) = read_request(stream)? else {
            return Ok(());
        };
        let (fault, hook) = self.content(|content| {
            content.requests.push(request.clone());
            let fault = content
                .faults
                .iter()
                .find(|(path, _)| request.path.starts_with(path.as_str()));
            (fault.map(|(_, fault)| fault.clone()), content.hook.clone())
        });
        if let Some(hook) = hook {
            hook(&request);
        }
        let mut cut = None;
        let stalls = matches!(fault, Some(Fault::Stall(_)));
        let answer = match fault {
            Some(Fault::Hang) => {
                self.wait(Duration::MAX);
                return Ok(());
            }
            Some(Fault::Drip) => {
                return drip(stream, |time| {
                    self.wait(time);
                    !self.is_closed()
                });
            }
            Some(Fault::Status(status)) => Answer {
                status,
                kind: "text/plain",
                body: Vec::new(),
            },
            other => {
                match other {
                    Some(Fault::Cut(length) | Fault::Stall(length)) => cut = Some(length),
                    Some(Fault::Slow(time)) => self.wait(time),
                    _ => {}
                }
                self.content(|content| content.answer(&request))
            }
        };
        send(stream, &request, &answer, cut)?;
        if stalls {
            self.wait(Duration::MAX);
        }
        Ok(())
    }
}

/// Answers with a byte a second. `goes_on` waits for some time, and says whether the server is still there.
pub(crate) fn drip(mut stream: &TcpStream, goes_on: impl Fn(Duration) -> bool) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000000\r\n\r\n")?;
    while goes_on(Duration::from_secs(1)) {
        stream.write_all(b" ")?;
    }
    Ok(())
}

pub(crate) fn read_request(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next().transpose()? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Request {
        method,
        path,
        headers,
    }))
}

fn send(
    mut stream: &TcpStream,
    request: &Request,
    answer: &Answer,
    cut: Option<usize>,
) -> std::io::Result<()> {
    let Answer { status, kind, body } = answer;
    let challenge = if *status == 401 {
        "WWW-Authenticate: Basic realm=\"test\"\r\n"
    } else {
        ""
    };
    write!(
        stream,
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{challenge}Connection: close\r\n\r\n",
        reason(*status),
        body.len(),
    )?;
    if request.method != "HEAD" {
        let length = cut.unwrap_or(body.len()).min(body.len());
        stream.write_all(body.get(..length).unwrap_or_default())?;
    }
    stream.flush()
}

pub(crate) const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

impl Content {
    fn answer(&self, request: &Request) -> Answer {
        let authorization = request.headers.get("authorization");
        if self.authorization.is_some() && authorization != self.authorization.as_ref() {
            return Answer {
                status: 401,
                kind: "text/plain",
                body: b"who are you?".to_vec(),
            };
        }
        let json = request
            .headers
            .get("accept")
            .is_some_and(|accept| accept.contains("simple.v1+json"));
        self.projects.answer(&request.path, json)
    }
}
