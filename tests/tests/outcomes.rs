//! How a task ends is how `wrun` ends, and its output is what the task wrote.

use rustix::process::Signal;
use serde_json::Value;
use wrun_tests::tasks::command;
use wrun_tests::{World, files, processes};

#[test]
fn the_exit_code_tells_how_the_task_ended() {
    let world = World::new();
    world.write("not-executable", "#!/bin/sh\n");
    let interpreter = wrun_tests::machine::python().display().to_string();
    let segfault = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)";
    for (words, rest, options, code, says) in [
        (&["true"] as &[&str], "", &[] as &[&str], 0, ""),
        (&["sh", "-c", "exit 7"], "", &[], 7, ""),
        (&["sh", "-c", "exit 255"], "", &[], 255, ""),
        (&["sh", "-c", "kill -KILL $$"], "", &[], 137, "SIGKILL"),
        (&["python3", "-c", segfault], "", &[], 139, "SIGSEGV"),
        (&["no-such-program"], "", &[], 127, "no-such-program"),
        (&["./not-executable"], "", &[], 126, "not-executable"),
        (
            &["sleep", "60"],
            "[limits]\ntime = \"200ms\"\n",
            &[],
            124,
            "timed out after 200ms",
        ),
        (
            &["yes"],
            "[limits]\noutput = \"1KiB\"\n",
            &[],
            153,
            "output limit of 1 KiB",
        ),
        (
            &["true"],
            "[allow]\nnet = [\"example.org:443\"]\n",
            &["--sandbox", "restricted"],
            126,
            "need a network namespace",
        ),
        (
            &["true"],
            "[allow]\nnet = [\"example.org:443\"]\n",
            &["--unsandboxed"],
            0,
            "not sandboxed",
        ),
    ] {
        let words: Vec<&str> = words
            .iter()
            .map(|word| {
                if *word == "python3" {
                    interpreter.as_str()
                } else {
                    word
                }
            })
            .collect();
        let rest = if words.contains(&interpreter.as_str()) {
            format!("{rest}{}", python_allowed())
        } else {
            rest.to_owned()
        };
        world.write("task.toml", command(&words, &rest));
        let ran = world.wrun(&["submit", "task.toml"]).args(options).run();
        ran.ends_with(code).says(says);
        processes::assert_none_mentions(world.path());
    }
}

/// Lets a task read the interpreter of this machine, wherever that is.
fn python_allowed() -> String {
    let folder = wrun_tests::machine::python()
        .ancestors()
        .nth(2)
        .unwrap_or("/usr".as_ref());
    format!("[allow]\nread = [\"{}\"]\n", folder.display())
}

#[test]
fn a_refused_task_is_not_started() {
    for rest in [
        "[allow]\nnet = [\"example.org:443\"]\n",
        "[limits]\nscratch = \"1MiB\"\n",
    ] {
        let world = World::new();
        world.write("task.toml", command(&["touch", "started"], rest));
        world
            .wrun(&["submit", "--sandbox", "restricted", "task.toml"])
            .run()
            .ends_with(126)
            .says("refused");
        assert!(!world.project().join("started").exists());
        world
            .wrun(&["submit", "--sandbox", "off", "task.toml"])
            .run()
            .ends_with(0);
        assert!(world.project().join("started").exists());
    }
}

#[test]
fn an_output_limit_lets_no_more_through() {
    let world = World::new();
    let ran = world.submit(&command(&["yes"], "[limits]\noutput = \"1KiB\"\n"));
    assert!(
        ran.ends_with(153).bytes.len() <= 1024,
        "{} bytes",
        ran.bytes.len()
    );
}

#[test]
fn output_is_handed_on_byte_by_byte() {
    let world = World::new();
    let task = command(
        &["sh", "-c", r"printf 'a\000\377b'; printf 'to the other' >&2"],
        "",
    );
    let ran = world.submit(&task);
    assert_eq!(ran.ends_with(0).bytes, b"a\0\xffb");
    ran.says("to the other");
    let quiet = world.wrun(&["--quiet", "submit", "task.toml"]).run();
    assert_eq!(quiet.stderr, "to the other", "quiet is quiet");
}

