//! A server to reach, and running without any network or with mounts of one's own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::skipped;

/// Starts a server on the loopback that answers a line with `got` and the line, and gives its port. It ends with the test.
pub fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
    let port = listener.local_addr().expect("a listener has an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).is_ok() {
                // A client that goes away is no matter of the server.
                drop(writeln!(stream, "got {}", line.trim()));
            }
        }
    });
    port
}

/// The words to put before a command so that it has no network, not even a loopback; nothing, and a word on why, where
/// that is not permitted (`unshare(1)`).
#[must_use]
pub fn without_network() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["unshare", "-n", "--"], &["unshare", "-r", "-n", "--"]];
    let way = WAYS.into_iter().find(|way| works(way, &["true"]));
    if way.is_none() {
        skipped("without a network: this user may not make a network namespace");
    }
    way
}

/// The words to put before a command so that it can mount file systems that nobody else sees; nothing, and a word on
/// why, where that is not permitted.
#[must_use]
pub fn with_own_mounts() -> Option<&'static [&'static str]> {
    const WAY: &[&str] = &["unshare", "-m", "--"];
    if works(WAY, &["mount", "-t", "tmpfs", "tmpfs", "/mnt"]) {
        return Some(WAY);
    }
    skipped("mounts of its own: this user may not make a mount namespace");
    None
}

/// Whether a command that is put together from two parts can be run and succeeds.
#[must_use]
pub fn works(way: &[&str], probe: &[&str]) -> bool {
    let Some((program, arguments)) = way.split_first() else {
        return false;
    };
    Command::new(program)
        .args(arguments)
        .args(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
