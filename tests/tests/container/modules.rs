//! Images of WebAssembly modules.

use wrun_tests::container::{Image, Registry, of_image};
use wrun_tests::{World, binary, files};

fn hello() -> Image {
    Image::module(files::bytes(&binary::guest("hello.wasm")))
}

#[test]
fn a_module_is_pulled_once_and_runs_with_arguments() {
    let (world, registry) = (World::new(), Registry::with("hello:1", &hello()));
    let task = of_image(&registry.name("hello:1"), "args = [\"ada\"]", "");
    let first = world.submit(&task);
    first.ends_with(0);
    assert!(!first.stdout.is_empty(), "{first:?}");
    let asked = registry.requests().len();
    assert_eq!(world.submit(&task).stdout, first.stdout);
    assert_eq!(registry.requests().len(), asked, "the second run asked again");
}

#[test]
fn a_module_in_an_index_is_found() {
    let (world, registry) = (World::new(), Registry::start());
    let image = hello();
    registry.push("hello:only", &image);
    let mut entry = image.manifest().descriptor();
    entry["platform"] = serde_json::json!({"os": "wasi", "architecture": "wasm"});
    registry.push_document("hello:1", wrun_tests::container::image::index(&[entry]));
    let ran = world.submit(&of_image(&registry.name("hello:1"), "", ""));
    ran.ends_with(0);
}

#[test]
fn a_module_has_no_commands_in_it() {
    let (world, registry) = (World::new(), Registry::with("hello:1", &hello()));
    let ran = world.submit(&of_image(&registry.name("hello:1"), "command = [\"true\"]", ""));
    ran.ends_with(125).says("container.module.command").says("help: ");
}
