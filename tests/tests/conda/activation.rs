//! Activation is found out once, at build; scripts of packages are run only if the task says so.

use serde_json::json;
use wrun_tests::conda::{Channel, Package};
use wrun_tests::{World, files};

use crate::task;

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
    let text = task(
        &["thing"],
        json!({ "packages": ["thing"], "channels": [channel.url()] }),
    );
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
fn an_activation_that_does_not_end_or_fails_is_told() {
    let world = World::new();
    let channel = Channel::with([Package::saying("thing", "1.0", "thing")
        .file("etc/conda/activate.d/thing.sh", "echo broken >&2\nexit 3\n")]);
    let text = task(
        &["thing"],
        json!({ "packages": ["thing"], "channels": [channel.url()] }),
    );
    world
        .submit(&text)
        .ends_with(125)
        .says("conda.activation.failed")
        .says("broken");
    assert!(world.environments().is_empty());
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
