//! Heads of messages: the bytes up to the empty line.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::failure::Failure;

/// Bytes of a head. Servers take 8 to 64 KiB.
const LIMIT: u64 = 64 * 1024;

/// Fields of a head.
pub(crate) const FIELDS: usize = 128;

/// A head was not read to its end.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The connection ended.
    Ended,
    /// It goes beyond the limit.
    TooLarge,
}

impl From<HeadError> for Failure {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Ended => Self::Malformed("the request ended within its head"),
            HeadError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<io::Error> for HeadError {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

/// Reads up to the empty line and nothing beyond it.
pub(crate) async fn read<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<Vec<u8>, HeadError> {
    let mut head = Vec::new();
    let mut limited = reader.take(LIMIT);
    loop {
        let start = head.len();
        limited.read_until(b'\n', &mut head).await?;
        let line = head.get(start..).unwrap_or_default();
        if !line.ends_with(b"\n") {
            return Err(if limited.limit() == 0 {
                HeadError::TooLarge
            } else {
                HeadError::Ended
            });
        }
        if matches!(line, b"\n" | b"\r\n") {
            return Ok(head);
        }
    }
}

/// Whether every line ends in CR LF and neither stands alone, which two parsers could read in two ways (RFC 9112,
/// 2.2).
pub(crate) fn has_clean_lines(head: &[u8]) -> bool {
    head.split_inclusive(|byte| *byte == b'\n').all(|line| {
        line.strip_suffix(b"\r\n")
            .is_some_and(|text| !text.contains(&b'\r'))
    })
}
