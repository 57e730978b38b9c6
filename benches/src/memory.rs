//! Peak memory of `wrun` itself while a native task runs.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::world::{Result, World, say};

pub(crate) fn measure(world: &World) -> Result<()> {
    let task = world.write(
        "memory.toml",
        "[run]\ncommand = [\"python\", \"-u\", \"-c\", \"print('running'); import sys; sys.stdin.read()\"]\n[env.uv]\npackages = []\n",
    )?;
    world.prefix(&world.write(
        "memory-build.toml",
        "[run]\ncommand = [\"python\", \"-c\", \"pass\"]\n[env.uv]\npackages = []\n",
    )?)?;
    let mut child = world
        .wrun(&["--quiet", "submit"])
        .arg(&task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let peak = peak_kilobytes(child.id())?;
    drop(child.stdin.take());
    child.wait()?;
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of memory")]
    let megabytes = peak as f64 / 1024.0;
    say(&format!(
        "peak resident memory of wrun while a native task runs: {megabytes:.1} MiB"
    ));
    say("goal: under 30 MB");
    Ok(())
}

/// `VmHWM` of a process; see `proc_pid_status(5)`.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel's file about a process lies outside of any store"
)]
fn peak_kilobytes(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .ok_or("the kernel does not tell the peak")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
