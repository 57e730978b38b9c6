//! What is asked of a registry, and what comes of it.

use serde_json::json;
use wrun_tests::container::{Image, Packing, Registry, of_image};
use wrun_tests::{Ran, World};

/// An image with two layers that says what it is.
fn app() -> Image {
    Image::new()
        .layer(&[("etc/", b""), ("etc/name", b"app\n")])
        .layer(&[("etc/more", b"more\n")])
        .config(json!({"Cmd": ["/bin/true"], "Env": ["A=1"]}))
}

fn plan(world: &World, task: &str) -> Ran {
    world.write("task.toml", task);
    world.wrun(&["--format", "json", "plan", "task.toml"]).run()
}

#[test]
fn a_tag_is_looked_up_once_and_the_key_holds_digests() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    let task = of_image(&registry.name("app:1"), "", "");
    let first = plan(&world, &task);
    first.ends_with(0).shows(&app().manifest().digest());
    assert_eq!(registry.asked("/manifests/1"), 1);
    // The tag moves, and the lock does not.
    registry.push("app:1", &app().layer(&[("new", b"")]));
    let second = plan(&world, &task);
    second.ends_with(0).shows(&app().manifest().digest());
    assert_eq!(registry.asked("/manifests/1"), 1);
}

#[test]
fn two_tags_of_one_image_are_one_environment() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.push("app:2", &app());
    let id = |tag: &str| {
        let ran = plan(&world, &of_image(&registry.name(tag), "", ""));
        ran.ends_with(0).json()["env_id"].clone()
    };
    let (one, two) = (id("app:1"), id("app:2"));
    assert!(one.is_string(), "{one}");
    assert_eq!(one, two);
}

#[test]
fn the_image_of_this_machine_is_taken_out_of_an_index() {
    let (world, registry) = (World::new(), Registry::start());
    let own = app();
    let other = app().platform("s390x", None);
    registry.push("app:own", &own);
    registry.push("app:other", &other);
    let index = wrun_tests::container::image::index(&[other.entry(), own.entry()]);
    registry.push_document("app:1", index.clone());
    plan(&world, &of_image(&registry.name("app:1"), "", ""))
        .ends_with(0)
        .shows(&own.manifest().digest());
    let by_digest = format!("app@{}", index.digest());
    plan(
        &world,
        &of_image(&registry.name(&by_digest), "", "platform = \"linux/s390x\""),
    )
    .ends_with(0)
    .shows(&other.manifest().digest());
    let ran = plan(
        &world,
        &of_image(&registry.name("app:1"), "", "platform = \"linux/riscv64\""),
    );
    ran.ends_with(125)
        .shows("container.platform.none")
        .shows("linux/s390x");
}

#[test]
fn documents_of_docker_are_read() {
    for packing in [Packing::Tar, Packing::Gzip, Packing::Zstd] {
        for image in [app().packed(packing), app().docker().packed(packing)] {
            let (world, registry) = (World::new(), Registry::with("app:1", &image));
            plan(&world, &of_image(&registry.name("app:1"), "", ""))
                .ends_with(0)
                .shows(&image.manifest().digest());
        }
    }
}

#[test]
fn nothing_is_asked_offline() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    world.write("task.toml", of_image(&registry.name("app:1"), "", ""));
    let ran = world.wrun(&["--offline", "submit", "task.toml"]).run();
    ran.ends_with(125).says("provision.offline").says("offline");
    assert_eq!(registry.requests().len(), 0);
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_where_it_has_nothing() {
    let (world, registry, mirror) = (World::new(), Registry::with("app:1", &app()), Registry::start());
    let task = of_image(
        &registry.name("app:1"),
        "",
        &format!("mirrors = [\"{}/hub\"]", mirror.host()),
    );
    plan(&world, &task).ends_with(0);
    assert_eq!(mirror.asked("/v2/hub/app/manifests/1"), 1);
    assert_eq!(registry.asked("/v2/app/manifests/1"), 1);

    let (world, registry, mirror) = (
        World::new(),
        Registry::start(),
        Registry::with("hub/app:1", &app()),
    );
    let task = of_image(
        &registry.name("app:1"),
        "",
        &format!("mirrors = [\"{}/hub\"]", mirror.host()),
    );
    plan(&world, &task).ends_with(0).shows(&app().manifest().digest());
    assert_eq!(registry.requests().len(), 0);

    // Where neither has it, what both said is told.
    let task = of_image(
        &registry.name("other:1"),
        "",
        &format!("mirrors = [\"{}\"]", mirror.host()),
    );
    let said = format!(
        "the mirror `{0}` was asked before: `{0}` does not have",
        mirror.host()
    );
    plan(&world, &task)
        .ends_with(125)
        .shows("container.image.not-found")
        .shows(&said);
}
