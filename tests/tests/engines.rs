//! Tasks of images that a container engine runs: podman and docker, where they are on this machine and work.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and looks at files from the outside"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use wrun_tests::container::{Docker, Image};
use wrun_tests::tasks::command;
use wrun_tests::{Cmd, World, files, layer, skipped};

/// An engine that works here, and an image of a shell for it.
struct Engine {
    name: &'static str,
    options: Vec<&'static str>,
    /// The name of the image in its archive.
    image: String,
    /// The store of the world.
    store: PathBuf,
    /// The engine itself, where it has to be started.
    docker: Option<Docker>,
}

impl Engine {
    /// The engine; none, and a word on why, where it cannot be had.
    fn new(name: &'static str, world: &World) -> Option<Self> {
        let docker = if name == "docker" {
            Some(Docker::start(None)?)
        } else {
            None
        };
        let mut options = Vec::new();
        if name == "podman" {
            // What this machine lacks, as `wrun` itself finds out.
            if !Path::new("/run/systemd/system").exists() {
                options.push("--cgroup-manager=cgroupfs");
            }
        }
        let engine = Self {
            name,
            options,
            image: format!("wrun-engines:{}", std::process::id()),
            store: world.store(),
            docker,
        };
        match engine.command(&["info"]).output() {
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
        let archive = world.project().join("image.tar");
        // One of its own, as another test may remove the same from the engine.
        Image::new()
            .folder_layer(&folder)
            .config(json!({"Labels": {"test": engine.image}}))
            .write_docker_archive(&archive, &engine.image);
        Some(engine)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.name);
        command.args(&self.options).args(arguments);
        if let Some(docker) = &self.docker {
            command.env("DOCKER_HOST", docker.host());
        }
        command
    }

    fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The containers of tasks, running or not.
    fn containers(&self) -> String {
        let listed = self.call(&["ps", "--all", "--quiet", "--filter", "label=dev.wrun.run"]);
        text(&listed.stdout)
    }

