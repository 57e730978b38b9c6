//! Limits: what is over one is not had, or it is said that the machine cannot hold it.

use serde_json::Value;
use wrun_tests::{Ran, machine};

use crate::rows::{DENIED, EXHAUSTED, Row, row};
use crate::scene::{Scene, Tier, User, output_of, sandbox_of, tier_of};

/// A limit and an attempt at more than it, or at less.
struct Case {
    item: u32,
    /// Its name in a task file and in the report.
    limit: &'static str,
    value: &'static str,
    words: &'static str,
    is_over: bool,
}

const fn over(item: u32, limit: &'static str, value: &'static str, words: &'static str) -> Case {
    Case {
        item,
        limit,
        value,
        words,
        is_over: true,
    }
}

const fn within(item: u32, limit: &'static str, value: &'static str, words: &'static str) -> Case {
    Case {
        item,
        limit,
        value,
        words,
        is_over: false,
    }
}

const CASES: &[Case] = &[
    over(34, "processes", "60", "fork-bomb 200"),
    over(34, "processes", "60", "thread-bomb 200"),
    within(34, "processes", "60", "fork-bomb 20"),
    over(72, "memory", "\"64MiB\"", "memory private 256"),
    over(72, "memory", "\"64MiB\"", "memory shared 256"),
    over(72, "memory", "\"64MiB\"", "memory memfd 256"),
    over(72, "memory", "\"64MiB\"", "memory-file /dev/shm 256"),
    over(72, "memory", "\"64MiB\"", "memory-children 8 32"),
    within(72, "memory", "\"64MiB\"", "memory private 16"),
    within(72, "memory", "\"64MiB\"", "memory shared 16"),
    over(73, "cpu", "0.5", "processor 600 2 75"),
    over(74, "scratch", "\"16MiB\"", "fill ~ 64"),
    over(74, "scratch", "\"16MiB\"", "fill-many ~ 300 128"),
    over(74, "scratch", "\"16MiB\"", "allocate ~ 64"),
    within(74, "scratch", "\"16MiB\"", "fill ~ 8"),
    over(75, "scratch", "\"1MiB\"", "inodes ~ 5000"),
    over(74, "file-size", "\"16MiB\"", "fill ~ 64"),
    over(74, "file-size", "\"16MiB\"", "allocate ~ 64"),
    within(74, "file-size", "\"16MiB\"", "fill ~ 8"),
];

/// How far a run says that a limit is held.
fn state(ran: &Ran, limit: &str) -> String {
    let report = sandbox_of(ran).unwrap_or(Value::Null);
    report["capabilities"][limit]["state"]
        .as_str()
        .unwrap_or("not said")
        .to_owned()
}

/// What is wrong with how a case went.
fn mistake(scene: &Scene, tier: Tier, case: &Case) -> Option<String> {
    let rows: Vec<Row> = vec![row(case.item, case.words)];
    scene.write_task(
        &format!("[limits]\n{} = {}\n", case.limit, case.value),
        &rows,
        false,
    );
    let ran = scene.submit(tier.name());
    if ran.code == 126 {
        // What cannot be held is said; with a root of its own and with root's rights all of it can.
        let is_possible = scene.user == User::Root && (tier == Tier::Full || case.limit != "scratch");
        let is_honest = !is_possible && ran.stdout.contains(case.limit);
        return (!is_honest).then(|| format!("refused: {ran:?}"));
    }
    if tier_of(&ran).as_deref() != Some(tier.name()) {
        return Some(format!("another tier: {ran:?}"));
    }
    let state = state(&ran, case.limit);
    let output = output_of(&ran);
    let answer: Value = serde_json::from_str(output.lines().next().unwrap_or("null")).unwrap_or(Value::Null);
    let (verdict, errno) = (
        answer["verdict"].as_str().unwrap_or("none"),
        answer["errno"].as_str().unwrap_or(""),
    );
    let is_killed = ran.code == 137;
    let is_held = is_killed
        || (verdict == "blocked"
            && (errno.is_empty() || EXHAUSTED.contains(&errno) || DENIED.contains(&errno)));
    let is_right = match (case.is_over, state.as_str()) {
        (false, _) => verdict == "open" && ran.code == 0,
        (true, "enforced") => is_held,
        // It is said that it is not held; as root it would be.
        (true, "partial" | "not-enforced") => is_held || scene.user == User::Other,
        (true, _) => false,
    };
    (!is_right).then(|| format!("{state}, {verdict}, exit code {}: {ran:?}", ran.code))
}

fn limits_hold(user: User, tier: Tier) {
    let Some(scene) = Scene::new(user) else { return };
    if !scene.offers(tier) {
        return;
    }
    let mistakes: Vec<String> = CASES
        .iter()
        .filter_map(|case| {
            let what = format!("{} {} = {}: {}", case.item, case.limit, case.value, case.words);
            Some(format!("{what}\n    {}", mistake(&scene, tier, case)?))
        })
        .collect();
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}

#[test]
fn limits_hold_in_full_as_root() {
    limits_hold(User::Root, Tier::Full);
}

