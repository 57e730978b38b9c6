//! A cold uv environment against plain `uv venv` and `uv pip install`, with the same cache state.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::stats::{Sample, measured_in_turn, timed};
use crate::world::{Result, World, output, remove, run, say};

const ROUNDS: usize = 11;
const PACKAGE: &str = "emoji==2.14.0";

pub(crate) fn measure(world: &World) -> Result<()> {
    let task = world.write(
        "cold.toml",
        format!("[run]\ncommand = [\"python\", \"-c\", \"pass\"]\n[env.uv]\npackages = [\"{PACKAGE}\"]\n"),
    )?;
    let prefix = world.prefix(&task)?;
    let python = output(
        Command::new(prefix.join("bin/python")).args(["-c", "import sys; print(sys._base_executable)"]),
    )?;
    let python = python.trim().to_owned();
    let uv = find_uv(world)?;
    for (state, warm_downloads) in [("downloads at hand", true), ("empty cache", false)] {
        let (bare, ours) = measured_in_turn(
            ROUNDS,
            || bare(world, &uv, &python, warm_downloads),
            || ours(world, &task, warm_downloads),
        )?;
        report(state, &bare, &ours);
    }
    say("goal: ratio at most 1.15");
    Ok(())
}

fn report(state: &str, bare: &Sample, ours: &Sample) {
    say(&format!("{state}:"));
    say(&format!(
        "  bare uv venv + uv pip install --compile-bytecode + python:  {}",
        bare.text()
    ));
    say(&format!(
        "  cold wrun submit:                                           {}",
        ours.text()
    ));
    say(&format!(
        "  ratio: {:.2}",
        ours.median().as_secs_f64() / bare.median().as_secs_f64()
    ));
}

/// The `uv` that `wrun` uses, so that both sides run the same.
fn find_uv(world: &World) -> Result<String> {
    let doctor = output(&mut world.wrun(&["doctor"]))?;
    let line = doctor
        .lines()
        .find(|line| line.starts_with("uv "))
        .ok_or("doctor names no uv")?;
    Ok(line
        .split_whitespace()
        .last()
        .ok_or("doctor names no uv")?
        .to_owned())
}

fn bare(world: &World, uv: &str, python: &str, warm: bool) -> Result<Duration> {
    let prefix = world.folder().join("bare");
    let cache = world.folder().join("bare-cache");
    remove(&prefix)?;
    if !warm {
        remove(&cache)?;
    }
    let uv = |arguments: &[&str]| {
        let mut command = Command::new(uv);
        command
            .args(arguments)
            .arg("--quiet")
            .env("UV_CACHE_DIR", &cache)
            .env("UV_NO_CONFIG", "1");
        command
    };
    timed(|| {
        run(uv(&["venv", "--no-project", "--python", python]).arg(&prefix))?;
        run(uv(&["pip", "install", "--compile-bytecode", PACKAGE])
            .arg("--python")
            .arg(prefix.join("bin/python")))?;
        run(Command::new(prefix.join("bin/python")).args(["-c", "pass"]))
    })
}

fn ours(world: &World, task: &Path, warm: bool) -> Result<Duration> {
    let store = world.store();
    for part in ["v1/spec", "v1/lock", "v1/env", "v1/lease", "v1/use", "v1/build"] {
        remove(&store.join(part))?;
    }
    if !warm {
        remove(&store.join("pkgs/uv"))?;
    }
    timed(|| run(world.wrun(&["--quiet", "submit"]).arg(task)))
}
