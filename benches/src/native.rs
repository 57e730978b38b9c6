//! A warm native submit against a plain exec of the same interpreter.

use std::process::Command;

use crate::stats::{in_turn, time};
use crate::world::{Result, World, run, say};

const ROUNDS: usize = 200;

pub(crate) fn measure(world: &World) -> Result<()> {
    let task = world.write(
        "native.toml",
        "[run]\ncommand = [\"python\", \"-c\", \"pass\"]\n[env.uv]\npackages = []\n",
    )?;
    let python = world.prefix(&task)?.join("bin/python");
    let (plain, warm) = in_turn(
        ROUNDS,
        || run(Command::new(&python).args(["-c", "pass"]).env_clear()),
        || run(world.wrun(&["--quiet", "submit"]).arg(&task)),
    )?;
    say(&format!("plain exec of `python -c pass`:   {}", plain.text()));
    say(&format!("warm `wrun submit` of the same:   {}", warm.text()));
    say(&format!(
        "more:                             {}",
        time(warm.median().saturating_sub(plain.median()))
    ));
    say("goal:                             at most 8 ms more, aim 3 ms");
    Ok(())
}
