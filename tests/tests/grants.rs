//! What is granted beside the usual, and what is said of a limit or a tier that cannot be had.

use rustix::process::Signal;
use wrun_tests::{World, binary, files, skipped};

/// The first and the last of it are made for every task.
#[test]
fn the_folder_of_settings_can_be_granted_as_a_whole() {
    for tier in ["full", "restricted"] {
        let words = [
            "run",
            "--sandbox",
            tier,
            "--read",
            "/etc",
            "--",
            "cat",
            "/etc/passwd",
            "/etc/hostname",
        ];
        let expected = files::read("/etc/passwd".as_ref()) + &files::read("/etc/hostname".as_ref());
        World::new().wrun(&words).run().ends_with(0).prints(&expected);
    }
}

#[test]
fn a_kernel_that_gives_mounts_no_attributes_has_the_lower_tier() {
    let Some(attempts) = binary::built("wrun-attempts") else {
        skipped("wrun-attempts is not built");
        return;
    };
    let attempts = attempts.to_string_lossy().into_owned();
    for fault in ["mount_setattr=ENOSYS", "mount_setattr=EPERM"] {
        let run = |demand: &str| {
            let words = ["run", "--sandbox", demand, "--", "echo", "ran"];
            World::new()
                .wrun(&words)
                .through(&[&attempts, "deny", fault, "--"])
                .run()
        };
        run("best-effort")
            .ends_with(0)
            .prints("ran\n")
            .says("tier `restricted`");
        run("full").ends_with(126).says("the tier `full` cannot be had");
    }
}

#[test]
fn limits_that_nothing_holds_are_told() {
    let words = [
        "--format",
        "json",
        "run",
        "--sandbox",
        "off",
        "--memory",
        "50MiB",
        "--",
        "true",
    ];
    let world = World::new();
    let ran = world.wrun(&words).run();
    let events = ran.events();
    let report = events.iter().find(|event| event["event"] == "sandbox");
    assert_eq!(
        report.map(|report| &report["capabilities"]["memory"]["state"]),
        Some(&"not-enforced".into())
    );
    world
        .wrun(words.get(2..).unwrap_or_default())
        .run()
        .ends_with(0)
        .says("`limits.memory` is not held");
}

#[test]
fn what_a_killed_run_had_written_is_cleared_by_the_next() {
    let world = World::new();
    let script = "echo x > \"$TMPDIR\"/file; echo ready; sleep 600";
    let running = world.wrun(&["run", "--", "sh", "-c", script]).spawn();
    running.wait_for("ready");
    running.signal(Signal::KILL);
    drop(running.wait());
    world.wrun(&["run", "--", "true"]).run().ends_with(0);
    assert_eq!(files::names(&world.store().join("tmp")), [""; 0]);
}
