//! Compilation in a process of its own, which can be bounded and killed: a guest may be made to take a compiler's time
//! and memory, or to bring it down.
//!
//! The process is the sandbox's helper with the job [`COMPILE`]. It gets the guest in sealed memory, and memory to write the
//! compiled code to; it has no file, no network and no variable. What it wrote is taken once it is gone.
#![expect(
    clippy::disallowed_types,
    reason = "the files here are memory, not of any file system"
)]

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio_util::sync::CancellationToken;
use wrun_core::grants::Limits;
use wrun_core::sandbox::Demand;
use wrun_process::{CaptureLimits, Captured, Command, Out, Stdin, capture, signal_name};
use wrun_sandbox::{Confinement, Helper, Job, Start, start_job};

use super::engine::{Allocation, Flavour};
use super::error::WasiError;
use super::kind::GuestKind;

/// The helper's job of compiling a guest.
pub(crate) const COMPILE: Job = Job {
    name: "compile",
    work,
};

/// What the compilation of one guest may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// How long it may take.
    pub time: Duration,
    /// Bytes of memory.
    pub memory: u64,
}

impl Default for CompileLimits {
    /// Five minutes and 4 GiB.
    fn default() -> Self {
        Self {
            time: Duration::from_mins(5),
            memory: 4 << 30,
        }
    }
}

/// Bytes at the end of what the compiler says that are kept.
const SAID: usize = 16 * 1024;

/// Exit codes of the job, beside 0.
const INVALID: i32 = 2;
const OTHER_ENGINE: i32 = 3;
const NOT_SET_UP: i32 = 4;

/// What Rust's allocator says before it aborts.
const OUT_OF_MEMORY: &str = "memory allocation of";

/// Compiles a guest in a process of its own.
///
/// # Errors
/// The guest is not valid, its compilation takes too much, or the compiler failed.
pub(super) async fn compile(
    helper: &Helper,
    limits: CompileLimits,
    flavour: &Flavour,
    bytes: &[u8],
) -> Result<Vec<u8>, WasiError> {
    let (guest, mut code) = memories(bytes).map_err(|error| failed(&error))?;
    let written = code.try_clone().map_err(|error| failed(&error))?;
    let command = Command {
        args: vec![limits.memory.to_string().into(), flavour.fingerprint().into()],
        cwd: "/".into(),
        stdin: Stdin::Null,
        stdout: Out::Null,
        stderr: Out::Piped,
        inherit: vec![guest.into(), written.into()],
        die_with_parent: true,
        ..Command::default()
    };
    let confinement = Confinement {
        helper: Some(helper.clone()),
        // What it is made of is held to little in every tier; the bounds that count do not depend on it.
        demand: Demand::BestEffort,
        limits: Limits {
            memory: Some(limits.memory),
            file_size: Some(limits.memory),
            ..Limits::default()
        },
        ..Confinement::none()
    };
    let end = run(&confinement, command, limits).await?;
    end.result(limits)?;
    let mut compiled = Vec::new();
    code.rewind()
        .and_then(|()| code.read_to_end(&mut compiled))
        .map_err(|error| failed(&error))?;
    Ok(compiled)
}

