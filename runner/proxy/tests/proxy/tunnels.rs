//! `CONNECT` and SOCKS5.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wrun_core::net::Net;
use wrun_proxy::Reason;

use crate::support::{
    PUBLIC, Proxy, World, listed, read_head, shouter, socks_address, socks_code, socks_name,
};

/// Says everything, ends, and hears the answer.
async fn shout(mut stream: TcpStream) -> String {
    let text = "over the hills ".repeat(20_000);
    let (mut reader, mut writer) = stream.split();
    writer.write_all(text.as_bytes()).await.unwrap();
    writer.shutdown().await.unwrap();
    let mut answer = String::new();
    reader.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, text.to_uppercase());
    answer
}

#[tokio::test]
async fn a_granted_host_is_reached_and_each_direction_ends_alone() {
    let world = Arc::new(World::default());
    world.host("example.org", 443, shouter().await);
    let proxy = Proxy::start(listed(&["example.org:443"]), &world);

    let mut stream = proxy.open().await;
    stream
        .write_all(b"CONNECT EXAMPLE.org.:443 HTTP/1.1\r\nHost: whatever\r\n\r\n")
        .await
        .unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    shout(stream).await;

    let mut stream = proxy.open().await;
    assert_eq!(socks_code(&mut stream, &socks_name("Example.org", 443)).await, 0);
    shout(stream).await;
    assert_eq!(proxy.refused(), []);
    assert_eq!(*world.lookups.lock().unwrap(), ["example.org", "example.org"]);
}

#[tokio::test]
async fn what_a_client_says_early_is_not_lost() {
    let world = Arc::new(World::default());
    world.host("example.org", 443, shouter().await);
    let proxy = Proxy::start(listed(&["example.org:443"]), &world);
    let mut stream = proxy.open().await;
    stream
        .write_all(b"CONNECT example.org:443 HTTP/1.1\r\n\r\nearly")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    read_head(&mut stream).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "EARLY");
}

