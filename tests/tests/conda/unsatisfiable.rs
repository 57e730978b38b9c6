//! Why there is no solution, as people read it.

use serde_json::{Value, json};
use wrun_tests::World;
use wrun_tests::conda::{Channel, Package};

use crate::task;

/// What is said about a spec that cannot be solved.
#[track_caller]
fn said(channel: &Channel, mut spec: Value) -> String {
    let world = World::new();
    spec["channels"] = json!([channel.url()]);
    let ran = world.submit(&task(&["true"], spec));
    ran.ends_with(125);
    ran.stderr
        .lines()
        .filter(|line| !line.starts_with("note: "))
        .map(|line| line.replace(&channel.url(), "[CHANNEL]") + "\n")
        .collect()
}

fn channel() -> Channel {
    Channel::with([
        Package::new("numpy", "1.26.4"),
        Package::new("numpy", "2.1.0"),
        Package::new("pandas", "2.2.0").depends("numpy >=2"),
        Package::new("oldlib", "1.0").depends("numpy <2"),
        Package::new("torch-gpu", "2.5").depends("__cuda >=12"),
        Package::new("torch-gpu", "2.4").depends("__cuda >=11.8"),
        Package::new("needs-lost", "1.0").depends("lost-package >=1"),
        Package::new("needs-new", "1.0").depends("numpy >=3"),
        Package::new("winonly", "1.0").subdir("win-64"),
        Package::new("deep-a", "1.0").depends("middle-a"),
        Package::new("middle-a", "1.0").depends("numpy >=2"),
        Package::new("deep-b", "1.0").depends("middle-b"),
        Package::new("middle-b", "1.0").depends("numpy <2"),
        Package::new("picky", "1.0").constrains("numpy <2"),
        Package::new("chain-a", "1.0").depends("chain-b 1"),
        Package::new("chain-a", "2.0").depends("chain-b 2"),
        Package::new("chain-b", "1").depends("needs-lost"),
        Package::new("chain-b", "2").depends("chain-a 1"),
        Package::new("maconly", "1.0").depends("__osx >=11"),
    ])
}

#[test]
fn a_package_that_is_nowhere() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["nunpy"] })));
}

#[test]
fn a_version_that_is_nowhere() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["numpy>=3"] })));
}

#[test]
fn pins_that_contradict_each_other() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["pandas", "numpy=1"] })));
}

#[test]
fn packages_that_contradict_each_other() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["pandas", "oldlib"] })));
}

#[test]
fn packages_that_contradict_each_other_far_below() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["deep-a", "deep-b"] })));
}

#[test]
fn a_virtual_package_that_the_machine_does_not_have() {
    let spec = json!({ "packages": ["torch-gpu"], "virtual-packages": { "cuda": false } });
    insta::assert_snapshot!(said(&channel(), spec));
}

#[test]
fn a_virtual_package_that_is_too_old() {
    let spec = json!({ "packages": ["torch-gpu=2.5"], "virtual-packages": { "cuda": "11.8" } });
    insta::assert_snapshot!(said(&channel(), spec));
}

#[test]
fn a_package_of_another_platform() {
    let spec = json!({ "packages": ["winonly"], "platform": "linux-64" });
    insta::assert_snapshot!(said(&channel(), spec));
}

#[test]
fn a_dependency_that_is_nowhere() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["needs-lost"] })));
}

#[test]
fn a_dependency_of_a_version_that_is_nowhere() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["needs-new"] })));
}

#[test]
fn several_things_at_once() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["nunpy", "numpy>=3"] })));
}

#[test]
fn a_version_that_only_a_later_channel_has() {
    let world = World::new();
    let first = Channel::with([Package::new("numpy", "1.26.4")]);
    let second = Channel::with([Package::new("numpy", "2.1.0")]);
    let spec = json!({ "packages": ["numpy>=2"], "channels": [first.url(), second.url()] });
    let ran = world.submit(&task(&["true"], spec));
    ran.ends_with(125);
    let said: String = ran
        .stderr
        .lines()
        .filter(|line| !line.starts_with("note: "))
        .map(|line| {
            line.replace(&first.url(), "[FIRST]")
                .replace(&second.url(), "[SECOND]")
                + "\n"
        })
        .collect();
    insta::assert_snapshot!(said);
}

