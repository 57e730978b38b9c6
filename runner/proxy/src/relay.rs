//! Bytes from one connection to another.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, split};
use tokio::time::{Instant, sleep_until};

/// Bytes that are held of each direction of a connection.
pub(crate) const BUFFER: usize = 16 * 1024;

/// When a connection was last heard of.
pub(crate) struct Activity {
    start: Instant,
    /// Milliseconds since the start.
    last: AtomicU64,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    /// Ends when nothing was heard for so long.
    pub(crate) async fn silence(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let Some(end) = last
                .checked_add(limit)
                .and_then(|after| self.start.checked_add(after))
            else {
                return std::future::pending().await;
            };
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

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
    activity: &Activity,
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
        activity.touch();
        let length = usize::try_from(wanted).unwrap_or(usize::MAX).min(held.len());
        writer
            .write_all(held.get(..length).unwrap_or_default())
            .await
            .map_err(CopyError::Write)?;
        reader.consume(length);
        copied = copied.saturating_add(length as u64);
        activity.touch();
    }
}

/// Copies in both directions until both have ended. The end of one direction is passed on alone, so that a client
/// that has said everything still hears the answer.
pub(crate) async fn relay<A, B>(client: A, server: B, idle: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let activity = Activity::new();
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    let both = async {
        tokio::try_join!(
            pump(from_client, to_server, &activity),
            pump(from_server, to_client, &activity)
        )
    };
    tokio::select! {
        ended = both => ended.map(|_| ()),
        () = activity.silence(idle) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn pump<R, W>(reader: R, mut writer: W, activity: &Activity) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    copy(&mut reader, &mut writer, None, activity).await?;
    writer.shutdown().await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_tunnel_and_bytes_prolong_it() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        let start = Instant::now();
        let tunnel = tokio::spawn(relay(near, far, IDLE));
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
        let tunnel = tokio::spawn(relay(near, far, Duration::MAX));
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
        let tunnel = tokio::spawn(relay(near, far, IDLE));
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
