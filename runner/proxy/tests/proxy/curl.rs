//! A program that was not written for this.

use std::sync::Arc;

use tokio::process::Command;
use wrun_proxy::variables;

use crate::support::{Proxy, World, listed, web};

async fn curl(proxy: &Proxy, arguments: &[&str]) -> Option<(bool, String, String)> {
    let started = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--dump-header",
            "-",
        ])
        .args(arguments)
        .env_clear()
        .envs(variables(proxy.address.port()))
        .output()
        .await;
    let Ok(output) = started else {
        println!("skipped: there is no curl here");
        return None;
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some((output.status.success(), text(output.stdout), text(output.stderr)))
}

#[tokio::test]
async fn curl_finds_its_way_by_the_variables() {
    let world = Arc::new(World::default());
    let (address, _) = web(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    world.host("example.org", 80, address);
    let proxy = Proxy::start(listed(&["example.org:80"]), &world);
    let socks = format!("socks5h://127.0.0.1:{}", proxy.address.port());
    for arguments in [
        vec!["http://example.org/"],
        vec!["--proxytunnel", "http://example.org/"],
        vec!["--proxy", &socks, "http://example.org/"],
        // The second by a connection of its own, as the first one's is closed.
        vec!["http://example.org/1", "http://example.org/2"],
    ] {
        let Some((success, output, errors)) = curl(&proxy, &arguments).await else {
            return;
        };
        assert!(
            success && output.contains("hello"),
            "{arguments:?}: {output} {errors}"
        );
    }
    let Some((_, output, _)) = curl(&proxy, &["http://example.com/"]).await else {
        return;
    };
    assert!(output.contains("net = [\"example.com:80\"]"), "{output}");
    let Some((success, output, errors)) = curl(&proxy, &["https://example.com/"]).await else {
        return;
    };
    assert!(!success && errors.contains("403"), "{output} {errors}");
    assert!(output.contains("net = [\"example.com:443\"]"), "{output}");
}
