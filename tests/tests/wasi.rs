//! A WebAssembly task gets exactly what is listed.

use std::path::Path;

use wrun_tests::tasks::module;
use wrun_tests::{Ran, World, binary, files, network};

/// The same program as a WASI 0.1 module and as a WASI 0.2 component.
const PROBES: [&str; 2] = ["probe.wasm", "probe.component.wasm"];

fn probe(world: &World, guest: &str, args: &[&str], rest: &str) -> Ran {
    world.submit(&module(&binary::guest(guest), args, rest))
}

#[track_caller]
fn fails_as(ran: &Ran, kind: &str) {
    ran.ends_with(1).says(&format!("probe: {kind}"));
}

#[test]
fn only_its_own_folder_is_seen_and_only_to_read() {
    for guest in PROBES {
        let world = World::new();
        world.write("data.txt", "own");
        files::write(&world.path().join("secret.txt"), "not for the task");
        std::os::unix::fs::symlink("../secret.txt", world.project().join("link")).unwrap();
        probe(&world, guest, &["cat", "data.txt"], "").prints("own");
        for path in [
            "/etc/passwd",
            "/proc/self/environ",
            "../secret.txt",
            "link",
            "data.txt/../../secret.txt",
        ] {
            let ran = probe(&world, guest, &["cat", path], "");
            assert!(!ran.stdout.contains("not for the task"), "{ran:?}");
            ran.ends_with(1).says("probe: ");
        }
        fails_as(&probe(&world, guest, &["cat", "/etc/passwd"], ""), "NotFound");
        fails_as(&probe(&world, guest, &["cat", "link"], ""), "PermissionDenied");
        for attempt in [
            &["write", "new.txt", "x"] as &[&str],
            &["truncate", "data.txt"],
            &["rm", "data.txt"],
            &["mkdir", "new"],
            &["rename", "data.txt", "other.txt"],
            &["link", "data.txt", "other.txt"],
            &["symlink", "data.txt", "other.txt"],
        ] {
            fails_as(&probe(&world, guest, attempt, ""), "PermissionDenied");
        }
        assert_eq!(files::names(&world.project()), ["data.txt", "link", "task.toml"]);
        assert_eq!(files::read(&world.project().join("data.txt")), "own");
    }
}

#[test]
fn listed_folders_are_seen_as_they_are_listed() {
    for guest in PROBES {
        let world = World::new();
        let other = world.path().join("other");
        files::write(&other.join("there.txt"), "elsewhere");
        let rest = format!("[allow]\nread = [\"{}\"]\nwrite = [\"out\"]\n", other.display());
        let there = other.join("there.txt").display().to_string();
        probe(&world, guest, &["cat", &there], &rest).prints("elsewhere");
        fails_as(
            &probe(&world, guest, &["write", &there, "x"], &rest),
            "PermissionDenied",
        );
        fails_as(&probe(&world, guest, &["cat", &there], ""), "NotFound");
        probe(&world, guest, &["write", "out/result.txt", "made"], &rest).ends_with(0);
        assert_eq!(files::read(&world.project().join("out/result.txt")), "made");
        fails_as(
            &probe(&world, guest, &["write", "result.txt", "x"], &rest),
            "PermissionDenied",
        );
        fails_as(
            &probe(&world, guest, &["write", "out/../result.txt", "x"], &rest),
            "PermissionDenied",
        );
        assert!(!world.project().join("result.txt").exists());
    }
}

#[test]
fn paths_are_relative_to_the_file_whatever_the_folder_of_the_task() {
    let world = World::new();
    let guest = files::bytes(&binary::guest(PROBES[0]));
    world.write("bin/probe.wasm", guest);
    world.write("src/own.txt", "own");
    world.write("data/there.txt", "elsewhere");
    let there = world.project().join("data/there.txt").display().to_string();
    for (path, content) in [("own.txt", "own"), (there.as_str(), "elsewhere")] {
        let task = format!(
            "[run]\nmodule = \"bin/probe.wasm\"\nargs = [\"cat\", \"{path}\"]\ndir = \"src\"\n\
             [allow]\nread = [\"data\"]\nwrite = [\"src/out\"]\n"
        );
        world.submit(&task).prints(content);
    }
    assert!(world.project().join("src/out").is_dir());
}

