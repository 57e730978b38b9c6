//! `wrun exec` gives a WebAssembly program exactly what is on the command line.

use wrun_tests::{Cmd, World, binary, files, network};

const PROBES: [&str; 2] = ["probe.wasm", "probe.component.wasm"];

fn exec(world: &World, options: &[&str], guest: &str, args: &[&str]) -> Cmd {
    world
        .wrun(&["exec"])
        .args(options)
        .arg(binary::guest(guest))
        .args(args)
}

#[test]
fn without_a_word_a_program_has_nothing() {
    for guest in PROBES {
        let world = World::new();
        world.write("data.txt", "own");
        for attempt in [
            &["cat", "data.txt"] as &[&str],
            &["ls", "."],
            &["ls", "/"],
            &["write", "/tmp/x", "y"],
        ] {
            exec(&world, &[], guest, attempt)
                .run()
                .ends_with(1)
                .says("probe: NotFound");
        }
        exec(&world, &[], guest, &["env"])
            .env("CALLER", "not given")
            .run()
            .prints("");
    }
}

#[test]
fn folders_are_given_to_write_unless_it_says_ro() {
    for guest in PROBES {
        let world = World::new();
        world.write("in/data.txt", "own");
        let folder = world.project().join("in");
        exec(&world, &["--dir", "in"], guest, &["cat", "in/data.txt"])
            .run()
            .prints("own");
        exec(&world, &["--dir", "in::/data"], guest, &["cat", "/data/data.txt"])
            .run()
            .prints("own");
        exec(&world, &["--dir", "in::/"], guest, &["cat", "data.txt"])
            .run()
            .prints("own");
        exec(
            &world,
            &["--dir", "in::/data"],
            guest,
            &["write", "/data/new.txt", "made"],
        )
        .run()
        .ends_with(0);
        assert_eq!(files::read(&folder.join("new.txt")), "made");

        let read_only = ["--dir", "in::/data::ro"];
        exec(&world, &read_only, guest, &["cat", "/data/data.txt"])
            .run()
            .prints("own");
        for attempt in [
            &["write", "/data/data.txt", "x"] as &[&str],
            &["rm", "/data/data.txt"],
        ] {
            exec(&world, &read_only, guest, attempt)
                .run()
                .ends_with(1)
                .says("probe: PermissionDenied");
        }
        exec(&world, &read_only, guest, &["cat", "in/data.txt"])
            .run()
            .ends_with(1)
            .says("probe: NotFound");
        assert_eq!(files::read(&folder.join("data.txt")), "own");
    }
}

#[test]
fn variables_are_those_that_are_listed() {
    for guest in PROBES {
        let world = World::new();
        let options = [
            "--env", "ONE=1", "--env", "TWO=a=b", "--env", "CALLER", "--env", "EMPTY=",
        ];
        let ran = exec(&world, &options, guest, &["env"])
            .env("CALLER", "given")
            .env("OTHER", "not given")
            .run();
        ran.prints("CALLER=given\nEMPTY=\nONE=1\nTWO=a=b\n");
        exec(&world, &["--env", "UNSET"], guest, &["env"])
            .run()
            .ends_with(125)
            .says("UNSET");
    }
}

#[test]
fn everything_after_the_program_is_its_own() {
    for guest in PROBES {
        let world = World::new();
        let ran = exec(&world, &[], guest, &["args", "--dir", "x", "--", "-v"]).run();
        let lines: Vec<&str> = ran.ends_with(0).stdout.lines().skip(1).collect();
        assert_eq!(lines, ["args", "--dir", "x", "--", "-v"]);
        exec(&world, &[], guest, &["stdin"])
            .stdin("read me")
            .run()
            .prints("read me");
    }
}

#[test]
fn limits_hold() {
    for guest in PROBES {
        let world = World::new();
        exec(&world, &["--timeout", "300ms"], guest, &["spin"])
            .run()
            .ends_with(124)
            .says("timed out");
        exec(&world, &["--memory", "16MiB"], guest, &["alloc", "100000000"])
            .run()
            .ends_with(137);
        exec(&world, &[], guest, &["panic"])
            .run()
            .ends_with(134)
            .says("trapped");
    }
}

#[test]
fn hosts_are_reached_where_they_are_listed() {
    let world = World::new();
    let address = format!("127.0.0.1:{}", network::server());
    let guest = "net-probe.component.wasm";
    exec(&world, &["--net", &address], guest, &["connect", &address])
        .run()
        .prints("got ping\n");
    exec(&world, &[], guest, &["connect", &address])
        .run()
        .ends_with(1)
        .says("access-denied");
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let world = World::new();
    for (options, says) in [
        (&["--dir", "gone"] as &[&str], "gone"),
        (&["--dir", "::/data"], "::/data"),
        (&["--dir", ".::/data::rx"], "rx"),
        (&["--net", "example.org"], "example.org:443"),
        (&["--net", "https://example.org:443"], "URL"),
        (&["--timeout", "soon"], "soon"),
        (&["--memory", "much"], "much"),
        (&["--unknown"], "--unknown"),
    ] {
        let ran = exec(&world, options, "probe.wasm", &["env"]).run();
        ran.ends_with(125).says(says).does_not_say("panicked");
        assert_eq!(ran.stdout, "");
    }
    world.write("file.txt", "a file");
    exec(&world, &["--dir", "file.txt"], "probe.wasm", &["env"])
        .run()
        .ends_with(125)
        .says("folder");
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let world = World::new();
    let ran = world.wrun(&["exec", "nope.wasm"]).run();
    ran.ends_with(125).says("nope.wasm").does_not_say("task file");
    world.write("text.wasm", "(module)");
    let ran = world.wrun(&["exec", "text.wasm"]).run();
    ran.ends_with(125)
        .says("text.wasm")
        .says("exec.wasi.not-wasm")
        .says("help: ");
}

#[test]
fn what_a_program_prints_is_an_event_where_events_are_asked_for() {
    for guest in ["hello.wasm", "hello.component.wasm"] {
        let world = World::new();
        let ran = world
            .wrun(&["--format", "json", "exec"])
            .arg(binary::guest(guest))
            .run();
        // Every line is an event.
        let events = ran.ends_with(0).events();
        let printed: String = events
            .iter()
            .filter(|event| event["event"] == "output" && event["stream"] == "stdout")
            .filter_map(|event| event["text"].as_str())
            .collect();
        assert!(printed.starts_with("Hello"), "{printed}");
    }
}
