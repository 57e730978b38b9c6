//! `wrun-attempts NAME [ARGUMENT…]`: makes one attempt at something that a sandboxed program may not do, and says on one
//! line of JSON what came of it.
//!
//! `verdict` is `open` if it worked, `blocked` if it was refused, and `unavailable` if this machine has nothing to try it
//! on. `errno` is the name of the error or signal, `detail` says which step it was. The exit code is 0 whenever there is
//! a verdict. `batch FILE` makes a list of attempts, each in a process of its own.
//!
//! An attempt does no harm where it is not refused: files are opened to write and not written, calls are made with what
//! is in force already or with what the kernel rejects after its check of rights, and what changes a process ends with
//! it. What would change mounts is not tried outside of a mount namespace made for it ([`guard`]).
//!
//! Beside attempts there are the parts that other programs play in the tests ([`actors`]).

mod actors;
mod batch;
mod call;
mod children;
mod decoy;
mod deny;
mod descriptor;
mod devices;
mod environment;
mod errno;
mod files;
mod foreign;
mod guard;
mod ipc;
mod kernel;
mod keys;
mod links;
mod memory;
mod metadata;
mod modes;
mod mounts;
mod namespaces;
mod network;
mod others;
mod privileges;
mod proc;
mod processes;
mod proxy;
mod report;
mod resources;
mod terminal;
mod verdict;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use report::Report;
use verdict::Verdict;
use words::Words;

/// Something to try.
struct Attempt {
    /// What it is called.
    name: &'static str,
    /// Its arguments.
    usage: &'static str,
    /// Tries it.
    run: fn(&Words) -> Verdict,
}

/// What can be tried, by topic.
const TOPICS: &[&[Attempt]] = &[
    files::ATTEMPTS,
    links::ATTEMPTS,
    metadata::ATTEMPTS,
    modes::ATTEMPTS,
    devices::ATTEMPTS,
    proc::ATTEMPTS,
    others::ATTEMPTS,
    processes::ATTEMPTS,
    privileges::ATTEMPTS,
    mounts::ATTEMPTS,
    namespaces::ATTEMPTS,
    kernel::ATTEMPTS,
    keys::ATTEMPTS,
    foreign::ATTEMPTS,
    terminal::ATTEMPTS,
    ipc::ATTEMPTS,
    network::ATTEMPTS,
    proxy::ATTEMPTS,
    memory::ATTEMPTS,
    resources::ATTEMPTS,
    environment::ATTEMPTS,
];

/// The attempt of a name.
fn attempt(name: &str) -> Option<&'static Attempt> {
    TOPICS
        .iter()
        .flat_map(|topic| topic.iter())
        .find(|attempt| attempt.name == name)
}

fn main() -> ExitCode {
    environment::remember();
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let Some((name, rest)) = words.split_first() else {
        return usage();
    };
    if let Some(actor) = actors::find(name) {
        return actor(&Words::new(rest.to_vec()));
    }
    if name == "batch" {
        return rest.first().map_or_else(usage, |path| batch::batch(path));
    }
    if attempt(name).is_none() {
        return usage();
    }
    let report = Report::of(None, &words);
    say(&report.line());
    ExitCode::from(report.exit_code())
}

fn usage() -> ExitCode {
    say("usage: wrun-attempts NAME [ARGUMENT…] | batch FILE, where NAME is one of\n");
    for attempt in TOPICS.iter().flat_map(|topic| topic.iter()) {
        say(&format!("  {} {}\n", attempt.name, attempt.usage));
    }
    ExitCode::from(2)
}

/// Writes to standard output. Where nobody listens any more there is nobody to tell.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    drop(output.write_all(text.as_bytes()));
    drop(output.flush());
}
