//! A lock that is kept in a file is used for the request that it was made for, and for no other.

use wrun_tests::tasks::{PythonTask, command};
use wrun_tests::{Index, Wheel, World, files};

fn task(index: &Index, package: &str) -> String {
    PythonTask::new("uv", "import thing; print(thing.__version__)")
        .package(package)
        .index(&index.url())
        .text()
}

#[test]
fn a_lock_holds_what_was_resolved() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0")]);
    world.write("task.toml", task(&index, "thing"));
    world
        .wrun(&["plan", "task.toml", "--lock", "a.lock"])
        .run()
        .ends_with(0);
    index.add(&Wheel::new("thing", "2.0"));
    world
        .wrun(&["submit", "task.toml", "--refresh"])
        .run()
        .prints("2.0\n");
    let locked = world.wrun(&["submit", "task.toml", "--locked", "a.lock"]).run();
    locked.prints("1.0\n");
}

#[test]
fn a_lock_of_another_request_is_refused() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0"), Wheel::new("thing", "2.0")]);
    world.write("task.toml", task(&index, "thing"));
    world
        .wrun(&["plan", "task.toml", "--lock", "a.lock"])
        .run()
        .ends_with(0);
    for (other, says) in [
        (task(&index, "thing<2"), "another `requirements`"),
        (
            task(&index, "thing").replace("[env.uv]", "[env.uv]\nexclude-newer = \"2030-01-01\""),
            "another",
        ),
        (command(&["echo", "ran"], ""), "no `[env]`"),
    ] {
        world.write("other.toml", other);
        for verb in ["submit", "plan"] {
            let ran = world.wrun(&[verb, "other.toml", "--locked", "a.lock"]).run();
            ran.ends_with(125).says(says).says("help: ");
            assert_eq!(ran.stdout, "");
        }
    }
    let text = files::read(&world.project().join("a.lock"));
    world.write("old.lock", text.replace("spec_id", "spec-id"));
    world
        .wrun(&["submit", "task.toml", "--locked", "old.lock"])
        .run()
        .ends_with(125)
        .says("spec_id")
        .says("wrun plan TASK --lock FILE");
}
