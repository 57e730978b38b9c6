//! How connections end, and how many there are.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use wrun_core::net::Net;
use wrun_proxy::{Gate, Limits, Pace};

use crate::support::{Proxy, World, listed, server, socks_code, socks_name};

/// A server that says one byte, and tells when its connections have ended.
async fn waiter(world: &World) -> mpsc::UnboundedReceiver<()> {
    let (tell, told) = mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let tell = tell.clone();
        async move {
            stream.write_all(b"!").await.unwrap();
            // By an end or a reset.
            let _ended = stream.read_to_end(&mut Vec::new()).await;
            tell.send(()).unwrap();
        }
    })
    .await;
    world.host("example.org", 443, address);
    told
}

#[tokio::test]
async fn cancelling_ends_every_connection() {
    let world = Arc::new(World::default());
    let mut ended = waiter(&world).await;
    let proxy = Proxy::start(listed(&["example.org:443"]), &world);
    let mut tunnel = proxy.open().await;
    assert_eq!(socks_code(&mut tunnel, &socks_name("example.org", 443)).await, 0);
    assert_eq!(tunnel.read_u8().await.unwrap(), b'!');
    let mut half_said = proxy.open().await;
    half_said.write_all(b"CONNECT exam").await.unwrap();
    proxy.cancel.cancel();
    proxy.served.await.unwrap().unwrap();
    ended.recv().await.unwrap();
    for mut stream in [tunnel, half_said] {
        let heard = stream.read(&mut [0]).await;
        assert!(matches!(heard, Ok(0) | Err(_)), "{heard:?}");
    }
}

#[tokio::test]
async fn dropping_the_future_ends_every_connection() {
    let world = Arc::new(World::default());
    let mut ended = waiter(&world).await;
    let proxy = Proxy::start(listed(&["example.org:443"]), &world);
    let mut tunnel = proxy.open().await;
    assert_eq!(socks_code(&mut tunnel, &socks_name("example.org", 443)).await, 0);
    proxy.served.abort();
    ended.recv().await.unwrap();
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let world = Arc::new(World::default());
    let _ended = waiter(&world).await;
    let gate = Gate {
        outside: Arc::clone(&world) as _,
        limits: Limits {
            connections: 1,
            ..Limits::default()
        },
        ..Gate::new(listed(&["example.org:443"]))
    };
    let proxy = Proxy::with(gate);
    let mut first = proxy.open().await;
    assert_eq!(socks_code(&mut first, &socks_name("example.org", 443)).await, 0);
    let mut second = proxy.open().await;
    second.write_all(&socks_name("example.org", 443)).await.unwrap();
    let mut answer = [0; 13];
    let waiting = tokio::time::timeout(Duration::from_millis(50), second.read_exact(&mut answer));
    assert!(waiting.await.is_err());
    assert_eq!(world.connects.lock().unwrap().len(), 1);
    drop(first);
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[12], b'!');
}

#[tokio::test]
async fn a_client_that_sends_on_still_hears_why_it_is_refused() {
    let world = Arc::new(World::default());
    let proxy = Proxy::start(Net::None, &world);
    let mut stream = proxy.open().await;
    let body = "x".repeat(1 << 20);
    let request = format!(
        "POST http://example.org/ HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn a_hundred_clients_at_once() {
    let world = Arc::new(World::default());
    let _ended = waiter(&world).await;
    let proxy = Arc::new(Proxy::start(listed(&["example.org:443"]), &world));
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let proxy = Arc::clone(&proxy);
            tokio::spawn(async move {
                let mut stream = proxy.open().await;
                assert_eq!(socks_code(&mut stream, &socks_name("example.org", 443)).await, 0);
                assert_eq!(stream.read_u8().await.unwrap(), b'!');
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_a_reset_and_not_an_end() {
    let world = Arc::new(World::default());
    let address = server(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .await
            .unwrap();
    })
    .await;
    world.host("example.org", 80, address);
    let proxy = Proxy::start(listed(&["example.org:80"]), &world);
    let mut client = proxy.open().await;
    client
        .write_all(b"GET http://example.org/ HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let heard = client.read_to_end(&mut Vec::new()).await;
    assert_eq!(heard.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_answer_that_drips_is_broken_off_and_its_host_is_known() {
    let world = Arc::new(World::default());
    let address = server(|mut stream| async move {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        let mut went = stream.write_all(head).await;
        while went.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            went = stream.write_all(b"x").await;
        }
    })
    .await;
    world.host("example.org", 80, address);
    let gate = Gate {
        outside: Arc::clone(&world) as _,
        limits: Limits {
            pace: Some(Pace {
                bytes: 10_000,
                time: Duration::from_millis(200),
            }),
            ..Limits::default()
        },
        ..Gate::new(listed(&["example.org:80"]))
    };
    let traffic = gate.traffic.clone();
    let proxy = Proxy::with(gate);
    let mut client = proxy.open().await;
    client
        .write_all(b"GET http://example.org/ HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    client.read_u8().await.unwrap();
    assert_eq!(traffic.awaited(), ["example.org:80".to_owned()].into());
    let heard = client.read_to_end(&mut Vec::new()).await;
    assert_eq!(heard.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}
