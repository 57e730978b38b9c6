//! What a task leaves behind, what becomes of it when `wrun` is killed, and grants that change under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::Signal;
use wrun_tests::tasks::{PythonTask, command};
use wrun_tests::{Index, Wheel, files, machine, skipped};

use crate::rows::{Answers, DENIED, GONE, row};
use crate::scene::{Scene, Tier, User, output_of};

/// How soon nothing is to be left of a task.
const PROMPT: Duration = Duration::from_millis(100);
/// How long is waited for what should be prompt, so that it can be said how long it took.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of processes with a word in their command line. Those that have ended have none.
fn count(marker: &str) -> usize {
    let needle = marker.as_bytes();
    files::names("/proc".as_ref())
        .iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|name| {
            let words = std::fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
            words.windows(needle.len()).any(|window| window == needle)
        })
        .count()
}

/// How long it takes until nothing is left, from now on.
fn until_none(marker: &str) -> Duration {
    let started = Instant::now();
    while count(marker) > 0 {
        assert!(
            started.elapsed() < PATIENCE,
            "{} processes are left",
            count(marker)
        );
        std::thread::yield_now();
    }
    started.elapsed()
}

/// A task of processes that have left their parent; the last word is what they are known by.
fn daemons(scene: &Scene, how_many: usize, how: &str, end: &str, rest: &str) -> String {
    let marker = format!("daemon-of-{}", scene.marker);
    let number = how_many.to_string();
    let task = command(&["./attempts", "daemons", &number, how, end, &marker], rest);
    scene.world.write("task.toml", task);
    scene.give_project();
    marker
}

/// Everybody who can call `wrun` here, in every tier.
fn everywhere(test: impl Fn(&Scene, Tier)) {
    for user in [User::Root, User::Other] {
        for tier in [Tier::Full, Tier::Restricted] {
            let Some(scene) = Scene::new(user) else { continue };
            if scene.offers(tier) {
                test(&scene, tier);
            }
        }
    }
}

/// Does something up to three times, until it is as prompt as it has to be: other programs of the machine may hold a
/// processor for longer than that.
#[track_caller]
fn is_prompt(what: &str, attempt: impl Fn() -> Duration) {
    let mut times = Vec::new();
    for _ in 0..3 {
        let time = attempt();
        times.push(time);
        if time < PROMPT {
            eprintln!("{what}: {times:.1?}");
            return;
        }
    }
    panic!("{what} took {times:.1?}, more than {PROMPT:?}");
}

#[test]
fn nothing_outlives_a_wrun_that_is_killed() {
    everywhere(|scene, tier| {
        for how in ["plain", "deaf", "stopped"] {
            is_prompt(&format!("{how} processes, {tier:?}, {:?}", scene.user), || {
                let marker = daemons(scene, 20, how, "stay", "");
                let running = scene
                    .wrun(&["submit", "--sandbox", tier.name(), "task.toml"])
                    .spawn();
                running.wait_for("ready");
                assert!(count(&marker) >= 21, "the processes are there");
                running.signal(Signal::KILL);
                let time = until_none(&marker);
                drop(running.kill_after(PATIENCE));
                time
            });
        }
    });
}

fn a_large_tree(user: User, tier: Tier) {
    let Some(scene) = Scene::new(user) else { return };
    if scene.offers(tier) {
        is_prompt(&format!("500 processes, {tier:?}, {user:?}"), || {
            let marker = daemons(&scene, 500, "plain", "stay", "[limits]\ntime = \"4s\"\n");
            let running = scene
                .wrun(&["submit", "--sandbox", tier.name(), "task.toml"])
                .spawn();
            running.wait_for("ready");
            // From the first that is gone to the last.
            while count(&marker) >= 501 {
                std::thread::yield_now();
            }
            let time = until_none(&marker);
            running.wait().ends_with(124);
            time
        });
    }
}

#[test]
fn a_large_tree_is_gone_with_its_time_in_full_as_root() {
    a_large_tree(User::Root, Tier::Full);
}

#[test]
fn a_large_tree_is_gone_with_its_time_in_full_as_a_user() {
    a_large_tree(User::Other, Tier::Full);
}

#[test]
fn a_large_tree_is_gone_with_its_time_in_restricted_as_root() {
    a_large_tree(User::Root, Tier::Restricted);
}

#[test]
fn a_large_tree_is_gone_with_its_time_in_restricted_as_a_user() {
    a_large_tree(User::Other, Tier::Restricted);
}

#[test]
fn nothing_outlives_its_task() {
    everywhere(|scene, tier| {
        for how in ["plain", "deaf", "stopped"] {
            let marker = daemons(scene, 10, how, "leave", "");
            let ran = scene
                .wrun(&["submit", "--sandbox", tier.name(), "task.toml"])
                .run();
            // They hold the output, which is not waited for.
            ran.prints("ready\n");
            assert!(ran.elapsed < PATIENCE, "{ran:?}");
            assert_eq!(count(&marker), 0, "{how} processes, {tier:?}, {:?}", scene.user);
        }
    });
}

