//! A server of files that can be made to fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::Fault;
use crate::files;
use crate::index::fail_or;
use crate::server::{Answer, Asked, HttpServer, Request, basic, look_at};

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
}

/// A running server of a folder. It ends when it is dropped.
pub struct Server {
    server: HttpServer,
    shared: Arc<Shared>,
}

impl Server {
    /// Serves a folder.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            content: Mutex::default(),
            arrived: Condvar::new(),
        });
        let answering = Arc::clone(&shared);
        let server = HttpServer::start(move |asked| answering.serve(asked));
        Self { server, shared }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
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
        self.content(|content| content.authorization = Some(basic(user, password)));
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

impl Shared {
    fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        look_at(&self.content, look)
    }

    fn serve(&self, asked: &Asked<'_>) -> std::io::Result<()> {
        let request = &asked.request;
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
        fail_or(asked, fault.as_ref(), || {
            let path = self.folder.join(request.path.trim_start_matches('/'));
            let body = match replaced {
                _ if !allowed => return Answer::who_are_you(),
                Some(bytes) => bytes,
                None if path.is_file() => files::bytes(&path),
                None => return Answer::new(404, "text/plain", "there is no such file"),
            };
            Answer::new(200, "application/octet-stream", body).part(request)
        })
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
