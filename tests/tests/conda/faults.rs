//! A channel that fails: every fault ends in a clear error or in a repeated attempt that succeeds, and nothing half-made
//! is ever used.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wrun_tests::conda::{Channel, Format, Package, SUBDIR, Server};
use wrun_tests::{Fault, Ran, World, files};

use crate::{of_channel, task, thing};

/// A world whose channel fails.
pub(crate) struct Failing {
    pub(crate) world: World,
    pub(crate) channel: Channel,
    pub(crate) server: Server,
}

impl Failing {
    fn new() -> Self {
        Self::with([
            Package::saying("thing", "1.0", "thing").depends("part"),
            Package::new("part", "1.0")
                .file("share/part", "part")
                .noarch("generic"),
        ])
    }

    pub(crate) fn with(packages: impl IntoIterator<Item = Package>) -> Self {
        let channel = Channel::with(packages);
        let server = Server::of(channel.path());
        Self {
            world: World::new(),
            channel,
            server,
        }
    }

    pub(crate) fn text(&self) -> String {
        thing(&self.server.url())
    }

    pub(crate) fn submit(&self) -> Ran {
        self.world.submit(&self.text())
    }

    /// After a failure nothing is left, and everything goes well once the channel does.
    #[track_caller]
    fn recovers(&self) {
        assert!(self.world.environments().is_empty(), "nothing is built");
        self.server.heal();
        self.submit().prints("thing\n");
    }
}

#[test]
fn repodata_that_cannot_be_had_is_told_with_its_reason() {
    for (status, code, words) in [
        (401, "conda.channel.unauthorized", "status 401"),
        (403, "conda.channel.unauthorized", "status 403"),
        (429, "conda.channel.busy", "status 429"),
        (500, "conda.channel.failed", "status 500"),
        (503, "conda.channel.failed", "status 503"),
    ] {
        let failing = Failing::new();
        failing.server.fault("", Fault::Status(status));
        failing.submit().ends_with(125).says(code).says(words);
        failing.recovers();
    }
    let failing = Failing::new();
    failing.server.fault("", Fault::Status(404));
    failing
        .submit()
        .ends_with(125)
        .says("conda.channel.missing")
        .says("noarch/repodata.json");
    failing.recovers();
}

#[test]
fn repodata_that_breaks_off_or_makes_no_sense_is_told() {
    let failing = Failing::new();
    failing.server.fault("repodata.json", Fault::Cut(40));
    failing
        .submit()
        .ends_with(125)
        .says("repodata.json")
        .says("provision.http.unreachable");
    failing.recovers();

    let failing = Failing::new();
    failing
        .server
        .replace("repodata.json", b"{ \"packages\": ".to_vec());
    failing
        .submit()
        .ends_with(125)
        .says("conda.repodata.broken")
        .says(&format!(
            "the repodata of the channel `{}` for `",
            failing.server.url()
        ));
    failing.server.heal();
    failing
        .world
        .wrun(&["submit", "--refresh", "task.toml"])
        .run()
        .prints("thing\n");

    // Of several only the one that is broken is named.
    let failing = Failing::new();
    let good = Channel::with([Package::new("other", "1.0")]);
    let folder = failing.channel.path().join(SUBDIR);
    files::write(
        &folder.join("repodata.json"),
        r#"{ "packages": {}, "packages.conda": { "thing-1.0-0.conda": 7 } }"#,
    );
    let channels = [good.url(), failing.channel.url()];
    failing
        .world
        .submit(&task(
            &["thing"],
            json!({ "packages": ["thing"], "channels": channels }),
        ))
        .ends_with(125)
        .says("conda.repodata.broken")
        .says(&format!(
            "the repodata of the channel `{}` for `{SUBDIR}`",
            failing.channel.url()
        ));
}

#[test]
fn packages_that_cannot_be_had_are_told_with_their_reason() {
    for (fault, code, words) in [
        (Fault::Status(401), "conda.channel.unauthorized", "status 401"),
        (
            Fault::Status(404),
            "conda.package.missing",
            "solve again with `--refresh`",
        ),
        (Fault::Status(410), "conda.package.missing", "status 410"),
        (Fault::Status(429), "conda.channel.busy", "come back later"),
        (
            Fault::Status(500),
            "conda.channel.failed",
            "the server itself fails",
        ),
        (Fault::Status(503), "conda.channel.failed", "status 503"),
        (
            Fault::Cut(10),
            "conda.channel.unreachable",
            "what was fetched is kept",
        ),
    ] {
        let failing = Failing::new();
        failing.server.fault("thing-1.0-0.conda", fault);
        failing
            .submit()
            .ends_with(125)
            .says(&format!(
                "`thing-1.0-0.conda` of the channel `{}` cannot be had",
                failing.server.url()
            ))
            .says(code)
            .says(words);
        failing.recovers();
    }
    // One that the spec names by its address.
    let failing = Failing::new();
    let address = format!("{}/{SUBDIR}/gone-1.0-0.conda", failing.server.url());
    failing
        .world
        .submit(&of_channel(&failing.server.url(), &[&address]))
        .ends_with(125)
        .says(&format!("the package at `{address}` cannot be had"))
        .says("conda.package.address")
        .does_not_say("repodata");
    // Without a server between.
    let world = World::new();
    let mut channel = Channel::new();
    let added = channel.add(&Package::saying("thing", "1.0", "thing"));
    files::remove(&channel.path().join(&added.path));
    world
        .submit(&thing(&channel.url()))
        .ends_with(125)
        .says("conda.package.missing")
        .says(&format!("of the channel `{}` cannot be had", channel.url()))
        .says("--refresh");
}