#[test]
fn a_package_that_goes_only_with_others() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["picky", "pandas"] })));
}

#[test]
fn something_far_below_that_is_nowhere() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["chain-a"] })));
}

/// Some of these say when they were uploaded.
fn channel_with_times() -> Channel {
    const JANUARY: u64 = 1_704_067_200_000;
    const JUNE: u64 = 1_717_200_000_000;
    Channel::with([
        Package::new("undated", "1.0"),
        Package::new("undated", "2.0"),
        Package::new("mixed", "1.0"),
        Package::new("mixed", "2.0").uploaded(JUNE),
        Package::new("needs-undated", "1.0")
            .uploaded(JANUARY)
            .depends("undated >=2"),
        Package::new("part", "1.0").uploaded(JANUARY),
        Package::new("part", "2.0"),
        Package::new("part", "3.0").uploaded(JANUARY),
        Package::new("below-three", "1.0")
            .uploaded(JANUARY)
            .depends("part <3"),
        Package::new("above-one", "1.0")
            .uploaded(JANUARY)
            .depends("part >1"),
    ])
}

#[track_caller]
fn said_of_march(packages: &[&str]) -> String {
    said(
        &channel_with_times(),
        json!({ "packages": packages, "exclude-newer": "2024-03-01" }),
    )
}

#[test]
fn a_package_that_says_no_time() {
    insta::assert_snapshot!(said_of_march(&["undated"]));
}

#[test]
fn a_package_that_says_no_time_or_is_too_new() {
    insta::assert_snapshot!(said_of_march(&["mixed"]));
}

#[test]
fn a_dependency_that_says_no_time() {
    insta::assert_snapshot!(said_of_march(&["needs-undated"]));
}

#[test]
fn a_conflict_whose_way_out_says_no_time() {
    insta::assert_snapshot!(said_of_march(&["below-three", "above-one"]));
}

#[test]
fn two_versions_of_one_package() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["numpy=1", "numpy=2"] })));
}

#[test]
fn several_names_in_one_entry() {
    insta::assert_snapshot!(said(&channel(), json!({ "packages": ["numpy pandas"] })));
}

#[test]
fn a_package_of_another_system() {
    let spec = json!({ "packages": ["maconly"], "platform": "linux-64" });
    insta::assert_snapshot!(said(&channel(), spec));
}

/// Several versions of some packages, and several builds of some versions.
fn wide_channel() -> Channel {
    let numpy = (14..=26).map(|minor| {
        let blas = if minor < 20 {
            "libblas >=2,<3"
        } else {
            "libblas >=3"
        };
        Package::new("numpy", &format!("1.{minor}")).depends(blas)
    });
    let pandas = (10..=19).map(|minor| Package::new("pandas", &format!("1.{minor}")).depends("numpy >=1.20"));
    let libblas = [2, 3, 7].map(|major| Package::new("libblas", &format!("{major}.0")));
    let python = ["3.10", "3.11", "3.12"].map(|version| Package::new("python", version));
    Channel::with(
        numpy.chain(pandas).chain(libblas).chain(python).chain([
            Package::new("ext", "1.0")
                .depends("python 3.10.*")
                .depends("lib >=1,<2"),
            Package::new("ext", "1.1")
                .depends("python 3.11.*")
                .depends("lib >=1,<2"),
            Package::new("ext", "2.0")
                .depends("python 3.11.*")
                .depends("lib >=2"),
            Package::new("needs-ext", "1.0").depends("ext >=1,<2"),
            Package::new("lib", "1.0"),
            Package::new("lib", "2.0"),
            Package::new("lib", "3.0"),
            Package::new("new-lib", "1.0").depends("lib >=2"),
            Package::new("needs-gpu", "1.0").depends("lib 2.0 cuda*"),
            Package::new("garbled", "1.0").depends("a b c d e >>= ["),
            Package::new("needs-garbled", "1.0").depends("garbled"),
            Package::new("left", "1.0").depends("hub 1.*"),
            Package::new("left", "1.1").depends("hub 2.*"),
            Package::new("right", "1.0").depends("hub 1.*").depends("lib 3.*"),
            Package::new("right", "1.1").depends("hub 3.*"),
            Package::new("hub", "1.0").depends("lib <3"),
            Package::new("hub", "2.0"),
            Package::new("hub", "3.0"),
        ]),
    )
}

