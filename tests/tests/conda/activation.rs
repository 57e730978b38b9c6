//! Activation is found out once, at build; scripts of packages are run only if the task says so.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use wrun_tests::conda::{Channel, Package};
use wrun_tests::{World, files, network, processes};

use crate::{task, thing};

#[test]
fn scripts_are_run_once_and_their_variables_are_there_at_every_start() {
    let world = World::new();
    let channel = Channel::with([Package::new("thing", "1.0")
        .program("special/thing", "#!/bin/sh\necho \"$FROM_SCRIPT|$FROM_FILE|$CONDA_PREFIX|$WITH_HOME|$HTTPS_PROXY|\"\n")
        .file(
            "etc/conda/activate.d/thing.sh",
            "echo noise\nexport FROM_SCRIPT=\"two\nlines\"\nexport PATH=\"$CONDA_PREFIX/special:$PATH\"\nexport WITH_HOME=$HOME/x\nexport COPY=$HTTPS_PROXY\n",
        )
        .file("etc/conda/env_vars.d/thing.json", "{\"FROM_FILE\": \"file\"}")]);
    let text = thing(&channel.url());
    world.write("task.toml", &text);
    let submit = || {
        world
            .wrun(&["submit", "task.toml"])
            .env("HTTPS_PROXY", "http://ada:hunter2@127.0.0.1:1")
    };
    let first = submit().run();
    let tree = world.tree(&world.environments()[0]);
    let expected = format!("two\nlines|file|{}|||\n", tree.display());
    first.prints(&expected).says("build: record the activation");
    submit()
        .env("PATH", "/nonexistent")
        .run()
        .prints(&expected)
        .does_not_say("build:");
    assert!(
        files::holding(&world.store().join("v1"), "hunter2").is_empty(),
        "the caller's variables are not recorded"
    );
}

#[test]
fn an_activation_that_fails_is_told() {
    let world = World::new();
    for (script, words) in [
        ("exit 3", "failed with exit code 3"),
        ("kill -9 $$", "was ended by signal 9"),
        ("exit 0", "ended the shell of all scripts with exit code 0"),
        ("if then fi (", "has a syntax error"),
    ] {
        let broken = format!("echo broken >&2\n{script}\n");
        let channel = Channel::with([Package::saying("thing", "1.0", "thing")
            .file("etc/conda/activate.d/a.sh", "export A=1\n")
            .file("etc/conda/activate.d/thing.sh", broken)
            .file("etc/conda/activate.d/z.sh", "export Z=1\n")]);
        let ran = world.submit(&thing(&channel.url()));
        ran.ends_with(125).says("conda.activation.failed").says(&format!(
            "the activation script `etc/conda/activate.d/thing.sh` {words}"
        ));
        if script != "exit 0" {
            ran.says("broken");
        }
        assert!(world.environments().is_empty());
    }
}

#[test]
fn a_script_whose_last_command_fails_has_its_say() {
    let world = World::new();
    let channel = Channel::with([Package::new("thing", "1.0")
        .program("bin/thing", "#!/bin/sh\necho $FROM_SCRIPT\n")
        .file("etc/conda/activate.d/thing.sh", "export FROM_SCRIPT=yes\nfalse\n")]);
    world.submit(&thing(&channel.url())).prints("yes\n");
}

#[test]
fn a_script_that_cannot_be_read_is_told() {
    let world = World::new();
    let existing = world.home().join("mine");
    files::write(&existing.join("conda-meta/history"), "");
    let script = existing.join("etc/conda/activate.d/a.sh");
    files::write(&script, "export A=1\n");
    let text = task(&["true"], json!({ "existing": existing }));
    files::set_mode(&script, 0);
    world
        .submit(&text)
        .ends_with(125)
        .says("the activation script `etc/conda/activate.d/a.sh` cannot be read")
        .says("conda.activation.failed")
        .says("chmod a+r");
    files::write(&existing.join("etc/conda/activate.d/b.sh"), "case in\n");
    files::set_mode(&script, 0o644);
    world
        .submit(&text)
        .ends_with(125)
        .says("the activation script `etc/conda/activate.d/b.sh` has a syntax error");
}

#[test]
fn scripts_need_no_search_path() {
    let world = World::new();
    let script = "#!/bin/sh\necho \"$PKG_NAME\" > \"$PREFIX/share/made\"\n";
    let channel = Channel::with([Package::new("thing", "1.0")
        .program("bin/thing", "#!/bin/sh\necho $FROM_SCRIPT\n")
        .file("share/data", "data")
        .program("bin/.thing-post-link.sh", script)
        .file("etc/conda/activate.d/thing.sh", "export FROM_SCRIPT=yes\n")]);
    let spec = json!({ "packages": ["thing"], "channels": [channel.url()], "link-scripts": true });
    world.write("task.toml", task(&["thing"], spec));
    world
        .wrun(&["submit", "task.toml"])
        .env("PATH", "/nonexistent")
        .run()
        .prints("yes\n");
}

