//! How the end of a guest becomes an outcome.

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wrun_core::grants::Limits;
use wrun_core::outcome::Outcome;

use super::stop::Stop;

/// The most frames of a backtrace that are kept.
pub(super) const FRAMES: usize = 32;

/// The outcome of a guest that came to its end or was ended from within. `exceeded` is its memory limit if it asked
/// for more at some time: a failure is then put down to that, while a guest that coped and returned 0 has succeeded.
pub(super) fn outcome(end: Result<i32, wasmtime::Error>, limits: &Limits, exceeded: Option<u64>) -> Outcome {
    let end = end.or_else(|error| match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(code)) => Ok(*code),
        None => Err(error),
    });
    let error = match end {
        Ok(0) => return Outcome::Exited { code: 0 },
        Ok(code) => return exceeded.map_or(Outcome::Exited { code }, |limit| Outcome::OutOfMemory { limit }),
        Err(error) => error,
    };
    match error.downcast_ref::<Stop>() {
        Some(Stop::TimedOut) => Outcome::TimedOut {
            limit: limits.time.unwrap_or_default(),
        },
        Some(Stop::Cancelled) => Outcome::Cancelled,
        Some(Stop::OutputLimit) => Outcome::OutputLimit {
            limit: limits.output.unwrap_or_default(),
        },
        None => exceeded.map_or_else(|| trapped(&error), |limit| Outcome::OutOfMemory { limit }),
    }
}

/// Whether an error is the guest's own end, rather than the engine's failure to set it up.
pub(super) fn is_the_guests(error: &wasmtime::Error) -> bool {
    error.is::<Trap>() || error.is::<I32Exit>() || error.is::<Stop>() || error.is::<WasmBacktrace>()
}

fn trapped(error: &wasmtime::Error) -> Outcome {
    let message = error.root_cause().to_string();
    let message = message.strip_prefix("wasm trap: ").unwrap_or(&message).to_owned();
    let backtrace = error
        .downcast_ref::<WasmBacktrace>()
        .map_or_else(Vec::new, |trace| frames(&trace.to_string()));
    Outcome::Trapped { message, backtrace }
}

/// The frames of a backtrace as `module!function`. The engine demangles names only where it prints the whole trace,
/// one frame to a line: `  0:   0x1f - module!function`.
fn frames(trace: &str) -> Vec<String> {
    trace.lines().filter_map(frame).take(FRAMES).collect()
}

fn frame(line: &str) -> Option<String> {
    let (number, rest) = line.trim_start().split_once(": ")?;
    number.parse::<usize>().ok()?;
    let name = rest
        .split_once(" - ")
        .filter(|(offset, _)| offset.trim_start().starts_with("0x"));
    let name = name.map_or(rest, |(_, name)| name).trim();
    let name: String = without_hashes(name)
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    Some(name)
}

/// A Rust name without the hashes that its mangling carries: `core::fmt::write::h0123456789abcdef` in the older form,
/// `std[0123456789abcdef]::process::abort` in the newer one (RFC 2603).
fn without_hashes(name: &str) -> String {
    let name = name
        .rsplit_once("::h")
        .filter(|(_, hash)| is_hash(hash))
        .map_or(name, |(path, _)| path);
    let mut parts = name.split('[');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((hash, rest)) if is_hash(hash) => text.push_str(rest),
            _ => {
                text.push('[');
                text.push_str(part);
            }
        }
    }
    text
}

/// Whether this is a 64-bit hash in hexadecimal; one in 65,536 has fewer than 13 digits where zeros are left out.
fn is_hash(text: &str) -> bool {
    (13..=16).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        time: None,
        memory: None,
        processes: None,
        cpu: None,
        output: Some(7),
        file_size: None,
        scratch: None,
    };

    #[test]
    fn exit_codes_are_exact() {
        for code in [0, 1, 126, 255, 256, -1] {
            let expected = Outcome::Exited { code };
            assert_eq!(outcome(Err(I32Exit(code).into()), &LIMITS, None), expected);
            assert_eq!(outcome(Ok(code), &LIMITS, None), expected);
        }
    }

    #[test]
    fn a_failure_after_a_refused_growth_is_out_of_memory() {
        let exceeded = Some(64);
        let out_of_memory = Outcome::OutOfMemory { limit: 64 };
        assert_eq!(outcome(Ok(0), &LIMITS, exceeded), Outcome::Exited { code: 0 });
        assert_eq!(outcome(Ok(3), &LIMITS, exceeded), out_of_memory);
        assert_eq!(
            outcome(Err(Trap::UnreachableCodeReached.into()), &LIMITS, exceeded),
            out_of_memory
        );
        assert_eq!(
            outcome(Err(Stop::OutputLimit.into()), &LIMITS, exceeded),
            Outcome::OutputLimit { limit: 7 }
        );
    }

    #[test]
    fn hashes_are_left_out_and_nothing_else() {
        for (name, expected) in [
            ("std[a88812da5ee6ad9e]::process::abort", "std::process::abort"),
            (
                "<[u8] as core[88812da5ee6ad9e]::fmt::Debug>::fmt",
                "<[u8] as core::fmt::Debug>::fmt",
            ),
            ("core::fmt::write::h0123456789abcdef", "core::fmt::write"),
            ("a::h1", "a::h1"),
            ("<[f32; 4]>::f", "<[f32; 4]>::f"),
            ("[", "["),
            ("", ""),
        ] {
            assert_eq!(without_hashes(name), expected);
        }
    }

    #[test]
    fn frames_are_read_from_the_printed_trace() {
        let trace = "error while executing at wasm backtrace:\n    0:     0x1f - guest!core::panicking::panic::\
                     h0123456789abcdef\n    1: <unknown>!<wasm function 3>\n   10: 0x1234567 - guest!a - b\u{1b}[m\n\
                     injected\nnote: more";
        assert_eq!(
            frames(trace),
            [
                "guest!core::panicking::panic",
                "<unknown>!<wasm function 3>",
                "guest!a - b[m"
            ]
        );
    }
}
