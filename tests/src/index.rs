//! A package index on this machine (PEP 503, PEP 691, PEP 658) that can be made to fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::files::sha256;
use crate::pages::{File, Projects};
pub use crate::server::Request;
use crate::server::{Answer, Asked, Hook, HttpServer, basic, look_at};
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

#[derive(Default)]
struct Content {
    projects: Projects,
    faults: Vec<(String, Fault)>,
    authorization: Option<String>,
    requests: Vec<Request>,
    hook: Option<Hook>,
}

/// A running index. It ends when it is dropped.
pub struct Index {
    server: HttpServer,
    content: Arc<Mutex<Content>>,
}

impl Index {
    /// Starts an index without any package.
    #[must_use]
    pub fn start() -> Self {
        let content = Arc::<Mutex<Content>>::default();
        let answering = Arc::clone(&content);
        let server = HttpServer::start(move |asked| serve(asked, &answering));
        Self { server, content }
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
        format!("http://{}/simple", self.server.address)
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
        self.content(|content| content.authorization = Some(basic(user, password)));
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
        look_at(&self.content, look)
    }
}

fn serve(asked: &Asked<'_>, content: &Mutex<Content>) -> std::io::Result<()> {
    let request = &asked.request;
    let (fault, hook) = look_at(content, |content| {
        content.requests.push(request.clone());
        let fault = content
            .faults
            .iter()
            .find(|(path, _)| request.path.starts_with(path.as_str()));
        (fault.map(|(_, fault)| fault.clone()), content.hook.clone())
    });
    if let Some(hook) = hook {
        hook(request);
    }
    fail_or(asked, fault.as_ref(), || {
        look_at(content, |content| content.answer(request))
    })
}

/// Sends an answer, or what a fault makes of it.
pub(crate) fn fail_or(
    asked: &Asked<'_>,
    fault: Option<&Fault>,
    answer: impl FnOnce() -> Answer,
) -> std::io::Result<()> {
    match fault {
        Some(Fault::Hang) => asked.closing.wait_for_ever(),
        Some(Fault::Drip) => asked.drip()?,
        Some(Fault::Status(status)) => asked.send(&Answer::new(*status, "text/plain", ""), None)?,
        Some(Fault::Cut(length)) => asked.send(&answer(), Some(*length))?,
        Some(Fault::Stall(length)) => {
            asked.send(&answer(), Some(*length))?;
            asked.closing.wait_for_ever();
        }
        Some(Fault::Slow(time)) => {
            asked.closing.wait(*time);
            asked.send(&answer(), None)?;
        }
        None => asked.send(&answer(), None)?,
    }
    Ok(())
}

impl Content {
    fn answer(&self, request: &Request) -> Answer {
        let authorization = request.headers.get("authorization");
        if self.authorization.is_some() && authorization != self.authorization.as_ref() {
            return Answer::who_are_you();
        }
        let json = request
            .headers
            .get("accept")
            .is_some_and(|accept| accept.contains("simple.v1+json"));
        self.projects.answer(&request.path, json)
    }
}
