//! Images on this machine.

use std::path::Path;

use serde_json::json;
use wrun_tests::container::{Image, Packing, of_image};
use wrun_tests::{Ran, World, files};

/// A way to write an image to this machine.
type Write = fn(&Image, &Path, &str);

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

/// What wrun does itself for its own engine is not what it does for another.
#[test]
fn a_plan_says_that_an_engine_keeps_the_image() {
    let world = World::new();
    app("a").write_layout_archive(&world.project().join("image.tar"), "app:1");
    for (engine, step) in [
        ("builtin", "unpack 1 layer"),
        ("podman", "have podman keep the image"),
    ] {
        let spec = format!("engine = \"{engine}\"\n");
        world.write("task.toml", of_image("oci-archive:image.tar", "", &spec));
        let ran = world.wrun(&["--format", "json", "plan", "task.toml"]).run();
        ran.ends_with(0).shows(step);
    }
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
        .shows("container.image.not-found")
        .shows("there is no image `other`")
        .shows("it holds: `app:1`");
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
fn what_is_in_the_store_is_found_by_the_index_and_the_configuration_alone() {
    let world = World::new();
    let id = |image: &str| plan(&world, image).ends_with(0).json()["env_id"].clone();
    app("a").write_layout(&world.project().join("image"), "app:1");
    app("a").write_layout_archive(&world.project().join("image.tar"), "app:1");
    let first = id("oci:image");
    assert_eq!(id("oci-archive:image.tar"), first);
    // What a digest names cannot have changed, so it is not looked at again.
    for blob in files::walk(&world.project().join("image/blobs")) {
        if blob.is_file() {
            files::write(&blob, "");
        }
    }
    assert_eq!(id("oci:image"), first);

    app("a").write_docker_archive(&world.project().join("saved.tar"), "app:1");
    let first = id("docker-archive:saved.tar");
    app("a").write_docker_archive(&world.project().join("saved.tar"), "another:2");
    assert_eq!(id("docker-archive:saved.tar"), first);
}

#[test]
fn a_layer_that_was_changed_is_noticed_when_it_is_unpacked() {
    let kinds: [(&str, Write); 3] = [
        ("oci", Image::write_layout),
        ("oci-archive", Image::write_layout_archive),
        ("docker-archive", Image::write_docker_archive),
    ];
    for (kind, write) in kinds {
        let world = World::new();
        let image = world.project().join("image");
        write(&app("name-of-the-image").packed(Packing::Tar), &image, "app:1");
        for path in files::walk(&image)
            .into_iter()
            .chain([image.clone()])
            .filter(|path| path.is_file())
        {
            let changed = String::from_utf8_lossy(&files::bytes(&path))
                .replace("name-of-the-image", "NAME-OF-THE-IMAGE");
            files::write(&path, changed.into_bytes());
        }
        world
            .submit(&of_image(&format!("{kind}:image"), "", ""))
            .ends_with(125)
            .says("layer.diff-id");
    }
}

#[test]
fn a_file_that_is_no_image_is_told_and_nothing_of_it_is_shown() {
    let world = World::new();
    world.write("passwd", "root:canary:0:0\n".repeat(100));
    world.write("b.tar.gz", b"\x1f\x8b\x08\x00");
    app("a").write_layout(&world.project().join("image"), "app:1");
    app("a").write_layout_archive(&world.project().join("image.tar"), "app:1");
    app("a").write_docker_archive(&world.project().join("saved.tar"), "app:1");
    files::folder(&world.project().join("empty"));
    for (image, code, words) in [
        (
            "oci-archive:passwd",
            "container.image.invalid",
            "it is no tar archive",
        ),
        (
            "docker-archive:passwd",
            "container.image.invalid",
            "it is no tar archive",
        ),
        ("docker-archive:b.tar.gz", "container.image.invalid", "gzip -d"),
        (
            "docker-archive:image.tar",
            "container.image.invalid",
            "write `oci-archive:FILE`",
        ),
        (
            "oci-archive:saved.tar",
            "container.image.invalid",
            "write `docker-archive:FILE`",
        ),
        ("oci-archive:image", "container.image.invalid", "is a folder"),
        ("oci:image.tar", "container.image.invalid", "is no folder"),
        ("oci:empty", "container.image.invalid", "no `index.json`"),
        (
            "docker-archive:missing",
            "container.image.missing",
            "does not exist",
        ),
    ] {
        let ran = plan(&world, image);
        ran.ends_with(125).shows(code).shows(words);
        assert!(
            !format!("{}{}", ran.stdout, ran.stderr).contains("canary"),
            "{ran:?}"
        );
    }
}

#[test]
fn what_an_image_says_of_itself_is_one_line_and_not_endless() {
    let world = World::new();
    let evil = format!("evil\n\u{1b}[2J{}", "x".repeat(5000));
    app("a")
        .platform(&evil, None)
        .write_layout(&world.project().join("image"), "app:1");
    let ran = world.submit(&of_image("oci:image", "", ""));
    ran.ends_with(125).says("container.platform.none").says("evil\\n");
    assert!(
        !ran.stderr.contains('\u{1b}') && ran.stderr.len() < 1000,
        "{ran:?}"
    );
}

#[test]
fn a_folder_to_start_in_that_is_a_file_is_told_before_anything_runs() {
    let world = World::new();
    let image = app("a").config(json!({"Cmd": ["/bin/true"], "WorkingDir": "/etc/name"}));
    image.write_layout(&world.project().join("image"), "app:1");
    world
        .submit(&of_image("oci:image", "", ""))
        .ends_with(125)
        .says("image.working-dir.file")
        .says("`/etc/name`");
    plan(&world, "oci:image")
        .ends_with(125)
        .shows("image.working-dir.file");
    world
        .submit(&of_image("oci:image", "", "working-dir = \"/etc/name\""))
        .ends_with(125)
        .says("container.working-dir.file")
        .says("task.toml:5:");
}
