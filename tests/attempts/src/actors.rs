//! Parts that other programs play: a neighbour, daemons, a program that floods.

use std::io::Write as _;
use std::process::ExitCode;

use crate::call::call;
use crate::children::{self, sleep_forever};
use crate::errno::Errno;
use crate::words::Words;
use crate::{decoy, deny, files, memory, say, terminal};

/// A part, given its arguments.
type Actor = fn(&Words) -> ExitCode;

const ACTORS: &[(&str, Actor)] = &[
    ("decoy", decoy::decoy),
    ("terminal", terminal::terminal),
    ("deny", deny::deny),
    ("daemons", daemons),
    ("flood", flood),
    ("spin", spin),
    ("say-codes", say_codes),
    ("handle-of", handle_of),
    ("mounts", mounts),
    ("effective-user", effective_user),
    ("executed", |_| ExitCode::from(memory::EXECUTED)),
];

/// The part of a name.
pub(crate) fn find(name: &str) -> Option<Actor> {
    ACTORS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, actor)| *actor)
}

/// `daemons COUNT HOW leave|stay MARKER`: starts processes that have left their parent and their session, says `ready`,
/// and ends or stays. HOW is `plain`, `deaf` to signals, or `stopped`; all of them hold standard output.
fn daemons(words: &Words) -> ExitCode {
    let (Ok(count), Ok(how), Ok(end)) = (words.number(0), words.text(1), words.text(2)) else {
        return ExitCode::from(2);
    };
    let started = (0..count).try_for_each(|_| start_daemon(how));
    if let Err(errno) = started {
        say(&format!("cannot start daemons: {errno}\n"));
        return ExitCode::from(2);
    }
    say("ready\n");
    if end == "stay" {
        sleep_forever();
    }
    ExitCode::SUCCESS
}

fn start_daemon(how: &str) -> Result<(), Errno> {
    let between = children::spawn(|| {
        let made = call!(libc::SYS_setsid).and_then(|_| {
            children::spawn(|| {
                match how {
                    "deaf" => ignore_signals(),
                    "stopped" => {
                        // It goes on below if somebody lets it.
                        let _ = call!(libc::SYS_kill, std::process::id(), libc::SIGSTOP);
                    }
                    _ => {}
                }
                sleep_forever()
            })
        });
        u8::from(made.is_err())
    })?;
    match between.wait()? {
        children::End::Code(0) => Ok(()),
        _ => Err(Errno(libc::EAGAIN)),
    }
}

fn ignore_signals() {
    for signal in 1..32 {
        #[expect(unsafe_code, reason = "std has no way to ignore a signal")]
        // SAFETY: to ignore a signal changes nothing but that; where it cannot be ignored the call fails.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// `flood BYTES`: writes zeros, until nobody takes them any more.
fn flood(words: &Words) -> ExitCode {
    let Ok(count) = words.number(0) else {
        return ExitCode::from(2);
    };
    let chunk = vec![b'0'; 1 << 20];
    let mut output = std::io::stdout().lock();
    for _ in 0..(count >> 20) {
        if output.write_all(&chunk).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// `spin`: computes for ever.
fn spin(_: &Words) -> ExitCode {
    let mut sum = 0_u64;
    loop {
        sum = std::hint::black_box(sum.wrapping_add(1));
    }
}

/// `say-codes`: writes what changes the title, the colours and the clipboard of a terminal.
fn say_codes(_: &Words) -> ExitCode {
    say("plain \u{1b}]0;title\u{7} \u{1b}[31mred\u{1b}[0m \u{1b}]52;c;ZXZpbA==\u{7} \u{9b}2J \u{8} end\n");
    ExitCode::SUCCESS
}

/// `handle-of PATH`: the number of a file in its file system.
fn handle_of(words: &Words) -> ExitCode {
    match files::handle_of(words) {
        Ok(text) => {
            say(&format!("{text}\n"));
            ExitCode::SUCCESS
        }
        Err(stop) => {
            say(&format!("{stop}\n"));
            ExitCode::FAILURE
        }
    }
}

/// `mounts`: the mount namespace.
fn mounts(_: &Words) -> ExitCode {
    say(&crate::guard::own_mounts().map_or_else(String::new, |name| format!("{name}\n")));
    ExitCode::SUCCESS
}

/// `effective-user`: whose rights this process has.
fn effective_user(_: &Words) -> ExitCode {
    let user = call!(libc::SYS_geteuid).unwrap_or(-1);
    say(&format!("{user}\n"));
    ExitCode::SUCCESS
}
