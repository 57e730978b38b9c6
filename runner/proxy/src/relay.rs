//! Bytes from one connection to another.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, split};

use crate::activity::{Activity, Side};
use crate::gate::Limits;

/// Bytes that are held of each direction of a connection.
pub(crate) const BUFFER: usize = 16 * 1024;

/// Which side a copy failed on.
#[derive(Debug)]
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(error) | CopyError::Write(error) => error,
        }
    }
}

/// Copies until the end, or so many bytes. Returns how many it were.
pub(crate) async fn copy<R, W>(
    reader: &mut R,
    writer: &mut W,
    limit: Option<u64>,
    sender: Side<'_>,
) -> Result<u64, CopyError>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut copied = 0_u64;
    loop {
        let wanted = limit.map_or(u64::MAX, |limit| limit.saturating_sub(copied));
        if wanted == 0 {
            return Ok(copied);
        }
        let held = reader.fill_buf().await.map_err(CopyError::Read)?;
        if held.is_empty() {
            return Ok(copied);
        }
        sender.says(held.len());
        let length = usize::try_from(wanted).unwrap_or(usize::MAX).min(held.len());
        writer
            .write_all(held.get(..length).unwrap_or_default())
            .await
            .map_err(CopyError::Write)?;
        reader.consume(length);
        copied = copied.saturating_add(length as u64);
        sender.is_heard();
    }
}

/// Copies in both directions until both have ended. The end of one direction is passed on alone, so that a client
/// that has said everything still hears the answer.
pub(crate) async fn relay<A, B>(client: A, server: B, limits: &Limits, activity: &Activity) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    let both = async {
        tokio::try_join!(
            pump(from_client, to_server, activity.client()),
            pump(from_server, to_client, activity.server())
        )
    };
    tokio::select! {
        ended = both => ended.map(|_| ()),
        () = activity.silence(limits.idle) => Err(io::ErrorKind::TimedOut.into()),
        () = activity.drip(limits.pace) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn pump<R, W>(reader: R, mut writer: W, sender: Side<'_>) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    copy(&mut reader, &mut writer, None, sender).await?;
    writer.shutdown().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    const IDLE: Duration = Duration::from_mins(1);

    fn relayed(near: DuplexStream, far: DuplexStream, idle: Duration) -> JoinHandle<io::Result<()>> {
        let limits = Limits {
            idle,
            ..Limits::default()
        };
        tokio::spawn(async move { relay(near, far, &limits, &Activity::new()).await })
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_tunnel_and_bytes_prolong_it() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        let start = Instant::now();
        let tunnel = relayed(near, far, IDLE);
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::sleep(IDLE / 2).await;
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut byte).await.unwrap();
        }
        let ended = tunnel.await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let life = start.elapsed();
        assert!(
            (IDLE * 5 / 2..IDLE * 5 / 2 + Duration::from_secs(1)).contains(&life),
            "{life:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_beyond_every_clock_never_ends() {
        let (mut client, near) = duplex(64);
        let (far, server) = duplex(64);
        let tunnel = relayed(near, far, Duration::MAX);
        tokio::time::sleep(Duration::from_secs(1_000_000)).await;
        assert!(!tunnel.is_finished());
        client.shutdown().await.unwrap();
        drop(server);
        tunnel.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_end_of_one_direction_leaves_the_other() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        let tunnel = relayed(near, far, IDLE);
        client.write_all(b"all of it").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "all of it");
        let answer = "y".repeat(1000);
        let (sent, received) = tokio::join!(
            async {
                server.write_all(answer.as_bytes()).await.unwrap();
                server.shutdown().await
            },
            async {
                let mut text = String::new();
                client.read_to_string(&mut text).await.unwrap();
                text
            }
        );
        sent.unwrap();
        assert_eq!(received, answer);
        tunnel.await.unwrap().unwrap();
    }
}
