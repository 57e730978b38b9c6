//! The user's own proxy on the way out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wrun_proxy::{Gate, Upstream};

use crate::support::{
    PUBLIC, Proxy, World, listed, logged, read_head, server, shouter, socks_code, socks_name, web,
};

const PASSWORD: &str = "hunter2";
/// `ada:hunter2` in base 64.
const BASIC: &str = "Proxy-Authorization: Basic YWRhOmh1bnRlcjI=\r\n";

fn gate(world: &Arc<World>, variables: &[(&str, &str)], rules: &[&str]) -> Gate {
    Gate {
        upstream: Upstream::from_variables(variables.iter().copied()).unwrap(),
        outside: Arc::clone(world) as _,
        ..Gate::new(listed(rules))
    }
}

/// A proxy that wants a password and leads everything to one server.
async fn http_proxy(leads_to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let address = server(move |mut stream| {
        let keep = Arc::clone(&keep);
        async move {
            let request = read_head(&mut stream).await;
            let known = request.contains(BASIC);
            keep.lock().unwrap().push(request);
            if !known {
                let answer = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                return;
            }
            let mut there = TcpStream::connect(leads_to).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            // How the tunnel ends is the affair of its two ends.
            let _ended = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
        }
    })
    .await;
    (address, heard)
}

