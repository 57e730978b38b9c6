//! Images on this machine.

use serde_json::json;
use wrun_tests::container::{Image, of_image};
use wrun_tests::{Ran, World};

fn app(name: &str) -> Image {
    Image::new()
        .layer(&[("etc/", b""), ("etc/name", name.as_bytes())])
        .config(json!({"Cmd": ["/bin/true"]}))
}

fn plan(world: &World, image: &str) -> Ran {
    world.write("task.toml", of_image(image, "", ""));
    world.wrun(&["--format", "json", "plan", "task.toml"]).run()
}

#[test]
fn a_folder_and_a_tar_in_oci_layout_are_the_image() {
    let world = World::new();
    app("a").write_layout(&world.project().join("image"), "app:1");
    app("a").write_layout_archive(&world.project().join("image.tar"), "app:1");
    for image in [
        "oci:image",
        "oci:image:app:1",
        "oci-archive:image.tar",
        "oci-archive:./image.tar:app:1",
    ] {
        plan(&world, image)
            .ends_with(0)
            .shows(&app("a").manifest().digest());
    }
    plan(&world, "oci:image:other")
        .ends_with(125)
        .shows("container.image.not-found")
        .shows("app:1");
    plan(&world, "oci:missing").ends_with(125).shows("does not exist");
}

#[test]
fn what_docker_saved_is_the_image_of_its_configuration_and_layers() {
    let world = World::new();
    app("a").write_docker_archive(&world.project().join("image.tar"), "app:1");
    let first = plan(&world, "docker-archive:image.tar");
    first.ends_with(0);
    plan(&world, "docker-archive:image.tar:app:1").ends_with(0);
    plan(&world, "docker-archive:image.tar:other")
        .ends_with(125)
        .shows("container.image.not-found");
}

#[test]
fn another_content_is_another_image() {
    let world = World::new();
    let id = |world: &World| {
        let ran = plan(world, "oci:image");
        ran.ends_with(0).json()["env_id"].clone()
    };
    app("a").write_layout(&world.project().join("image"), "app:1");
    let first = id(&world);
    app("b").write_layout(&world.project().join("image"), "app:1");
    assert_ne!(id(&world), first);
}

#[test]
fn a_file_that_is_no_image_is_told() {
    let world = World::new();
    world.write(
        "a.tar",
        "this is no archive, and it is long enough to be looked at as one".repeat(20),
    );
    world.write("b.tar.gz", b"\x1f\x8b\x08\x00");
    plan(&world, "oci-archive:a.tar")
        .ends_with(125)
        .shows("container.image.invalid");
    plan(&world, "docker-archive:b.tar.gz")
        .ends_with(125)
        .shows("gzip -d");
}