#[test]
fn the_whole_file_system_is_not_granted() {
    let world = World::new();
    let ran = probe(
        &world,
        PROBES[0],
        &["cat", "data.txt"],
        "[allow]\nread = [\"/\"]\n",
    );
    ran.ends_with(126).says("list the folders");
}

#[test]
fn a_scratch_folder_is_fresh_in_each_run() {
    for guest in PROBES {
        let world = World::new();
        probe(&world, guest, &["write", "/tmp/note", "x"], "").ends_with(0);
        probe(&world, guest, &["ls", "/tmp"], "").prints("");
    }
}

#[test]
fn variables_are_those_of_the_file() {
    for guest in PROBES {
        let world = World::new();
        let rest = "[vars]\nGREETING = \"hi\"\nTOKEN = { from = \"CALLER_TOKEN\" }\n";
        world.write("task.toml", module(&binary::guest(guest), &["env"], rest));
        let submit = world
            .wrun(&["submit", "task.toml"])
            .env("CALLER_TOKEN", "t")
            .env("OTHER", "not given");
        submit
            .run()
            .prints("GREETING=hi\nHOME=/tmp\nTMPDIR=/tmp\nTOKEN=t\n");
    }
}

#[test]
fn arguments_and_input_are_handed_on() {
    for guest in PROBES {
        let world = World::new();
        let args = ["args", "--flag", "two words", "", "ünïcode"];
        let ran = probe(&world, guest, &args, "");
        let lines: Vec<&str> = ran.ends_with(0).stdout.lines().skip(1).collect();
        assert_eq!(lines, args);
        world.write("task.toml", module(&binary::guest(guest), &["stdin"], ""));
        world
            .wrun(&["submit", "task.toml"])
            .stdin("read me")
            .run()
            .prints("read me");
    }
}

#[test]
fn the_network_is_reached_where_it_is_listed() {
    const GUEST: &str = "net-probe.component.wasm";
    let world = World::new();
    let (port, other) = (network::server(), network::server());
    let address = format!("127.0.0.1:{port}");
    let name = format!("localhost:{port}");
    let net = |rule: &str| format!("[allow]\nnet = [\"{rule}\"]\n");
    let any_port = "127.0.0.1:*".to_owned();
    for (target, rule) in [(&address, &address), (&name, &name), (&address, &any_port)] {
        probe(&world, GUEST, &["connect", target], &net(rule)).prints("got ping\n");
    }
    probe(&world, GUEST, &["connect", &address], "[allow]\nnet = true\n").prints("got ping\n");

    let elsewhere = format!("127.0.0.1:{other}");
    let denied = "net-probe: connect: access-denied";
    for rest in [
        String::new(),
        net(&elsewhere),
        net("example.org:*"),
        "[allow]\nnet = false\n".to_owned(),
    ] {
        probe(&world, GUEST, &["connect", &address], &rest)
            .ends_with(1)
            .says(denied);
    }
    // A program of the machine is listed by its port, whichever of its names is asked for, as for a process.
    for (target, rule) in [(&name, &address), (&address, &name)] {
        probe(&world, GUEST, &["connect", target], &net(rule)).prints("got ping\n");
    }
    probe(&world, GUEST, &["resolve", "localhost"], "")
        .ends_with(1)
        .says("net-probe: resolve: ");
    let udp = probe(&world, GUEST, &["udp", &address], "");
    udp.ends_with(1).says("access-denied");
    probe(&world, GUEST, &["listen", "0"], &net(&any_port))
        .ends_with(1)
        .says("access-denied");
}