#[test]
fn what_answers_in_place_of_a_channel_is_not_read_to_its_end() {
    let failing = Failing::new();
    failing
        .server
        .replace("noarch/repodata.json", b"<html>log in first</html>".to_vec());
    // More is announced, and never comes.
    failing.server.fault("noarch/repodata.json", Fault::Stall(18));
    let ran = failing.submit();
    ran.ends_with(125)
        .says("conda.repodata.broken")
        .says(&format!(
            "the repodata of the channel `{}` for `noarch`",
            failing.server.url()
        ))
        .says("it begins with `<html>log in first`");
    assert!(
        ran.elapsed < Duration::from_secs(20),
        "it is not waited for: {ran:?}"
    );
    failing.recovers();
}

#[test]
fn a_server_that_drips_is_called_slow() {
    let failing = Failing::new();
    failing.server.fault("repodata.json", Fault::Drip);
    failing.world.write("task.toml", failing.text());
    failing
        .world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_HTTP_TIMEOUT", "3s")
        .run()
        .ends_with(125)
        .says("is too slow: ")
        .says(" bytes in 3 s")
        .says("provision.http.slow")
        .says("8192 bytes")
        .does_not_say("cannot reach");
    failing.recovers();
}

#[test]
fn what_fails_now_and_then_is_tried_again() {
    for fault in [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Cut(100),
        Fault::Slow(Duration::from_millis(50)),
    ] {
        let failing = Failing::new();
        failing.server.fault_times("repodata.json", fault.clone(), 1);
        failing.server.fault_times(".conda", fault, 2);
        failing.submit().prints("thing\n");
    }
}

#[test]
fn repodata_that_is_waited_for_or_asked_for_again_is_told() {
    let failing = Failing::new();
    failing
        .server
        .fault_times("noarch/repodata.json", Fault::Status(500), 1);
    let slow = Fault::Slow(Duration::from_secs(4));
    failing
        .server
        .fault_times(&format!("{SUBDIR}/repodata.json"), slow, 1);
    let fetching = |subdir: &str| format!("fetch {}/{subdir}/repodata.json", failing.server.url());
    failing
        .submit()
        .prints("thing\n")
        .says(&fetching("noarch"))
        .says("attempt 2: status 500")
        .says(&fetching(SUBDIR));
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_ended() {
    let failing = Failing::new();
    failing
        .server
        .fault_times("thing-1.0-0.conda", Fault::Cut(200), 1);
    failing.submit().prints("thing\n");
    let ranges: Vec<String> = failing
        .server
        .downloads()
        .iter()
        .filter_map(|request| request.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges, ["bytes=200-"]);
}

#[test]
fn a_channel_that_lies_about_digests_is_not_believed() {
    let failing = Failing::new();
    let other = Package::saying("thing", "1.0", "something else").bytes();
    failing.server.replace("thing-1.0-0.conda", other);
    failing.submit().ends_with(125).says("thing-1.0-0.conda");
    failing.recovers();

    // The same without a server between.
    let world = World::new();
    let mut channel = Channel::new();
    channel.add_with(&Package::saying("thing", "1.0", "thing"), |record| {
        record["sha256"] = json!(files::sha256(b"something else"));
    });
    let text = thing(&channel.url());
    world.submit(&text).ends_with(125).says("conda.package.digest");
    assert!(world.environments().is_empty());
}

#[test]
fn a_channel_that_only_knows_md5_is_checked_by_it() {
    let without = |record: &mut Value| {
        record.as_object_mut().unwrap().remove("sha256");
    };
    let world = World::new();
    let mut channel = Channel::new();
    channel.add_with(&Package::saying("thing", "1.0", "thing"), without);
    channel.add_with(&Package::saying("liar", "1.0", "liar"), |record| {
        without(record);
        record["md5"] = json!("0123456789abcdef0123456789abcdef");
    });
    let server = Server::of(channel.path());
    let text = |name: &str| of_channel(&server.url(), &[name]);
    world.submit(&text("thing")).prints("thing\n");
    assert_eq!(
        server.downloads().len(),
        1,
        "what was looked at is not fetched again"
    );
    world
        .submit(&text("liar"))
        .ends_with(125)
        .says("conda.package.digest");
}

#[test]
fn broken_archives_are_told_and_never_used() {
    let good = Package::saying("thing", "1.0", "thing");
    let whole = good.bytes();
    let truncated = whole[..whole.len() / 2].to_vec();
    let tar = good.clone().format(Format::TarBz2);
    let tar_bytes = tar.bytes();
    let outside =
        json!({ "paths": [{ "_path": "../../outside", "path_type": "hardlink" }], "paths_version": 1 });
    let cases: Vec<(Package, Vec<u8>, &str)> = vec![
        (good.clone(), b"not an archive".to_vec(), "broken package"),
        (good.clone(), truncated, "broken package"),
        (tar, tar_bytes[..tar_bytes.len() / 2].to_vec(), "broken package"),
        (
            good.clone(),
            Package::saying("other", "1.0", "other").bytes(),
            "it says that it is `other 1.0 0`",
        ),
        (
            good.clone(),
            good.clone().with_paths(outside).bytes(),
            "would be put outside of the environment",
        ),
        (
            good.clone(),
            good.clone().claiming(json!("nonsense")).bytes(),
            "info/index.json",
        ),
        (
            good.clone(),
            good.clone().with_paths(json!(7)).bytes(),
            "info/paths.json",
        ),
    ];
    for (package, bytes, words) in cases {
        let world = World::new();
        let mut channel = Channel::new();
        channel.add_bytes(&package, &bytes, |_| {});
        let text = thing(&channel.url());
        world
            .submit(&text)
            .ends_with(125)
            .says("conda.package.broken")
            .says(words);
        assert!(world.environments().is_empty());
        let unpacked = world.store().join("pkgs/conda/packages-2");
        assert!(
            files::names(&unpacked).is_empty(),
            "{:?}",
            files::names(&unpacked)
        );
    }
}

#[test]
fn a_package_with_a_device_or_a_pipe_is_refused() {
    let package = Package::new("thing", "1.0").format(Format::TarBz2);
    for kind in [tar::EntryType::Fifo, tar::EntryType::Char, tar::EntryType::Block] {
        let compressed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        let mut archive = tar::Builder::new(compressed);
        let mut add = |path: &str, kind: tar::EntryType, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, path, content)
                .expect("it can be added");
        };
        let paths =
            json!({ "paths": [{ "_path": "share/odd", "path_type": "hardlink" }], "paths_version": 1 });
        add(
            "info/index.json",
            tar::EntryType::Regular,
            package.index().to_string().as_bytes(),
        );
        add(
            "info/paths.json",
            tar::EntryType::Regular,
            paths.to_string().as_bytes(),
        );
        add("share/odd", kind, b"");
        let bytes = archive
            .into_inner()
            .and_then(bzip2::write::BzEncoder::finish)
            .expect("it can be written");
        let world = World::new();
        let mut channel = Channel::new();
        channel.add_bytes(&package, &bytes, |_| {});
        world
            .submit(&thing(&channel.url()))
            .ends_with(125)
            .says("conda.package.broken")
            .says("`share/odd` is a device or a pipe");
        assert!(world.environments().is_empty());
    }
}

