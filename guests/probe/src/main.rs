//! `probe COMMAND [ARGUMENT…]`: tries one thing that a guest may or may not be allowed to do.
//!
//! What worked is on stdout. What did not is one line on stderr, `probe: KIND: message`, where KIND is the name
//! of the [`io::ErrorKind`], with exit code 1. A command line that is not understood has exit code 2.

mod files;
mod strain;

use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

const USAGE: &str = "\
usage: probe COMMAND
  what it was given  env | args | stdin | clock | random
  output             stderr TEXT | flood BYTES
  files              cat PATH | ls PATH | write PATH TEXT | truncate PATH | rm PATH | mkdir PATH
                     rename FROM TO | link FROM TO | symlink TARGET PATH
  ends               exit CODE | panic | recurse | spin | sleep MILLISECONDS
  memory             alloc BYTES | alloc-grow
  many               batch (commands from stdin, one a line, words separated by tabs; each ends with a line that is
                     `ok` or the KIND of its error)";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("probe: {:?}: {error}", kind(&error));
            ExitCode::FAILURE
        }
    }
}

/// The kind of an error. A path under none of the granted folders is not found, as newer versions of the C library
/// of WASI have it; older ones call it "not capable", for which std has no kind.
fn kind(error: &io::Error) -> ErrorKind {
    match error.raw_os_error() {
        Some(libc::ENOTCAPABLE) => ErrorKind::NotFound,
        _ => error.kind(),
    }
}

/// Runs one command and says how the program ends.
fn run(words: &[&str]) -> io::Result<ExitCode> {
    match *words {
        ["env"] => print_variables(),
        ["args", ..] => print_arguments(),
        ["stdin"] => drop(io::copy(&mut io::stdin().lock(), &mut io::stdout().lock())?),
        ["clock"] => print_clocks()?,
        ["random"] => print_random()?,
        ["stderr", text] => eprintln!("{text}"),
        ["flood", bytes] => strain::flood(number(bytes)?)?,
        ["cat", path] => files::cat(path)?,
        ["ls", path] => files::list(path)?,
        ["write", path, text] => files::write(path, text)?,
        ["truncate", path] => files::truncate(path)?,
        ["rm", path] => files::remove(path)?,
        ["mkdir", path] => files::make_folder(path)?,
        ["rename", from, to] => files::rename(from, to)?,
        ["link", from, to] => files::link(from, to)?,
        ["symlink", target, path] => files::symlink(target, path)?,
        ["exit", code] => return Ok(ExitCode::from(number::<u8>(code)?)),
        ["panic"] => panic!("asked to panic"),
        ["recurse"] => strain::recurse(),
        ["spin"] => strain::spin(),
        ["sleep", milliseconds] => thread::sleep(Duration::from_millis(number(milliseconds)?)),
        ["alloc", bytes] => strain::allocate(number(bytes)?)?,
        ["alloc-grow"] => strain::grow()?,
        ["batch"] => batch()?,
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the commands on stdin, whatever becomes of each.
fn batch() -> io::Result<()> {
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        match run(&words) {
            Ok(_) => println!("ok"),
            Err(error) => println!("{:?}", kind(&error)),
        }
    }
    Ok(())
}

fn number<T: FromStr>(word: &str) -> io::Result<T> {
    word.parse().map_err(|_| {
        io::Error::new(
            ErrorKind::InvalidInput,
            format!("`{word}` is not a number that fits"),
        )
    })
}

fn print_variables() {
    let mut variables: Vec<_> = env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("{name}={value}");
    }
}

fn print_arguments() {
    for argument in env::args() {
        println!("{argument}");
    }
}

fn print_clocks() -> io::Result<()> {
    let start = Instant::now();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(io::Error::other)?;
    println!("realtime {} ms", now.as_millis());
    println!("monotonic {} ns", start.elapsed().as_nanos());
    Ok(())
}

fn print_random() -> io::Result<()> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    println!("{:032x}", u128::from_be_bytes(bytes));
    Ok(())
}
