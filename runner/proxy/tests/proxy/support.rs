//! A network outside, servers in it, and a proxy in front.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wrun_core::net::Net;
use wrun_proxy::{Gate, Outside, ProxyError, Reason, Refusal, serve};

/// An address of the public internet, where nothing is really connected to.
pub(crate) const PUBLIC: &str = "93.184.216.34";

pub(crate) fn listed<T: AsRef<str>>(rules: &[T]) -> Net {
    Net::Listed(rules.iter().map(|rule| rule.as_ref().parse().unwrap()).collect())
}

static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();

/// Everything that any test has logged, at every level.
pub(crate) fn logged() -> String {
    let log = LOG.get().map(|log| log.lock().unwrap().clone());
    String::from_utf8(log.unwrap_or_default()).unwrap()
}

/// Keeps what is logged. For all threads at once, before anything is logged: what a place that logs found on its
/// first thread would else hold for all others.
fn keep_log() {
    LOG.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Keep)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        Mutex::default()
    });
}

struct Keep;

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(log) = LOG.get() {
            log.lock().unwrap().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Names that resolve to what the test says, and addresses that lead to servers of the test.
#[derive(Default)]
pub(crate) struct World {
    names: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    servers: Mutex<HashMap<SocketAddr, SocketAddr>>,
    pub(crate) lookups: Mutex<Vec<String>>,
    pub(crate) connects: Mutex<Vec<SocketAddr>>,
}

impl World {
    /// What a name resolves to, at the first look-up and so on; the last stays.
    pub(crate) fn name(&self, name: &str, answers: &[&[&str]]) {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect())
            .collect();
        self.names.lock().unwrap().insert(name.to_owned(), answers);
    }

    /// A name with a server at a public address.
    pub(crate) fn host(&self, name: &str, port: u16, server: SocketAddr) {
        self.name(name, &[&[PUBLIC]]);
        self.server(&format!("{PUBLIC}:{port}"), server);
    }

    pub(crate) fn server(&self, address: &str, server: SocketAddr) {
        self.servers
            .lock()
            .unwrap()
            .insert(address.parse().unwrap(), server);
    }
}

#[async_trait]
impl Outside for World {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.lock().unwrap().push(name.to_owned());
        let mut names = self.names.lock().unwrap();
        let answers = names.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        if answers.len() > 1 {
            return Ok(answers.remove(0));
        }
        Ok(answers[0].clone())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.connects.lock().unwrap().push(address);
        let server = self.servers.lock().unwrap().get(&address).copied();
        match server {
            Some(server) => TcpStream::connect(server).await,
            None => Err(io::ErrorKind::HostUnreachable.into()),
        }
    }
}

/// A proxy in front of a world.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) cancel: CancellationToken,
    pub(crate) served: JoinHandle<Result<(), ProxyError>>,
    refusals: Arc<Mutex<Vec<Refusal>>>,
}

impl Proxy {
    pub(crate) fn start(net: Net, world: &Arc<World>) -> Self {
        let outside = Arc::clone(world);
        Self::with(Gate {
            outside,
            ..Gate::new(net)
        })
    }

    pub(crate) fn with(gate: Gate) -> Self {
        keep_log();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let refusals = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&refusals);
        let gate = Gate {
            observer: Arc::new(move |refusal| heard.lock().unwrap().push(refusal)),
            ..gate
        };
        let served = tokio::spawn(serve(listener, gate, cancel.clone()));
        Self {
            address,
            cancel,
            served,
            refusals,
        }
    }

    pub(crate) async fn open(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Says something and hears everything.
    pub(crate) async fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.open().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The refusals that were told of, and none of them a second time.
    pub(crate) fn refused(&self) -> Vec<(String, Reason)> {
        let taken = std::mem::take(&mut *self.refusals.lock().unwrap());
        taken
            .into_iter()
            .map(|refusal| (format!("{}:{}", refusal.host, refusal.port), refusal.reason))
            .collect()
    }
}

/// A server for any number of connections.
pub(crate) async fn server<F, R>(answer: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

/// Hears everything first and says it in capitals then.
pub(crate) async fn shouter() -> SocketAddr {
    server(|mut stream| async move {
        let mut text = String::new();
        if stream.read_to_string(&mut text).await.is_ok() {
            stream.write_all(text.to_uppercase().as_bytes()).await.unwrap();
        }
    })
    .await
}

/// Keeps what it hears, up to the empty line and with this many bytes after it, answers with these bytes, and then
/// leaves the connection open until the other side closes.
pub(crate) async fn web(body: usize, answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let address = server(move |mut stream| {
        let keep = Arc::clone(&keep);
        async move {
            let mut text = read_head(&mut stream).await;
            let mut rest = vec![0; body];
            stream.read_exact(&mut rest).await.unwrap();
            text.push_str(&String::from_utf8(rest).unwrap());
            keep.lock().unwrap().push(text);
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut more = Vec::new();
            // How the other side closes is its own affair.
            let _closed = stream.read_to_end(&mut more).await;
            if !more.is_empty() {
                keep.lock().unwrap().push(String::from_utf8(more).unwrap());
            }
        }
    })
    .await;
    (address, heard)
}

pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A SOCKS5 request for a name; the greeting included.
pub(crate) fn socks_name(name: &str, port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 5, 1, 0, 3, u8::try_from(name.len()).unwrap()];
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&port.to_be_bytes());
    bytes
}

/// A SOCKS5 request for an address; the greeting included.
pub(crate) fn socks_address(address: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 5, 1, 0];
    match address.ip() {
        IpAddr::V4(v4) => {
            bytes.push(1);
            bytes.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            bytes.push(4);
            bytes.extend_from_slice(&v6.octets());
        }
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
    bytes
}

/// The code of the reply to a SOCKS5 request.
pub(crate) async fn socks_code(stream: &mut TcpStream, request: &[u8]) -> u8 {
    stream.write_all(request).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..3], [5, 0, 5], "{answer:?}");
    assert_eq!(answer[4..6], [0, 1], "{answer:?}");
    answer[3]
}
