//! Packages that bring the same paths.

use serde_json::json;
use wrun_tests::conda::{Channel, Package};
use wrun_tests::{World, files};

use crate::{of_channel, task};

#[test]
fn a_file_of_one_package_where_another_has_a_folder_is_refused() {
    let world = World::new();
    let channel = Channel::with([
        Package::saying("one", "1.0", "one").file("share/clash", "a file"),
        Package::saying("two", "1.0", "two").file("share/clash/sub", "in a folder"),
        Package::saying("three", "1.0", "three").link("share/clash", "../bin"),
    ]);
    for (names, file) in [
        (["one", "two"], "one"),
        (["two", "one"], "one"),
        (["two", "three"], "three"),
    ] {
        world
            .submit(&of_channel(&channel.url(), &names))
            .ends_with(125)
            .says("conda.link.clash")
            .says(&format!(
                "`share/clash` is a file of `{file}` and a folder of `two`"
            ))
            .says("share/clash/sub")
            .says("leave out one of the two");
        assert!(world.environments().is_empty());
    }
    world
        .submit(&of_channel(&channel.url(), &["two"]))
        .prints("two\n");
}

#[test]
fn whose_file_is_used_where_two_packages_bring_it_is_told() {
    let world = World::new();
    let channel = Channel::with([
        Package::new("one", "1.0")
            .program("bin/show", "#!/bin/sh\ncat $CONDA_PREFIX/share/same\n")
            .file("share/same", "of one\n")
            .file("share/also", "of one\n"),
        Package::new("two", "1.0")
            .depends("one")
            .file("share/same", "of two\n")
            .file("share/also", "of two\n"),
        Package::new("other", "1.0").file("share/other", "other\n"),
    ]);
    let spec = json!({ "packages": ["two", "other"], "channels": [channel.url()] });
    let ran = world.submit(&task(&["show"], spec));
    ran.ends_with(0).does_not_say("`other`");
    let winner = ran.stdout.trim().trim_start_matches("of ").to_owned();
    let loser = if winner == "one" { "two" } else { "one" };
    ran.says(&format!(
        "`{winner}` and `{loser}` both bring the same 2 files, such as `share/also`: those of `{winner}` are used"
    ));
    let tree = world.tree(&world.environments()[0]);
    assert_eq!(files::read(&tree.join("share/also")), format!("of {winner}\n"));
}
