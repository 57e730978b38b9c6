//! Builds that are killed at any point: what they fetched is gone on with, and nothing half-made is ever used.

use std::time::{Duration, Instant};

use wrun_tests::conda::{Package, SUBDIR};
use wrun_tests::random::Random;
use wrun_tests::{Fault, files, processes};

use crate::faults::Failing;

#[test]
fn a_killed_build_fetches_nothing_twice() {
    const PARTS: usize = 6;
    const HALF: usize = 1234;
    let part = |number: usize| {
        let name = format!("part{number}");
        // Not to be compressed, and each of another size.
        let mut random = Random::new(number as u64 + 1);
        let content = (0..5000 + number * 100).map(|_| u8::try_from(random.below(256)).unwrap());
        Package::new(&name, "1.0").file(&format!("share/{name}"), content.collect::<Vec<u8>>())
    };
    let thing = (0..PARTS).fold(Package::saying("thing", "1.0", "thing"), |thing, number| {
        thing.depends(&format!("part{number}"))
    });
    let failing = Failing::with((0..PARTS).map(part).chain([thing]));
    failing.server.fault("part3-1.0-0.conda", Fault::Stall(HALF));
    failing.world.write("task.toml", failing.text());
    let running = failing.world.wrun(&["submit", "task.toml"]).spawn();
    // All but the one that came to a halt are there, and of that one what was sent.
    let start = Instant::now();
    loop {
        let sizes: Vec<u64> = files::walk(&failing.world.store().join("pkgs"))
            .iter()
            .filter_map(|path| path.metadata().ok().filter(std::fs::Metadata::is_file))
            .map(|metadata| metadata.len())
            .collect();
        let whole = failing.channel.sizes();
        let come = whole.iter().filter(|size| sizes.contains(size)).count();
        if come == PARTS && sizes.contains(&(HALF as u64)) {
            break;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "{sizes:?} {whole:?}");
        std::thread::yield_now();
    }
    drop(running.kill_after(Duration::ZERO));
    assert!(failing.world.environments().is_empty());
    failing.server.heal();
    let before = failing.server.downloads().len();
    failing.submit().prints("thing\n");
    let later = failing.server.downloads().split_off(before);
    // A file that was whole and not yet in its place is asked for what is beyond its end.
    let ends: Vec<String> = failing
        .channel
        .sizes()
        .iter()
        .map(|size| format!("bytes={size}-"))
        .collect();
    let asked: Vec<(&str, Option<&str>)> = later
        .iter()
        .map(|request| {
            let range = request.headers.get("range").map(String::as_str);
            (request.path.rsplit('/').next().unwrap_or_default(), range)
        })
        .filter(|(_, range)| range.is_none_or(|range| !ends.iter().any(|end| end == range)))
        .collect();
    assert_eq!(asked, [("part3-1.0-0.conda", Some("bytes=1234-"))]);
}

#[test]
fn a_killed_build_goes_on_with_what_it_has() {
    let mut random = Random::new(7);
    let packages = (0..12).map(|number| {
        let name = format!("part{number}");
        Package::new(&name, "1.0").file(&format!("share/{name}"), vec![b'x'; 300_000])
    });
    let names: Vec<String> = (0..12).map(|number| format!("part{number}")).collect();
    let thing = names
        .iter()
        .fold(Package::saying("thing", "1.0", "thing"), |thing, name| {
            thing.depends(name)
        });
    let failing = Failing::with(packages.chain([thing]));
    failing
        .server
        .fault(".conda", Fault::Slow(Duration::from_millis(20)));
    failing.world.write("task.toml", failing.text());
    for _ in 0..6 {
        let running = failing.world.wrun(&["submit", "task.toml"]).spawn();
        drop(running.kill_after(Duration::from_millis(random.below(400))));
        for environment in failing.world.environments() {
            let tree = failing.world.tree(&environment);
            for name in &names {
                assert!(
                    tree.join("share").join(name).is_file(),
                    "an environment that is there is whole"
                );
            }
        }
    }
    failing.submit().prints("thing\n");
    let tree = failing.world.tree(&failing.world.environments()[0]);
    for name in &names {
        assert_eq!(
            files::bytes(&tree.join("share").join(name)).len(),
            300_000,
            "{name}"
        );
    }
    let mut whole: Vec<String> = failing
        .server
        .downloads()
        .into_iter()
        .filter(|request| !request.headers.contains_key("range"))
        .map(|request| request.path)
        .collect();
    let all = whole.len();
    whole.sort();
    whole.dedup();
    assert_eq!(whole.len(), 13);
    // Twice for those that were under way when a process was killed, at most.
    assert!(all <= 13 + 6 * 8, "{all} downloads from the beginning");
    processes::assert_none_mentions(failing.world.path());
    assert!(failing.channel.path().join(SUBDIR).is_dir());
}
