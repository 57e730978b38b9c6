//! Tasks of images that a container engine runs: podman and docker, where they are on this machine and work.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and looks at files from the outside"
)]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use wrun_tests::tasks::command;
use wrun_tests::{Cmd, World, binary, files, layer, skipped};

/// An engine that works here, with an image of a shell.
struct Engine {
    name: &'static str,
    options: Vec<&'static str>,
    image: String,
}

impl Engine {
    /// The engine; none, and a word on why, where it cannot be had.
    fn new(name: &'static str, world: &World) -> Option<Self> {
        let mut options = Vec::new();
        if name == "podman" {
            // What this machine lacks, as `wrun` itself finds out.
            if !Path::new("/run/systemd/system").exists() {
                options.push("--cgroup-manager=cgroupfs");
            }
        }
        let mut engine = Self {
            name,
            options,
            image: String::new(),
        };
        match Command::new(name).arg("info").output() {
            Err(error) => {
                skipped(&format!("{name}: {error}"));
                return None;
            }
            Ok(output) if !output.status.success() => {
                skipped(&format!("{name}: {}", text(&output.stderr)));
                return None;
            }
            Ok(_) => {}
        }
        let folder = world.path().join("image");
        layer::of_programs(&folder, &[]);
        let archive = world.path().join("image.tar");
        let packed = Command::new("tar")
            .arg("-C")
            .arg(&folder)
            .arg("-cf")
            .arg(&archive)
            .arg(".")
            .status()
            .unwrap();
        assert!(packed.success());
        let imported = engine.call(&["import", archive.to_str().unwrap()]);
        assert!(imported.status.success(), "{}", text(&imported.stderr));
        text(&imported.stdout).trim().clone_into(&mut engine.image);
        Some(engine)
    }

    fn call(&self, arguments: &[&str]) -> Output {
        Command::new(self.name)
            .args(&self.options)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The containers of tasks, running or not.
    fn containers(&self) -> String {
        let listed = self.call(&["ps", "--all", "--quiet", "--filter", "label=dev.wrun.run"]);
        text(&listed.stdout)
    }

    /// A run of a script by the engine; `rest` is the rest of the task file.
    fn script(&self, world: &World, script: &str, rest: &str) -> Cmd {
        let env = format!(
            "[env.container]\nengine = \"{}\"\nreference = \"{}\"\n",
            self.name, self.image
        );
        world.write(
            "task.toml",
            command(&["sh", "-c", script], &format!("{rest}{env}")),
        );
        let program = binary::built("wrun-layers").expect("build it first: cargo build -p wrun-layers");
        world.command(&program).args(["task.toml"])
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.image.is_empty() {
            self.call(&["rmi", "--force", &self.image]);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn holds(name: &'static str) {
    use std::os::unix::fs::MetadataExt as _;

    let world = World::new();
    let Some(engine) = Engine::new(name, &world) else {
        return;
    };
    let out = files::folder(&world.path().join("out"));
    let rest = format!(
        "[vars]\nWORD = \"said\"\n[allow]\nwrite = [\"{}\"]\n",
        out.display()
    );
    let script = format!(
        "echo $WORD; echo x > {0}/file; echo x > /new || echo held; echo x > ~/own && echo own; exit 3",
        out.display()
    );
    let ran = engine.script(&world, &script, &rest).run();
    ran.ends_with(3);
    for word in ["said\\n", "held\\n", "own\\n"] {
        assert!(ran.stdout.contains(word), "{word}: {ran:?}");
    }
    let made = std::fs::metadata(out.join("file")).unwrap();
    assert_eq!(made.uid(), std::fs::metadata(&out).unwrap().uid());
    let report = ran
        .events()
        .into_iter()
        .find(|event| event["event"] == "sandbox")
        .unwrap();
    assert_eq!(
        report["capabilities"]["system-calls"]["state"], "partial",
        "{report}"
    );
    assert_eq!(engine.containers(), "", "no container is left");

    let ran = engine
        .script(&world, "while :; do :; done", "[limits]\ntime = \"2s\"\n")
        .run();
    ran.ends_with(124);
    assert_eq!(engine.containers(), "", "no container is left after a time-out");

    let running = engine
        .script(&world, "echo ready; while :; do :; done", "")
        .spawn();
    running.wait_for("ready");
    running.signal(Signal::INT);
    drop(running.kill_after(Duration::from_secs(30)));
    assert_eq!(engine.containers(), "", "no container is left after Ctrl-C");

    let listed = "[allow]\nnet = [\"example.org:443\"]\n";
    let ran = engine.script(&world, "exit 0", listed).run();
    ran.ends_with(126);
    assert!(ran.stdout.contains("engine.network"), "{ran:?}");
}

#[test]
fn podman_runs_a_task_and_leaves_nothing() {
    holds("podman");
}

#[test]
fn docker_runs_a_task_and_leaves_nothing() {
    holds("docker");
}
