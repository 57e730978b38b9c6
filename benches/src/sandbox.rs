//! What the tiers of the sandbox cost: a start, an `open`, and many tasks at a time.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::stats::{Sample, in_turn, time, timed};
use crate::world::{Result, World, output, run, say};

const ROUNDS: usize = 200;
const TASKS: u32 = 400;
const TIERS: [&str; 3] = ["off", "restricted", "full"];

/// Opens and closes a file of the task's folder many times, and says how many nanoseconds each took.
const OPEN: &str = "\
import os, time
for _ in range(2000): os.close(os.open('sandbox.toml', os.O_RDONLY))
start = time.perf_counter_ns()
for _ in range(100000): os.close(os.open('sandbox.toml', os.O_RDONLY))
print((time.perf_counter_ns() - start) // 100000)
";

pub(crate) fn measure(world: &World) -> Result<()> {
    let task = world.write("sandbox.toml", "[run]\ncommand = [\"/bin/true\"]\n")?;
    let submit = |tier: &str| {
        let mut command = world.wrun(&["--quiet", "submit", "--sandbox", tier]);
        command.arg(&task);
        command
    };
    let plain = || run(Command::new("/bin/true").env_clear());
    let mut off = None;
    for tier in TIERS {
        let (bare, ours) = in_turn(ROUNDS, plain, || run(&mut submit(tier)))?;
        let more = ours.median().saturating_sub(bare.median());
        let over_off = ours.median().saturating_sub(*off.get_or_insert(ours.median()));
        say(&format!(
            "`/bin/true` in `{tier}`: {}; plain exec {}; more: {}, of which the tier: {}",
            ours.text(),
            bare.text(),
            time(more),
            time(over_off)
        ));
    }
    if let Some((bare, bubblewrap)) = bubblewrap(plain)? {
        say(&format!(
            "`/bin/true` in bubblewrap: {}; more: {}",
            bubblewrap.text(),
            time(bubblewrap.median().saturating_sub(bare.median()))
        ));
    } else {
        say("bubblewrap: skipped, it is not installed");
    }
    say("goal: `full` at most 4 ms over a plain exec, `restricted` at most 1.5 ms");
    opens(world)?;
    throughput(world)
}

/// The same in bubblewrap, with all of its namespaces and the folders that `full` shows.
fn bubblewrap(plain: impl FnMut() -> Result<()>) -> Result<Option<(Sample, Sample)>> {
    if Command::new("bwrap").arg("--version").output().is_err() {
        return Ok(None);
    }
    let arguments = "--unshare-all --die-with-parent --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
                     --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp --clearenv -- /bin/true";
    let sample = in_turn(ROUNDS, plain, || {
        run(Command::new("bwrap").args(arguments.split_ascii_whitespace()))
    })?;
    Ok(Some(sample))
}

fn opens(world: &World) -> Result<()> {
    world.write("open.py", OPEN)?;
    let task = world.write(
        "open.toml",
        "[run]\ncommand = [\"python\", \"open.py\"]\n[env.uv]\npackages = []\n",
    )?;
    let python = world.prefix(&task)?.join("bin/python");
    let nanoseconds = |command: &mut Command| -> Result<Duration> {
        Ok(Duration::from_nanos(output(command)?.trim().parse()?))
    };
    let mut plain = Vec::new();
    let mut tiers = TIERS.map(|tier| (tier, Vec::new()));
    for _ in 0..7 {
        let mut bare = Command::new(&python);
        plain.push(nanoseconds(bare.arg("open.py").current_dir(world.folder()))?);
        for (tier, times) in &mut tiers {
            let mut ours = world.wrun(&["--quiet", "submit", "--sandbox", tier]);
            times.push(nanoseconds(ours.arg(&task))?);
        }
    }
    let plain = Sample::of(plain).median();
    say(&format!(
        "one `open` and `close` in Python, plain: {}",
        time(plain)
    ));
    for (tier, times) in tiers {
        let median = Sample::of(times).median();
        let more = time(median.saturating_sub(plain));
        say(&format!("the same in `{tier}`: {}; more: {more}", time(median)));
    }
    say("goal: at most 1.5 us more");
    Ok(())
}

fn throughput(world: &World) -> Result<()> {
    let tasks: Vec<PathBuf> = (0..TASKS)
        .map(|number| {
            world.write(
                &format!("many-{number}.toml"),
                "[run]\ncommand = [\"/bin/true\"]\n",
            )
        })
        .collect::<Result<_>>()?;
    for tier in TIERS {
        let mut durations = Vec::new();
        for _ in 0..3 {
            let submit = || {
                let mut command = world.wrun(&["--quiet", "submit", "--jobs", "4", "--sandbox", tier]);
                run(command.args(&tasks))
            };
            durations.push(timed(submit)?);
        }
        let rate = f64::from(TASKS) / Sample::of(durations).median().as_secs_f64();
        say(&format!(
            "tasks per second with `--jobs 4` in `{tier}`: {rate:.0}"
        ));
    }
    say("goal: 200 per second on 2 cores");
    Ok(())
}
