//! Every example runs and says what it is said to say.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use wrun_tests::conda::{self, Channel};
use wrun_tests::container::Builders;
use wrun_tests::{World, binary, container, files, skipped};

/// The example of an image that a builder makes, which has tests of its own: not every machine has one.
const BUILT: &str = "containerfile";

/// A copy of the examples and of the guests that they run, beside each other as in the repository.
fn copied(world: &World) -> std::path::PathBuf {
    files::copy(
        &binary::repository().join("guests/out"),
        &world.path().join("guests/out"),
    );
    let examples = world.path().join("examples");
    files::copy(&binary::examples(), &examples);
    examples
}

/// Lets the conda example take its packages from a channel of this machine: not every machine reaches the public one.
fn with_local_channel(examples: &Path) -> Channel {
    let channel = Channel::with([
        conda::python_package(),
        conda::package_of_wheel("emoji", ">=2,<3").depends("python"),
    ]);
    let file = examples.join("conda/environment.yml");
    let text = files::read(&file);
    assert!(text.contains("conda-forge"), "{text}");
    files::write(&file, text.replace("conda-forge", &channel.url()));
    channel
}

/// Lets the container example take an image of this machine: not every machine reaches the public registry.
fn with_local_image(world: &World, examples: &Path) {
    let folder = examples.join("container/image");
    container::with_python(&world.path().join("layer")).write_layout(&folder, "py:1");
    let file = examples.join("container/task.toml");
    let text = files::read(&file);
    let public = "docker.io/library/python:3.12-slim";
    assert!(text.contains(public), "{text}");
    files::write(&file, text.replace(public, "oci:image"));
}

/// What a task file is expected to say, if that is written down: `expected.txt` beside `task.toml`, else
/// `NAME.expected.txt` beside `NAME.toml`.
fn expected(task: &Path) -> Option<String> {
    let stem = task.file_stem()?.to_str()?;
    let name = if stem == "task" {
        "expected.txt".to_owned()
    } else {
        format!("{stem}.expected.txt")
    };
    Some(task.with_file_name(name))
        .filter(|path| path.is_file())
        .map(|path| files::read(&path))
}

#[test]
fn every_task_of_the_examples_says_what_is_expected() {
    assert!(binary::guest("hello.wasm").is_file());
    let world = World::new();
    let examples = copied(&world);
    let _channel = with_local_channel(&examples);
    with_local_image(&world, &examples);
    let mut tasks = 0;
    for name in files::names(&examples).into_iter().filter(|name| name != BUILT) {
        let folder = examples.join(&name);
        for file in files::names(&folder) {
            let task = folder.join(&file);
            if task.extension().is_none_or(|ending| ending != "toml") || !files::read(&task).contains("[run]")
            {
                continue;
            }
            tasks += 1;
            let ran = world.wrun(&["submit", &file]).dir(&folder).run();
            match expected(&task) {
                Some(text) => ran.prints(&text),
                None => ran.ends_with(0),
            };
            let again = world.wrun(&["submit", &file]).dir(&folder).run();
            again.ends_with(0).does_not_say("solve: ").does_not_say("build: ");
        }
    }
    assert!(tasks >= 9, "{tasks} tasks were found");
}

/// The example of a Containerfile, with each builder that there is.
fn an_image_is_built_by(builder: &str) {
    let world = World::new();
    let Some(base) = container::with_pip(&world.path().join("base")) else {
        return;
    };
    let folder = copied(&world).join(BUILT);
    let mut builders = Builders::new(&world, &[("library/python:3.12-slim", &base)]);
    if !builders.has(builder) {
        return;
    }
    let task = folder.join("task.toml");
    let chosen = format!("builder = \"{builder}\"\nbuild = ");
    files::write(&task, files::read(&task).replace("build = ", &chosen));
    let submit = |how: &[&str]| {
        let command = world.wrun(how).args(["submit", "task.toml"]).dir(&folder);
        builders.told(command).run()
    };
    let said = expected(&task).expect("the example says what it prints");
    submit(&[]).prints(&said);
    // Another task of the same image builds nothing, and a build would not do without the network.
    files::write(&folder.join("main.py"), "import emoji; print(emoji.__name__)\n");
    submit(&["--offline"]).prints("emoji\n");
    assert_eq!(world.environments().len(), 1);
}

#[test]
fn an_image_is_built_by_buildah() {
    an_image_is_built_by("buildah");
}

#[test]
fn an_image_is_built_by_podman() {
    an_image_is_built_by("podman");
}

#[test]
fn programs_that_embed_wrun_work() {
    for (name, says) in [("embed-run", "embedded 🦀"), ("embed-backend", "hello, world")] {
        let Some(program) = binary::built(name) else {
            skipped(&format!("`{name}` is not built: cargo build -p {name}"));
            continue;
        };
        let world = World::new();
        for _ in 0..2 {
            let ran = world.command(&program).run();
            assert!(ran.ends_with(0).stdout.contains(says), "{ran:?}");
        }
        assert_eq!(world.environments().len(), 1);
    }
}

#[test]
fn two_versions_run_side_by_side() {
    let world = World::new();
    let folder = copied(&world).join("two-versions");
    let ran = world.wrun(&["submit", "old.toml", "new.toml"]).dir(&folder).run();
    let mut lines: Vec<&str> = ran.ends_with(0).stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1.7.0", "2.14.0"]);
}
