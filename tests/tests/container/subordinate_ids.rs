//! A user without subordinate ids learns what is missing from engines and builders that need them.

use wrun_tests::container::{Image, of_image};
use wrun_tests::{Cmd, World, files};

/// What podman 4.3 and buildah 1.28 say of a file of another user than the caller.
const SAID: &str =
    "potentially insufficient UIDs or GIDs available in user namespace (requested 42:43 for /etc/x)";

/// A program that fails as it does for such a user, and a command that finds it.
fn failing(world: &World, name: &str, subcommand: &str) -> Cmd {
    let programs = world.path().join("programs");
    let program = programs.join(name);
    files::write(
        &program,
        format!(
            "#!/bin/sh\nfor word; do case $word in --version) echo '{name} version 4.3.1';; info) echo 4.3.1;; inspect) exit 125;; {subcommand})\n\
             echo 'Error: payload does not match:' >&2; echo ' * archive: {SAID}: lchown' >&2; echo ' * dir: none' >&2\n\
             exit 125;; esac; done\n"
        ),
    );
    files::set_mode(&program, 0o755);
    world
        .wrun(&["submit", "task.toml"])
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
}

#[test]
fn an_engine_without_ids_for_an_image_is_told_with_what_gives_them() {
    let world = World::new();
    Image::new()
        .layer(&[("etc/", b""), ("etc/name", b"a")])
        .write_docker_archive(&world.project().join("image.tar"), "app:1");
    world.write(
        "task.toml",
        of_image("docker-archive:image.tar", "", "engine = \"podman\""),
    );
    let ran = failing(&world, "podman", "load").run();
    ran.ends_with(125)
        .says("engine.subordinate-ids")
        .says("(requested 42:43 for /etc/x)")
        .says("/etc/subuid")
        .says("podman system migrate")
        .does_not_say("registry");
}

#[test]
fn a_builder_without_ids_for_an_image_is_told_with_what_gives_them() {
    let world = World::new();
    world.write("Containerfile", "FROM scratch\n");
    world.write(
        "task.toml",
        "[run]\n[env.container]\nbuild = \"Containerfile\"\nbuilder = \"buildah\"\n",
    );
    let ran = failing(&world, "buildah", "build").run();
    ran.ends_with(125)
        .says("provision.builder.subordinate-ids")
        .says("(requested 42:43 for /etc/x)")
        .says("/etc/subuid");
}