#[test]
fn limits_hold_and_say_what_happened() {
    for guest in PROBES {
        let world = World::new();
        let memory = "[limits]\nmemory = \"16MiB\"\n";
        let time = "[limits]\ntime = \"300ms\"\n";
        for (args, rest, code, says) in [
            (&["alloc", "100000000"] as &[&str], memory, 137, "16 MiB"),
            (&["alloc", "1000000"], memory, 0, ""),
            (&["spin"], time, 124, "timed out after 300ms"),
            (&["sleep", "60000"], time, 124, "timed out after 300ms"),
            (&["sleep", "10"], time, 0, ""),
            (
                &["flood", "1000000"],
                "[limits]\noutput = \"64KiB\"\n",
                153,
                "64 KiB",
            ),
            (&["flood", "60000"], "[limits]\noutput = \"64KiB\"\n", 0, ""),
        ] {
            let ran = probe(&world, guest, args, rest);
            ran.ends_with(code).says(says);
            assert!(ran.bytes.len() <= 64 * 1024, "{} bytes", ran.bytes.len());
            assert!(ran.elapsed.as_secs() < 20, "{ran:?}");
        }
    }
}

#[test]
fn a_guest_that_copes_with_its_memory_limit_succeeds() {
    for guest in PROBES {
        let ran = probe(
            &World::new(),
            guest,
            &["alloc-grow"],
            "[limits]\nmemory = \"16MiB\"\n",
        );
        let last = ran.ends_with(0).stdout.lines().last().unwrap_or_default();
        let mebibytes: u32 = last.trim_end_matches(" MiB").parse().unwrap();
        assert!((8..16).contains(&mebibytes), "{ran:?}");
    }
}

#[test]
fn a_trap_is_told_with_the_functions_that_led_to_it() {
    for guest in PROBES {
        let world = World::new();
        let ran = probe(&world, guest, &["panic"], "");
        ran.ends_with(134)
            .says("asked to panic")
            .says("trapped")
            .says("    at ");
        let ran = probe(&world, guest, &["recurse"], "");
        ran.ends_with(134).says("recurse").says("stack");

        let json = world.wrun(&["--format", "json", "submit", "task.toml"]).run();
        let events = json.ends_with(134).events();
        let last = events.last().unwrap();
        assert_eq!(last["outcome"], "trapped", "{last}");
        let frames = last["backtrace"].as_array().unwrap();
        assert!(
            frames
                .iter()
                .any(|frame| frame.as_str().unwrap().contains("recurse")),
            "{last}"
        );
    }
}

#[test]
fn exit_codes_are_those_of_native_tasks() {
    let world = World::new();
    for code in [0, 1, 7, 125] {
        probe(&world, "probe.wasm", &["exit", &code.to_string()], "").ends_with(code);
        let native = wrun_tests::tasks::command(&["sh", "-c", &format!("exit {code}")], "");
        world.submit(&native).ends_with(code);
    }
    // WASI 0.2 knows success and failure, and nothing between.
    probe(&world, "probe.component.wasm", &["exit", "0"], "").ends_with(0);
    probe(&world, "probe.component.wasm", &["exit", "7"], "").ends_with(1);

    let limited = |rest: &str, native: &[&str], guest: &[&str], code: i32| {
        world
            .submit(&wrun_tests::tasks::command(native, rest))
            .ends_with(code);
        probe(&world, "probe.wasm", guest, rest).ends_with(code);
    };
    limited(
        "[limits]\ntime = \"200ms\"\n",
        &["sleep", "60"],
        &["sleep", "60000"],
        124,
    );
    limited(
        "[limits]\noutput = \"1KiB\"\n",
        &["yes"],
        &["flood", "100000"],
        153,
    );
}

#[test]
fn what_is_no_program_is_refused_by_name() {
    let world = World::new();
    let whole = files::bytes(&binary::guest("probe.wasm"));
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty.wasm", b"", "exec.wasi.not-wasm"),
        ("text.wasm", b"(module)", "exec.wasi.not-wasm"),
        ("script.wasm", b"#!/bin/sh\n", "exec.wasi.not-wasm"),
        (
            "garbage.wasm",
            b"\0asm\x01\0\0\0\xff\xff\xff\xff",
            "exec.wasi.invalid",
        ),
        ("half.wasm", &whole[..whole.len() / 2], "exec.wasi.invalid"),
        ("nothing.wasm", b"\0asm\x01\0\0\0", "exec.wasi.export"),
    ];
    for (name, bytes, code) in cases {
        let path = world.write(name, bytes);
        for ran in [
            world.submit(&module(&path, &[], "")),
            world.wrun(&["exec", name]).run(),
        ] {
            ran.ends_with(125)
                .says(code)
                .says("help: ")
                .does_not_say("panicked");
            assert_eq!(ran.stdout, "");
        }
    }
    for ran in [
        world.submit(&module(Path::new("gone.wasm"), &[], "")),
        world.wrun(&["exec", "gone.wasm"]).run(),
    ] {
        ran.ends_with(125)
            .says("gone.wasm")
            .says("exec.module.unreadable");
    }
}

