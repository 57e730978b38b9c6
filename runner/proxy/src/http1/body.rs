//! Bodies, passed on to exactly where they end (RFC 9112, 6 and 7).

use std::io;

use httparse::{Status, parse_chunk_size};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::activity::Side;
use crate::relay::{CopyError, copy};

/// Bytes of a line that opens a chunk, and of one of the fields after the last.
const LINE: u64 = 8 * 1024;

/// Fields after the last chunk.
const TRAILERS: usize = 128;

const BAD_CHUNK: BodyError = BodyError::Malformed("a chunk of the body is not well-formed");

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last of its chunks.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// A body was not passed on to its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is not framed as it says.
    Malformed(&'static str),
    /// Who sends it is gone.
    Read,
    /// Who gets it is gone.
    Write,
}

impl From<CopyError> for BodyError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(_) => Self::Read,
            CopyError::Write(_) => Self::Write,
        }
    }
}

/// Passes a body on and reads nothing beyond it.
pub(crate) async fn pass_on<R, W>(
    reader: &mut R,
    writer: &mut W,
    framing: Framing,
    sender: Side<'_>,
) -> Result<(), BodyError>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    match framing {
        Framing::Length(length) => exactly(reader, writer, length, sender).await,
        Framing::Chunked => chunks(reader, writer, sender).await,
        Framing::UntilClose => {
            copy(reader, writer, None, sender).await?;
            Ok(())
        }
    }
}

async fn exactly<R, W>(reader: &mut R, writer: &mut W, length: u64, sender: Side<'_>) -> Result<(), BodyError>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let copied = copy(reader, writer, Some(length), sender).await?;
    if copied < length {
        return Err(BodyError::Read);
    }
    Ok(())
}

/// Chunks are written anew, so that both sides see the same ones. Their extensions and the fields after the last
/// are left out, as an intermediary may (RFC 9112, 7.1.1 and 7.1.2).
async fn chunks<R, W>(reader: &mut R, writer: &mut W, sender: Side<'_>) -> Result<(), BodyError>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        let line = read_line(reader).await?;
        let has_digit = line.first().is_some_and(u8::is_ascii_hexdigit);
        let size = match parse_chunk_size(&line) {
            Ok(Status::Complete((end, size))) if has_digit && end == line.len() => size,
            Ok(_) | Err(_) => return Err(BAD_CHUNK),
        };
        if size == 0 {
            break;
        }
        written(writer.write_all(format!("{size:x}\r\n").as_bytes()).await)?;
        exactly(reader, writer, size, sender).await?;
        let mut end = [0; 2];
        reader.read_exact(&mut end).await.map_err(|_| BodyError::Read)?;
        if end != *b"\r\n" {
            return Err(BAD_CHUNK);
        }
        written(writer.write_all(b"\r\n").await)?;
    }
    for _ in 0..=TRAILERS {
        if read_line(reader).await? == b"\r\n" {
            return written(writer.write_all(b"0\r\n\r\n").await);
        }
    }
    Err(BodyError::Malformed("too many fields follow the body"))
}

async fn read_line<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<Vec<u8>, BodyError> {
    let mut line = Vec::new();
    let mut limited = reader.take(LINE);
    limited
        .read_until(b'\n', &mut line)
        .await
        .map_err(|_| BodyError::Read)?;
    if line.ends_with(b"\r\n") {
        return Ok(line);
    }
    let cut_off = !line.ends_with(b"\n") && limited.limit() > 0;
    Err(if cut_off { BodyError::Read } else { BAD_CHUNK })
}

fn written(result: io::Result<()>) -> Result<(), BodyError> {
    result.map_err(|_| BodyError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passed(mut body: &[u8], framing: Framing) -> (Result<(), BodyError>, Vec<u8>, usize) {
        let mut out = Vec::new();
        let result = pass_on(
            &mut body,
            &mut out,
            framing,
            crate::activity::Activity::new().server(),
        )
        .await;
        (result, out, body.len())
    }

    #[tokio::test]
    async fn a_body_ends_where_it_says() {
        let (result, out, left) = passed(b"abcGET / HTTP/1.1", Framing::Length(3)).await;
        assert!(result.is_ok());
        assert_eq!((out.as_slice(), left), (b"abc".as_slice(), 14));
        let chunks = b"3;name=\"x\"\r\nabc\r\nA\r\n0123456789\r\n000\r\nTrailer: x\r\n\r\nGET /";
        let (result, out, left) = passed(chunks, Framing::Chunked).await;
        assert!(result.is_ok());
        assert_eq!(out, b"3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n");
        assert_eq!(left, 5);
    }

    #[tokio::test]
    async fn bodies_that_are_not_what_they_say_are_refused() {
        for body in [
            "\r\n",
            "-1\r\n",
            "0x3\r\nabc\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "11111111111111111\r\n",
            "3 3\r\nabc\r\n",
            "0\r\nA: b\n\r\n",
        ] {
            let (result, ..) = passed(body.as_bytes(), Framing::Chunked).await;
            assert!(
                matches!(result, Err(BodyError::Malformed(_))),
                "{body:?}: {result:?}"
            );
        }
        let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(10_000));
        let (result, ..) = passed(long.as_bytes(), Framing::Chunked).await;
        assert!(matches!(result, Err(BodyError::Malformed(_))));
        for (body, framing) in [
            ("", Framing::Chunked),
            ("3\r\nab", Framing::Chunked),
            ("3\r\nabc\r\n", Framing::Chunked),
            ("ab", Framing::Length(3)),
        ] {
            let (result, ..) = passed(body.as_bytes(), framing).await;
            assert!(matches!(result, Err(BodyError::Read)), "{body:?}: {result:?}");
        }
    }
}
