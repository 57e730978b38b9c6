//! A run that is asked to end, and one that nobody listens to any more.

use rustix::process::Signal;
use wrun_tests::tasks::command;
use wrun_tests::{World, files, processes};

#[test]
fn a_task_that_was_asked_to_end_is_not_tried_again() {
    let world = World::new();
    let script = "echo x >> count; trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    world.write(
        "task.toml",
        command(
            &["sh", "-c", script],
            "[retry]\nattempts = 3\non = [\"exit\", \"signal\"]\ndelay = \"10ms\"\n",
        ),
    );
    let running = world.wrun(&["submit", "--unsandboxed", "task.toml"]).spawn();
    running.wait_for("ready");
    running.signal(Signal::TERM);
    running.wait().ends_with(9).does_not_say("attempt 2");
    assert_eq!(files::read(&world.project().join("count")), "x\n");
}

#[test]
fn no_task_is_started_after_the_caller_asked_to_end() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let world = World::new();
        let script = "trap 'exit 9' INT TERM HUP QUIT; echo ready; while :; do sleep 0.01; done";
        world.write("first.toml", command(&["sh", "-c", script], ""));
        world.write("second.toml", command(&["touch", "started"], ""));
        let running = world
            .wrun(&[
                "submit",
                "--unsandboxed",
                "--jobs",
                "1",
                "first.toml",
                "second.toml",
            ])
            .spawn();
        running.wait_for("ready");
        running.signal(signal);
        running.wait().ends_with(9).says("`second` was not started");
        assert!(!world.project().join("started").exists());
    }
}

#[test]
fn a_task_that_ignores_a_request_to_end_is_ended_by_a_second() {
    let world = World::new();
    let script = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.01; done";
    world.write("task.toml", command(&["sh", "-c", script], ""));
    let running = world.wrun(&["submit", "--unsandboxed", "task.toml"]).spawn();
    running.wait_for("ready");
    running.signal(Signal::TERM);
    running.wait_for("asked");
    running.signal(Signal::TERM);
    running.wait().ends_with(130);
    processes::assert_none_mentions(world.path());
}

#[test]
fn a_task_that_is_stopped_is_asked_to_end_all_the_same() {
    for tier in ["full", "restricted", "off"] {
        let world = World::new();
        let script = "trap 'exit 9' TERM; echo ready; kill -STOP $$; while :; do sleep 0.01; done";
        world.write("task.toml", command(&["sh", "-c", script], ""));
        let running = world.wrun(&["submit", "--sandbox", tier, "task.toml"]).spawn();
        running.wait_for("ready");
        running.signal(Signal::TERM);
        running.wait().ends_with(9);
    }
}

#[test]
fn a_reader_of_events_that_is_gone_ends_the_run() {
    let world = World::new();
    let script = "touch started; while :; do echo x; sleep 0.01; done";
    world.write("task.toml", command(&["sh", "-c", script], ""));
    let through = |script: &str| {
        let shell = ["sh", "-c", script, "sh"];
        world
            .wrun(&["--format", "json", "submit", "--unsandboxed", "task.toml"])
            .through(&shell)
            .run()
    };
    through("exec \"$@\" > /dev/full")
        .ends_with(125)
        .says("standard output")
        .says("No space left");
    let gone = through("{ \"$@\"; echo $? > code; } | head -n 1");
    gone.ends_with(0);
    assert_eq!(gone.stderr, "", "a reader that has enough is no mistake");
    assert_eq!(files::read(&world.project().join("code")), "141\n");
    processes::assert_none_mentions(world.path());
}

#[test]
fn a_text_that_cannot_be_written_is_a_failure() {
    let world = World::new();
    for words in [&["--help"] as &[&str], &["schema"], &["--version"]] {
        let shell = ["sh", "-c", "exec \"$@\" > /dev/full", "sh"];
        world
            .wrun(words)
            .through(&shell)
            .run()
            .ends_with(125)
            .says("No space left");
    }
}
