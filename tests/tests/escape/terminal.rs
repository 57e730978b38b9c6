//! A terminal as standard input.

use wrun_tests::files;

use crate::rows::{Answers, DENIED, FILTERED, Row, row};
use crate::scene::{Scene, Tier, User, output_of, wrun_words};

/// Escape, bell, backspace, and the control sequence introducer of eight bits (ECMA-48).
const CODES: [char; 4] = ['\u{1b}', '\u{7}', '\u{8}', '\u{9b}'];

fn rows() -> Vec<Row> {
    vec![
        row(55, "type").both(&[FILTERED, &["ENOTTY", "EIO"]]).may_lack(),
        row(55, "type-high")
            .both(&[FILTERED, &["ENOTTY", "EIO"]])
            .may_lack(),
        row(55, "console").both(&[FILTERED]).may_lack(),
        row(55, "take-terminal")
            .both(&[FILTERED, DENIED])
            .for_root()
            .may_lack(),
    ]
}

fn on_a_terminal(user: User, tier: Tier) {
    let Some(scene) = Scene::new(user) else { return };
    if !scene.offers(tier) {
        return;
    }
    let rows = rows();
    scene.write_task("", &rows, false);
    let program = scene.path("project/attempts");
    let wrun = wrun_words(&[
        "--format",
        "json",
        "submit",
        "--sandbox",
        tier.name(),
        "task.toml",
    ]);
    let command = scene
        .world
        .command(program.as_ref())
        .args(["terminal", "--"])
        .args(&wrun);
    let ran = scene.surrounded(command).run();
    ran.ends_with(0);
    Answers::read(&output_of(&ran), &ran).hold(tier, &rows);
}

#[test]
fn nothing_is_typed_in_full_as_root() {
    on_a_terminal(User::Root, Tier::Full);
}

#[test]
fn nothing_is_typed_in_full_as_a_user() {
    on_a_terminal(User::Other, Tier::Full);
}

#[test]
fn nothing_is_typed_in_restricted_as_root() {
    on_a_terminal(User::Root, Tier::Restricted);
}

#[test]
fn nothing_is_typed_in_restricted_as_a_user() {
    on_a_terminal(User::Other, Tier::Restricted);
}

#[test]
fn a_terminal_takes_what_is_typed_without_a_sandbox() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        let rows = rows();
        scene.write_task("", &rows, true);
        let program = scene.path("project/attempts");
        let command = scene.world.command(program.as_ref());
        let ran = scene
            .surrounded(command.args(["terminal", "--", &program, "batch", "attempts.json"]))
            .run();
        ran.ends_with(0);
        if files::names("/proc/sys/dev/tty".as_ref()).contains(&"legacy_tiocsti".to_owned())
            && files::read("/proc/sys/dev/tty/legacy_tiocsti".as_ref()).trim() == "0"
        {
            wrun_tests::skipped("this kernel does not let anybody type");
            continue;
        }
        Answers::read(&ran.stdout, &ran).work(user, &rows);
    }
}

/// What a terminal would act on is not in what is told of a run.
#[test]
fn codes_of_a_task_do_not_get_into_events() {
    let Some(scene) = Scene::new(User::Other) else {
        return;
    };
    let task = wrun_tests::tasks::command(&["./attempts", "say-codes"], "");
    scene.world.write("task.toml", task);
    scene.give_project();
    let ran = scene.submit("best-effort");
    ran.ends_with(0);
    assert!(output_of(&ran).contains("plain"), "{ran:?}");
    for code in CODES {
        assert!(!ran.stdout.contains(code), "{code:?} in {:?}", ran.stdout);
    }
}

/// Nor is it in what `wrun` itself says of what a task is called.
#[test]
fn codes_of_a_name_do_not_get_into_messages() {
    let Some(scene) = Scene::new(User::Other) else {
        return;
    };
    let name = "no-such\u{1b}]0;title\u{7}\u{9b}2J-program";
    scene
        .world
        .write("task.toml", wrun_tests::tasks::command(&[name], ""));
    scene.give_project();
    for format in ["text", "json"] {
        let ran = scene.wrun(&["--format", format, "submit", "task.toml"]).run();
        ran.ends_with(127);
        for (text, code) in [&ran.stdout, &ran.stderr]
            .into_iter()
            .flat_map(|text| CODES.map(|code| (text, code)))
        {
            assert!(!text.contains(code), "{code:?} in {text:?}");
        }
    }
}
