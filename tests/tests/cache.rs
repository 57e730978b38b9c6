//! The store as `wrun cache` shows it, and what may be removed from it.

use rustix::process::Signal;
use wrun::core::id::Digest;
use wrun_store::{FlightKey, PartId, Store};
use wrun_tests::tasks::PythonTask;
use wrun_tests::{Index, Wheel, World, files, processes};

fn thing() -> Index {
    Index::with([
        Wheel::new("thing", "1.0").requires("part"),
        Wheel::new("part", "2.0"),
    ])
}

/// A task that waits for the end of its input, and then is done or goes on with `more`.
fn waiting(index: &Index, more: &str) -> String {
    let code = format!("import sys; print('ready', flush=True); sys.stdin.read(); {more}");
    PythonTask::new("uv", &code)
        .package("thing")
        .index(&index.url())
        .text()
}

#[test]
fn parts_that_no_environment_needs_are_listed_and_removed() {
    let world = World::new();
    world.wrun(&["cache", "ls"]).run().ends_with(0);
    let store = Store::open(&world.store()).unwrap();
    let id = PartId::new("layer", Digest::of(b"content")).unwrap();
    let lease = store.part_lease(&id).unwrap();
    let flight = store
        .flight(&FlightKey::Part(id.clone()), &|| false, &mut |_| {})
        .unwrap();
    let build = store.begin_part(&flight, &id).unwrap();
    build.tree().write("file", b"content", false).unwrap();
    let path = build.commit("layer of a test", 1).unwrap().path;
    drop(flight);

    let name = id.to_string();
    let listed = world.wrun(&["cache", "ls"]).run();
    listed.says("1 part that environments share");
    let line = listed
        .stdout
        .lines()
        .find(|line| line.starts_with(&name[..20]))
        .unwrap();
    assert!(
        line.contains("of no environment  layer of a test  (in use)"),
        "{line}"
    );
    let value = world.wrun(&["--format", "json", "cache", "ls"]).run().json();
    assert_eq!(value["parts"][0]["part_id"], name);
    let info = world
        .wrun(&["cache", "info", &name[..12]])
        .run()
        .ends_with(0)
        .json();
    assert_eq!(info["path"], path.display().to_string());
    assert_eq!(info["environments"], serde_json::json!([]));
    world
        .wrun(&["cache", "info", "layer-"])
        .run()
        .ends_with(125)
        .says("too short");

    world
        .wrun(&["cache", "rm", &name])
        .run()
        .ends_with(125)
        .says("store.lease.busy");
    drop(lease);
    world
        .wrun(&["cache", "rm", &name])
        .run()
        .ends_with(0)
        .says(&format!("removed: {name}"));
    assert!(!path.exists());
    world
        .wrun(&["cache", "rm", &name])
        .run()
        .ends_with(125)
        .says("no part");
}

#[test]
fn the_cache_is_listed_looked_at_and_removed_from() {
    let (world, index) = (World::new(), thing());
    let dir = world.wrun(&["cache", "dir"]).run();
    dir.prints(&format!("{}\n", world.store().display()));
    world
        .wrun(&["cache", "ls"])
        .run()
        .prints("")
        .says("no environment yet");

    world
        .submit(&PythonTask::thing("uv", &index).text())
        .prints("1.0\n");
    let listed = world.wrun(&["cache", "ls"]).run();
    assert!(listed.ends_with(0).stdout.contains("2 packages"), "{listed:?}");
    listed
        .says("of downloads")
        .says("of tools")
        .says("of compiled code");
    let value = world.wrun(&["--format", "json", "cache", "ls"]).run().json();
    assert!(value["downloads_bytes"].as_u64().unwrap() > 0, "{value}");
    let environments = world.environments();
    let id = environments[0]["env_id"].as_str().unwrap();
    let info = world.wrun(&["cache", "info", &id[..6]]).run().ends_with(0).json();
    assert_eq!(info["env_id"], id);
    assert_eq!(info["prefix"], world.tree(&environments[0]).display().to_string());

    for verb in ["info", "rm"] {
        for short in ["", &id[..3]] {
            let ran = world.wrun(&["cache", verb, short]).run();
            ran.ends_with(125).says("too short").says("help: ");
        }
        world
            .wrun(&["cache", verb, "zzzzzz"])
            .run()
            .ends_with(125)
            .says("zzzzzz")
            .says("help: ");
    }
    world.wrun(&["cache", "rm", id, "zzzzzz"]).run().ends_with(125);
    assert_eq!(
        world.environments().len(),
        1,
        "a mistake in the last removes nothing"
    );
    world.wrun(&["cache", "rm", id]).run().ends_with(0);
    assert!(world.environments().is_empty());
    assert!(!world.tree(&environments[0]).exists());
    world
        .wrun(&["cache", "rm", id])
        .run()
        .ends_with(125)
        .says("there is no environment");
    world
        .submit(&PythonTask::thing("uv", &index).text())
        .prints("1.0\n")
        .says("build: ")
        .does_not_say("solve: ");
}

