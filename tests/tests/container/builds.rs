//! Images that an installed builder makes of a Containerfile.

use std::path::Path;

use wrun_tests::{Ran, World, files, skipped};

const BUILDAH: &str = "/usr/bin/buildah";

/// A world with a Containerfile that copies a shell and a file. `None` where something for it is missing, after saying so.
fn world() -> Option<World> {
    if !Path::new(BUILDAH).is_file() {
        skipped("buildah is not installed");
        return None;
    }
    wrun_tests::container::shell_image()?;
    let world = World::new();
    let program = world.project().join("image/cat");
    files::write(&program, files::bytes(Path::new("/bin/busybox")));
    files::set_mode(&program, 0o755);
    world.write("image/name", "hello\n");
    world.write(
        "image/Containerfile",
        "FROM scratch\nARG NAME=name\nCOPY cat /bin/cat\nCOPY ${NAME} /etc/name\nCMD [\"/bin/cat\", \"/etc/name\"]\n",
    );
    // Without a file system for layers and without groups of processes, as on the plainest machine.
    files::write(
        &world.home().join(".config/containers/storage.conf"),
        format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            world.path().display()
        ),
    );
    Some(world)
}

fn submit(world: &World, rest: &str) -> Ran {
    world.write(
        "task.toml",
        format!("[run]\n[env.container]\nbuild = \"image/Containerfile\"\nbuilder = \"buildah\"\n{rest}"),
    );
    let storage = world.home().join(".config/containers/storage.conf");
    world
        .wrun(&["submit", "task.toml"])
        .env("CONTAINERS_STORAGE_CONF", storage)
        .timeout(std::time::Duration::from_mins(3))
        .run()
}

#[test]
fn an_image_is_built_once_and_again_when_what_it_copies_changes() {
    let Some(world) = world() else { return };
    submit(&world, "").prints("hello\n");
    let second = submit(&world, "");
    second.prints("hello\n").does_not_say("build image/Containerfile");
    assert_eq!(world.environments().len(), 1);
    world.write("image/name", "changed\n");
    submit(&world, "").prints("changed\n");
    // What is left out changes nothing.
    world.write("image/.containerignore", "notes\n");
    submit(&world, "").prints("changed\n");
    let environments = world.environments().len();
    world.write("image/notes", "of no use");
    submit(&world, "").prints("changed\n");
    assert_eq!(world.environments().len(), environments);
}

#[test]
fn arguments_of_the_build_count() {
    let Some(world) = world() else { return };
    world.write("image/other", "other\n");
    submit(&world, "args = { NAME = \"other\" }\n").prints("other\n");
}

#[test]
fn a_build_that_fails_says_what_the_builder_said() {
    let Some(world) = world() else { return };
    submit(&world, "args = { NAME = \"missing\" }\n")
        .ends_with(125)
        .says("provision.builder.failed")
        .says("missing");
    assert!(world.environments().is_empty());
}

#[test]
fn a_builder_that_is_not_there_is_told() {
    let world = World::new();
    world.write("Containerfile", "FROM scratch\n");
    world.write("task.toml", "[run]\n[env.container]\nbuild = \"Containerfile\"\n");
    world
        .wrun(&["submit", "task.toml"])
        .env("PATH", world.home().join("bin"))
        .run()
        .ends_with(125)
        .says("container.builder.missing")
        .says("help: ");
}
