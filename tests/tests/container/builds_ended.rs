//! Builds that are ended leave nothing where the builder keeps images.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wrun_tests::container::{Builders, shell_image};
use wrun_tests::{Cmd, World, files};

/// A build whose second stage begins with the first, and goes on until it is ended.
const ENDLESS: &str = "FROM docker.io/library/shell:1 AS one\nRUN echo one > /one\nFROM one\nRUN echo > /ready/now; while :; do :; done\n";

/// What a builder keeps: containers and images, by their ids.
fn kept(builder: &str, builders: &Builders) -> Vec<String> {
    let containers: &[&str] = if builder == "buildah" {
        &["containers", "--quiet", "--all"]
    } else {
        &["ps", "--quiet", "--all", "--external"]
    };
    let mut kept = Vec::new();
    for list in [containers, &["images", "--quiet", "--all"]] {
        let listed = builders.call(builder, list);
        kept.extend(listed.lines().map(str::to_owned));
    }
    kept.sort();
    kept
}

/// Waits until a step of the build runs.
#[track_caller]
fn wait_for(file: &Path) {
    let started = Instant::now();
    while !file.exists() {
        assert!(
            started.elapsed() < Duration::from_mins(2),
            "the step does not run"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn leaves_nothing(builder: &str, command: &str, how: Signal) {
    let Some(base) = shell_image() else { return };
    let world = World::new();
    let mut builders = Builders::new(&world, &[("library/shell:1", &base)]);
    if !builders.has(builder) {
        return;
    }
    let ready = files::folder(&world.path().join("ready"));
    let settings = world.path().join("containers.conf");
    let volumes = format!("[containers]\nvolumes = [\"{}:/ready\"]\n", ready.display());
    files::write(&settings, volumes);
    world.write(
        "task.toml",
        format!("[run]\n[env.container]\nbuild = \"Containerfile\"\nbuilder = \"{builder}\"\n"),
    );
    let build_it = || -> Cmd {
        let told = builders.told(world.wrun(&[command, "task.toml"]));
        told.env("CONTAINERS_CONF", &settings)
    };

    // What the caller has built by hand has no name either, and the same time.
    let by_hand = files::folder(&world.path().join("by-hand"));
    files::write(
        &by_hand.join("Containerfile"),
        "FROM docker.io/library/shell:1\nCMD [\"own\"]\n",
    );
    let folder = by_hand.to_string_lossy();
    let build = ["build", "--isolation", "chroot", "--timestamp", "0", &folder];
    let _id = builders.call(builder, &build);
    let before = kept(builder, &builders);
    assert!(
        before.len() >= 2,
        "the base and what was built by hand: {before:?}"
    );

    world.write("Containerfile", ENDLESS);
    let running = build_it().spawn();
    wait_for(&ready.join("now"));
    assert_ne!(
        kept(builder, &builders),
        before,
        "the build keeps something while it runs"
    );
    running.signal(how);
    let ran = running.wait();
    if how == Signal::KILL {
        // The next build removes it.
        world.write(
            "Containerfile",
            "FROM docker.io/library/shell:1\nCMD [\"/bin/cat\", \"/dev/null\"]\n",
        );
        build_it().run().ends_with(0);
    } else {
        ran.ends_with(130);
    }
    assert_eq!(kept(builder, &builders), before);
}

#[test]
fn buildah_leaves_nothing_after_an_interrupt() {
    leaves_nothing("buildah", "submit", Signal::INT);
}

#[test]
fn buildah_leaves_nothing_when_asked_to_end() {
    leaves_nothing("buildah", "submit", Signal::TERM);
}

#[test]
fn buildah_leaves_nothing_to_the_next_build() {
    leaves_nothing("buildah", "submit", Signal::KILL);
}

#[test]
fn podman_leaves_nothing_after_an_interrupt() {
    leaves_nothing("podman", "submit", Signal::INT);
}

#[test]
fn podman_leaves_nothing_when_asked_to_end() {
    leaves_nothing("podman", "submit", Signal::TERM);
}

#[test]
fn podman_leaves_nothing_to_the_next_build() {
    leaves_nothing("podman", "submit", Signal::KILL);
}

#[test]
fn a_plan_that_is_interrupted_leaves_nothing() {
    for builder in ["buildah", "podman"] {
        leaves_nothing(builder, "plan", Signal::INT);
    }
}
