//! A server of files that can be made to fail.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;

use crate::Fault;
use crate::files;
use crate::index::{Request, drip, read_request, reason};

/// How long requests that come together are waited for; longer than any client waits.
const TOGETHER: Duration = Duration::from_mins(10);

struct Planned {
    /// The end of the path.
    path: String,
    fault: Fault,
    /// How often it still goes wrong; for ever without it.
    times: Option<usize>,
}

#[derive(Default)]
struct Content {
    faults: Vec<Planned>,
    replaced: Vec<(String, Vec<u8>)>,
    authorization: Option<String>,
    gathering: Option<(String, usize)>,
    requests: Vec<Request>,
}

struct Shared {
    folder: PathBuf,
    content: Mutex<Content>,
    arrived: Condvar,
    closed: Mutex<bool>,
    closing: Condvar,
}

/// A running server of a folder. It ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Serves a folder.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            content: Mutex::default(),
            arrived: Condvar::new(),
            closed: Mutex::new(false),
            closing: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *accepting.closed.lock().unwrap_or_else(PoisonError::into_inner) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                // A client that goes away is no matter of the server.
                std::thread::spawn(move || drop(shared.serve(&stream)));
            }
        });
        Self { address, shared }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests for paths that end like this go wrong.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.plan(path, fault, None);
    }

    /// The next so many requests for paths that end like this go wrong.
    pub fn fault_times(&self, path: &str, fault: Fault, times: usize) {
        self.plan(path, fault, Some(times));
    }

    fn plan(&self, path: &str, fault: Fault, times: Option<usize>) {
        let path = path.to_owned();
        self.content(|content| content.faults.push(Planned { path, fault, times }));
    }

    /// From now on paths that end like this have another content.
    pub fn replace(&self, path: &str, bytes: Vec<u8>) {
        self.content(|content| content.replaced.push((path.to_owned(), bytes)));
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.content(|content| {
            content.faults.clear();
            content.replaced.clear();
        });
    }

    /// From now on requests for paths that hold this are answered only when so many different ones have come.
    pub fn gather(&self, path: &str, count: usize) {
        self.content(|content| content.gathering = Some((path.to_owned(), count)));
    }

    /// From now on requests need this user name and password (RFC 7617).
    pub fn require(&self, user: &str, password: &str) {
        let expected = format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()));
        self.content(|content| content.authorization = Some(expected));
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.content(|content| content.requests.clone())
    }

    /// The requests for packages so far.
    #[must_use]
    pub fn downloads(&self) -> Vec<Request> {
        let is_package = |request: &Request| {
            request.method == "GET"
                && (request.path.strip_suffix(".conda").is_some()
                    || request.path.strip_suffix(".tar.bz2").is_some())
        };
        self.requests().into_iter().filter(is_package).collect()
    }

    fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        self.shared.content(look)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.closing.notify_all();
        // Wakes the thread that accepts, which then sees that the server is closed.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        look(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the server is closed, or for some time.
    fn wait(&self, time: Duration) {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.closing.wait_timeout_while(closed, time, |closed| !*closed));
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let Some(request) = read_request(stream)? else {
            return Ok(());
        };
        let (fault, replaced, allowed) = self.content(|content| {
            content.requests.push(request.clone());
            let allowed = content
                .authorization
                .as_ref()
                .is_none_or(|expected| request.headers.get("authorization") == Some(expected));
            let replaced = content
                .replaced
                .iter()
                .find(|(path, _)| request.path.ends_with(path.as_str()))
                .map(|(_, bytes)| bytes.clone());
            (content.fault(&request.path), replaced, allowed)
        });
        self.gather(&request.path);
        let mut cut = None;
        let stalls = matches!(fault, Some(Fault::Stall(_)));
        match fault {
            Some(Fault::Hang) => {
                self.wait(Duration::MAX);
                return Ok(());
            }
            Some(Fault::Drip) => {
                return drip(stream, |time| {
                    self.wait(time);
                    !*self.closed.lock().unwrap_or_else(PoisonError::into_inner)
                });
            }
            Some(Fault::Status(status)) => return send(stream, &request, status, &[], None),
            Some(Fault::Cut(length) | Fault::Stall(length)) => cut = Some(length),
            Some(Fault::Slow(time)) => self.wait(time),
            None => {}
        }
        if !allowed {
            return send(stream, &request, 401, b"who are you?", None);
        }
        let path = self.folder.join(request.path.trim_start_matches('/'));
        match replaced {
            Some(bytes) => send(stream, &request, 200, &bytes, cut),
            None if path.is_file() => send(stream, &request, 200, &files::bytes(&path), cut),
            None => send(stream, &request, 404, b"there is no such file", None),
        }?;
        if stalls {
            self.wait(Duration::MAX);
        }
        Ok(())
    }

    /// Waits for the others, if this request is one of those that come together.
    fn gather(&self, path: &str) {
        self.arrived.notify_all();
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .arrived
            .wait_timeout_while(content, TOGETHER, |content| content.is_gathering(path));
        drop(waited);
    }
}

impl Content {
    /// Whether a request for a path still waits for others.
    fn is_gathering(&self, path: &str) -> bool {
        self.gathering.as_ref().is_some_and(|(part, count)| {
            let of_them = |request: &&Request| request.path.contains(part.as_str());
            let come: BTreeSet<&str> = self
                .requests
                .iter()
                .filter(of_them)
                .map(|request| request.path.as_str())
                .collect();
            path.contains(part.as_str()) && come.len() < *count
        })
    }

    fn fault(&mut self, path: &str) -> Option<Fault> {
        let planned = self
            .faults
            .iter_mut()
            .find(|planned| path.ends_with(planned.path.as_str()) && planned.times != Some(0))?;
        if let Some(times) = &mut planned.times {
            *times -= 1;
        }
        Some(planned.fault.clone())
    }
}

/// Sends an answer; a part of it, if a part was asked for (RFC 9110, 14.2).
fn send(
    mut stream: &TcpStream,
    request: &Request,
    status: u16,
    body: &[u8],
    cut: Option<usize>,
) -> std::io::Result<()> {
    let start = request
        .headers
        .get("range")
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        })
        .filter(|start| status == 200 && *start < body.len());
    let part = body.get(start.unwrap_or(0)..).unwrap_or_default();
    let status = if start.is_some() { 206 } else { status };
    let range = start.map_or_else(String::new, |start| {
        format!(
            "Content-Range: bytes {start}-{}/{}\r\n",
            body.len() - 1,
            body.len()
        )
    });
    let challenge = if status == 401 {
        "WWW-Authenticate: Basic realm=\"test\"\r\n"
    } else {
        ""
    };
    write!(
        stream,
        "HTTP/1.1 {status} {}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\
         {range}{challenge}Connection: close\r\n\r\n",
        reason(status),
        part.len(),
    )?;
    if request.method != "HEAD" {
        let length = cut.unwrap_or(part.len()).min(part.len());
        stream.write_all(part.get(..length).unwrap_or_default())?;
    }
    stream.flush()
}
