//! Environment files, files of exact addresses, environments that are there already, and what packages are made of.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;
use wrun_tests::conda::{Channel, Format, PLACEHOLDER, Package, Server};
use wrun_tests::{World, files, machine};

use crate::{of_channel, task, thing};

#[test]
fn an_environment_file_is_read_and_is_part_of_the_key() {
    let world = World::new();
    let channel = Channel::with([
        Package::new("thing", "1.0").program("bin/thing", "#!/bin/sh\necho one $GREETING\n"),
        Package::new("thing", "2.0").program("bin/thing", "#!/bin/sh\necho two $GREETING\n"),
    ]);
    let file = |version: &str| {
        format!(
            "name: ignored\nchannels:\n  - {}\n  - nodefaults\ndependencies:\n  - thing={version}\nvariables:\n  GREETING: hello\n",
            channel.url()
        )
    };
    world.write("environment.yml", file("1"));
    let text = task(&["thing"], json!({ "file": "environment.yml" }));
    world.submit(&text).prints("one hello\n");
    world.write("environment.yml", file("2"));
    world.submit(&text).prints("two hello\n");
    world.write("environment.yml", "dependencies: [{conda-forge: [x]}]");
    world.submit(&text).ends_with(125).says("conda.file.syntax");
    world.write("environment.yml", "channels: {");
    world.submit(&text).ends_with(125).says("conda.file.syntax");
}

#[test]
fn what_is_wrong_with_an_environment_file_is_told_with_its_place() {
    let world = World::new();
    let channel = Channel::with([Package::saying("thing", "1.0", "thing")]);
    let text = task(
        &["thing"],
        json!({ "file": "environment.yml", "channels": [channel.url()], "platform": "linux-64" }),
    );
    let refused = |content: &str, said: &[&str]| {
        world.write("environment.yml", content);
        let ran = world.submit(&text);
        ran.ends_with(125);
        for words in said {
            ran.says(words);
        }
    };
    refused(
        "name: x\ndependences: [thing]\n",
        &[
            "`environment.yml:2:1` has the key `dependences`",
            "did you mean `dependencies`?",
        ],
    );
    refused("", &["`environment.yml` is no environment file: it is empty"]);
    refused("- thing\n", &["it is a list, and not a table of `dependencies:`"]);
    refused(
        "name: x\ndependencies: []\n",
        &["`environment.yml` lists no packages"],
    );
    refused(
        "dependencies:\n  - thing\n  - 'thing ==='\n",
        &["`environment.yml:3:5` is no environment file: "],
    );
    refused(
        "dependencies: [thing]\nvariables:\n  GOOD: x\n  a b: c\n  EMPTY:\n  K=V: z\n",
        &[
            "`environment.yml:4`: `a b` in `variables:` is no name of a variable",
            "`environment.yml:5`: `EMPTY` in `variables:` has no value",
            "`environment.yml:6`: `K=V` in `variables:`",
        ],
    );
    refused(
        "platforms: [osx-64]\ndependencies: [thing]\n",
        &["for the platforms `osx-64`, and not for `linux-64`"],
    );
    refused(
        "dependencies:\n  - thing\n  - pip:\n    - good\n    - -z bad\n",
        &["environment.yml:5: "],
    );
    world.write(
        "environment.yml",
        "name: x\nprefix: /x\nplatforms: [osx-64, linux-64]\ndependencies: [thing]\nvariables: { PATH: /x, EMPTY: '' }\n",
    );
    world
        .submit(&text)
        .prints("thing\n")
        .says("`environment.yml`: `PATH` in `variables:` takes the place of the caller's");
}