#[test]
fn an_activation_that_does_not_end_is_ended_and_told() {
    let world = World::new();
    // Neither what it waits for nor what it left in the background takes a hint.
    let script = "trap '' TERM INT HUP\necho waiting >&2\n(while :; do sleep 1000; done) &\n\
                  setsid sleep 1000 &\nwhile :; do sleep 1000; done\n";
    let channel = Channel::with([
        Package::saying("good", "1.0", "good"),
        Package::saying("thing", "1.0", "thing").file("etc/conda/activate.d/thing.sh", script),
    ]);
    let spec = |name: &str| json!({ "packages": [name], "channels": [channel.url()] });
    world.write("task.toml", task(&["thing"], spec("thing")));
    let ran = world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_ACTIVATION_TIME", "1500ms")
        .run();
    ran.ends_with(125)
        .says("were not done after 1.5 seconds")
        .says("etc/conda/activate.d/thing.sh")
        .says("waiting")
        .says("conda.activation.time")
        .says("set `WRUN_ACTIVATION_TIME`");
    assert!(ran.elapsed >= Duration::from_millis(1500), "{ran:?}");
    assert!(ran.elapsed < Duration::from_secs(20), "it is ended then: {ran:?}");
    processes::assert_none_mentions(world.path());
    assert!(world.environments().is_empty());
    assert_eq!(files::names(&world.store().join("v1/env")), [""; 0]);
    assert_eq!(files::names(&world.store().join("tmp")), [""; 0]);
    world.submit(&task(&["good"], spec("good"))).prints("good\n");
    world
        .wrun(&["submit", "task.toml"])
        .env("WRUN_ACTIVATION_TIME", "soon")
        .run()
        .ends_with(125)
        .says("WRUN_ACTIVATION_TIME")
        .says("setting.invalid");
}

#[test]
fn an_activation_writes_nothing_outside_and_reaches_no_network() {
    let world = World::new();
    let port = network::server();
    files::write(&world.home().join("secret"), "hunter2");
    let outside = world.path().join("outside");
    let places = [
        outside.clone(),
        world.project().join("written"),
        world.home().join("written"),
        world.store().join("written"),
        "/tmp/wrun-activation-written".into(),
        "/dev/shm/wrun-activation-written".into(),
    ];
    let writes = places.each_ref().map(|place| {
        format!(
            "(echo bad > {}) 2>/dev/null && WROTE=\"$WROTE {0}\"\n",
            place.display()
        )
    });
    let writes = writes.concat();
    // Bash opens addresses as files; a shell that does not finds no such file.
    let script = format!(
        "{writes}ANSWER=$( (exec 3<>/dev/tcp/127.0.0.1/{port} && echo hello >&3 && head -n 1 <&3) 2>/dev/null)\n\
         SECRET=$(cat {}/secret 2>/dev/null)\nexport ANSWER SECRET RAN=yes\n",
        world.home().display()
    );
    let channel = Channel::with([Package::new("thing", "1.0")
        .program("bin/thing", "#!/bin/sh\necho \"$RAN|$ANSWER|$SECRET|\"\n")
        .file("etc/conda/activate.d/thing.sh", script)]);
    world.submit(&thing(&channel.url())).prints("yes|||\n");
    for place in places {
        assert!(!place.exists(), "{}", place.display());
    }
    // The way to the server is right: without a sandbox it answers.
    let same = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo hello >&3 && head -n 1 <&3");
    let direct = world.command(Path::new("/bin/bash")).args(["-c", &same]).run();
    direct.prints("got hello\n");
}

#[test]
fn scripts_for_after_the_installation_are_run_only_if_the_task_says_so() {
    let world = World::new();
    let script = "#!/bin/sh\necho \"$PKG_NAME $PKG_VERSION\" > \"$PREFIX/share/made\"\necho changed >> \"$PREFIX/share/data\"\n";
    let channel = Channel::with([Package::new("thing", "1.0")
        .program("bin/thing", "#!/bin/sh\ncat $CONDA_PREFIX/share/*\n")
        .file("share/data", "data\n")
        .program("bin/.thing-post-link.sh", script)]);
    let run = |spec: serde_json::Value| world.submit(&task(&["thing"], spec));
    let with = json!({ "packages": ["thing"], "channels": [channel.url()], "link-scripts": true });
    let without = json!({ "packages": ["thing"], "channels": [channel.url()] });
    run(without.clone()).prints("data\n");
    run(with).prints("data\nchanged\nthing 1.0\n");
    // What a script changes is its own environment's copy.
    run(without).prints("data\n");
    assert_eq!(world.environments().len(), 2);
    let failing = Channel::with([Package::saying("bad", "1.0", "bad")
        .program("bin/.bad-post-link.sh", "#!/bin/sh\necho no luck >&2\nexit 1\n")]);
    let spec = json!({ "packages": ["bad"], "channels": [failing.url()], "link-scripts": true });
    world
        .submit(&task(&["bad"], spec))
        .ends_with(125)
        .says("conda.script.failed")
        .says("no luck");
}

#[test]
fn code_of_a_package_cannot_change_another_package_while_an_environment_is_built() {
    let world = World::new();
    let channel = Channel::with([
        Package::new("victim", "1.0")
            .program("bin/victim", "#!/bin/sh\ncat $CONDA_PREFIX/share/victim\n")
            .file("share/victim", "good\n"),
        Package::saying("evil", "1.0", "evil").depends("victim").file(
            "etc/conda/activate.d/evil.sh",
            "echo bad >> $CONDA_PREFIX/share/victim\nchmod u+w $CONDA_PREFIX/share/victim\n\
             echo bad >> $CONDA_PREFIX/share/victim\ntouch $CONDA_PREFIX/share/more && export MORE=yes\n",
        ),
    ]);
    let spec = |name: &str| json!({ "packages": [name], "channels": [channel.url()] });
    world.submit(&task(&["evil"], spec("evil"))).prints("evil\n");
    world.submit(&task(&["victim"], spec("evil"))).prints("good\n");
    world.submit(&task(&["victim"], spec("victim"))).prints("good\n");
    let tree = world.tree(&world.environments()[0]);
    assert!(!tree.join("share/more").exists(), "scripts add nothing");
}
