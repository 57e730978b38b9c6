//! What goes wrong with the machine is said at once, and leaves a store that works.

use wrun_tests::tasks::{PythonTask, command};
use wrun_tests::{Index, Wheel, World, files, machine, network, processes};

const CODE: &str = "import thing; print(thing.__version__)";
const BACKENDS: [&str; 2] = ["uv", "pip"];

fn index() -> Index {
    Index::with([Wheel::new("thing", "1.0")])
}

fn task(backend: &'static str, index: &Index) -> String {
    PythonTask::new(backend, CODE)
        .package("thing")
        .index(&index.url())
        .text()
}

#[test]
fn an_interpreter_that_is_not_there() {
    for backend in BACKENDS {
        let world = World::new();
        for python in ["3.99", ">=3.99", "/no/such/python"] {
            let text = format!(
                "[run]\ncommand = [\"true\"]\n[env.{backend}]\npackages = []\npython = \"{python}\"\n"
            );
            let ran = world.submit(&text);
            ran.ends_with(125)
                .says(python)
                .says("help: ")
                .does_not_say("panicked");
        }
        assert!(world.environments().is_empty());
        processes::assert_none_mentions(world.path());
    }
}

#[test]
fn a_file_that_is_not_there() {
    for backend in BACKENDS {
        let world = World::new();
        for key in [
            "requirements = \"gone.txt\"",
            "packages = [\"./gone\"]",
            "constraints = \"gone.txt\"",
        ] {
            let ran = world.submit(&format!("[run]\ncommand = [\"true\"]\n[env.{backend}]\n{key}\n"));
            ran.ends_with(125)
                .says("gone")
                .says("help: ")
                .does_not_say("panicked");
        }
    }
}

#[test]
fn a_package_that_cannot_be_built() {
    for backend in BACKENDS {
        let world = World::new();
        let project = "[build-system]\nrequires = []\nbuild-backend = \"broken\"\nbackend-path = [\".\"]\n\
                       [project]\nname = \"source\"\nversion = \"1.0\"\n";
        world.write("source/pyproject.toml", project);
        world.write(
            "source/broken.py",
            "raise SystemExit('the compiler is missing')\n",
        );
        let ran = world.submit(&format!(
            "[run]\ncommand = [\"true\"]\n[env]\n{backend} = [\"./source\"]\n"
        ));
        ran.ends_with(125)
            .says(&format!("{backend}."))
            .says("the compiler is missing")
            .says("help: ");
        assert!(world.environments().is_empty());
        processes::assert_none_mentions(world.path());
        assert_eq!(
            files::names(&world.project().join("source")),
            ["broken.py", "pyproject.toml"]
        );
    }
}

#[test]
fn without_a_network_a_new_environment_says_so() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        world.write("task.toml", task(backend, &index));
        let offline = world.wrun(&["--offline", "submit", "task.toml"]).run();
        offline.ends_with(125).says("offline").says("help: ");
        assert!(index.requests().is_empty(), "offline is offline");
        if let Some(way) = network::without_network() {
            let alone = world.wrun(&["submit", "task.toml"]).through(way).run();
            alone.ends_with(125).says("help: ");
        }
        assert!(world.environments().is_empty());
        world.submit(&task(backend, &index)).prints("1.0\n");
    }
}

#[test]
fn a_store_that_cannot_be_written_to() {
    let (world, index) = (World::new(), index());
    world.submit(&command(&["true"], "")).ends_with(0);
    world.write("task.toml", task("uv", &index));
    let submit = world.wrun(&["submit", "task.toml"]);
    let (ran, code) = if machine::is_root() {
        let Some(way) = network::with_own_mounts() else {
            return;
        };
        let script = "mount --bind \"$WRUN_CACHE_DIR\" \"$WRUN_CACHE_DIR\" && \
                      mount -o remount,bind,ro \"$WRUN_CACHE_DIR\" && exec \"$0\" \"$@\"";
        (
            submit.through(&["sh", "-c", script]).through(way).run(),
            "store.read-only",
        )
    } else {
        for folder in files::walk(&world.store()).iter().filter(|path| path.is_dir()) {
            files::set_mode(folder, 0o555);
        }
        files::set_mode(&world.store(), 0o555);
        (submit.run(), "store.permission")
    };
    ran.ends_with(125)
        .says(code)
        .says("help: ")
        .says("store")
        .does_not_say("panicked");
    processes::assert_none_mentions(world.path());
    for folder in files::walk(&world.store()).iter().filter(|path| path.is_dir()) {
        files::set_mode(folder, 0o755);
    }
    files::set_mode(&world.store(), 0o755);
    world.submit(&task("uv", &index)).prints("1.0\n");
}

