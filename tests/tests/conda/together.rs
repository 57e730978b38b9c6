//! Many environments at once: each is built once, builds overlap, nobody waits for ever.
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use wrun_tests::conda::{Channel, Package, Server};
use wrun_tests::{Fault, Running, World, files};

use crate::{of_channel, task};

const ENVIRONMENTS: usize = 20;
const PROCESSES: usize = 5;
const OVERLAPPING: usize = 16;

#[test]
fn twenty_environments_asked_for_by_five_processes_are_each_built_once() {
    let world = World::new();
    // Each environment has a package of its own and four that it shares with others.
    let shared = (0..8).map(|number| {
        Package::new(&format!("shared{number}"), "1.0").file(&format!("share/s{number}"), vec![b's'; 100_000])
    });
    let own = (0..ENVIRONMENTS).map(|number| {
        let name = format!("own{number}");
        (0..4).fold(Package::saying(&name, "1.0", &name), |package, step| {
            package.depends(&format!("shared{}", (number + step * 2) % 8))
        })
    });
    let channel = Channel::with(shared.chain(own));
    let server = Server::of(channel.path());
    // None goes on before so many are under way. One process has eight at once, so they overlap across processes too.
    server.gather("/own", OVERLAPPING);
    let mut names = Vec::new();
    for number in 0..ENVIRONMENTS {
        let name = format!("own{number}");
        let file = format!("task{number}.toml");
        let text = of_channel(&server.url(), &[&name]);
        world.write(&file, text.replace("name = \"t\"", &format!("name = \"{name}\"")));
        names.push(file);
    }
    let start = |process: usize| -> Running {
        // Each process begins elsewhere, so that they get in each other's way in every order.
        let mut arguments = vec!["--format", "json", "submit", "--jobs", "8"];
        let (before, after) = names.split_at(process * ENVIRONMENTS / PROCESSES);
        arguments.extend(after.iter().chain(before).map(String::as_str));
        world.wrun(&arguments).timeout(Duration::from_mins(3)).spawn()
    };
    let running: Vec<Running> = (0..PROCESSES).map(start).collect();
    let mut built: BTreeMap<String, usize> = BTreeMap::new();
    for run in running {
        let ran = run.wait();
        let events = ran.ends_with(0).events();
        for event in events
            .iter()
            .filter(|event| event["event"] == "environment-ready")
        {
            *built.entry(text_of(event, "task")).or_default() += usize::from(event["built"] == true);
        }
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        for event in events.iter().filter(|event| event["event"] == "output") {
            *said.entry(text_of(event, "task")).or_default() += &text_of(event, "text");
        }
        assert_eq!(said.len(), ENVIRONMENTS);
        for (name, text) in said {
            assert_eq!(text, format!("{name}\n"));
        }
    }
    assert_eq!(built.len(), ENVIRONMENTS);
    assert!(built.values().all(|count| *count == 1), "{built:?}");
    assert_eq!(world.environments().len(), ENVIRONMENTS);
}

fn text_of(event: &Value, member: &str) -> String {
    event[member].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_build_does_not_wait_for_another_whose_server_is_slow() {
    let world = World::new();
    let slow = Channel::with([Package::saying("slow", "1.0", "slow").depends("common")]);
    let common = Channel::with([
        Package::new("common", "1.0").file("share/common", "common"),
        Package::saying("quick", "1.0", "quick").depends("common"),
    ]);
    let (slow_server, common_server) = (Server::of(slow.path()), Server::of(common.path()));
    slow_server.fault(".conda", Fault::Hang);
    let channels = json!([slow_server.url(), common_server.url()]);
    world.write(
        "slow.toml",
        task(&["slow"], json!({ "packages": ["slow"], "channels": channels })),
    );
    let waiting = world.wrun(&["submit", "slow.toml"]).spawn();
    let start = std::time::Instant::now();
    while slow_server.downloads().is_empty() && start.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    assert_eq!(slow_server.downloads().len(), 1, "the slow build is under way");
    world
        .submit(&task(
            &["quick"],
            json!({ "packages": ["quick"], "channels": [common_server.url()] }),
        ))
        .prints("quick\n");
    waiting.signal(rustix::process::Signal::INT);
    assert_ne!(waiting.wait().code, 0);
}

#[test]
fn a_build_does_not_wait_for_another_that_is_being_installed() {
    let world = World::new();
    let gate = "mkfifo $TMPDIR/gate && read line < $TMPDIR/gate && export SAID=$line\n";
    let channel = Channel::with([
        Package::new("common", "1.0").file("share/common", "common"),
        Package::new("slow", "1.0")
            .depends("common")
            .program("bin/slow", "#!/bin/sh\necho slow $SAID\n")
            .file("etc/conda/activate.d/slow.sh", gate),
        Package::saying("quick", "1.0", "quick").depends("common"),
    ]);
    let text = |name: &str| of_channel(&channel.url(), &[name]);
    world.write("slow.toml", text("slow"));
    let waiting = world.wrun(&["submit", "slow.toml"]).spawn();
    let start = std::time::Instant::now();
    let gate = loop {
        let found = files::walk(&world.store().join("tmp"))
            .into_iter()
            .find(|path| path.file_name().is_some_and(|name| name == "gate"));
        if let Some(gate) = found {
            break gate;
        }
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "the slow build is not under way"
        );
        std::thread::yield_now();
    };
    world.submit(&text("quick")).prints("quick\n");
    files::write(&gate, "on\n");
    waiting.wait().prints("slow on\n");
}