/// The guest in memory that cannot be changed, and memory for its code.
fn memories(bytes: &[u8]) -> std::io::Result<(File, File)> {
    let guest = memfd_create("wrun-guest", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut guest = File::from(guest);
    guest.write_all(bytes)?;
    guest.rewind()?;
    fcntl_add_seals(
        &guest,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok((guest, memfd_create("wrun-code", MemfdFlags::CLOEXEC)?.into()))
}

/// How the compiler ended.
struct End {
    captured: Captured,
    out_of_memory: bool,
}

async fn run(confinement: &Confinement, command: Command, limits: CompileLimits) -> Result<End, WasiError> {
    let exceeded = CancellationToken::new();
    let mut confined = match start_job(confinement, COMPILE.name, command, &exceeded).await {
        Ok(Start::Running(confined)) => confined,
        Ok(Start::Refused(refusal)) => return Err(failed(&refusal.reason)),
        Ok(Start::Cancelled) => return Err(failed(&"it was not started")),
        Err(error) => return Err(failed(&error)),
    };
    let _watched = confined.watch_memory(&exceeded).map_err(|error| failed(&error))?;
    let bounds = CaptureLimits {
        stdout_max: 0,
        stderr_tail_max: SAID,
        timeout: limits.time,
    };
    let captured = capture(&mut confined.tree, bounds, &exceeded, &mut |_, _| {})
        .await
        .map_err(|error| failed(&error))?;
    let conclusion = confined.conclude(captured.status);
    let said = captured.stderr_text();
    Ok(End {
        out_of_memory: exceeded.is_cancelled() || conclusion.out_of_memory || said.contains(OUT_OF_MEMORY),
        captured: captured.ended_with(conclusion.status),
    })
}

impl End {
    fn result(self, limits: CompileLimits) -> Result<(), WasiError> {
        let Self {
            captured,
            out_of_memory,
        } = self;
        let said = captured.stderr_text().trim().to_owned();
        if captured.timed_out {
            return Err(WasiError::CompileTime { limit: limits.time });
        }
        match (captured.exit, captured.signal) {
            (Some(0), _) => Ok(()),
            (Some(INVALID), _) => Err(WasiError::Invalid { reason: said }),
            _ if out_of_memory => Err(WasiError::CompileMemory { limit: limits.memory }),
            (Some(OTHER_ENGINE | NOT_SET_UP), _) => Err(WasiError::Compiler { reason: said }),
            (Some(code), _) => Err(WasiError::Compiler {
                reason: with(format!("it ended with exit code {code}"), &said),
            }),
            (None, signal) => {
                let signal = signal.map_or_else(|| "a signal".to_owned(), signal_name);
                Err(WasiError::Compiler {
                    reason: with(format!("it was ended by {signal}"), &said),
                })
            }
        }
    }
}

fn with(reason: String, said: &str) -> String {
    if said.is_empty() {
        reason
    } else {
        format!("{reason}: {said}")
    }
}

fn failed(error: &dyn fmt::Display) -> WasiError {
    WasiError::Compiler {
        reason: error.to_string(),
    }
}

/// The job: in a process of its own, with the bytes of memory and the engine's fingerprint, and with descriptors of the
/// guest and of the code.
fn work(arguments: &[OsString], descriptors: Vec<OwnedFd>) -> i32 {
    match job(arguments, descriptors) {
        Ok(()) => 0,
        Err((code, reason)) => {
            // Nobody may be there to hear it; the exit code says what counts.
            drop(writeln!(std::io::stderr(), "{reason}"));
            code
        }
    }
}

fn job(arguments: &[OsString], descriptors: Vec<OwnedFd>) -> Result<(), (i32, String)> {
    let set_up = |reason: &dyn fmt::Display| (NOT_SET_UP, reason.to_string());
    let (mut guest, mut code, memory, fingerprint) = understand(arguments, descriptors)
        .ok_or((NOT_SET_UP, "its arguments are not understood".to_owned()))?;
    // Whatever else holds it: what has no memory left ends.
    let limit = Rlimit {
        current: Some(memory),
        maximum: Some(memory),
    };
    setrlimit(Resource::Data, limit).map_err(|error| set_up(&error))?;
    let mut bytes = Vec::new();
    guest.read_to_end(&mut bytes).map_err(|error| set_up(&error))?;
    let kind = GuestKind::of(&bytes).map_err(|error| (INVALID, error.to_string()))?;
    let engine = [Allocation::OnDemand, Allocation::Pool]
        .into_iter()
        .find_map(|allocation| Flavour::compiling(allocation, &fingerprint).transpose())
        .ok_or((
            OTHER_ENGINE,
            "the helper's engine is another than that of the program: let it be of the same version"
                .to_owned(),
        ))?
        .map_err(|error| set_up(&format!("{error:#}")))?;
    let compiled = match kind {
        GuestKind::Module => engine.precompile_module(&bytes),
        GuestKind::Component => engine.precompile_component(&bytes),
    };
    let compiled = compiled.map_err(|error| (INVALID, format!("{error:#}")))?;
    code.write_all(&compiled).map_err(|error| set_up(&error))
}

fn understand(arguments: &[OsString], descriptors: Vec<OwnedFd>) -> Option<(File, File, u64, String)> {
    let [memory, fingerprint] = arguments else {
        return None;
    };
    let [guest, code]: [OwnedFd; 2] = descriptors.try_into().ok()?;
    Some((
        guest.into(),
        code.into(),
        memory.to_str()?.parse().ok()?,
        fingerprint.to_str()?.to_owned(),
    ))
}
