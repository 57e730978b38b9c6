//! The programs of the WASI test suite (`WebAssembly/wasi-testsuite`) for WASI 0.1, run with `wrun exec`.
//!
//! They are not in this repository; `tests/conformance/README.md` says how to get them.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wrun_tests::{World, files, skipped};

/// Programs that fail, each with the reason. One of them that passes is a failure as well.
const KNOWN_FAILURES: &[(&str, &str)] = &[];

/// What a program is run with and expected to do: the older form of the suite's specification.
struct Expectation {
    args: Vec<String>,
    env: Vec<String>,
    root: Option<String>,
    exit_code: i32,
    stdout: Option<String>,
    stderr: Option<String>,
}

impl Expectation {
    fn of(program: &Path) -> Self {
        let path = program.with_extension("json");
        let written: Value = if path.is_file() {
            serde_json::from_str(&files::read(&path)).expect("a JSON file")
        } else {
            json!({})
        };
        assert!(
            written.get("operations").is_none(),
            "{}: the newer form is not known here",
            path.display()
        );
        let text = |name: &str| written.get(name).and_then(Value::as_str).map(str::to_owned);
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let pairs = written
            .get("env")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        Self {
            args: list(written.get("args"))
                .iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
            env: pairs
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect(),
            root: text("root"),
            exit_code: written
                .get("exit_code")
                .and_then(Value::as_i64)
                .map_or(0, |code| i32::try_from(code).unwrap()),
            stdout: text("stdout"),
            stderr: text("stderr"),
        }
    }
}

/// Why the program does not do what is expected; nothing if it does.
fn failure(world: &World, program: &Path) -> Option<String> {
    let Expectation {
        args,
        env,
        root,
        exit_code,
        stdout,
        stderr,
    } = Expectation::of(program);
    let mut exec = world.wrun(&["--quiet", "exec"]);
    for pair in &env {
        exec = exec.args(["--env", pair]);
    }
    if let Some(root) = root {
        // What programs leave behind must not be found by the next, nor in the checkout.
        let copy = world
            .path()
            .join("roots")
            .join(program.file_stem().unwrap_or_default());
        files::copy(&program.with_file_name(root), &copy);
        for path in files::walk(&copy)
            .iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "cleanup"))
        {
            files::remove(path);
        }
        exec = exec.args(["--dir", &format!("{}::/", copy.display())]);
    }
    let ran = exec.arg(program).args(&args).run();
    let matches = |expected: Option<String>, found: &str| expected.is_none_or(|expected| expected == found);
    let good = ran.code == exit_code && matches(stdout, &ran.stdout) && matches(stderr, &ran.stderr);
    (!good).then(|| format!("{ran:?}"))
}

fn programs(checkout: &Path) -> Vec<PathBuf> {
    files::names(&checkout.join("tests"))
        .iter()
        .map(|language| {
            checkout
                .join("tests")
                .join(language)
                .join("testsuite/wasm32-wasip1")
        })
        .flat_map(|folder| {
            files::names(&folder)
                .into_iter()
                .map(move |name| folder.join(name))
        })
        .filter(|path| path.extension().is_some_and(|ending| ending == "wasm"))
        .collect()
}

#[test]
fn the_programs_of_the_wasi_test_suite_do_what_they_should() {
    let Some(checkout) = std::env::var_os("WRUN_WASI_TESTSUITE").map(PathBuf::from) else {
        return skipped(
            "the wasi-testsuite programs are not in this repository; see tests/conformance/README.md",
        );
    };
    let programs = programs(&checkout);
    assert!(
        programs.len() >= 70,
        "{} programs in {}",
        programs.len(),
        checkout.display()
    );
    let world = World::new();
    let mut wrong = Vec::new();
    for program in &programs {
        let name = program.file_stem().unwrap_or_default().to_string_lossy();
        let known = KNOWN_FAILURES.iter().find(|(known, _)| *known == name);
        match (failure(&world, program), known) {
            (Some(found), None) => wrong.push(format!("{name}: {found}")),
            (None, Some((_, reason))) => {
                wrong.push(format!("{name} passes, and is listed as a failure: {reason}"));
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} programs:\n{}",
        wrong.len(),
        programs.len(),
        wrong.join("\n")
    );
}