#[test]
fn compiled_code_is_kept_and_never_trusted_from_outside() {
    let world = World::new();
    let first = probe(&world, "probe.wasm", &["exit", "0"], "");
    first.ends_with(0);
    let kept = files::names(&world.store().join("code"));
    assert!(
        kept.iter().any(|name| name.strip_suffix(".cwasm").is_some()),
        "{kept:?}"
    );
    probe(&world, "probe.wasm", &["exit", "0"], "").ends_with(0);
    assert_eq!(files::names(&world.store().join("code")), kept);

    let code = kept
        .iter()
        .find(|name| name.strip_suffix(".cwasm").is_some())
        .unwrap();
    let precompiled = files::bytes(&world.store().join("code").join(code));
    let path = world.write("precompiled.wasm", precompiled);
    world
        .submit(&module(&path, &[], ""))
        .ends_with(125)
        .says("precompiled")
        .says("exec.wasi.not-wasm");
}

#[test]
fn the_example_guests_do_what_they_say() {
    let world = World::new();
    world.write("poem.txt", "two roads\ndiverged\n");
    let counted = world.submit(&module(&binary::guest("c-wordcount.wasm"), &["poem.txt"], ""));
    assert_eq!(
        counted.ends_with(0).stdout.split_whitespace().collect::<Vec<_>>(),
        ["2", "3", "19", "poem.txt"]
    );
    let greeted = world.submit(&module(&binary::guest("hello.wasm"), &["Ada"], ""));
    assert_eq!(greeted.ends_with(0).stdout.lines().next(), Some("Hello, Ada!"));
}

#[test]
fn a_single_file_can_be_read_and_nothing_beside_it() {
    for guest in PROBES {
        let world = World::new();
        let folder = world.path().join("beside");
        for name in ["one.txt", "two.txt"] {
            files::write(&folder.join(name), name);
        }
        world.write("own.txt", "own");
        let one = folder.join("one.txt").display().to_string();
        let read = "[allow]\nread = [\"../beside/one.txt\", \"own.txt\"]\n";
        probe(&world, guest, &["cat", &one], read).prints("one.txt");
        probe(&world, guest, &["cat", "own.txt"], read).prints("own");
        let two = folder.join("two.txt").display().to_string();
        fails_as(&probe(&world, guest, &["cat", &two], read), "NotFound");
        fails_as(
            &probe(&world, guest, &["truncate", &one], read),
            "PermissionDenied",
        );
        fails_as(&probe(&world, guest, &["rm", &one], read), "PermissionDenied");
        assert_eq!(files::read(&folder.join("one.txt")), "one.txt");
        // Nothing of the copy is left.
        assert_eq!(files::names(&world.store().join("tmp")), [""; 0]);

        let write = "[allow]\nwrite = [\"../beside/one.txt\"]\n";
        let ran = probe(&world, guest, &["cat", &one], write);
        ran.ends_with(125).says("can only be granted folders to change");
    }
}

/// A pipe has no end that comes by itself, and a device may have none at all.
#[test]
fn a_module_that_is_no_file_is_told() {
    let world = World::new();
    world.command("mkfifo".as_ref()).arg("pipe").run().ends_with(0);
    std::os::unix::fs::symlink("/dev/zero", world.project().join("zeros")).unwrap();
    for name in ["pipe", "zeros"] {
        let task = format!("[run]\nmodule = \"{name}\"\n");
        world.submit(&task).ends_with(125).says("not a regular file");
        let ran = world.wrun(&["exec", name]).run();
        ran.ends_with(125).says("not a regular file");
    }
}
