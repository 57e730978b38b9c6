//! Where names may point to.

use std::sync::Arc;

use wrun_proxy::{Gate, PrivateAddresses, Reason, System};

use crate::support::{PUBLIC, Proxy, World, listed, shouter, socks_code, socks_name, web};

#[tokio::test]
async fn a_name_that_points_inwards_is_refused() {
    let world = Arc::new(World::default());
    let inner = shouter().await;
    let proxy = Proxy::start(listed(&["example.org:80"]), &world);
    for address in [
        "127.0.0.1",
        "10.0.0.5",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "fd00::1",
        "0.0.0.0",
    ] {
        world.name("example.org", &[&[address]]);
        world.server(
            &format!("{}", std::net::SocketAddr::new(address.parse().unwrap(), 80)),
            inner,
        );
        let code = socks_code(&mut proxy.open().await, &socks_name("example.org", 80)).await;
        assert_eq!(code, 2, "{address}");
        let answer = proxy.say("CONNECT example.org:80 HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("error=destination_ip_prohibited"), "{answer}");
        let told = proxy.refused();
        let expected = ("example.org:80".to_owned(), Reason::PrivateAddress);
        assert_eq!(told, [expected.clone(), expected]);
    }
    assert!(world.connects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_turns_inwards_is_looked_up_once_for_each_connection() {
    let world = Arc::new(World::default());
    world.server(&format!("{PUBLIC}:80"), shouter().await);
    world.server("127.0.0.1:80", shouter().await);
    world.name("example.org", &[&[PUBLIC], &["127.0.0.1"]]);
    let proxy = Proxy::start(listed(&["example.org:80"]), &world);
    let code = socks_code(&mut proxy.open().await, &socks_name("example.org", 80)).await;
    assert_eq!(code, 0);
    assert_eq!(world.lookups.lock().unwrap().len(), 1);
    let code = socks_code(&mut proxy.open().await, &socks_name("example.org", 80)).await;
    assert_eq!(code, 2);
    let connected: Vec<_> = world
        .connects
        .lock()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(connected, [format!("{PUBLIC}:80")]);
}

#[tokio::test]
async fn addresses_are_tried_in_turn_and_inner_ones_left_out() {
    let world = Arc::new(World::default());
    world.server("93.184.216.36:80", shouter().await);
    world.server("10.0.0.5:80", shouter().await);
    world.name("example.org", &[&["10.0.0.5", "2606:4700::1", "93.184.216.36"]]);
    let proxy = Proxy::start(listed(&["example.org:80"]), &world);
    let code = socks_code(&mut proxy.open().await, &socks_name("example.org", 80)).await;
    assert_eq!(code, 0);
    let connected: Vec<_> = world
        .connects
        .lock()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(connected, ["[2606:4700::1]:80", "93.184.216.36:80"]);
}

#[tokio::test]
async fn a_host_of_the_user_may_be_inside() {
    let world = Arc::new(World::default());
    world.server("10.0.0.5:80", shouter().await);
    world.name("index.example", &[&["10.0.0.5"]]);
    world.name("metadata.example", &[&["169.254.169.254"]]);
    let proxy = Proxy::with(Gate {
        private: PrivateAddresses::Allow,
        outside: Arc::clone(&world) as _,
        ..Gate::new(listed(&["index.example:80", "metadata.example:80"]))
    });
    let code = socks_code(&mut proxy.open().await, &socks_name("index.example", 80)).await;
    assert_eq!(code, 0);
    let code = socks_code(&mut proxy.open().await, &socks_name("metadata.example", 80)).await;
    assert_eq!(code, 2);
}

/// With the resolver of the system: `localhost` and the odd ways to write 127.0.0.1 that it knows.
#[tokio::test]
async fn only_localhost_leads_to_this_machine() {
    let (server, heard) = web(0, "HTTP/1.1 204 No Content\r\n\r\n").await;
    let port = server.port();
    let odd = ["127.1", "0x7f.1", "2130706433", "0177.0.0.1"];
    let mut rules: Vec<String> = odd.iter().map(|name| format!("{name}:{port}")).collect();
    rules.push(format!("localhost:{port}"));
    let proxy = Proxy::with(Gate {
        outside: Arc::new(System::default()),
        ..Gate::new(listed(&rules))
    });
    let get = |host: &str| format!("GET http://{host}:{port}/ HTTP/1.1\r\n\r\n");
    let answer = proxy.say(get("LocalHost.")).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert_eq!(heard.lock().unwrap().len(), 1);
    for host in odd {
        let answer = proxy.say(get(host)).await;
        // Not every system's resolver takes these for addresses.
        let refused = answer.starts_with("HTTP/1.1 403 ") || answer.contains("error=dns_error");
        assert!(refused, "{host}: {answer}");
    }
    let answer = proxy.say(get("127.0.0.1")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(heard.lock().unwrap().len(), 1);
}