#[test]
fn an_environment_that_was_emptied_is_built_again() {
    for backend in ["uv", "pip"] {
        let (world, index) = (World::new(), thing());
        let task = PythonTask::thing(backend, &index);
        world.submit(&task.text()).prints("1.0\n");
        let prefix = world.tree(&world.environments()[0]);
        files::set_mode(&prefix.join("bin"), 0o755);
        files::remove(&prefix.join("bin/python"));
        world.submit(&task.text()).prints("1.0\n").says("build: ");
        world.submit(&task.text()).prints("1.0\n").does_not_say("build: ");
    }
}

#[test]
fn an_environment_that_a_task_uses_is_not_removed() {
    let (world, index) = (World::new(), thing());
    world.write(
        "task.toml",
        waiting(&index, "import thing; print(thing.__version__)"),
    );
    // While it is being kept it is not listed.
    world.wrun(&["submit", "task.toml"]).run().ends_with(0);
    let mut running = world.wrun(&["submit", "task.toml"]).open_stdin().spawn();
    running.wait_for("ready");
    let environments = world.environments();
    assert_eq!(environments[0]["in_use"], true);
    let id = environments[0]["env_id"].as_str().unwrap();
    world
        .wrun(&["cache", "rm", id])
        .run()
        .ends_with(125)
        .says("store.lease.busy")
        .says("help: ");
    running.close_stdin();
    running.wait().prints("ready\n1.0\n");
    assert_eq!(world.environments()[0]["in_use"], false);
    world.wrun(&["cache", "rm", id]).run().ends_with(0);
    assert!(world.environments().is_empty());
}

#[test]
fn a_task_ends_with_the_wrun_that_was_killed_and_frees_its_environment() {
    let (world, index) = (World::new(), thing());
    world.write("task.toml", waiting(&index, ""));
    // What is being kept when it is killed is not there.
    world.wrun(&["submit", "task.toml"]).run().ends_with(0);
    let running = world.wrun(&["submit", "task.toml"]).open_stdin().spawn();
    running.wait_for("ready");
    running.signal(Signal::KILL);
    running.wait().ends_with(-9);
    let environments = world.environments();
    let id = environments[0]["env_id"].as_str().unwrap();
    processes::assert_none_mentions(&world.tree(&environments[0]));
    world.wrun(&["cache", "rm", id]).run().ends_with(0);
}

#[test]
fn what_is_left_of_a_killed_task_still_holds_its_environment() {
    let (world, index) = (World::new(), thing());
    let script = "exec 3<&0; python -c \"$0\" <&3 & wait";
    let code = "import sys; print('ready', flush=True); sys.stdin.read()";
    let task = PythonTask::new("uv", "")
        .package("thing")
        .index(&index.url())
        .command(&["sh", "-c", script, code]);
    world.write("task.toml", task.text());
    // In a sandbox nothing of a task is left.
    let mut running = world
        .wrun(&["submit", "--sandbox", "off", "task.toml"])
        .open_stdin()
        .spawn();
    running.wait_for("ready");
    let environments = world.environments();
    let id = environments[0]["env_id"].as_str().unwrap();
    running.signal(Signal::KILL);
    let refused = world.wrun(&["cache", "rm", id]).run();
    refused.ends_with(125).says("store.lease.busy");
    running.close_stdin();
    running.wait().ends_with(-9);
    processes::assert_none_mentions(world.path());
    world.wrun(&["cache", "rm", id]).run().ends_with(0);
}
