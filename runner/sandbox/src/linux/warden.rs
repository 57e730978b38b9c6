//! The process that stays behind: passes signals on, takes in orphans, says how the program ended and ends the rest.

use std::time::{Duration, Instant};

use rustix::fs::statvfs;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, wait};

use crate::channel::Channel;
use crate::message::Message;
use crate::policy::{Entry, Policy};
use wrun_core::sandbox::Tier;

use super::process::{exit, next_signal};

/// The signal that tells of the end of the one who started the helper; nothing else sends it.
pub(super) const PARENT_ENDED: Signal = Signal::POWER;

/// How long what is left gets to end by itself after the program did.
const GRACE: Duration = Duration::from_secs(1);

/// How long nothing ends before what is left is looked for again.
const PROGRESS: Duration = Duration::from_millis(5);

/// How long it is waited for those that end.
const ENDING: Duration = Duration::from_millis(100);

/// How often what does not die is killed again.
const KILL_ROUNDS: usize = 1000;

/// Waits for the program to end, then ends everything else in the sandbox, and this process.
pub(super) fn watch(program: Pid, policy: &Policy, channel: &Channel) -> ! {
    let warden = Warden {
        program,
        own: policy.tier == Tier::Full,
        channel,
        has_terminal: policy.terminal.is_some(),
    };
    let status = loop {
        if let Some(status) = warden.reap() {
            break status;
        }
        if let Some(number) = next_signal(None) {
            warden.pass_on(number);
        }
    };
    let ended = Message::Ended {
        status: status.as_raw(),
        full: policy.tier == Tier::Full && temporary_is_full(policy),
    };
    // Nobody may be listening any more; the rest is to be ended all the same.
    drop(channel.send(&ended, None));
    warden.end_rest();
    exit(0)
}

struct Warden<'a> {
    program: Pid,
    channel: &'a Channel,
    /// Whether the program can be stopped from a keyboard, of which the one who shows the terminal has to hear.
    has_terminal: bool,
    /// Whether everything that this process can signal belongs to the sandbox: it is the first of its namespace.
    own: bool,
}

impl Warden<'_> {
    /// Takes in what ended; the status of the program, once.
    fn reap(&self) -> Option<WaitStatus> {
        let mut ended = None;
        let mut options = WaitOptions::NOHANG;
        options.set(WaitOptions::UNTRACED, self.has_terminal);
        while let Ok(Some((pid, status))) = wait(options) {
            if pid != self.program {
                continue;
            }
            if status.stopped() {
                // Nobody may be listening any more.
                drop(self.channel.send(&Message::Stopped, None));
            } else {
                ended = Some(status);
            }
        }
        ended
    }

    fn pass_on(&self, number: i32) {
        let Some(signal) = Signal::from_named_raw(number) else {
            return;
        };
        match signal {
            Signal::CHILD => {}
            PARENT_ENDED => {
                self.kill();
                exit(0);
            }
            Signal::TERM | Signal::CONT => self.signal_all(signal),
            // As a terminal does; a group that is gone needs no signal.
            _ => {
                kill_process_group(self.program, signal).ok();
            }
        }
    }

    fn signal_all(&self, signal: Signal) {
        if self.own {
            everything_but_this(signal);
        } else {
            for process in descendants() {
                // One that ended in between needs none.
                kill_process(process, signal).ok();
            }
        }
    }

    /// Asks what is left to end, waits for it a moment, and ends it.
    fn end_rest(&self) {
        self.signal_all(Signal::TERM);
        let deadline = Instant::now() + GRACE;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return self.kill();
                    }
                    if let Some(number) = next_signal(Some(timespec(left)))
                        && Signal::from_named_raw(number) == Some(PARENT_ENDED)
                    {
                        return self.kill();
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Ends everything at once. The end of the first process of a namespace does that by itself.
    fn kill(&self) {
        if self.own {
            return;
        }
        for round in 0..KILL_ROUNDS {
            let mut found = descendants();
            // Those that start new ones faster than they are found are stopped first: what is stopped starts nothing. To
            // wake all of them for that would take time that the rest does not need.
            if round > 0 {
                for process in &found {
                    kill_process(*process, Signal::STOP).ok();
                }
                found = descendants();
            }
            for process in &found {
                kill_process(*process, Signal::KILL).ok();
            }
            if found.is_empty() || none_is_left() {
                return;
            }
        }
    }
}

/// Takes in what was killed for as long as more of it ends, and says whether that was all. To look for what is left meanwhile
/// would take the time of a processor from those that end.
fn none_is_left() -> bool {
    // What was not found may go on starting processes that end.
    let deadline = Instant::now() + ENDING;
    while Instant::now() < deadline {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => match next_signal(Some(timespec(PROGRESS))) {
                Some(number) if Signal::from_named_raw(number) == Some(Signal::CHILD) => {}
                _ => return false,
            },
            Err(_) => return true,
        }
    }
    false
}

#[expect(unsafe_code, reason = "rustix has no kill of every process")]
fn everything_but_this(signal: Signal) {
    // SAFETY: `kill` has no preconditions; -1 means every process that this one may signal, which in a namespace of
    // its own, as its first process, is everything in the sandbox and nothing else (`kill(2)`).
    unsafe {
        libc::kill(-1, signal.as_raw());
    }
}

/// Everything that this process started, and what that started.
fn descendants() -> Vec<Pid> {
    let mut found = children(getpid());
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        next += 1;
        for child in children(process) {
            if !found.contains(&child) {
                found.push(child);
            }
        }
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "processes are files of the kernel")]
fn children(process: Pid) -> Vec<Pid> {
    let number = process.as_raw_pid();
    let Ok(threads) = std::fs::read_dir(format!("/proc/{number}/task")) else {
        return Vec::new();
    };
    threads
        .filter_map(Result::ok)
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .filter_map(|number| number.parse().ok().and_then(Pid::from_raw))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a folder in memory has no room left.
fn temporary_is_full(policy: &Policy) -> bool {
    let own = policy.entries.iter().filter_map(|entry| match entry {
        Entry::Memory { at, .. } => Some(at.as_path()),
        _ => None,
    });
    let image = policy.image.as_ref().map(|_| std::path::Path::new("/"));
    own.chain(["/tmp", "/dev/shm"].map(std::path::Path::new))
        .chain(image)
        .any(|path| statvfs(path).is_ok_and(|space| space.f_blocks > 0 && space.f_bavail == 0))
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
