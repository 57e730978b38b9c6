//! A warm task of an image against the same interpreter run plainly, podman and docker; and a task with everything.

use std::path::Path;
use std::process::Command;

use wrun_tests::container::{Docker, Registry, with_python};
use wrun_tests::machine;

use crate::stats::{Sample, in_turn, time};
use crate::world::{Result, World, output, remove, run, say};

const ROUNDS: usize = 100;
const ENGINE_ROUNDS: usize = 15;
const COLD_ROUNDS: usize = 5;
const CODE: [&str; 3] = ["python3", "-c", "pass"];
const NAME: &str = "wrun-bench-image:1";

pub(crate) fn measure(world: &World) -> Result<()> {
    let layer = world.folder().join("image-layer");
    let image = with_python(&layer);
    // The same files, which hold no compiled modules and no packages.
    let python = layer.join(machine::python().strip_prefix("/")?);
    let plainly = |code: &str| {
        let mut command = Command::new(&python);
        command
            .args(["-c", code])
            .env_clear()
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    let prefix = output(&mut plainly("import sys; print(sys.prefix)"))?;
    if !Path::new(prefix.trim()).starts_with(&layer) {
        return Err(format!("the interpreter of the image uses {prefix} when it is run plainly").into());
    }
    image.write_layout(&world.folder().join("image"), "py:1");
    let archive = world.folder().join("image.tar");
    image.write_docker_archive(&archive, NAME);
    let registry = Registry::with("py:1", &image);
    let (folder, tag) = ("oci:image".to_owned(), registry.name("py:1"));
    let warm = |image: &str| run(world.wrun(&["--quiet", "run", "--image", image, "--"]).args(CODE));
    for image in [&folder, &tag] {
        warm(image)?;
    }
    let (plain, ours) = in_turn(ROUNDS, || run(&mut plainly("pass")), || warm(&folder))?;
    let (_, of_registry) = in_turn(ROUNDS, || warm(&folder), || warm(&tag))?;
    say(&format!(
        "plain exec of `python3 -c pass`:            {}",
        plain.text()
    ));
    say(&format!(
        "warm `wrun run --image oci:FOLDER`:         {}",
        ours.text()
    ));
    say(&format!(
        "warm `wrun run --image REGISTRY/py:1`:      {}",
        of_registry.text()
    ));
    say(&format!(
        "more, of a folder: {}; of a registry: {}",
        time(ours.median().saturating_sub(plain.median())),
        time(of_registry.median().saturating_sub(plain.median()))
    ));
    say("goal: at most 15 ms more, aim 6 ms");
    podman(&archive, || warm(&tag))?;
    docker(&archive, || warm(&tag))?;
    say("goal: `docker run` and `podman run` take at least 10 times as long");
    everything(world)
}

/// Runs an engine and `wrun` in turn, and says how they compare.
fn compare(
    name: &str,
    mut engine: impl FnMut() -> Result<()>,
    ours: impl FnMut() -> Result<()>,
) -> Result<()> {
    engine()?;
    let (theirs, ours) = in_turn(ENGINE_ROUNDS, engine, ours)?;
    say(&format!("`{name} run --rm --network none`: {}", theirs.text()));
    say(&format!(
        "  wrun in the same rounds: {}; ratio: {:.1}",
        ours.text(),
        theirs.median().as_secs_f64() / ours.median().as_secs_f64()
    ));
    Ok(())
}

/// What podman may have to be told before and after its subcommand, the least first: a machine without systemd, one with
/// control groups of both versions, and one with low limits.
const WAYS: &[(&[&str], &[&str])] = &[
    (&[], &[]),
    (&["--cgroup-manager=cgroupfs"], &[]),
    (
        &["--cgroup-manager=cgroupfs", "--runtime=runc"],
        &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"],
    ),
];

fn podman(archive: &Path, ours: impl FnMut() -> Result<()>) -> Result<()> {
    if let Err(error) = run(Command::new("podman").arg("load").arg("--input").arg(archive)) {
        say(&format!("skipped: podman: {error}"));
        return Ok(());
    }
    let call = |(before, after): &(&[&str], &[&str])| {
        let mut command = Command::new("podman");
        command
            .args(*before)
            .args(["run", "--rm", "--network", "none"])
            .args(*after)
            .args(["--entrypoint", "python3", NAME, "-c", "pass"]);
        run(&mut command)
    };
    let compared = if let Some(way) = WAYS.iter().find(|way| call(way).is_ok()) {
        compare("podman", || call(way), ours)
    } else {
        say("skipped: podman runs nothing here");
        Ok(())
    };
    run(Command::new("podman").args(["rmi", "--force", NAME]))?;
    compared
}

fn docker(archive: &Path, ours: impl FnMut() -> Result<()>) -> Result<()> {
    // An engine of its own, which keeps nothing.
    let Some(engine) = Docker::start(None) else {
        return Ok(());
    };
    let call = |arguments: &[&str]| {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", engine.host()).args(arguments);
        run(&mut command)
    };
    call(&["load", "--input", &archive.to_string_lossy()])?;
    let arguments = [
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "python3",
        NAME,
        "-c",
        "pass",
    ];
    compare("docker", || call(&arguments), ours)
}

/// An image, packages of uv, a folder to work in and limits, in one task.
fn everything(world: &World) -> Result<()> {
    let task = world.write(
        "everything.toml",
        "[run]\ncommand = [\"python3\", \"everything.py\"]\n[env.container]\nimage = \"oci:image\"\n\
         [env.uv]\npackages = [\"emoji==2.14.0\"]\n[allow]\nwrite = [\"out\"]\n\
         [limits]\nmemory = \"256MiB\"\nprocesses = 16\ntime = \"1m\"\n",
    )?;
    world.write(
        "everything.py",
        "import emoji\nopen('out/said', 'w').write(emoji.emojize(':package:'))\n",
    )?;
    run(Command::new("mkdir").arg("-p").arg(world.folder().join("out")))?;
    let submit = || run(world.wrun(&["--quiet", "submit"]).arg(&task));
    submit()?;
    let warm = sample(ROUNDS, submit)?;
    say("an image, packages of uv, a folder to write to and limits:");
    say(&format!("  warm, whole process:            {}", warm.text()));
    let store = world.store();
    let at_hand = sample_after(COLD_ROUNDS, || remove(&store.join("v1")), submit)?;
    say(&format!("  cold, downloads at hand:        {}", at_hand.text()));
    let empty = sample_after(COLD_ROUNDS, || remove(&store), submit)?;
    say(&format!("  cold, from an empty store:      {}", empty.text()));
    Ok(())
}

/// Measures one thing.
fn sample(rounds: usize, work: impl FnMut() -> Result<()>) -> Result<Sample> {
    sample_after(rounds, || Ok(()), work)
}

/// Measures one thing after another, which does not count.
fn sample_after(
    rounds: usize,
    mut before: impl FnMut() -> Result<()>,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Sample> {
    let mut durations = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        before()?;
        let started = std::time::Instant::now();
        work()?;
        durations.push(started.elapsed());
    }
    Ok(Sample::of(durations))
}