#[test]
fn exact_addresses_need_no_repodata() {
    let world = World::new();
    let mut channel = Channel::new();
    let thing = channel.add(&Package::saying("thing", "1.0", "thing"));
    let part = channel.add(
        &Package::new("part", "1.0")
            .file("share/p", "p")
            .format(Format::TarBz2),
    );
    let other = channel.add(&Package::new("other", "1.0").file("share/o", "o"));
    let server = Server::of(channel.path());
    let url = server.url();
    let lines = [
        "# made by hand".to_owned(),
        "@EXPLICIT".to_owned(),
        format!("{url}/{}#{}", part.path, part.md5),
        format!("{url}/{}#sha256:{}", thing.path, thing.sha256),
        format!("{}/{}", channel.url(), other.path),
        String::new(),
    ];
    world.write("explicit.txt", lines.join("\n"));
    let text = task(&["thing"], json!({ "explicit": "explicit.txt" }));
    world.submit(&text).prints("thing\n");
    let asked = server.requests();
    assert!(
        asked.iter().all(|request| !request.path.contains("repodata")),
        "{asked:?}"
    );
    assert_eq!(
        server.downloads().len(),
        2,
        "what was looked at is not fetched again"
    );
    let tree = world.tree(&world.environments()[0]);
    for path in ["share/p", "share/o"] {
        assert!(tree.join(path).is_file(), "{path}");
    }
    world.write(
        "explicit.txt",
        format!("@EXPLICIT\n{url}/{}#{}\n", part.path, thing.md5),
    );
    world
        .submit(&text)
        .ends_with(125)
        .says("conda.package.digest")
        .says("correct the digest");
    // A file that is not there is the list's own matter, and no repodata's.
    let gone = part.path.replace("part", "gone");
    for place in [&url, &channel.url()] {
        world.write(
            "explicit.txt",
            format!("# a comment\n@EXPLICIT\n{place}/{gone}\n"),
        );
        world
            .submit(&text)
            .ends_with(125)
            .says("conda.package.missing")
            .says("which line 3 of `explicit.txt` lists")
            .says("correct the line")
            .does_not_say("repodata");
    }
    world.write("explicit.txt", format!("{url}/{}\n", part.path));
    world.submit(&text).ends_with(125).says("conda.explicit.syntax");
    world.write("explicit.txt", "@EXPLICIT\n/srv/thing-1.0-0.conda\n");
    world.submit(&text).ends_with(125).says("file:///");
}

#[test]
fn a_list_has_one_package_of_a_name() {
    let world = World::new();
    let mut channel = Channel::new();
    let one = channel.add(&Package::saying("thing", "1.0", "one"));
    let two = channel.add(&Package::saying("thing", "2.0", "two"));
    let url = channel.url();
    let text = task(&["thing"], json!({ "explicit": "explicit.txt" }));
    world.write(
        "explicit.txt",
        format!("@EXPLICIT\n{url}/{}\n\n{url}/{}\n", one.path, two.path),
    );
    world
        .submit(&text)
        .ends_with(125)
        .says("conda.explicit.twice")
        .says("lines 2 and 4 of `explicit.txt` list two packages of the name `thing`");
    world.write(
        "explicit.txt",
        format!(
            "@EXPLICIT\n{url}/{0}\n{url}/{0}#sha256:{1}\n",
            one.path, one.sha256
        ),
    );
    world.submit(&text).prints("one\n");
    // What a file is called decides which package it is, so it has to be true.
    let other = Package::saying("other", "1.0", "other").bytes();
    let false_name = Package::saying("false", "1.0", "false");
    let added = channel.add_bytes(&false_name, &other, |_| {});
    world.write("explicit.txt", format!("@EXPLICIT\n{url}/{}\n", added.path));
    world
        .submit(&text)
        .ends_with(125)
        .says("conda.package.broken")
        .says("it says that it is `other`");
}

#[test]
fn what_a_list_gives_no_digest_of_is_locked_with_the_one_that_it_first_had() {
    let world = World::new();
    let mut channel = Channel::new();
    let added = channel.add(&Package::saying("thing", "1.0", "thing"));
    let server = Server::of(channel.path());
    world.write(
        "explicit.txt",
        format!("@EXPLICIT\n{}/{}\n", server.url(), added.path),
    );
    let text = task(&["thing"], json!({ "explicit": "explicit.txt" }));
    world.submit(&text).prints("thing\n");
    let environment = world.environments()[0]["env_id"].as_str().unwrap().to_owned();
    world.wrun(&["cache", "rm", &environment]).run().ends_with(0);
    files::remove_folder(&world.store().join("pkgs"));
    server.replace(
        "thing-1.0-0.conda",
        Package::saying("thing", "1.0", "replaced").bytes(),
    );
    world
        .submit(&text)
        .ends_with(125)
        .says("thing-1.0-0.conda")
        .says("conda.package.digest");
    server.heal();
    world.submit(&text).prints("thing\n").does_not_say("solve:");
}

