//! What the servers of the tests have in common: taking connections, reading requests, and sending answers that may go wrong.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;

/// Looks at what a server and its test share.
pub(crate) fn look_at<T, R>(shared: &Mutex<T>, look: impl FnOnce(&mut T) -> R) -> R {
    look(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// The first byte that is asked for, where not all are (RFC 9110, 14.2).
    fn start(&self) -> Option<usize> {
        let range = self.headers.get("range")?;
        range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    fn read(stream: &TcpStream) -> std::io::Result<Option<Self>> {
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
        Ok(Some(Self {
            method,
            path,
            headers,
        }))
    }
}

/// Does something at each request, while whoever asks is waiting.
pub(crate) type Hook = Arc<dyn Fn(&Request) + Send + Sync>;

/// What is sent for a request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An answer with a body of a media type.
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), kind.to_owned())],
            body: body.into(),
        }
    }

    /// That a user name and a password are wanted (RFC 7617).
    pub(crate) fn who_are_you() -> Self {
        Self::new(401, "text/plain", "who are you?").header("WWW-Authenticate", "Basic realm=\"test\"")
    }

    /// The same with one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The part of it that is asked for, if that is a part.
    pub(crate) fn part(mut self, request: &Request) -> Self {
        let length = self.body.len();
        match request.start() {
            Some(start) if self.status == 200 && start < length => {
                self.status = 206;
                self.body.drain(..start);
                self.header("Content-Range", &format!("bytes {start}-{}/{length}", length - 1))
            }
            _ => self,
        }
    }
}

/// The value of `Authorization` that stands for a user name and a password (RFC 7617).
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
}

/// Whether a server has ended, for those of its threads that wait.
#[derive(Default)]
pub(crate) struct Closing {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Closing {
    fn is_closed(&self) -> bool {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the server is closed, or for some time.
    pub(crate) fn wait(&self, time: Duration) {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(closed, time, |closed| !*closed));
    }

    /// Waits until the server is closed.
    pub(crate) fn wait_for_ever(&self) {
        self.wait(Duration::MAX);
    }
}

/// A connection with a request that is to be answered.
pub(crate) struct Asked<'a> {
    pub(crate) request: Request,
    pub(crate) closing: &'a Closing,
    stream: &'a TcpStream,
}

impl Asked<'_> {
    /// Sends an answer; of its body at most so many bytes.
    pub(crate) fn send(&self, answer: &Answer, most: Option<usize>) -> std::io::Result<()> {
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
        let mut stream = self.stream;
        stream.write_all(head.as_bytes())?;
        if self.request.method != "HEAD" {
            let length = most.unwrap_or(body.len()).min(body.len());
            stream.write_all(body.get(..length).unwrap_or_default())?;
        }
        stream.flush()
    }

    /// Answers with a byte a second until the server ends.
    pub(crate) fn drip(&self) -> std::io::Result<()> {
        let mut stream = self.stream;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000000\r\n\r\n")?;
        loop {
            self.closing.wait(Duration::from_secs(1));
            if self.closing.is_closed() {
                return Ok(());
            }
            stream.write_all(b" ")?;
        }
    }
}

/// A running server. It ends when it is dropped.
pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    closing: Arc<Closing>,
}

impl HttpServer {
    /// Starts a server on a free port of the loopback. `answer` is called for each request, on a thread of its own.
    pub(crate) fn start(answer: impl Fn(&Asked<'_>) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let closing = Arc::new(Closing::default());
        let (accepting, answer) = (Arc::clone(&closing), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.is_closed() {
                    break;
                }
                let (closing, answer) = (Arc::clone(&accepting), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Ok(Some(request)) = Request::read(&stream) else {
                        return;
                    };
                    let asked = Asked {
                        request,
                        closing: &closing,
                        stream: &stream,
                    };
                    // A client that goes away is no matter of the server.
                    drop(answer(&asked));
                });
            }
        });
        Self { address, closing }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        *self.closing.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.closing.changed.notify_all();
        // Wakes the thread that accepts, which then sees that the server is closed.
        drop(TcpStream::connect(self.address));
    }
}

const fn reason(status: u16) -> &'static str {
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
