//! Built once, from an empty store, and only used at every later run.

use serde_json::json;
use wrun_tests::conda::{Channel, Format, Package, SUBDIR, Server};
use wrun_tests::{World, files, network, skipped};

use crate::{task, thing};

fn channel() -> Channel {
    let mut channel = Channel::with([
        Package::saying("thing", "1.0", "thing 1.0").depends("part >=2"),
        Package::saying("thing", "0.9", "thing 0.9"),
        Package::new("part", "2.1")
            .file("share/part.txt", "part")
            .noarch("generic"),
        Package::new("part", "1.0").noarch("generic"),
    ]);
    channel.add(&Package::saying("old", "1.0", "old 1.0").format(Format::TarBz2));
    channel
}

#[test]
fn a_channel_in_a_folder_is_read_once() {
    let (world, channel) = (World::new(), channel());
    let text = task(
        &["thing"],
        json!({ "packages": ["thing", "old"], "channels": [channel.url()] }),
    );
    world.submit(&text).prints("thing 1.0\n").says("ready: ");
    // A later run needs neither the channel nor a shell.
    drop(channel);
    let later = world
        .wrun(&["submit", "task.toml"])
        .env("PATH", "/nonexistent")
        .run();
    later.prints("thing 1.0\n");
    later.finds_everything();
    if let Some(way) = network::without_network() {
        let alone = world.wrun(&["submit", "task.toml"]).through(way).run();
        alone.prints("thing 1.0\n");
        alone.finds_everything();
    }
    assert_eq!(world.environments().len(), 1);
}

#[test]
fn a_later_run_starts_nothing_but_the_task_and_connects_to_nothing() {
    const TRACED: &[&str] = &[
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=execve,connect",
        "-o",
        "trace.txt",
    ];
    if !network::works(&TRACED[..1], &["--version"]) {
        skipped("tracing: there is no `strace`");
        return;
    }
    let world = World::new();
    let channel = Channel::with([
        Package::new("thing", "1.0").file("etc/conda/activate.d/thing.sh", "export FROM_SCRIPT=yes\n")
    ]);
    let server = Server::of(channel.path());
    let spec = json!({ "packages": ["thing"], "channels": [server.url()] });
    let text = task(&["printenv", "FROM_SCRIPT"], spec);
    world.submit(&text).prints("yes\n");
    let later = world.wrun(&["submit", "task.toml"]).through(TRACED).run();
    later.prints("yes\n");
    let trace = files::read(&world.project().join("trace.txt"));
    let started: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("execve("))
        .filter_map(|line| line.split('"').nth(1)?.rsplit('/').next())
        .collect();
    assert_eq!(started, ["wrun", "wrun-helper", "printenv"], "{trace}");
    assert!(!trace.contains("connect("), "{trace}");
}

#[test]
fn a_channel_in_parts_is_read_in_parts() {
    let (world, channel) = (World::new(), channel());
    channel.write_shards();
    for subdir in ["noarch", SUBDIR] {
        files::remove(&channel.path().join(subdir).join("repodata.json"));
    }
    let server = Server::of(channel.path());
    let text = thing(&server.url());
    world.submit(&text).prints("thing 1.0\n");
    let shards = |server: &Server| {
        let requests = server.requests();
        requests
            .iter()
            .filter(|request| request.path.contains("/shards/"))
            .count()
    };
    assert_eq!(
        shards(&server),
        2,
        "only the parts of `thing` and `part` are read: {:?}",
        server.requests()
    );
    // A part that is not what the index says is not believed.
    let world = World::new();
    server.replace(".msgpack.zst", b"something else".to_vec());
    world.submit(&text).ends_with(125).says("conda.repodata.broken");
    assert!(world.environments().is_empty());
}

#[test]
fn a_channel_on_the_web_is_asked_once() {
    let (world, channel) = (World::new(), channel());
    let server = Server::of(channel.path());
    let text = thing(&server.url());
    world.submit(&text).prints("thing 1.0\n").says("ready: ");
    assert_eq!(server.downloads().len(), 2, "each package is fetched once");
    let requests = server.requests().len();
    let later = world.submit(&text);
    later.prints("thing 1.0\n");
    later.finds_everything();
    world
        .wrun(&["--offline", "submit", "task.toml"])
        .run()
        .prints("thing 1.0\n");
    assert_eq!(server.requests().len(), requests, "a later run asks nothing");
}

#[test]
fn a_lock_that_is_of_no_use_is_to_be_made_anew() {
    let (world, channel) = (World::new(), channel());
    world.write("task.toml", thing(&channel.url()));
    world
        .wrun(&["plan", "--lock", "lock.json", "task.toml"])
        .run()
        .ends_with(0);
    let lock = files::read(&world.project().join("lock.json"));
    let without_digests = lock.replace("sha256: ", "sha257: ");
    let cut = lock.replace("environments:", "surroundings:");
    for (content, code) in [(without_digests, "conda.lock.digest"), (cut, "conda.lock.syntax")] {
        world.write("lock.json", content);
        world
            .wrun(&["submit", "--locked", "lock.json", "task.toml"])
            .run()
            .ends_with(125)
            .says(code)
            .says("`wrun plan --lock FILE TASK`");
    }
}