#[test]
fn a_script_whose_interpreter_is_not_there_names_it() {
    let world = World::new();
    let channel = Channel::with([
        Package::new("thing", "1.0").program("bin/thing", "#!/no/such/python3 -u\nprint()\n"),
        Package::new("windows", "1.0").program("bin/windows", "#!/bin/sh\r\necho hello\r\n"),
    ]);
    let ran = world.submit(&thing(&channel.url()));
    ran.ends_with(126)
        .says("its first line asks for `/no/such/python3`, which does not exist")
        .does_not_say("read = [");
    world
        .submit(&of_channel(&channel.url(), &["windows"]))
        .ends_with(126)
        .says("ends with a carriage return");
}

#[test]
fn an_environment_that_is_there_is_used_and_not_changed() {
    let world = World::new();
    let existing = world.home().join("miniforge3/envs/mine");
    files::write(&existing.join("conda-meta/history"), "");
    files::write(
        &existing.join("bin/thing"),
        "#!/bin/sh\necho $CONDA_PREFIX $FROM_SCRIPT\n",
    );
    files::set_mode(&existing.join("bin/thing"), 0o755);
    files::write(
        &existing.join("etc/conda/activate.d/a.sh"),
        "export FROM_SCRIPT=yes-$(basename $CONDA_PREFIX)\n",
    );
    let before = files::listing(&existing);
    let by_name = task(&["thing"], json!({ "existing": "mine" }));
    let by_path = task(&["thing"], json!({ "existing": existing }));
    let expected = format!("{} yes-mine\n", existing.display());
    world.submit(&by_name).prints(&expected);
    world.submit(&by_path).prints(&expected).does_not_say("ready:");
    assert_eq!(files::listing(&existing), before);
    // A script that comes later is seen.
    files::write(
        &existing.join("etc/conda/activate.d/b.sh"),
        "export FROM_SCRIPT=later\n",
    );
    world
        .submit(&by_name)
        .prints(&format!("{} later\n", existing.display()))
        .says("ready: ");
    let missing = world.submit(&task(&["thing"], json!({ "existing": "yours" })));
    missing
        .ends_with(125)
        .says("conda.existing.missing")
        .says("miniforge3/envs/yours");
    let both = world.submit(&task(
        &["thing"],
        json!({ "existing": "mine", "packages": ["x"] }),
    ));
    both.ends_with(125).says("`packages` does not go with `existing`");
}

#[test]
fn the_plan_of_an_environment_that_is_there_says_what_it_is_started_with() {
    let world = World::new();
    let existing = world.home().join("mine");
    files::write(&existing.join("conda-meta/history"), "");
    world.write("task.toml", task(&["true"], json!({ "existing": existing })));
    let ran = world.wrun(&["plan", "task.toml"]).run();
    ran.ends_with(0);
    let said = "native, with what is recorded in the environment";
    assert!(ran.stdout.contains(said), "{ran:?}");
}

