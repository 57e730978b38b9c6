//! Images that an installed builder makes of a Containerfile.

use std::path::Path;

use wrun_tests::container::{Builders, shell_image};
use wrun_tests::{Ran, World, files, skipped};

const BUILDAH: &str = "/usr/bin/buildah";

/// The password that a step of a build may read.
const SECRET: &str = "sesame-of-the-index";

/// A file of the machine that the builder is set up to show to each step.
const MIRROR: &str = "mirror-of-the-machine";

/// A Containerfile with a base of the public registry and a step, which reads a secret.
fn with_a_secret(builder: &str) {
    let Some(base) = shell_image() else { return };
    let world = World::new();
    let mut builders = Builders::new(&world, &[("library/shell:1", &base)]);
    if !builders.has(builder) {
        return;
    }
    world.write(
        "Containerfile",
        "FROM docker.io/library/shell:1\n\
         RUN --mount=type=secret,id=corp case $(cat /run/secrets/corp) in sesame-*) echo opened > /name;; *) exit 1;; esac\n\
         RUN case $(cat /etc/mirror.conf) in mirror-*) ;; *) exit 1;; esac\n\
         CMD [\"/bin/cat\", \"/name\"]\n",
    );
    let task = format!(
        "[run]\n[env.container]\nbuild = \"Containerfile\"\nbuilder = \"{builder}\"\nsecrets = [\"corp\"]\n"
    );
    world.write("task.toml", &task);
    // What the builder is set up with.
    let (mirror, settings) = (
        world.path().join("mirror.conf"),
        world.path().join("containers.conf"),
    );
    files::write(&mirror, MIRROR);
    files::write(
        &settings,
        format!(
            "[containers]\nvolumes = [\"{}:/etc/mirror.conf:ro\"]\n",
            mirror.display()
        ),
    );
    let submit = || {
        let told = builders.told(world.wrun(&["submit", "task.toml"]));
        told.env("CONTAINERS_CONF", &settings)
    };
    submit()
        .run()
        .ends_with(125)
        .says("provision.credential.missing")
        .says("WRUN_INDEX_CORP_PASSWORD");
    let wrong = submit().env("WRUN_INDEX_CORP_PASSWORD", "wrong").run();
    wrong.ends_with(125).says("provision.builder.failed");
    let opened = submit().env("WRUN_INDEX_CORP_PASSWORD", SECRET).run();
    opened.prints("opened\n");
    // It is in no key: whoever has the image needs no password.
    submit().run().prints("opened\n");
    for kept_out in [SECRET, MIRROR] {
        assert!(files::holding(&world.store(), kept_out).is_empty(), "{kept_out}");
    }
    let telling = "RUN --mount=type=secret,id=corp cat /run/secrets/corp >&2; exit 1\n";
    world.write(
        "Containerfile",
        format!("FROM docker.io/library/shell:1\n{telling}"),
    );
    let told = submit().env("WRUN_INDEX_CORP_PASSWORD", SECRET).run();
    told.ends_with(125).says("***").does_not_say(SECRET);
}

/// A world with a Containerfile that copies a shell and a file. `None` where something for it is missing, after saying so.
fn world() -> Option<World> {
    if !Path::new(BUILDAH).is_file() {
        skipped("buildah is not installed");
        return None;
    }
    shell_image()?;
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

#[test]
fn a_step_reads_a_secret_with_buildah() {
    with_a_secret("buildah");
}

#[test]
fn a_docker_without_build_kit_that_is_to_give_secrets_is_told() {
    // What docker says without its buildx component, of version 28 and before version 23.
    for said in [
        "ERROR: BuildKit is enabled but the buildx component is missing or broken.",
        "unknown flag: --secret",
        "the --secret option requires BuildKit.",
    ] {
        let world = World::new();
        let programs = world.path().join("programs");
        let docker = programs.join("docker");
        let script = "case $1 in --version) echo 'Docker version 28.2.2';; build) [ \"$DOCKER_BUILDKIT\" = 1 ] && echo";
        files::write(
            &docker,
            format!("#!/bin/sh\n{script} '{said}' >&2; exit 1;; esac\n"),
        );
        files::set_mode(&docker, 0o755);
        world.write("Containerfile", "FROM scratch\n");
        world.write(
            "task.toml",
            "[run]\n[env.container]\nbuild = \"Containerfile\"\nbuilder = \"docker\"\nsecrets = [\"corp\"]\n",
        );
        world
            .wrun(&["submit", "task.toml"])
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .env("WRUN_INDEX_CORP_PASSWORD", SECRET)
            .run()
            .ends_with(125)
            .says("container.builder.secrets")
            .says("buildx");
    }
}

#[test]
fn a_step_reads_a_secret_with_podman() {
    with_a_secret("podman");
}

#[test]
fn docker_builds_from_a_mirror_of_the_public_registry() {
    let Some(base) = shell_image() else { return };
    let world = World::new();
    let mut builders = Builders::new(&world, &[("library/shell:1", &base)]);
    if !builders.has("docker") {
        return;
    }
    world.write(
        "Containerfile",
        "FROM docker.io/library/shell:1\nRUN echo made > /name\nCMD [\"/bin/cat\", \"/name\"]\n",
    );
    world.write(
        "task.toml",
        "[run]\n[env.container]\nbuild = \"Containerfile\"\nbuilder = \"docker\"\n",
    );
    let submit = |how: &[&str]| {
        builders
            .told(world.wrun(how).arg("submit").arg("task.toml"))
            .run()
    };
    submit(&[]).prints("made\n");
    submit(&["--offline"]).prints("made\n");
}