#[test]
fn a_task_that_cannot_be_run_is_told_even_when_quiet() {
    let world = World::new();
    world.write("task.toml", command(&["no-such-program"], ""));
    let ran = world.wrun(&["--quiet", "submit", "task.toml"]).run();
    ran.ends_with(127).says("`no-such-program` was not found");
    world.write("task.toml", command(&["/etc/passwd"], ""));
    let ran = world.wrun(&["--quiet", "submit", "task.toml"]).run();
    ran.ends_with(126).says("/etc/passwd");
}

#[test]
fn a_task_reads_what_the_caller_writes() {
    let world = World::new();
    world.write("task.toml", command(&["cat"], ""));
    world
        .wrun(&["submit", "task.toml"])
        .stdin("one\ntwo")
        .run()
        .prints("one\ntwo");
}

#[test]
fn a_task_comes_from_standard_input() {
    let world = World::new();
    let inner = files::folder(&world.project().join("inner"));
    let task = command(&["pwd"], "");
    let ran = world.wrun(&["submit", "-"]).stdin(task).dir(&inner).run();
    ran.prints(&format!("{}\n", inner.display()));
    world
        .wrun(&["submit", "-"])
        .stdin("[run]\ncomand = []\n")
        .run()
        .ends_with(125)
        .says("<stdin>:2:1");
}

#[test]
fn a_task_is_tried_again_after_the_outcomes_that_it_names() {
    let world = World::new();
    let count = "echo x >> count; test $(wc -l < count) -ge 3";
    let retry = |on: &str| {
        format!("[allow]\nwrite = [\".\"]\n[retry]\nattempts = 4\non = [\"{on}\"]\ndelay = \"10ms\"\n")
    };
    let ran = world.submit(&command(&["sh", "-c", count], &retry("exit")));
    ran.prints("")
        .says("attempt 2 of 4")
        .says("attempt 3 of 4")
        .does_not_say("attempt 4 of 4");
    assert_eq!(files::read(&world.project().join("count")), "x\nx\nx\n");

    files::remove(&world.project().join("count"));
    world
        .submit(&command(&["sh", "-c", count], &retry("timeout")))
        .ends_with(1);
    assert_eq!(files::read(&world.project().join("count")), "x\n");
}

#[test]
fn tasks_run_side_by_side() {
    let world = World::new();
    let pipe = world.project().join("pipe");
    world.command("mkfifo".as_ref()).arg(&pipe).run().ends_with(0);
    // Each needs the other: opening a pipe waits for the other side.
    world.write(
        "writer.toml",
        command(&["sh", "-c", "echo through > pipe; echo written"], ""),
    );
    world.write("reader.toml", command(&["sh", "-c", "cat pipe"], ""));
    let ran = world
        .wrun(&["submit", "--jobs", "2", "writer.toml", "reader.toml"])
        .run();
    let mut lines: Vec<&str> = ran.ends_with(0).stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["through", "written"]);
}

#[test]
fn tasks_of_one_job_run_one_after_the_other() {
    let world = World::new();
    let names: Vec<String> = (0..6).map(|number| format!("task{number}.toml")).collect();
    for name in &names {
        world.write(
            name,
            command(&["sh", "-c", &format!("echo in {name}; echo out {name}")], ""),
        );
    }
    let ran = world.wrun(&["submit", "--jobs", "1"]).args(&names).run();
    let expected: Vec<String> = names
        .iter()
        .map(|name| format!("in {name}\nout {name}\n"))
        .collect();
    ran.prints(&expected.concat());
}

#[test]
fn the_first_failure_in_the_order_of_the_files_counts() {
    let world = World::new();
    world.write("good.toml", command(&["true"], ""));
    world.write("late.toml", command(&["sh", "-c", "cat < pipe; exit 3"], ""));
    world.write("early.toml", command(&["sh", "-c", "echo > pipe; exit 4"], ""));
    world.command("mkfifo".as_ref()).arg("pipe").run().ends_with(0);
    let ran = world
        .wrun(&["submit", "good.toml", "late.toml", "early.toml"])
        .run();
    ran.ends_with(3).says("late").says("early");
}

