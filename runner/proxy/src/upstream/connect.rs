//! Asks an HTTP proxy for a tunnel (RFC 9110, 9.3.6).

use http::HeaderValue;
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::Problem;
use crate::http1::head::{self, FIELDS, HeadError};
use crate::target::Target;

/// Asks a proxy to connect. After it, the connection is the target's.
pub(crate) async fn ask<S>(
    proxy: &mut BufReader<S>,
    target: &Target,
    authorization: Option<&HeaderValue>,
) -> Result<(), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(value) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    proxy.write_all(&request).await?;
    loop {
        let head = head::read(proxy).await.map_err(|error| match error {
            HeadError::Ended => Problem::said("ended the connection"),
            HeadError::TooLarge => Problem::said("said too much"),
        })?;
        match status(&head) {
            None => return Err(Problem::said("does not speak HTTP/1.1")),
            Some(102..=199 | 100) => {}
            Some(200..=299) => return Ok(()),
            Some(407) => return Err(Problem::said("wants other credentials (status 407)")),
            Some(status) => return Err(Problem::said(&format!("answered with the status {status}"))),
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(head) {
        Ok(Status::Complete(_)) => parsed.code,
        Ok(Status::Partial) | Err(_) => None,
    }
}