#[tokio::test]
async fn what_is_not_granted_is_refused_at_once_with_the_line_that_grants_it() {
    let world = Arc::new(World::default());
    world.host("example.org", 443, shouter().await);
    let proxy = Proxy::start(listed(&["example.org:443"]), &world);
    for asked in [
        "example.org:80",
        "example.com:443",
        "a.example.org:443",
        "127.1:443",
        "0x7f.1:443",
    ] {
        let answer = proxy.say(format!("CONNECT {asked} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let line = format!("net = [\"{asked}\"]");
        assert!(head.lines().next().unwrap().contains(&line), "{head}");
        assert!(
            head.contains("\r\nProxy-Status: wrun; error=http_request_denied"),
            "{head}"
        );
        assert!(body.contains(&format!("[allow]\n{line}\n")), "{body}");
        assert_eq!(proxy.refused(), [(asked.to_owned(), Reason::NotListed)]);
    }
    let mut stream = proxy.open().await;
    assert_eq!(socks_code(&mut stream, &socks_name("example.com", 443)).await, 2);
    assert_eq!(
        proxy.refused(),
        [("example.com:443".to_owned(), Reason::NotListed)]
    );
    assert!(
        world.lookups.lock().unwrap().is_empty(),
        "a look-up carries data out"
    );
    assert!(world.connects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn addresses_are_reached_only_if_they_are_listed() {
    let world = Arc::new(World::default());
    let inner = shouter().await;
    for address in ["10.0.0.7:5432", "[2606:4700::1]:443", "127.0.0.1:80"] {
        world.server(address, inner);
    }
    let proxy = Proxy::start(listed(&["10.0.0.7:5432", "[2606:4700::1]:443"]), &world);
    for (address, code) in [
        ("10.0.0.7:5432", 0),
        ("[::ffff:10.0.0.7]:5432", 0),
        ("[2606:4700::1]:443", 0),
        ("10.0.0.8:5432", 2),
        ("127.0.0.1:80", 2),
        ("[::ffff:127.0.0.1]:80", 2),
        ("169.254.169.254:80", 2),
        ("0.0.0.0:80", 2),
        ("[::]:80", 2),
    ] {
        let parsed: SocketAddr = address.parse().unwrap();
        let mut stream = proxy.open().await;
        assert_eq!(
            socks_code(&mut stream, &socks_address(parsed)).await,
            code,
            "{address}"
        );
        let mut stream = proxy.open().await;
        let as_name = socks_name(&parsed.ip().to_string(), parsed.port());
        assert_eq!(socks_code(&mut stream, &as_name).await, code, "{address}");
        let mut stream = proxy.open().await;
        let request = format!("CONNECT {address} HTTP/1.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        let status = if code == 0 { "HTTP/1.1 200" } else { "HTTP/1.1 403" };
        assert!(head.starts_with(status), "{address}: {head}");
    }
}

#[tokio::test]
async fn failures_are_told_apart() {
    let world = Arc::new(World::default());
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    world.host("closed.example", 443, closed);
    world.name("lost.example", &[&["93.184.216.35"]]);
    world.name("empty.example", &[&[]]);
    let proxy = Proxy::start(listed(&["*.example:443"]), &world);
    for (name, code, status, error) in [
        ("closed.example", 5, 502, "connection_refused"),
        ("lost.example", 4, 502, "destination_ip_unroutable"),
        ("empty.example", 4, 502, "dns_error"),
        ("missing.example", 4, 502, "dns_error"),
    ] {
        let mut stream = proxy.open().await;
        assert_eq!(
            socks_code(&mut stream, &socks_name(name, 443)).await,
            code,
            "{name}"
        );
        let answer = proxy.say(format!("CONNECT {name}:443 HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("error={error}\r\n")), "{answer}");
    }
    let told = proxy.refused();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|(_, reason)| *reason == Reason::NotResolved));
}

#[tokio::test]
async fn only_connect_without_a_login_is_socks_here() {
    let world = Arc::new(World::default());
    let proxy = Proxy::start(Net::All, &world);
    for command in [2, 3, 9] {
        let mut request = socks_name("example.org", 443);
        request[4] = command;
        let mut stream = proxy.open().await;
        assert_eq!(socks_code(&mut stream, &request).await, 7);
    }
    let mut request = socks_name("example.org", 443);
    request[6] = 2;
    assert_eq!(socks_code(&mut proxy.open().await, &request).await, 8);
    for name in ["a b", "a\r\nb", "a\0b", "user@host", "", "a..b", "\u{e9}"] {
        let code = socks_code(&mut proxy.open().await, &socks_name(name, 443)).await;
        assert_eq!(code, 1, "{name:?}");
    }
    assert_eq!(socks_code(&mut proxy.open().await, &socks_name("a", 0)).await, 1);
    let mut stream = proxy.open().await;
    stream.write_all(&[5, 1, 2]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [5, 0xff]);
    assert!(world.lookups.lock().unwrap().is_empty());
}

#[tokio::test]
async fn malformed_requests_are_refused_before_anything_is_looked_up() {
    let world = Arc::new(World::default());
    world.name("example.org", &[&[PUBLIC]]);
    let proxy = Proxy::start(Net::All, &world);
    for request in [
        "CONNECT example.org HTTP/1.1\r\n\r\n",
        "CONNECT example.org:443:80 HTTP/1.1\r\n\r\n",
        "CONNECT granted.example:80@example.org:443 HTTP/1.1\r\n\r\n",
        "CONNECT example.org:443 HTTP/1.1\n\n",
        "CONNECT example.org:443\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "GET http://user:password@example.org/ HTTP/1.1\r\n\r\n",
        "GET http://example.org/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n",
        "\x04\x01\r\n\r\n",
    ] {
        let answer = proxy.say(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
    }
    assert!(world.lookups.lock().unwrap().is_empty());
}
