//! A warm WebAssembly submit as a whole process.

use std::process::Command;

use crate::stats::{in_turn, time};
use crate::world::{Result, World, run, say};

const ROUNDS: usize = 200;

/// The smallest WASI 0.1 command.
pub(crate) const NOOP: &str = "(module (memory (export \"memory\") 1) (func (export \"_start\")))";

pub(crate) fn measure(world: &World) -> Result<()> {
    world.write("noop.wasm", wat::parse_str(NOOP)?)?;
    let task = world.write("wasi.toml", "[run]\nmodule = \"noop.wasm\"\n")?;
    run(world.wrun(&["--quiet", "submit"]).arg(&task))?;
    let (plain, warm) = in_turn(
        ROUNDS,
        || run(Command::new("/bin/true").env_clear()),
        || run(world.wrun(&["--quiet", "submit"]).arg(&task)),
    )?;
    say(&format!("plain exec of `/bin/true`:        {}", plain.text()));
    say(&format!("warm `wrun submit` of a no-op:    {}", warm.text()));
    say(&format!(
        "ratio:                            {:.1}",
        warm.median().as_secs_f64() / plain.median().as_secs_f64()
    ));
    say(&format!(
        "more:                             {}",
        time(warm.median().saturating_sub(plain.median()))
    ));
    say("goal:                             at most 10 ms in all");
    Ok(())
}
