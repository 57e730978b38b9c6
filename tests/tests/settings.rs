//! What a machine is set up with is used, and a mistake in it is told: nothing else is taken in its place.

use wrun_tests::tasks::{PythonTask, command};
use wrun_tests::{World, files};

#[test]
fn an_index_that_is_no_address_is_told() {
    for (name, value) in [
        ("PIP_INDEX_URL", "corp.example/simple"),
        ("UV_DEFAULT_INDEX", "not a url"),
        ("UV_INDEX_URL", "https://"),
    ] {
        for backend in ["uv", "pip"] {
            let world = World::new();
            world.write("task.toml", PythonTask::new(backend, "").package("thing").text());
            let wrun = |words: &[&str]| {
                world
                    .wrun(words)
                    .without("UV_DEFAULT_INDEX")
                    .without("UV_INDEX_URL")
                    .without("PIP_INDEX_URL")
                    .env(name, value)
                    .run()
            };
            let ran = wrun(&["submit", "task.toml"]);
            ran.ends_with(125)
                .says(name)
                .says(value)
                .says("setting.index.invalid");
            assert!(wrun(&["doctor"]).ends_with(1).stdout.contains(name));
            world.write("plain.toml", command(&["echo", "well"], ""));
            wrun(&["submit", "plain.toml"]).prints("well\n");
        }
    }
    let world = World::new();
    world.write("task.toml", PythonTask::new("uv", "").text());
    let ran = world
        .wrun(&["submit", "task.toml"])
        .without("WRUN_UV")
        .env("WRUN_TOOL_INDEX", "corp.example/simple")
        .run();
    ran.ends_with(125)
        .says("WRUN_TOOL_INDEX")
        .says("setting.index.invalid");
}

#[test]
fn an_interpreter_that_is_set_and_is_none_is_told() {
    let world = World::new();
    world.write("task.toml", PythonTask::new("uv", "print('ran')").text());
    let none = world.write("none", "#!/bin/sh\nexit 1\n");
    files::set_mode(&none, 0o755);
    for path in ["/no/such/python", &none.display().to_string()] {
        let ran = world
            .wrun(&["submit", "task.toml"])
            .env("WRUN_PYTHON", path)
            .run();
        ran.ends_with(125)
            .says(path)
            .says("WRUN_PYTHON")
            .says("tool.unusable");
    }
    let python = wrun_tests::machine::python();
    world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_PYTHON", python)
        .run()
        .prints("ran\n");
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let world = World::new();
    world.write("task.toml", command(&["echo", "well"], ""));
    let ran = world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_CACHE_DIR", "")
        .env("WRUN_JOBS", "")
        .env("WRUN_OFFLINE", "")
        .env("WRUN_SANDBOX", "")
        .run();
    ran.prints("well\n");
    assert!(world.home().join(".cache/wrun").is_dir());
    world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_JOBS", "0")
        .run()
        .ends_with(125);
}

#[test]
fn a_variable_that_is_no_text_is_told_as_such() {
    use std::os::unix::ffi::OsStrExt as _;

    let world = World::new();
    world.write("task.toml", command(&["true"], "[vars]\nA = { from = \"B\" }\n"));
    let value = std::ffi::OsStr::from_bytes(b"\xff");
    let ran = world.wrun(&["submit", "task.toml"]).env("B", value).run();
    ran.ends_with(125)
        .says("not UTF-8")
        .says("task.variable.not-text");
}

#[test]
fn the_doctor_says_so_if_there_is_no_store() {
    let world = World::new();
    let file = world.write("file", "");
    let doctor = |words: &[&str]| world.wrun(words).env("WRUN_CACHE_DIR", file.join("store")).run();
    let ran = doctor(&["doctor"]);
    assert!(
        ran.ends_with(1).stdout.starts_with("store      missing"),
        "{ran:?}"
    );
    for word in ["python", "uv", "sandbox"] {
        assert!(ran.stdout.contains(word), "{ran:?}");
    }
    let report = doctor(&["--format", "json", "doctor"]).ends_with(1).json();
    assert_eq!(report.get("good"), Some(&false.into()));
}