#[track_caller]
fn said_of_many(packages: &[&str]) -> String {
    let said = said(&wide_channel(), json!({ "packages": packages }));
    let is_drawn = said.contains(['├', '└', '│']);
    assert!(!is_drawn && said.lines().count() <= 3, "{said}");
    said
}

#[test]
fn many_versions_that_need_another_than_is_asked_for() {
    insta::assert_snapshot!(said_of_many(&["pandas>=1.12", "numpy<1.20"]));
}

#[test]
fn versions_that_need_different_things() {
    insta::assert_snapshot!(said_of_many(&["ext", "python=3.12"]));
}

#[test]
fn versions_that_contradict_what_another_package_needs() {
    insta::assert_snapshot!(said_of_many(&["ext=1", "new-lib"]));
}

#[test]
fn versions_far_below_that_contradict_what_another_package_needs() {
    insta::assert_snapshot!(said_of_many(&["needs-ext", "new-lib"]));
}

#[test]
fn a_conflict_by_way_of_what_is_left_of_a_third_package() {
    insta::assert_snapshot!(said_of_many(&["left", "right"]));
}

#[test]
fn packages_that_have_no_part_in_a_conflict() {
    insta::assert_snapshot!(said_of_many(&[
        "pandas",
        "numpy=1.14",
        "python=3.11",
        "libblas=7"
    ]));
    insta::assert_snapshot!(said_of_many(&[
        "python=3.11",
        "new-lib",
        "numpy=1.14",
        "libblas=7"
    ]));
}

#[test]
fn a_dependency_that_nobody_understands() {
    insta::assert_snapshot!(said_of_many(&["garbled"]));
    insta::assert_snapshot!(said_of_many(&["needs-garbled"]));
}

#[test]
fn a_build_that_is_nowhere() {
    insta::assert_snapshot!(said_of_many(&["needs-gpu"]));
    insta::assert_snapshot!(said_of_many(&["lib=2.0=cuda*"]));
    insta::assert_snapshot!(said_of_many(&["numpy=1=0"]));
}

#[test]
fn a_channel_that_a_package_has_to_come_from() {
    let world = World::new();
    let first = Channel::with([Package::new("lib", "1.0")]);
    let second = Channel::with([
        Package::new("lib", "2.0"),
        Package::new("new-lib", "1.0").depends("lib >=2"),
    ]);
    let said = |package: &str, other: &str| -> String {
        let package = format!("{}::{package}", first.url());
        let spec = json!({ "packages": [package, other], "channels": [second.url()] });
        let ran = world.submit(&task(&["true"], spec));
        ran.ends_with(125);
        let told = ran.stderr.lines().filter(|line| !line.starts_with("note: "));
        told.map(|line| {
            line.replace(&first.url(), "[FIRST]")
                .replace(&second.url(), "[SECOND]")
                + "\n"
        })
        .collect()
    };
    insta::assert_snapshot!(said("lib", "new-lib"));
    insta::assert_snapshot!(said("new-lib", "lib"));
}

#[test]
fn what_the_solver_says_is_in_the_log() {
    let world = World::new();
    let channel = wide_channel();
    let spec = json!({ "packages": ["ext", "python=3.12"], "channels": [channel.url()] });
    let text = task(&["true"], spec);
    world.write("t.toml", text);
    let ran = world.wrun(&["submit", "t.toml"]).env("WRUN_LOG", "debug").run();
    ran.ends_with(125)
        .says("the solver finds no solution")
        .says("ext 1.0");
}