#[test]
fn limits_hold_in_full_as_a_user() {
    limits_hold(User::Other, Tier::Full);
}

#[test]
fn limits_hold_in_restricted_as_root() {
    limits_hold(User::Root, Tier::Restricted);
}

#[test]
fn limits_hold_in_restricted_as_a_user() {
    limits_hold(User::Other, Tier::Restricted);
}

/// Where no control group counts the memory of all processes together it is looked at from outside: none of these has more
/// than the limit by itself.
#[test]
fn memory_of_several_processes_is_limited_without_control_groups() {
    const HOLD: &str =
        "for i in 1 2 3 4; do dd if=/dev/zero bs=32M count=1 2> /dev/null | sleep 1000 & done; wait";
    let Some(scene) = Scene::new(User::Other) else {
        return;
    };
    for tier in [Tier::Full, Tier::Restricted] {
        if !scene.offers(tier) {
            continue;
        }
        for (memory, code) in [("64MiB", 137), ("1GiB", 124)] {
            let rest = format!("[limits]\nmemory = \"{memory}\"\ntime = \"3s\"\n");
            scene.world.write(
                "task.toml",
                wrun_tests::tasks::command(&["sh", "-c", HOLD], &rest),
            );
            scene.give_project();
            let ran = scene.submit(tier.name());
            match state(&ran, "memory").as_str() {
                "partial" => {}
                other => {
                    wrun_tests::skipped(&format!("the limit is {other} here"));
                    continue;
                }
            }
            ran.ends_with(code);
            if code == 137 {
                let events = ran.events();
                assert_eq!(events.last().unwrap()["outcome"], "out-of-memory", "{ran:?}");
                let report = sandbox_of(&ran).unwrap();
                let by = report["capabilities"]["memory"]["by"].to_string();
                assert!(by.contains("sampling"), "{report}");
            }
        }
    }
}

/// A task that does not look at how its processes ended ends well without one of them; that is said, as its result may not be
/// whole.
#[test]
fn a_process_that_was_lost_for_want_of_memory_is_told() {
    const LOSE: &str = "dd if=/dev/zero of=/dev/null bs=256M count=1 2> /dev/null; exit 0";
    let user = if machine::is_root() {
        User::Root
    } else {
        User::Other
    };
    let Some(scene) = Scene::new(user) else { return };
    for (memory, lost) in [("32MiB", true), ("1GiB", false)] {
        let rest = format!("[limits]\nmemory = \"{memory}\"\n");
        let task = wrun_tests::tasks::command(&["sh", "-c", LOSE], &rest);
        scene.world.write("task.toml", task);
        scene.give_project();
        let ran = scene.submit("best-effort");
        if state(&ran, "memory") != "enforced" {
            wrun_tests::skipped("no control group can be had for the limit of memory");
            return;
        }
        ran.ends_with(0);
        let notices = ran
            .events()
            .iter()
            .filter(|event| event["code"] == "task.process.lost")
            .count();
        assert_eq!(notices, usize::from(lost), "{ran:?}");
    }
}

/// Without a limit all of it is to be had, so that it is the limit that keeps it.
#[test]
fn without_limits_nothing_is_kept() {
    let user = if machine::is_root() {
        User::Root
    } else {
        User::Other
    };
    let Some(scene) = Scene::new(user) else { return };
    let unlimited = |case: &Case| {
        let one = row(case.item, case.words);
        if case.limit == "cpu" {
            return one.varies("others may need the processors as well");
        }
        one
    };
    let rows: Vec<Row> = CASES.iter().map(unlimited).collect();
    scene.attempt_without_sandbox(&rows).work(user, &rows);
}

/// A task that computes for ever ends with its time, whatever it has started.
#[test]
fn time_ends_what_computes_for_ever() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        for tier in [Tier::Full, Tier::Restricted] {
            if !scene.offers(tier) {
                continue;
            }
            let task = wrun_tests::tasks::command(&["./attempts", "spin"], "[limits]\ntime = \"300ms\"\n");
            scene.world.write("task.toml", task);
            scene.give_project();
            let ran = scene.submit(tier.name());
            ran.ends_with(124);
            assert!(ran.elapsed.as_secs() < 5, "{ran:?}");
        }
    }
}

/// More output than a limit is cut off, and what writes it ends.
#[test]
fn output_ends_with_its_limit() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        for tier in [Tier::Full, Tier::Restricted] {
            if !scene.offers(tier) {
                continue;
            }
            let flood = ["./attempts", "flood", "10737418240"];
            let task = wrun_tests::tasks::command(&flood, "[limits]\noutput = \"1MiB\"\n");
            scene.world.write("task.toml", task);
            scene.give_project();
            let ran = scene
                .wrun(&["submit", "--sandbox", tier.name(), "task.toml"])
                .run();
            ran.ends_with(153);
            assert!(ran.bytes.len() <= 1 << 20, "{} bytes", ran.bytes.len());
            assert!(ran.elapsed.as_secs() < 10, "{:?}", ran.elapsed);
        }
    }
}