    /// Waits until there are no containers of tasks.
    #[track_caller]
    fn has_none(&self, why: &str) {
        let started = Instant::now();
        while !self.containers().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(30), "{why}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Leaves a container that this process was to wait for, as its label has it.
    fn leave(&self, owner: &str) {
        let label = format!("dev.wrun.owner={owner}");
        let network = [
            "--network",
            "none",
            "--label",
            "dev.wrun.run=left",
            "--label",
            &label,
        ];
        let command = ["sh", "-c", "while :; do :; done"];
        let kept = self.kept();
        let arguments = [
            &["create"][..],
            &network,
            &[
                "--ulimit=nofile=1024:1024",
                "--ulimit=nproc=1000:1000",
                kept.first().unwrap(),
            ],
            &command,
        ];
        let created = self.call(&arguments.concat());
        assert!(created.status.success(), "{}", text(&created.stderr));
    }

    /// What the engine keeps for the environments of this world.
    fn kept(&self) -> BTreeSet<String> {
        files::holding(&self.store, "localhost/wrun-kept:")
            .iter()
            .filter_map(|record| {
                let record: serde_json::Value = serde_json::from_str(&files::read(record)).ok()?;
                Some(record["reference"].as_str()?.to_owned())
            })
            .collect()
    }

    /// A run of a script by the engine; `rest` is the rest of the task file.
    fn script(&self, world: &World, script: &str, rest: &str) -> Cmd {
        let env = format!(
            "[env.container]\nengine = \"{}\"\nimage = \"docker-archive:image.tar\"\n",
            self.name
        );
        world.write(
            "task.toml",
            command(&["sh", "-c", script], &format!("{rest}{env}")),
        );
        let wrun = world.wrun(&["--format", "json", "submit", "task.toml"]);
        match &self.docker {
            Some(docker) => wrun.env("DOCKER_HOST", docker.host()),
            None => wrun,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The engine may have ended, or never have taken the image.
        for name in self.kept().iter().chain([&self.image]) {
            drop(self.command(&["rmi", "--force", name]).output());
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
    // The first process of a container does not hear what it does not handle.
    running.wait().ends_with(130);
    assert_eq!(engine.containers(), "", "no container is left after Ctrl-C");

    let running = engine
        .script(&world, "echo ready; while :; do :; done", "")
        .spawn();
    running.wait_for("ready");
    running.signal(Signal::KILL);
    drop(running.kill_after(Duration::from_secs(30)));
    engine.has_none("its keeper removes the container of a run that was killed");

    // As a run whose keeper was killed too leaves it.
    let owner = files::read(Path::new("/proc/sys/kernel/random/boot_id"));
    let namespace = std::fs::metadata("/proc/self/ns/pid").unwrap().ino();
    let owner = format!(
        "{}.1.1.{namespace}.{}",
        rustix::process::geteuid().as_raw(),
        owner.trim()
    );
    engine.leave(&owner);
    engine.leave(&format!("1{owner}"));
    let ran = engine.script(&world, "exit 0", "").run();
    ran.ends_with(0);
    let left = engine.containers();
    assert_eq!(left.lines().count(), 1, "what is another user's stays: {left}");
    engine.call(&["rm", "--force", left.trim()]);

    let listed = "[allow]\nnet = [\"example.org:443\"]\n";
    let ran = engine.script(&world, "exit 0", listed).run();
    ran.ends_with(126);
    assert!(ran.stdout.contains("engine.network"), "{ran:?}");
}

/// Without a user namespace there is only the caller to whom what a task writes could belong.
fn tells_who_the_task_is(name: &'static str) {
    let world = World::new();
    let Some(engine) = Engine::new(name, &world) else {
        return;
    };
    let caller = rustix::process::geteuid().as_raw();
    let has_namespace = name == "podman" && caller != 0;
    let told = |rest: &str| {
        let wrun = engine.script(&world, "exit 0", "");
        let task = files::read(&world.project().join("task.toml"));
        world.write("task.toml", format!("{task}{rest}"));
        let ran = wrun.run();
        ran.ends_with(0);
        let is_notice = |event: &serde_json::Value| event["code"] == "container.user";
        let notice = ran.events().into_iter().find(is_notice);
        notice.map(|event| event["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(told(""), None, "the image says nothing of a user");
    let notice = told("user = \"4321:1234\"\n");
    assert_eq!(notice.is_none(), has_namespace, "{notice:?}");
    assert!(notice.is_none_or(|notice| notice.contains("`4321:1234`")));

    let mut plan = world.wrun(&["plan", "task.toml"]);
    if let Some(docker) = &engine.docker {
        plan = plan.env("DOCKER_HOST", docker.host());
    }
    let plan = plan.run();
    let user = if has_namespace { 4321 } else { caller };
    for said in [
        format!("by {name}, with the files of the image"),
        format!("as user {user}:"),
    ] {
        assert!(plan.stdout.contains(&said), "{said}: {plan:?}");
    }
}

/// The names that an archive has for its images are another's tomorrow.
fn keeps_the_image_under_a_name_of_its_own(name: &'static str) {
    let world = World::new();
    let Some(engine) = Engine::new(name, &world) else {
        return;
    };
    engine.script(&world, "exit 0", "").run().ends_with(0);
    let kept = engine.kept();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let named = |name: &str| engine.call(&["image", "inspect", name]).status.success();
    assert!(!named(&engine.image), "the name in the archive is left out");

    // What has that name now is another image.
    let archive = world.path().join("other.tar");
    Image::new()
        .layer(&[("a", b"")])
        .write_docker_archive(&archive, &engine.image);
    assert!(
        engine
            .call(&["load", "--input", &archive.to_string_lossy()])
            .status
            .success()
    );
    engine.script(&world, "exit 0", "").run().ends_with(0);

    // All that is kept is found by its name, and is gone with it.
    let filter = "reference=localhost/wrun-kept";
    let format = "{{.Repository}}:{{.Tag}}";
    let listed = engine.call(&["images", "--filter", filter, "--format", format]);
    let kept = kept.first().unwrap();
    assert!(
        text(&listed.stdout).lines().any(|name| name == kept),
        "{listed:?}"
    );
    let id = engine.call(&["image", "inspect", "--format", "{{.Id}}", kept]);
    let id = text(&id.stdout);
    assert!(engine.call(&["rmi", kept]).status.success());
    assert!(!named(id.trim()), "nothing else holds the image");
    let ran = engine.script(&world, "exit 0", "").run();
    ran.ends_with(125);
    assert!(ran.stdout.contains("engine.image.gone"), "{ran:?}");
}

#[test]
fn podman_keeps_the_image_under_a_name_of_its_own() {
    keeps_the_image_under_a_name_of_its_own("podman");
}

#[test]
fn docker_keeps_the_image_under_a_name_of_its_own() {
    keeps_the_image_under_a_name_of_its_own("docker");
}

#[test]
fn podman_tells_who_the_task_is() {
    tells_who_the_task_is("podman");
}

#[test]
fn docker_tells_who_the_task_is() {
    tells_who_the_task_is("docker");
}

#[test]
fn podman_runs_a_task_and_leaves_nothing() {
    holds("podman");
}

#[test]
fn docker_runs_a_task_and_leaves_nothing() {
    holds("docker");
}