#[tokio::test]
async fn an_http_proxy_is_told_names_and_the_password() {
    let world = Arc::new(World::default());
    let (address, heard) = http_proxy(shouter().await).await;
    world.name("proxy.example", &[&["10.0.0.1"]]);
    world.server("10.0.0.1:3128", address);
    let variables = [("HTTPS_PROXY", "http://ada:hunter2@proxy.example:3128")];
    let proxy = Proxy::with(gate(&world, &variables, &["example.org:443"]));
    let mut stream = proxy.open().await;
    assert_eq!(socks_code(&mut stream, &socks_name("example.org", 443)).await, 0);
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HELLO");
    assert_eq!(
        *heard.lock().unwrap(),
        [format!(
            "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n{BASIC}\r\n"
        )]
    );
    assert_eq!(*world.lookups.lock().unwrap(), ["proxy.example"]);
    assert_eq!(
        socks_code(&mut proxy.open().await, &socks_name("example.com", 443)).await,
        2
    );
    assert_eq!(
        socks_code(&mut proxy.open().await, &socks_name("proxy.example", 3128)).await,
        2
    );
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn plain_requests_go_to_an_http_proxy_whole() {
    let world = Arc::new(World::default());
    let (address, heard) = web(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    world.server("10.0.0.1:3128", address);
    let variables = [("http_proxy", "http://ada:hunter2@10.0.0.1:3128")];
    let proxy = Proxy::with(gate(&world, &variables, &["example.org:80"]));
    let answer = proxy
        .say("GET http://example.org/x HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\nGET http://inner/ HTTP/1.1\r\n\r\n")
        .await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert_eq!(
        *heard.lock().unwrap(),
        [format!(
            "GET http://example.org/x HTTP/1.1\r\nHost: example.org\r\n{BASIC}Connection: close\r\n\r\n"
        )]
    );
}

#[tokio::test]
async fn what_an_http_proxy_refuses_is_not_passed_on() {
    let world = Arc::new(World::default());
    let (address, _) = http_proxy(shouter().await).await;
    world.server("10.0.0.1:3128", address);
    let variables = [("all_proxy", "http://ada:wrong@10.0.0.1:3128")];
    let proxy = Proxy::with(gate(&world, &variables, &["example.org:*"]));
    for request in ["CONNECT example.org:443", "GET http://example.org/"] {
        let answer = proxy.say(format!("{request} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(
            answer.contains("status 407") && !answer.contains("Proxy-Authenticate"),
            "{answer}"
        );
    }
    assert_eq!(
        socks_code(&mut proxy.open().await, &socks_name("example.org", 443)).await,
        1
    );
}

#[tokio::test]
async fn some_hosts_are_reached_without_it() {
    let world = Arc::new(World::default());
    world.host("inner.example", 443, shouter().await);
    world.name("localhost", &[&["127.0.0.1"]]);
    world.server("127.0.0.1:443", shouter().await);
    let variables = [("HTTPS_PROXY", "http://10.0.0.1:3128"), ("NO_PROXY", ".example")];
    let rules = ["inner.example:443", "localhost:443", "example.org:443"];
    let proxy = Proxy::with(gate(&world, &variables, &rules));
    for (name, code) in [("inner.example", 0), ("localhost", 0), ("example.org", 1)] {
        assert_eq!(
            socks_code(&mut proxy.open().await, &socks_name(name, 443)).await,
            code,
            "{name}"
        );
    }
}

/// A SOCKS5 proxy that wants a password; it keeps the request and leads to one server.
async fn socks_proxy(leads_to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let address = server(move |mut stream| {
        let keep = Arc::clone(&keep);
        async move {
            let mut greeting = [0; 4];
            stream.read_exact(&mut greeting).await.unwrap();
            assert_eq!(greeting, [5, 2, 0, 2]);
            stream.write_all(&[5, 2]).await.unwrap();
            let mut login = [0; 13];
            stream.read_exact(&mut login).await.unwrap();
            let known = login == *b"\x01\x03ada\x07hunter2";
            stream.write_all(&[1, u8::from(!known)]).await.unwrap();
            if !known {
                return;
            }
            let mut request = vec![0; 4];
            stream.read_exact(&mut request).await.unwrap();
            let length = match request[3] {
                1 => 4,
                _ => usize::from(stream.read_u8().await.unwrap()),
            };
            let mut rest = vec![0; length + 2];
            stream.read_exact(&mut rest).await.unwrap();
            request.extend(rest);
            keep.lock().unwrap().push(request);
            let mut there = TcpStream::connect(leads_to).await.unwrap();
            let answer = b"\x05\0\0\x03\x05proxy\x04\x38";
            stream.write_all(answer).await.unwrap();
            // How the tunnel ends is the affair of its two ends.
            let _ended = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
        }
    })
    .await;
    (address, heard)
}

#[tokio::test]
async fn a_socks_proxy_is_told_names_or_checked_addresses() {
    let world = Arc::new(World::default());
    let (address, heard) = socks_proxy(shouter().await).await;
    world.server("10.0.0.1:1080", address);
    world.name("example.org", &[&["10.0.0.9", PUBLIC], &["10.0.0.9"]]);
    let port = 443_u16.to_be_bytes();
    for (scheme, expected) in [
        (
            "socks5h",
            [b"\x05\x01\0\x03example.org".as_slice(), &port].concat(),
        ),
        (
            "socks5",
            [b"\x05\x01\0\x01".as_slice(), &[93, 184, 216, 34], &port].concat(),
        ),
    ] {
        let value = format!("{scheme}://ada:hunter2@10.0.0.1");
        let proxy = Proxy::with(gate(&world, &[("ALL_PROXY", &value)], &["example.org:443"]));
        let mut stream = proxy.open().await;
        stream
            .write_all(b"CONNECT example.org:443 HTTP/1.1\r\n\r\nhello")
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        let opened = read_head(&mut stream).await;
        assert!(opened.starts_with("HTTP/1.1 200 "), "{opened}");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "HELLO");
        assert_eq!(heard.lock().unwrap().pop().unwrap(), expected);
        if scheme == "socks5" {
            assert_eq!(
                socks_code(&mut proxy.open().await, &socks_name("example.org", 443)).await,
                2
            );
        }
    }
    let wrong = [("ALL_PROXY", "socks5h://ada:hunter3@10.0.0.1")];
    let proxy = Proxy::with(gate(&world, &wrong, &["example.org:443"]));
    let answer = proxy.say("CONNECT example.org:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("wants other credentials"), "{answer}");
}

#[tokio::test]
async fn the_password_is_in_no_log_and_no_debug_text() {
    let world = Arc::new(World::default());
    let (good, _) = http_proxy(shouter().await).await;
    let (plain, _) = web(0, "HTTP/1.1 407 No\r\n\r\n").await;
    world.server("10.0.0.1:3128", good);
    world.server("10.0.0.2:3128", plain);
    let variables = [
        ("HTTPS_PROXY", "http://ada:hunter2@10.0.0.1:3128"),
        ("HTTP_PROXY", "http://ada:hunter2@10.0.0.2:3128"),
    ];
    let gate = gate(&world, &variables, &["example.org:*"]);
    let shown = format!("{gate:?} {gate:#?}");
    let proxy = Proxy::with(gate);
    assert_eq!(
        socks_code(&mut proxy.open().await, &socks_name("example.org", 443)).await,
        0
    );
    let answer = proxy.say("GET http://example.org/ HTTP/1.1\r\n\r\n").await;
    let log = logged();
    assert!(log.contains("example.org:443"), "{log}");
    for text in [shown, log, answer] {
        assert!(!text.contains(PASSWORD) && !text.contains("YWRhOmh1"), "{text}");
    }
}