#[test]
fn a_package_whose_name_is_a_path_writes_nothing_elsewhere() {
    for build in ["0/../../../../../../out", "0\\..\\out", "0\nx"] {
        let world = World::new();
        let mut channel = Channel::new();
        let mut package = Package::saying("thing", "1.0", "thing");
        package.build = build.to_owned();
        let bytes = package.bytes();
        package.build = "0".to_owned();
        channel.add_bytes(&package, &bytes, |record| record["build"] = json!(build));
        let text = thing(&channel.url());
        world
            .submit(&text)
            .ends_with(125)
            .says("conda.package.broken")
            .says("cannot be the build of a package");
        let outside = files::walk(world.path())
            .into_iter()
            .find(|path| path.file_name().is_some_and(|name| name == "out.json"));
        assert_eq!(outside, None);
    }
}

#[test]
fn a_link_that_leaves_the_environment_is_refused() {
    let world = World::new();
    let channel = Channel::with([
        Package::saying("thing", "1.0", "thing").link("share/outside", "../../../../etc/passwd")
    ]);
    let text = thing(&channel.url());
    world.submit(&text).ends_with(125).says("share/outside");
    assert!(world.environments().is_empty());
}

#[test]
fn a_channel_that_dies_in_the_middle_is_told_and_what_it_sent_is_kept() {
    let failing = Failing::new();
    failing.server.fault("thing-1.0-0.conda", Fault::Status(503));
    failing.submit().ends_with(125).says("thing-1.0-0.conda");
    let of_part = || {
        failing
            .server
            .downloads()
            .iter()
            .filter(|request| request.path.contains("part-"))
            .count()
    };
    assert_eq!(of_part(), 1);
    failing.recovers();
    assert_eq!(of_part(), 1, "what was there is not fetched again");
}

#[test]
fn a_server_that_says_nothing_can_be_left() {
    let failing = Failing::new();
    failing.server.fault("repodata.json", Fault::Hang);
    failing.world.write("task.toml", failing.text());
    let running = failing.world.wrun(&["submit", "task.toml"]).spawn();
    let start = Instant::now();
    while failing.server.requests().is_empty() && start.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    running.signal(rustix::process::Signal::INT);
    let ran = running.wait();
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.elapsed < Duration::from_secs(20), "{ran:?}");
    failing.recovers();
}