#[test]
fn a_mistake_in_the_last_file_is_said_before_the_first_task_runs() {
    let world = World::new();
    world.write("good.toml", command(&["touch", "started"], ""));
    world.write("bad.toml", "[run]\ncommand = []\n");
    let ran = world
        .wrun(&["submit", "good.toml", "bad.toml", "missing.toml"])
        .run();
    ran.ends_with(125).says("bad.toml:2:").says("missing.toml");
    assert!(!world.project().join("started").exists());
}

#[test]
fn events_are_one_object_for_each_line() {
    let world = World::new();
    world.write(
        "shout.toml",
        command(&["sh", "-c", "echo out; echo err >&2; exit 5"], ""),
    );
    let ran = world.wrun(&["--format", "json", "submit", "shout.toml"]).run();
    let events = ran.ends_with(5).events();
    assert!(
        events
            .iter()
            .all(|event| event["v"] == 1 && event["task"] == "shout"),
        "{events:?}"
    );
    let text = |stream: &str| -> String {
        let of_stream = events
            .iter()
            .filter(|event| event["event"] == "output" && event["stream"] == stream);
        of_stream.filter_map(|event| event["text"].as_str()).collect()
    };
    assert_eq!(
        (text("stdout").as_str(), text("stderr").as_str()),
        ("out\n", "err\n")
    );
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["outcome"]),
        (&Value::from("finished"), &Value::from("exited"))
    );
    assert_eq!(
        (&last["code"], &last["exit_code"]),
        (&Value::from(5), &Value::from(5))
    );
    assert_eq!(ran.stderr, "", "people are told nothing");

    let failed = world.wrun(&["--format", "json", "submit", "missing.toml"]).run();
    let events = failed.ends_with(125).events();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["code"]),
        (&Value::from("failed"), &Value::from("task.file.unreadable"))
    );
    assert!(last["help"].is_string(), "{last}");
}

#[test]
fn signals_are_handed_on_and_the_whole_tree_ends() {
    let world = World::new();
    let script = "trap 'exit 9' TERM; sleep 300 & echo ready; wait";
    world.write("task.toml", command(&["sh", "-c", script], ""));
    let running = world.wrun(&["submit", "task.toml"]).open_stdin().spawn();
    running.wait_for("ready");
    running.signal(Signal::TERM);
    running.wait().ends_with(9);
    processes::assert_none_mentions(world.path());
}

#[test]
fn a_second_interrupt_ends_a_task_that_ignores_the_first() {
    let world = World::new();
    // Signals that are blocked and waited for get lost at no moment.
    let code = "\
import signal
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print('ready', flush=True)
while True:
    print('ignored', signal.sigwait(signals).name, flush=True)
";
    let interpreter = wrun_tests::machine::python().display().to_string();
    world.write(
        "task.toml",
        command(&[&interpreter, "-c", code], &python_allowed()),
    );
    let running = world.wrun(&["submit", "task.toml"]).open_stdin().spawn();
    running.wait_for("ready");
    running.signal(Signal::INT);
    running.wait_for("ignored SIGINT");
    running.signal(Signal::INT);
    running.wait().ends_with(130);
    processes::assert_none_mentions(world.path());
}

#[test]
fn a_task_ends_with_everything_that_it_started() {
    let world = World::new();
    let script = "setsid sleep 300 < /dev/null > /dev/null 2>&1 & sleep 300 > /dev/null 2>&1 & exit 0";
    world.submit(&command(&["sh", "-c", script], "")).prints("");
    processes::assert_none_mentions(world.path());
}

#[test]
fn a_task_ends_with_the_wrun_that_was_killed() {
    let world = World::new();
    world.write(
        "task.toml",
        command(&["sh", "-c", "echo ready; exec sleep 300"], ""),
    );
    let running = world.wrun(&["submit", "task.toml"]).spawn();
    running.wait_for("ready");
    running.signal(Signal::KILL);
    running.wait().ends_with(-9);
    processes::assert_none_mentions(world.path());
    world.submit(&command(&["echo", "well"], "")).prints("well\n");
}
