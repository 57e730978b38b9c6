//! Servers that the run is logged in to, and runs that have to say who they are themselves.

use std::sync::{Arc, Mutex};

use rustls::RootCertStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wrun_core::credential::{Credential, Secret};
use wrun_proxy::{Gate, Logins};

use crate::support::{Proxy, World, listed, read_head, socks_name, web};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// `ada:pw`, as it is sent.
const SENT: &str = "Basic YWRhOnB3";

fn logins(url: &str) -> Logins {
    let credential = Credential {
        username: "ada".to_owned(),
        password: Secret::new("pw"),
    };
    Logins::new(
        [(url.parse().unwrap(), credential)],
        || Ok(RootCertStore::empty()),
    )
    .unwrap()
}

/// A proxy in front of `example.org`, which the run is logged in to, and `other.example`.
async fn front() -> (Proxy, Arc<Mutex<Vec<String>>>) {
    let world = Arc::new(World::default());
    let (address, heard) = web(0, HELLO).await;
    world.host("example.org", 80, address);
    world.host("other.example", 80, address);
    let gate = Gate {
        outside: world,
        logins: logins("http://example.org/simple/"),
        ..Gate::new(listed(&["example.org:80", "other.example:80"]))
    };
    (Proxy::with(gate), heard)
}

fn last(heard: &Mutex<Vec<String>>) -> String {
    heard
        .lock()
        .unwrap()
        .last()
        .cloned()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

#[tokio::test]
async fn a_plain_request_is_logged_in_where_it_is_meant_for() {
    let (proxy, heard) = front().await;
    let sent = format!("authorization: {SENT}\r\n").to_ascii_lowercase();
    proxy
        .say("GET http://example.org/simple/six/ HTTP/1.1\r\n\r\n")
        .await;
    assert!(last(&heard).contains(&sent));
    proxy
        .say("GET http://other.example/simple/six/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
        .await;
    assert!(!last(&heard).contains("authorization"));
    proxy
        .say("GET http://example.org/ HTTP/1.1\r\nAuthorization: Basic eDp5\r\n\r\n")
        .await;
    assert!(
        last(&heard).contains("authorization: basic edp5\r\n"),
        "what the run says counts"
    );
    assert!(!last(&heard).contains(&sent));
}

#[tokio::test]
async fn what_does_more_than_fetch_is_not_logged_in() {
    let (proxy, heard) = front().await;
    for method in ["TRACE", "POST", "PUT", "DELETE", "get"] {
        proxy
            .say(format!(
                "{method} http://example.org/simple/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        assert!(last(&heard).starts_with(&method.to_lowercase()));
        assert!(!last(&heard).contains("authorization"), "{method}");
        let mut stream = proxy.open().await;
        stream
            .write_all(b"CONNECT example.org:80 HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut stream).await;
        let request = format!("{method} /simple/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
        assert!(last(&heard).contains("host: example.org"));
        assert!(!last(&heard).contains("authorization"), "{method}");
    }
}

#[tokio::test]
async fn requests_within_a_tunnel_are_logged_in_at_that_server_alone() {
    let (proxy, heard) = front().await;
    for (opening, is_socks) in [
        (b"CONNECT example.org:80 HTTP/1.1\r\n\r\n".to_vec(), false),
        (socks_name("example.org", 80), true),
    ] {
        let mut stream = proxy.open().await;
        stream.write_all(&opening).await.unwrap();
        if is_socks {
            let mut answers = [0; 12];
            stream.read_exact(&mut answers).await.unwrap();
        } else {
            read_head(&mut stream).await;
        }
        let request =
            "GET http://other.example/a?b HTTP/1.1\r\nHost: other.example\r\nProxy-Authorization: x\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let asked = last(&heard);
        assert!(asked.starts_with("get /a?b http/1.1\r\n"), "{asked}");
        assert!(
            asked.contains("host: example.org\r\n"),
            "no other site hears the credential: {asked}"
        );
        assert!(asked.contains(&SENT.to_ascii_lowercase()), "{asked}");
        assert!(!asked.contains("proxy-"), "{asked}");
    }
}

#[tokio::test]
async fn a_proxy_with_a_password_serves_nobody_else() {
    let world = Arc::new(World::default());
    let (address, heard) = web(0, HELLO).await;
    world.host("example.org", 80, address);
    let proxy = Proxy::with(Gate {
        outside: world,
        password: Some(Secret::new("open")),
        ..Gate::new(listed(&["example.org:80"]))
    });
    // `wrun:shut`, and then `wrun:open`.
    for said in ["", "Proxy-Authorization: Basic d3J1bjpzaHV0\r\n"] {
        for asked in ["GET http://example.org/", "CONNECT example.org:80"] {
            let answer = proxy.say(format!("{asked} HTTP/1.1\r\n{said}\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
        }
    }
    assert_eq!(proxy.say("\x05\x01\0").await, "");
    assert!(heard.lock().unwrap().is_empty());
    let answer = proxy
        .say("GET http://example.org/ HTTP/1.1\r\nProxy-Authorization: Basic d3J1bjpvcGVu\r\n\r\n")
        .await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert!(!last(&heard).contains("proxy-"));
}