#[test]
fn a_lock_is_built_without_repodata() {
    let (world, channel) = (World::new(), channel());
    let server = Server::of(channel.path());
    let text = thing(&server.url());
    world.write("task.toml", &text);
    world
        .wrun(&["plan", "--lock", "lock.json", "task.toml"])
        .run()
        .ends_with(0);
    assert!(server.downloads().is_empty(), "a plan fetches no package");
    for subdir in ["noarch", SUBDIR] {
        files::remove(&channel.path().join(subdir).join("repodata.json"));
    }
    let before = server.requests().len();
    world
        .wrun(&["submit", "--locked", "lock.json", "task.toml"])
        .run()
        .prints("thing 1.0\n");
    let asked: Vec<String> = server
        .requests()
        .split_off(before)
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked.iter().all(|path| path.strip_suffix(".conda").is_some()),
        "{asked:?}"
    );
}

#[test]
fn an_environment_that_was_emptied_is_built_again() {
    let (world, channel) = (World::new(), channel());
    let text = thing(&channel.url());
    world.submit(&text).prints("thing 1.0\n");
    let tree = world.tree(&world.environments()[0]);
    for folder in files::walk(&tree).iter().filter(|path| path.is_dir()) {
        files::set_mode(folder, 0o755);
    }
    files::set_mode(&tree, 0o755);
    for folder in ["bin", "conda-meta", "etc", "share"] {
        files::remove_folder(&tree.join(folder));
    }
    world
        .submit(&text)
        .prints("thing 1.0\n")
        .says("build: ")
        .does_not_say("solve: ");
    world.submit(&text).finds_everything();
}

