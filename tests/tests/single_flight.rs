//! However many ask for the same at once, it is made once; and whoever is killed while making it leaves nothing
//! half-made.
#![expect(
    clippy::indexing_slicing,
    reason = "an index that is not there is a failure of the test"
)]

use std::time::{Duration, Instant};

use serde_json::Value;
use wrun_tests::random::Random;
use wrun_tests::tasks::PythonTask;
use wrun_tests::{Fault, Index, Running, Wheel, World, files, processes};

const CODE: &str = "import thing; print(thing.__version__)";

fn task(backend: &'static str, index: &Index, version: &str) -> String {
    PythonTask::new(backend, CODE)
        .package(&format!("thing=={version}"))
        .index(&index.url())
        .text()
}

/// Whether the events of a run tell of a step of this phase.
fn has_step(events: &[Value], phase: &str) -> bool {
    events
        .iter()
        .any(|event| event["event"] == "step-started" && event["phase"] == phase)
}

fn at_once(backend: &'static str, count: usize, downloads: usize) {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0")]);
    // Long enough that all are there before the first is done.
    index.fault("/files/", Fault::Slow(Duration::from_millis(300)));
    world.write("task.toml", task(backend, &index, "1.0"));
    let start = |_| {
        let submit = world.wrun(&["--format", "json", "submit", "task.toml"]);
        submit.timeout(Duration::from_mins(3)).spawn()
    };
    let running: Vec<Running> = (0..count).map(start).collect();
    let (mut built, mut solved, mut building) = (0, 0, 0);
    for run in running {
        let ran = run.wait();
        let events = ran.ends_with(0).events();
        let output: String = events.iter().filter_map(|event| event["text"].as_str()).collect();
        assert_eq!(output, "1.0\n", "{ran:?}");
        let ready = events.iter().find(|event| event["event"] == "environment-ready");
        built += usize::from(ready.is_some_and(|ready| ready["built"] == true));
        solved += usize::from(has_step(&events, "solve"));
        building += usize::from(has_step(&events, "build"));
    }
    assert_eq!(
        (solved, building, built),
        (1, 1, 1),
        "solved, built, said to have built"
    );
    assert!(
        (1..=downloads).contains(&index.downloads()),
        "{} downloads",
        index.downloads()
    );
    assert_eq!(world.environments().len(), 1);
}

#[test]
fn thirty_two_processes_make_one_environment_with_uv() {
    at_once("uv", 32, 1);
}

#[test]
fn eight_processes_make_one_environment_with_pip() {
    // A pip before 25.3 downloads to solve, and keeps nothing that came without TLS.
    at_once("pip", 8, 2);
}

#[test]
fn tasks_of_one_process_make_one_environment() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0")]);
    index.fault("/files/", Fault::Slow(Duration::from_millis(300)));
    let names: Vec<String> = (0..16).map(|number| format!("task{number}.toml")).collect();
    for name in &names {
        world.write(name, task("uv", &index, "1.0"));
    }
    let ran = world
        .wrun(&["--format", "json", "submit", "--jobs", "16"])
        .args(&names)
        .run();
    let events = ran.ends_with(0).events();
    let count = |event: &str, member: &str, value: &Value| {
        events
            .iter()
            .filter(|found| found["event"] == event && found[member] == *value)
            .count()
    };
    assert_eq!(count("environment-ready", "built", &Value::Bool(true)), 1);
    assert_eq!(count("environment-ready", "built", &Value::Bool(false)), 15);
    assert_eq!(count("output", "text", &Value::from("1.0\n")), 16);
    assert_eq!(index.downloads(), 1);
}

#[test]
fn nobody_waits_for_the_task_of_the_builder() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0")]);
    let waiting = "import thing, sys; print('begun', flush=True); sys.stdin.read(); print(thing.__version__)";
    let first = PythonTask::new("uv", waiting)
        .package("thing==1.0")
        .index(&index.url());
    world.write("first.toml", first.text());
    world.write("second.toml", task("uv", &index, "1.0"));
    let mut building = world.wrun(&["submit", "first.toml"]).open_stdin().spawn();
    building.wait_for("begun");
    // The first task is there until its input ends.
    world
        .wrun(&["submit", "second.toml"])
        .run()
        .ends_with(0)
        .prints("1.0\n");
    building.close_stdin();
    building.wait().ends_with(0).shows("1.0");
    assert_eq!(world.environments().len(), 1);
}

#[test]
fn a_failed_build_fails_all_who_wait_for_it() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0")]);
    index.fault("/files/", Fault::Slow(Duration::from_millis(500)));
    index.add_with_wrong_digest(&Wheel::new("thing", "1.0"));
    world.write("task.toml", task("uv", &index, "1.0"));
    let running: Vec<Running> = (0..8)
        .map(|_| world.wrun(&["submit", "task.toml"]).spawn())
        .collect();
    for run in running {
        run.wait().ends_with(125).says("hash.mismatch").says("help:");
    }
    assert!(world.environments().is_empty());
    processes::assert_none_mentions(world.path());
}

/// Fails unless every listed environment is whole: as many files and bytes as its record says, and a commit record.
fn assert_listed_are_whole(world: &World) {
    for environment in world.environments() {
        let tree = world.tree(&environment);
        let is_file =
            |path: &&std::path::PathBuf| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        let count = files::walk(&tree).iter().filter(is_file).count();
        assert_eq!(environment["files"], count, "{environment}");
        assert!(tree.with_file_name("meta.json").is_file(), "{environment}");
    }
}

#[test]
fn fifty_kills_at_random_moments_leave_nothing_half_made() {
    const ROUNDS: u64 = 50;
    let world = World::new();
    let index = Index::with((0..=ROUNDS + 2).map(|round| Wheel::new("thing", &format!("1.0.{round}"))));
    // The first run also looks at the machine, which those after it do not.
    let times = [0, 1].map(|more| {
        let started = Instant::now();
        world
            .submit(&task("uv", &index, &format!("1.0.{}", ROUNDS + more)))
            .ends_with(0);
        started.elapsed().as_millis()
    });
    let whole = u64::try_from(times[1]).unwrap_or(u64::MAX);

    let mut random = Random::new(20_241_122);
    let mut killed = 0;
    for round in 0..ROUNDS {
        let version = format!("1.0.{round}");
        let task = task("uv", &index, &version);
        world.write("task.toml", &task);
        let moment = Duration::from_millis(random.below(whole));
        let ran = world.wrun(&["submit", "task.toml"]).spawn().kill_after(moment);
        killed += u64::from(ran.code == -9);
        assert_listed_are_whole(&world);
        world.submit(&task).prints(&format!("{version}\n"));
    }
    assert!(
        killed >= ROUNDS / 2,
        "only {killed} were killed before they were done"
    );
    assert_eq!(world.environments().len() as u64, ROUNDS + 2);
    assert_listed_are_whole(&world);
    // What the killed left behind is cleared by the build after them; a hit clears nothing.
    let last = format!("1.0.{}", ROUNDS + 2);
    world
        .submit(&task("uv", &index, &last))
        .prints(&format!("{last}\n"));
    for folder in ["tmp", "trash"] {
        assert_eq!(files::names(&world.store().join(folder)), [""; 0], "in {folder}");
    }
    processes::assert_none_mentions(world.path());
}
