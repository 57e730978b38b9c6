//! What goes wrong with registries: a clear error, or a try that goes well; and a store that works afterwards.

use std::time::Duration;

use serde_json::json;
use wrun_tests::container::{Image, Registry, Trouble, of_image};
use wrun_tests::{Ran, World, binary, files, processes};

fn app() -> Image {
    Image::module(files::bytes(&binary::guest("hello.wasm")))
}

fn submit(world: &World, registry: &Registry) -> Ran {
    world.write("task.toml", of_image(&registry.name("app:1"), "", ""));
    world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_HTTP_TIMEOUT", "3s")
        .run()
}

/// The paths that a pull asks for, in order.
const PATHS: [&str; 2] = ["/manifests/1", "/blobs/"];

#[track_caller]
fn fails_well(world: &World, registry: &Registry, ran: &Ran, codes: &[&str]) {
    ran.ends_with(125)
        .says("error: ")
        .says("help: ")
        .does_not_say("panicked");
    assert!(
        codes.iter().any(|code| ran.stderr.contains(code)),
        "none of {codes:?}: {ran:?}"
    );
    processes::assert_none_mentions(world.path());
    assert!(world.environments().is_empty());
    registry.heal();
    submit(world, registry).ends_with(0);
}

#[test]
fn each_status_is_told_for_the_manifest_and_for_each_blob() {
    for (status, codes) in [
        (401, ["container.registry.denied", "provision.http.unauthorized"]),
        (403, ["container.registry.denied", "provision.http.unauthorized"]),
        (404, ["container.image.not-found", "provision.http.missing"]),
        (429, ["container.registry.busy", "provision.http.busy"]),
        (500, ["container.registry.failed", "provision.http.failed"]),
    ] {
        for path in PATHS {
            let (world, registry) = (World::new(), Registry::with("app:1", &app()));
            registry.fault(path, Trouble::Status(status));
            let ran = submit(&world, &registry);
            ran.says(&status.to_string());
            fails_well(&world, &registry, &ran, &codes);
        }
    }
}

#[test]
fn what_fails_twice_and_then_goes_well_goes_well() {
    for status in [429, 500, 503] {
        for path in PATHS {
            let (world, registry) = (World::new(), Registry::with("app:1", &app()));
            registry.fault_times(path, Trouble::Status(status), 2);
            submit(&world, &registry).ends_with(0);
        }
    }
}

#[test]
fn a_connection_that_is_cut_is_tried_again_and_goes_on_where_it_ended() {
    for path in PATHS {
        let (world, registry) = (World::new(), Registry::with("app:1", &app()));
        registry.fault_times(path, Trouble::Cut(100), 1);
        submit(&world, &registry).ends_with(0);
    }
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.fault_times("/blobs/", Trouble::Cut(1000), 1);
    submit(&world, &registry).ends_with(0);
    let ranges: Vec<_> = registry
        .requests()
        .iter()
        .filter_map(|request| request.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges, ["bytes=1000-"]);
}

#[test]
fn a_connection_that_is_always_cut_is_told() {
    for path in PATHS {
        let (world, registry) = (World::new(), Registry::with("app:1", &app()));
        registry.fault(path, Trouble::Cut(100));
        let ran = submit(&world, &registry);
        fails_well(&world, &registry, &ran, &["provision.http.unreachable"]);
    }
}

#[test]
fn what_is_changed_or_short_is_never_used() {
    for (trouble, path) in [
        (Trouble::Changed, "/blobs/"),
        (Trouble::Truncated(10), "/blobs/"),
        (Trouble::Changed, "/manifests/1"),
        (Trouble::Truncated(10), "/manifests/1"),
    ] {
        let (world, registry) = (World::new(), Registry::with("app:1", &app()));
        registry.fault(path, trouble);
        let ran = submit(&world, &registry);
        fails_well(
            &world,
            &registry,
            &ran,
            &["container.digest", "provision.http.digest"],
        );
    }
}

fn given_up(trouble: Trouble, path: &str, code: &str) {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.fault(path, trouble);
    let ran = submit(&world, &registry);
    ran.says("still waiting for");
    fails_well(&world, &registry, &ran, &[code]);
}

#[test]
fn a_registry_that_says_nothing_is_given_up() {
    given_up(Trouble::Hang, "/manifests/1", "provision.http.unreachable");
}

#[test]
fn a_blob_that_never_comes_is_given_up() {
    given_up(Trouble::Hang, "/blobs/", "provision.http.unreachable");
}

#[test]
fn a_registry_that_drips_is_given_up() {
    given_up(Trouble::Drip, "/manifests/1", "provision.http.slow");
}

#[test]
fn a_blob_that_drips_is_given_up() {
    given_up(Trouble::Drip, "/blobs/", "provision.http.slow");
}

#[test]
fn a_slow_registry_is_waited_for() {
    let (world, registry) = (World::new(), Registry::with("app:1", &app()));
    registry.fault("/", Trouble::Slow(Duration::from_secs(1)));
    submit(&world, &registry).ends_with(0);
}

#[test]
fn a_registry_that_is_not_there_is_told() {
    let world = World::new();
    let name = { Registry::start().name("app:1") };
    let ran = world.submit(&of_image(&name, "", ""));
    ran.ends_with(125).says("provision.http.unreachable");
}

#[test]
fn an_image_that_lies_about_itself_is_told() {
    let layered = || Image::new().layer(&[("a", b"a")]).layer(&[("b", b"b")]);
    let fewer = layered().diff_ids(&layered().diff_id_list()[..1]);
    let (world, registry) = (World::new(), Registry::with("app:1", &fewer));
    world
        .submit(&of_image(&registry.name("app:1"), "", ""))
        .ends_with(125)
        .says("container.image.invalid")
        .says("2 layers and its configuration 1");
    let world = World::new();
    layered()
        .layer_size(7)
        .write_layout(&world.project().join("image"), "app:1");
    world
        .submit(&of_image("oci:image", "", ""))
        .ends_with(125)
        .says("container.layer.size")
        .says("the image's manifest says 7");
}

#[test]
fn a_configuration_that_nothing_can_start_with_is_told() {
    for config in [
        json!({"WorkingDir": "/a\0b"}),
        json!({"WorkingDir": "a".repeat(256)}),
        json!({"WorkingDir": "/a".repeat(2048)}),
        json!({"User": "4294967295"}),
        json!({"User": "0:4294967295"}),
        json!({"Env": ["=x"]}),
    ] {
        let world = World::new();
        let image = Image::new().layer(&[("a", b"a")]).config(config);
        image.write_layout(&world.project().join("image"), "app:1");
        world
            .submit(&of_image("oci:image", "", ""))
            .ends_with(125)
            .says("container.image.invalid");
    }
}