#[test]
fn an_environment_that_may_not_be_looked_into_is_not_called_missing() {
    let world = World::new();
    let closed = world.home().join("closed");
    let existing = closed.join("envs/mine");
    files::write(&existing.join("conda-meta/history"), "");
    files::set_mode(&closed, 0o600);
    world.write("task.toml", task(&["true"], json!({ "existing": existing })));
    // What root is permitted beside others is taken away.
    let without: &[&str] = if machine::is_root() {
        &["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    } else {
        &["env"]
    };
    let ran = world.wrun(&["submit", "task.toml"]).through(without).run();
    files::set_mode(&closed, 0o700);
    ran.ends_with(125)
        .says("conda.existing.unreadable")
        .says("Permission denied")
        .says(&format!("this user may not look into `{}`", closed.display()))
        .does_not_say("there is no conda environment");
}

#[test]
fn prefixes_are_replaced_in_text_and_in_binaries() {
    let world = World::new();
    let channel = Channel::with([Package::new("thing", "1.0")
        .text_with_prefix(
            "bin/thing",
            "#!/bin/sh\necho PREFIX/share\ncat \"PREFIX/share/thing.bin\" | tr '\\0' '|'\n",
        )
        .binary_with_prefix("share/thing.bin", b"\x01\x00", "/lib/x", b"end")]);
    let text = thing(&channel.url());
    let ran = world.submit(&text);
    ran.ends_with(0);
    let tree = world.tree(&world.environments()[0]);
    assert!(
        ran.stdout.starts_with(&format!(
            "{}/share\n\u{1}|{}/lib/x|",
            tree.display(),
            tree.display()
        )),
        "{ran:?}"
    );
    assert!(ran.stdout.trim_end_matches('|').ends_with("end"), "{ran:?}");
    let bytes = files::bytes(&tree.join("share/thing.bin"));
    assert_eq!(
        bytes.len(),
        2 + PLACEHOLDER.len() + "/lib/x".len() + 1 + 3,
        "a binary keeps its length"
    );
}

#[test]
fn files_are_shared_and_links_are_kept() {
    let world = World::new();
    let thing = Package::saying("thing", "1.0", "thing")
        .link("bin/alias", "thing")
        .file("share/data", "data");
    let channel = Channel::with([thing, Package::saying("more", "1.0", "more")]);
    let one = task(
        &["alias"],
        json!({ "packages": ["thing"], "channels": [channel.url()] }),
    );
    let two = task(
        &["alias"],
        json!({ "packages": ["thing", "more"], "channels": [channel.url()] }),
    );
    world.submit(&one).prints("thing\n");
    world.submit(&two).prints("thing\n");
    let inodes: Vec<(u64, u64)> = world
        .environments()
        .iter()
        .map(|environment| {
            let tree = world.tree(environment);
            assert!(tree.join("bin/alias").symlink_metadata().unwrap().is_symlink());
            let metadata = tree.join("share/data").metadata().unwrap();
            (metadata.dev(), metadata.ino())
        })
        .collect();
    assert_eq!(inodes.len(), 2);
    assert_eq!(inodes[0], inodes[1], "both environments hold the same file");
}

#[test]
fn a_file_of_two_packages_is_of_one_of_them_and_the_same_each_time() {
    let channel = Channel::with([
        Package::new("a", "1.0").file("share/same", "a"),
        Package::new("b", "1.0").file("share/same", "b").depends("a"),
    ]);
    let text = task(
        &["cat", "share-same"],
        json!({ "packages": ["a", "b"], "channels": [channel.url()] }),
    );
    let contents: Vec<String> = (0..3)
        .map(|_| {
            let world = World::new();
            world.write("share-same", "");
            world.submit(&text).ends_with(0);
            files::read(&world.tree(&world.environments()[0]).join("share/same"))
        })
        .collect();
    assert_eq!(contents, vec![contents[0].clone(); 3]);
}

#[test]
fn an_environment_for_another_platform_can_be_locked_and_not_run() {
    let world = World::new();
    let channel = Channel::with([Package::saying("thing", "1.0", "thing").subdir("win-64")]);
    let spec = json!({ "packages": ["thing"], "channels": [channel.url()], "platform": "win-64" });
    world.write("task.toml", task(&["thing"], spec));
    world
        .wrun(&["plan", "--lock", "lock.json", "task.toml"])
        .run()
        .ends_with(0);
    world
        .wrun(&["submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("the environment is for `win-64`");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let world = World::new();
    let spec = json!({
        "packages": ["thing >=", "ok"],
        "channels": ["", "gopher://x.example/c"],
        "exclude-newer": "yesterday",
        "platform": "amiga-68k",
        "virtual-packages": { "cuda": "x.y!", "glibc": true },
        "chanels": [],
    });
    let ran = world.submit(&task(&["thing"], spec));
    ran.ends_with(125);
    for code in [
        "conda.package.syntax",
        "conda.channel.syntax",
        "conda.date.syntax",
        "conda.platform.unknown",
        "conda.virtual-package.syntax",
        "conda.spec.unknown-key",
    ] {
        ran.says(code);
    }
    ran.does_not_say("python.spec").says("`linux-ppc64le`");
    let misspelt = json!({ "package": ["thing"], "platform": "linux-99" });
    world
        .submit(&task(&["thing"], misspelt))
        .ends_with(125)
        .says("did you mean `packages`?")
        .says("there are `linux-32`, `linux-64`, `linux-aarch64`")
        .does_not_say("`win-64`")
        .does_not_say("nothing says what is to be installed");
    let words = ["run", "--conda", "foo bar baz qux", "--", "foo"];
    world
        .wrun(&words)
        .run()
        .ends_with(125)
        .says("it has more words than a name, a version and a build")
        .says("--conda foo --conda bar");
}