#[test]
fn what_is_at_hand_is_built_offline() {
    let (world, channel) = (World::new(), channel());
    let server = Server::of(channel.path());
    let both = json!({ "packages": ["thing", "part"], "channels": [server.url()] });
    let one = json!({ "packages": ["thing"], "channels": [server.url()] });
    world.submit(&task(&["thing"], both)).prints("thing 1.0\n");
    let requests = server.requests().len();
    world.write("task.toml", task(&["thing"], one));
    world
        .wrun(&["--offline", "submit", "task.toml"])
        .run()
        .prints("thing 1.0\n");
    world.write(
        "task.toml",
        task(
            &["thing"],
            json!({ "packages": ["thing"], "channels": ["https://channel.invalid/x"] }),
        ),
    );
    world
        .wrun(&["--offline", "submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("offline");
    assert_eq!(server.requests().len(), requests, "nothing is asked");
}

#[test]
fn the_command_line_names_packages_too() {
    let (world, channel) = (World::new(), channel());
    let arguments = [
        "run",
        "--conda",
        "thing=0.9",
        "--channel",
        &channel.url(),
        "--",
        "thing",
    ];
    world.wrun(&arguments).run().prints("thing 0.9\n");
}

#[test]
fn a_refresh_sees_what_is_new() {
    let (world, mut channel) = (World::new(), channel());
    let text = thing(&channel.url());
    world.submit(&text).prints("thing 1.0\n");
    channel.add(&Package::saying("thing", "2.0", "thing 2.0"));
    world.submit(&text).prints("thing 1.0\n");
    let server = Server::of(channel.path());
    world
        .wrun(&["submit", "--refresh", "task.toml"])
        .run()
        .prints("thing 2.0\n");
    drop(server);
}

#[test]
fn a_private_channel_wants_a_credential_by_name() {
    let (world, channel) = (World::new(), channel());
    let server = Server::of(channel.path());
    server.require("ada", "hunter2");
    let private =
        json!({ "packages": ["thing"], "channels": [{ "url": server.url(), "credentials": "corp" }] });
    world.write("task.toml", task(&["thing"], private));
    let submit = || world.wrun(&["submit", "task.toml"]);
    submit().run().ends_with(125).says("corp");
    let wrong = submit()
        .env("WRUN_INDEX_CORP_USERNAME", "ada")
        .env("WRUN_INDEX_CORP_PASSWORD", "wrong");
    wrong
        .run()
        .ends_with(125)
        .says("status 401")
        .says("the credential `corp` was refused: correct `WRUN_INDEX_CORP_USERNAME`")
        .says("conda.channel.unauthorized");
    let right = submit()
        .env("WRUN_INDEX_CORP_USERNAME", "ada")
        .env("WRUN_INDEX_CORP_PASSWORD", "hunter2");
    right.run().prints("thing 1.0\n");
    assert!(
        files::holding(&world.store(), "hunter2").is_empty(),
        "the password is kept nowhere"
    );
    // Who asked is not part of the key, so nobody has to be asked again.
    submit().run().prints("thing 1.0\n");
    world.submit(&thing(&server.url())).prints("thing 1.0\n");
}

#[test]
fn a_secret_in_an_address_is_refused_and_not_repeated() {
    let world = World::new();
    for address in ["https://ada:hunter2@x.example/c", "https://x.example/t/hunter2/c"] {
        let ran = world.submit(&task(
            &["thing"],
            json!({ "packages": ["thing"], "channels": [address] }),
        ));
        ran.ends_with(125).says("conda.channel.secret");
        let message = ran
            .stderr
            .lines()
            .find(|line| line.contains("with a secret in it"));
        assert!(message.is_some_and(|line| !line.contains("hunter2")), "{ran:?}");
        assert!(files::holding(&world.store(), "hunter2").is_empty());
    }
}

#[test]
fn a_secret_in_a_match_spec_is_refused_too() {
    let world = World::new();
    for spec in [
        "https://ada:hunter2@x.example/c::thing",
        "https://x.example/t/hunter2/c::thing",
        "https://ada:hunter2@x.example/c/noarch/thing-1.0-0.conda",
        "thing[channel=https://ada:hunter2@x.example/c]",
    ] {
        let in_table = json!({ "packages": [spec] });
        world
            .submit(&task(&["thing"], in_table))
            .ends_with(125)
            .says("conda.channel.secret");
        world.write("environment.yml", format!("dependencies: [\"{spec}\"]\n"));
        let ran = world.submit(&task(&["thing"], json!({ "file": "environment.yml" })));
        ran.ends_with(125)
            .says("conda.channel.secret")
            .does_not_say("hunter2");
    }
    assert!(files::holding(&world.store(), "hunter2").is_empty());
}

#[test]
fn the_order_of_channels_counts() {
    let world = World::new();
    let first = Channel::with([Package::saying("thing", "1.0", "first")]);
    let second = Channel::with([Package::saying("thing", "2.0", "second")]);
    let run = |channels: [&Channel; 2], priority: &str| {
        let urls = channels.map(Channel::url);
        let spec = json!({ "packages": ["thing"], "channels": urls, "channel-priority": priority });
        world.submit(&task(&["thing"], spec))
    };
    run([&first, &second], "strict").prints("first\n");
    run([&second, &first], "strict").prints("second\n");
    run([&first, &second], "disabled").prints("second\n");
    run([&first, &second], "flexible").prints("first\n");
    let spec = json!({ "packages": [format!("{}::thing", second.url())], "channels": [first.url()], "channel-priority": "disabled" });
    world.submit(&task(&["thing"], spec)).prints("second\n");
}

#[test]
fn nothing_newer_than_the_cut_off_is_taken() {
    const JANUARY: u64 = 1_704_067_200_000;
    const JUNE: u64 = 1_717_200_000_000;
    let world = World::new();
    let mut channel = Channel::with([
        Package::saying("thing", "1.0", "january").uploaded(JANUARY),
        Package::saying("thing", "2.0", "june").uploaded(JUNE),
    ]);
    let url = channel.url();
    let run = |until: &str| {
        let spec = json!({ "packages": ["thing"], "channels": [url], "exclude-newer": until });
        world.submit(&task(&["thing"], spec))
    };
    run("2024-03-01").prints("january\n");
    run("2024-12-31").prints("june\n");
    run("2023-01-01").ends_with(125).says("conda.solve.too-new");
    // What says no time may be of any.
    channel.add(&Package::saying("thing", "3.0", "of no time"));
    run("2024-12-30").prints("june\n");
    let spec =
        json!({ "packages": ["thing>=3"], "channels": [channel.url()], "exclude-newer": "2024-12-31" });
    world
        .submit(&task(&["thing"], spec))
        .ends_with(125)
        .says("1 candidate of `thing >=3` has no upload time and is left out by `exclude-newer`")
        .says("conda.solve.no-time");
}

#[test]
fn virtual_packages_can_be_made_up_and_hidden() {
    let world = World::new();
    let channel = Channel::with([
        Package::saying("thing", "1.0", "plain"),
        Package::saying("thing", "2.0", "cuda").depends("__cuda >=12"),
    ]);
    let run = |virtual_packages: serde_json::Value| {
        let spec = json!({ "packages": ["thing"], "channels": [channel.url()], "virtual-packages": virtual_packages });
        world.submit(&task(&["thing"], spec))
    };
    run(json!({ "cuda": false })).prints("plain\n");
    run(json!({ "cuda": "11.8" })).prints("plain\n");
    run(json!({ "cuda": "12.4" })).prints("cuda\n");
    world.write("task.toml", thing(&channel.url()));
    let submit = world
        .wrun(&["submit", "task.toml"])
        .env("CONDA_OVERRIDE_CUDA", "12.1");
    submit.run().prints("cuda\n");
    let wrong = world
        .wrun(&["submit", "task.toml"])
        .env("CONDA_OVERRIDE_CUDA", "x y");
    wrong
        .run()
        .ends_with(125)
        .says("`CONDA_OVERRIDE_CUDA` is `x y`, which is not a version");
}
