//! A server spoken to in secret: in front of another one, with a certificate of an authority of its own.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Ends the head of a request.
const END: &[u8] = b"\r\n\r\n";

/// A running server. It ends when it is dropped.
pub struct Secure {
    address: SocketAddr,
    authority: String,
    closed: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl Secure {
    /// Starts one in front of the server at `http://HOST:PORT…`.
    #[must_use]
    pub fn before(url: &str) -> Self {
        let behind = url.strip_prefix("http://").expect("it is a plain server");
        let behind: SocketAddr = behind
            .split('/')
            .next()
            .and_then(|address| address.parse().ok())
            .expect("it has an address");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let of_host = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = of_host.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let (closed, connections) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (closing, count) = (Arc::clone(&closed), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if closing.load(Ordering::Relaxed) {
                    break;
                }
                let (config, count) = (Arc::clone(&config), Arc::clone(&count));
                std::thread::spawn(move || {
                    // A client that goes away, or trusts nobody, is no matter of the server.
                    drop(serve(stream, config, behind, &count));
                });
            }
        });
        Self {
            address,
            authority: issuer.pem(),
            closed,
            connections,
        }
    }

    /// The address to give to package managers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}/simple", self.address)
    }

    /// The certificate that has to be trusted, as PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// How many connections came with a request.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, which then sees that the server is closed.
        drop(TcpStream::connect(self.address));
    }
}

/// Passes requests without a body on, one after the other, each by a connection of its own.
fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    behind: SocketAddr,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut near = StreamOwned::new(connection, stream);
    let mut is_first = true;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(END) {
            let mut byte = [0];
            near.read_exact(&mut byte)?;
            head.extend(byte);
        }
        if std::mem::take(&mut is_first) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut far = TcpStream::connect(behind)?;
        far.write_all(&head)?;
        far.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        far.read_to_end(&mut answer)?;
        // The connection to the client stays: its answers say how long they are.
        let text = b"Connection: close\r\n";
        if let Some(at) = answer.windows(text.len()).position(|part| part == text) {
            answer.drain(at..at + text.len());
        }
        near.write_all(&answer)?;
        near.flush()?;
    }
}
