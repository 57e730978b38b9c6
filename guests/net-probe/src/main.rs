//! `net-probe COMMAND ARGUMENT`: tries the network through WASI 0.2 sockets.
//!
//! What worked is on stdout. What did not is one line on stderr, `net-probe: STEP: REASON`, with exit code 1,
//! where REASON is the name that WASI has for the error, as in `net-probe: connect: access-denied`.

mod failure;
mod socket;

use std::env;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;

use wasi::clocks::monotonic_clock;
use wasi::io::poll;
use wasi::sockets::network::ErrorCode;
use wasi::sockets::udp::OutgoingDatagram;

use crate::failure::{During, Failure};

const USAGE: &str = "\
usage: net-probe COMMAND
  resolve HOST        print the addresses of a name
  connect HOST:PORT   send `ping` through TCP and print the line that comes back
  udp HOST:PORT       send `ping` as a datagram and print the one that comes back
  batch               connect to every HOST:PORT on stdin, one a line; each ends with a line that is `ok` or says why not
  listen PORT         take one TCP connection on the loopback, print the line it sends, answer `pong`";

/// A datagram may get lost, so nobody waits longer than this for an answer to one.
const DATAGRAM_PATIENCE_NS: u64 = 5_000_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match *words {
        ["resolve", host] => resolve(host),
        ["connect", address] => connect(address),
        ["udp", address] => udp(address),
        ["listen", port] => listen(port),
        ["batch"] => batch(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("net-probe: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn resolve(host: &str) -> Result<(), Failure> {
    for address in socket::resolve(host)? {
        println!("{address}");
    }
    Ok(())
}

fn connect(address: &str) -> Result<(), Failure> {
    let mut connection = socket::first_that_works(address, socket::connect)?;
    connection
        .output
        .blocking_write_and_flush(b"ping\n")
        .during("send")?;
    let mut line = String::new();
    BufReader::new(&mut connection.input)
        .read_line(&mut line)
        .during("receive")?;
    println!("{}", line.trim_end());
    Ok(())
}

/// Connects to the addresses on stdin, whatever becomes of each.
fn batch() -> Result<(), Failure> {
    for address in std::io::stdin().lines() {
        if let Err(failure) = connect(&address.during("read")?) {
            println!("{failure}");
        } else {
            println!("ok");
        }
    }
    Ok(())
}

fn udp(address: &str) -> Result<(), Failure> {
    let flow = socket::first_that_works(address, socket::open_datagrams)?;

    flow.output.subscribe().block();
    flow.output.check_send().during("send")?;
    let ping = OutgoingDatagram {
        data: b"ping".to_vec(),
        remote_address: None,
    };
    flow.output.send(&[ping]).during("send")?;

    let answered = flow.input.subscribe();
    let patience = monotonic_clock::subscribe_duration(DATAGRAM_PATIENCE_NS);
    poll::poll(&[&answered, &patience]);
    match flow.input.receive(1).during("receive")?.first() {
        Some(datagram) => println!("{}", String::from_utf8_lossy(&datagram.data).trim_end()),
        None => return Err(ErrorCode::Timeout).during("receive"),
    }
    Ok(())
}

fn listen(port: &str) -> Result<(), Failure> {
    let port = port.parse().during("listen")?;
    let listener = socket::listen(port)?;
    println!("listening on {}", socket::local_address(&listener)?);
    let mut connection = socket::accept(&listener)?;
    let mut line = String::new();
    BufReader::new(&mut connection.input)
        .read_line(&mut line)
        .during("receive")?;
    println!("{}", line.trim_end());
    connection
        .output
        .blocking_write_and_flush(b"pong\n")
        .during("send")
}
