//! The connection of a client.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection of a client, which can be broken off: a client that takes the end of a connection for the end of an
/// answer would not notice that the rest is missing.
pub(crate) trait Client: AsyncRead + AsyncWrite + Unpin {
    /// Lets the connection be reset, not ended, when it is dropped.
    fn break_off(&self);
}

impl Client for TcpStream {
    fn break_off(&self) {
        // Without it the client hears of an end.
        let _ended = self.set_zero_linger();
    }
}

#[cfg(test)]
impl Client for tokio::io::DuplexStream {
    fn break_off(&self) {}
}