#[test]
fn a_warm_run_works_on_a_store_that_cannot_be_written_to_or_says_why_not() {
    let Some(way) = network::with_own_mounts() else {
        return;
    };
    let (world, index) = (World::new(), index());
    world.submit(&task("uv", &index)).prints("1.0\n");
    let script = "mount --bind \"$WRUN_CACHE_DIR\" \"$WRUN_CACHE_DIR\" && \
                  mount -o remount,bind,ro \"$WRUN_CACHE_DIR\" && exec \"$0\" \"$@\"";
    let listed = world
        .wrun(&["cache", "ls"])
        .through(&["sh", "-c", script])
        .through(way)
        .run();
    assert!(listed.ends_with(0).stdout.contains("uv"), "{listed:?}");
    let ran = world
        .wrun(&["submit", "task.toml"])
        .through(&["sh", "-c", script])
        .through(way)
        .run();
    assert!(
        ran.code == 0 || (ran.code == 125 && ran.stderr.contains("store.read-only")),
        "{ran:?}"
    );
}

#[test]
fn a_disk_that_is_full() {
    let Some(way) = network::with_own_mounts() else {
        return;
    };
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        world.write("task.toml", task(backend, &index));
        let filler = "x".repeat(64 * 1024);
        let mut large = Wheel::new("large", "1.0");
        for number in 0..64 {
            large = large.file(&format!("large/file{number}.txt"), &format!("{number}{filler}"));
        }
        index.add(&large);
        let text = PythonTask::new(backend, CODE)
            .package("thing")
            .package("large")
            .index(&index.url())
            .text();
        world.write("large.toml", text);
        let script = "mount -t tmpfs -o size=1m tmpfs \"$WRUN_CACHE_DIR\" || exit 99\n\
                      \"$0\" submit large.toml; first=$?\n\
                      \"$0\" --format json cache ls; second=$?\n\
                      echo \"$first $second\" >&2";
        files::folder(&world.store());
        let ran = world.wrun(&[]).through(&["sh", "-c", script]).through(way).run();
        ran.ends_with(0)
            .says("125 0\n")
            .says("disk.full")
            .says("help: ")
            .does_not_say("panicked");
        assert_eq!(ran.json()["environments"], serde_json::json!([]), "{ran:?}");
        processes::assert_none_mentions(world.path());
        world.submit(&task(backend, &index)).prints("1.0\n");
    }
}

#[test]
fn a_folder_that_is_no_store() {
    let world = World::new();
    files::write(&world.store().join("thesis.txt"), "mine");
    let ran = world.submit(&command(&["true"], ""));
    ran.ends_with(125)
        .says("store.root.foreign")
        .says("thesis.txt")
        .says("help: ");
    assert_eq!(files::names(&world.store()), ["thesis.txt"]);
    let file = world.write("file", "");
    let ran = world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_CACHE_DIR", &file)
        .run();
    ran.ends_with(125).says("help: ").does_not_say("panicked");
}

#[test]
fn a_store_of_a_newer_version() {
    let world = World::new();
    world.submit(&command(&["true"], "")).ends_with(0);
    let description = world.store().join("store.json");
    let newer = files::read(&description)
        .replace(": 1", ": 99")
        .replace(":1", ":99");
    files::write(&description, newer);
    world
        .wrun(&["submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("store.format.newer")
        .says("help: ");
}

#[test]
fn a_variable_that_is_not_set() {
    let world = World::new();
    let ran = world.submit(&command(&["true"], "[vars]\nA = { from = \"NOT_SET\" }\n"));
    ran.ends_with(125)
        .says("NOT_SET")
        .says("task.variable.unset")
        .says("help: ");
}

#[test]
fn a_folder_of_the_task_that_is_not_there() {
    let world = World::new();
    let ran = world.submit("[run]\ncommand = [\"true\"]\ndir = \"gone\"\n");
    ran.ends_with(125)
        .says("gone")
        .says("task.path.missing")
        .says("help: ");
}

#[test]
fn an_environment_that_was_damaged_is_not_used_unseen() {
    let (world, index) = (World::new(), index());
    world.submit(&task("uv", &index)).prints("1.0\n");
    let environments = world.environments();
    let tree = world.tree(&environments[0]);
    files::set_mode(tree.parent().unwrap(), 0o755);
    files::remove(&tree.with_file_name("meta.json"));
    assert!(world.environments().is_empty(), "without its record it is none");
    let again = world.submit(&task("uv", &index));
    again.prints("1.0\n").says("build: ").does_not_say("solve: ");
}
