//! The network that the proxy reaches.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;

/// Look-ups at once. A look-up blocks a thread for as long as the system's resolver likes, also when nobody waits
/// for it any more, and the threads are shared with the rest of the program.
const LOOKUPS: usize = 32;

/// The network that the proxy reaches: how names are resolved and connections made. What comes back from
/// [`Outside::resolve`] is not trusted.
#[async_trait]
pub trait Outside: Send + Sync {
    /// The addresses of a name, the best first. The name is in lower case, without a final dot.
    ///
    /// # Errors
    /// The name cannot be resolved.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// Connects to an address.
    ///
    /// # Errors
    /// The system's or the other side's reason.
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream>;

    /// Hears why a connection that was made cannot be used: all that most programs show of it is that there is none.
    fn is_unusable(&self, _reason: &str) {}
}

/// This machine's resolver and network.
#[derive(Debug, Clone)]
pub struct System {
    lookups: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }
}

#[async_trait]
impl Outside for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.lookups)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let name = name.to_owned();
        // In a task of its own, so that the permit is held until the look-up has ended even if nobody waits for it.
        let lookup = tokio::spawn(async move {
            let found = lookup_host((name.as_str(), 0)).await;
            drop(permit);
            found.map(|addresses| addresses.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
