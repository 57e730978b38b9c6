//! One connection of a run.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, sink};
use tokio::time::{Instant, timeout, timeout_at};

use crate::activity::Activity;
use crate::client::Client;
use crate::gate::Gate;
use crate::relay::{BUFFER, copy};
use crate::{http1, socks5};

/// For a client to take a last answer and to close.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves a client to its end. Its first byte says what it speaks: the version of SOCKS5, or a letter of a method.
pub(crate) async fn handle<S>(client: S, gate: &Gate)
where
    S: Client,
{
    let mut client = BufReader::with_capacity(BUFFER, client);
    let now = Instant::now();
    let deadline = now.checked_add(gate.limits.request).unwrap_or(now);
    match timeout_at(deadline, first_byte(&mut client)).await {
        // Who has to say a password says it by HTTP.
        Ok(Some(socks5::VERSION)) if gate.password.is_some() => {}
        Ok(Some(socks5::VERSION)) => socks5::server::serve(client, gate, deadline).await,
        Ok(Some(_)) => http1::serve(client, gate, deadline).await,
        Ok(None) | Err(_) => {}
    }
}

async fn first_byte<R: AsyncBufRead + Unpin>(client: &mut R) -> Option<u8> {
    client.fill_buf().await.ok()?.first().copied()
}

/// Says a last word. What the client still sends is read: a connection that is closed on unread bytes is reset, and
/// the answer would be lost with it.
pub(crate) async fn say_goodbye<S>(mut client: BufReader<S>, answer: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let goodbye = async {
        client.write_all(answer).await?;
        client.shutdown().await?;
        copy(&mut client, &mut sink(), None, Activity::new().client()).await?;
        Ok::<(), std::io::Error>(())
    };
    // The client that does not take it goes without.
    let _unheard = timeout(GOODBYE, goodbye).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use wrun_core::net::Net;

    use super::*;

    fn started(gate: Gate) -> (DuplexStream, JoinHandle<()>) {
        let (client, near) = duplex(1 << 20);
        let gate = Arc::new(gate);
        (client, tokio::spawn(async move { handle(near, &gate).await }))
    }

    async fn trickle(opening: &[u8]) -> (Duration, Vec<u8>) {
        let (mut client, served) = started(Gate::new(Net::None));
        let start = Instant::now();
        client.write_all(opening).await.unwrap();
        while !served.is_finished() && start.elapsed() < Duration::from_secs(100) {
            // The other side may have given up already.
            let _closed = client.write_all(b"x").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        served.await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        (start.elapsed(), answer)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_trickles_is_given_up() {
        let limit = Gate::new(Net::None).limits.request + GOODBYE + Duration::from_secs(2);
        let (life, answer) = trickle(b"GET http://example.org/ HTTP/1.1\r\nA: ").await;
        assert!(life <= limit, "{life:?}");
        assert!(answer.starts_with(b"HTTP/1.1 408 "));
        let (life, answer) = trickle(b"\x05\xff").await;
        assert!(life <= limit, "{life:?}");
        assert_eq!(answer, b"");
        let (life, answer) = trickle(b"\x05\x01\0\x05\x01\0\x03\xff").await;
        assert!(life <= limit, "{life:?}");
        assert_eq!(answer, b"\x05\0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_given_up() {
        let (client, served) = started(Gate::new(Net::None));
        served.await.unwrap();
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_head_is_cut_off() {
        for piece in ["A: b\r\n", "aaaaaaaa"] {
            let (mut client, served) = started(Gate::new(Net::None));
            let flood = format!("GET http://example.org/ HTTP/1.1\r\n{}", piece.repeat(100_000));
            client.write_all(flood.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            served.await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
    }

    async fn talk(bytes: &[u8]) {
        let (mut client, served) = started(Gate::new(Net::None));
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        served.await.unwrap();
        let opened = answer.starts_with(b"HTTP/1.1 2") || answer.starts_with(b"\x05\0\x05\0");
        assert!(!opened, "{bytes:?}");
    }

    fn run(bytes: &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(talk(bytes));
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            run(&bytes);
        }

        #[test]
        fn nor_do_bytes_that_look_like_socks(
            methods in proptest::collection::vec(any::<u8>(), 0..4),
            rest in proptest::collection::vec(any::<u8>(), 0..300),
            kind in 0_u8..6,
        ) {
            let count = u8::try_from(methods.len()).unwrap();
            let bytes = [&[5, count], methods.as_slice(), &[5, 1, 0, kind], rest.as_slice()].concat();
            run(&bytes);
        }

        #[test]
        fn nor_does_text_that_looks_like_http(
            method in "CONNECT|GET|[A-Z]{1,8}|.{0,3}",
            target in "(http://|HTTP://|https://|)[a-z0-9.:@\\[\\]%\r\n\0-]{0,20}(/.{0,10})?",
            version in "HTTP/1\\.[0-9]|HTTP/2|",
            fields in proptest::collection::vec("(Host|Connection|Content-Length|Transfer-Encoding|.{0,5}): ?.{0,12}", 0..5),
            ending in "\r\n|\n|",
        ) {
            let text = format!("{method} {target} {version}\r\n{}{ending}{ending}", fields.join(&ending));
            run(text.as_bytes());
        }
    }
}