#[test]
fn a_grant_that_is_not_there_is_refused_by_name() {
    everywhere(|scene, tier| {
        for key in ["read", "write"] {
            let missing = scene.path("no-such-folder/inner");
            let rest = format!("[allow]\n{key} = [\"{missing}\"]\n");
            scene
                .world
                .write("task.toml", command(&["./attempts", "executed"], &rest));
            scene.give_project();
            let ran = scene
                .wrun(&["submit", "--sandbox", tier.name(), "task.toml"])
                .run();
            if key == "write" && ran.code == 42 {
                // A folder to write may be made.
                continue;
            }
            assert!([125, 126].contains(&ran.code), "{ran:?}");
            ran.says("no-such-folder").says("help: ");
        }
    });
}

/// While `wrun` starts, a granted folder turns into a link to the root of the machine and back.
fn a_grant_that_turns(user: User, tier: Tier) {
    let Some(scene) = Scene::new(user) else { return };
    if scene.offers(tier) {
        let (granted, other) = (
            scene.world.path().join("granted"),
            scene.world.path().join("other"),
        );
        files::write(&granted.join("given.txt"), "given");
        std::os::unix::fs::symlink("/", &other).unwrap();
        let (secret, marker) = (scene.secret(), &scene.marker);
        let rows = [
            row(17, &format!("read {secret} {marker}")).hidden(),
            row(17, "read /etc/shadow").full(&[GONE]).restricted(&[DENIED]),
            row(17, &format!("write {secret}")).hidden(),
        ];
        let rest = format!("[allow]\nwrite = [\"{}\"]\n", granted.display());
        scene.write_task(&rest, &rows, false);
        let ends = Arc::new(AtomicBool::new(false));
        let flipping = {
            let ends = Arc::clone(&ends);
            std::thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    renameat_with(CWD, &granted, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                    // Often enough within one start, and not so often that nothing else gets to run.
                    for _ in 0..200 {
                        std::thread::yield_now();
                    }
                }
            })
        };
        let runs: Vec<_> = (0..12).map(|_| scene.submit(tier.name())).collect();
        ends.store(true, Ordering::Relaxed);
        flipping.join().unwrap();
        for ran in &runs {
            match ran.code {
                0 => {
                    let answers = Answers::read(&output_of(ran), ran);
                    assert_eq!(answers.breaches(tier, &rows), Vec::<String>::new(), "{ran:?}");
                }
                125 | 126 => assert!(ran.stdout.contains("\"code\""), "{ran:?}"),
                _ => panic!("{ran:?}"),
            }
        }
        scene.is_undisturbed();
    }
}

#[test]
fn a_grant_that_turns_into_a_link_gives_no_more_in_full_as_root() {
    a_grant_that_turns(User::Root, Tier::Full);
}

#[test]
fn a_grant_that_turns_into_a_link_gives_no_more_in_full_as_a_user() {
    a_grant_that_turns(User::Other, Tier::Full);
}

#[test]
fn a_grant_that_turns_into_a_link_gives_no_more_in_restricted_as_root() {
    a_grant_that_turns(User::Root, Tier::Restricted);
}

#[test]
fn a_grant_that_turns_into_a_link_gives_no_more_in_restricted_as_a_user() {
    a_grant_that_turns(User::Other, Tier::Restricted);
}

/// The environment of a task is the environment of others.
#[test]
fn a_task_does_not_change_its_environment() {
    let user = if machine::is_root() {
        User::Root
    } else {
        User::Other
    };
    let index = Index::with([Wheel::new("thing", "1.0")]);
    for tier in [Tier::Full, Tier::Restricted] {
        let Some(scene) = Scene::new(user) else { return };
        if !scene.offers(tier) {
            return skipped("no tier");
        }
        let python = PythonTask::new("pip", "import thing; print(thing.__file__)")
            .package("thing")
            .index(&index.url());
        scene.world.write("task.toml", python.text());
        let ran = scene
            .wrun(&["submit", "--sandbox", tier.name(), "task.toml"])
            .run();
        let file = ran.ends_with(0).stdout.trim().to_owned();
        let folder = std::path::Path::new(&file)
            .parent()
            .unwrap()
            .display()
            .to_string();
        let tree = scene.world.tree(&scene.world.environments()[0]);
        let before = files::listing(&tree);
        let rows = [
            row(19, &format!("read {file}")).open(),
            row(19, &format!("write {file}")).both(&[DENIED]),
            row(19, &format!("truncate {file}")).both(&[DENIED]),
            row(19, &format!("make file {folder}")).both(&[DENIED]),
            row(19, &format!("rename-in {file} ~")).both(&[DENIED]),
            row(19, &format!("link-in {file} ~")).both(&[DENIED]),
            row(10, &format!("chmod {file}"))
                .full(&[DENIED])
                .unpromised_in_restricted("its owner may"),
        ];
        scene.write_task("", &rows, false);
        let batch = python.command(&["./attempts", "batch", "attempts.json"]);
        scene.world.write("task.toml", batch.text());
        let ran = scene.submit(tier.name());
        ran.ends_with(0);
        Answers::read(&output_of(&ran), &ran).hold(tier, &rows);
        assert_eq!(files::listing(&tree), before);
    }
}
