//! Plain HTTP requests.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Proxy, World, listed, read_head, server, web};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\
                     Proxy-Authenticate: Basic\r\n\r\nhello";

async fn front(body: usize, answer: &'static str) -> (Proxy, Arc<std::sync::Mutex<Vec<String>>>) {
    let world = Arc::new(World::default());
    let (address, heard) = web(body, answer).await;
    world.host("example.org", 80, address);
    (Proxy::start(listed(&["example.org:80"]), &world), heard)
}

#[tokio::test]
async fn each_request_stands_alone_though_neither_side_closes() {
    let (proxy, heard) = front(0, HELLO).await;
    let second = "GET http://inner.example/ HTTP/1.1\r\nHost: inner.example\r\n\r\n";
    let answer = proxy
        .say(format!(
            "GET http://example.org/a?b HTTP/1.1\r\nHost: inner.example\r\nConnection: keep-alive\r\n\r\n{second}"
        ))
        .await;
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    );
    assert_eq!(
        *heard.lock().unwrap(),
        ["GET /a?b HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"]
    );
    let answer = proxy.say(second).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("net = [\"inner.example:80\"]"), "{answer}");
}

#[tokio::test]
async fn bodies_are_passed_on_to_their_end_and_no_further() {
    let (proxy, heard) = front(
        14,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
    )
    .await;
    let answer = proxy
        .say(
            "POST http://example.org/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
             04\r\nbody\r\n0\r\nTrailer: x\r\n\r\nGET http://inner.example/ HTTP/1.1\r\n\r\n",
        )
        .await;
    assert!(answer.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "{answer}");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].ends_with("\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), "{heard:?}");
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_refused() {
    let (proxy, _) = front(0, "").await;
    let answer = proxy
        .say("POST http://example.org/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn answers_end_where_they_have_to() {
    for (method, answer, expected) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
            "Content-Length: 500",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            "HTTP/1.1 304 ",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 "),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 201 ",
        ),
        (
            "GET",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 502 ",
        ),
        ("GET", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 502 "),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 502 ",
        ),
    ] {
        let (proxy, _) = front(0, answer).await;
        let heard = proxy
            .say(format!("{method} http://example.org/ HTTP/1.1\r\n\r\n"))
            .await;
        assert!(heard.contains(expected), "{answer:?}: {heard:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let world = Arc::new(World::default());
    let address = server(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = format!("HTTP/1.0 200 OK\r\n\r\n{}", "z".repeat(300_000));
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    world.host("example.org", 80, address);
    let proxy = Proxy::start(listed(&["example.org:80"]), &world);
    let mut stream = proxy.open().await;
    stream
        .write_all(b"GET http://example.org/ HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    // A client that has said everything still hears everything.
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.matches('z').count(), 300_000);
}
