//! Layers: fetched once, checked, shared, and seen by the task as one tree.

use std::sync::Arc;

use serde_json::json;
use wrun_tests::container::{Image, Packing, Registry, Trouble, of_image, shell_image};
use wrun_tests::{Ran, World, processes};

/// A shell, and a file that a second layer brings.
fn app(content: &str) -> Option<Image> {
    Some(
        shell_image()?
            .layer(&[("etc/", b""), ("etc/name", content.as_bytes())])
            .config(json!({"Entrypoint": ["/bin/cat"], "Cmd": ["/etc/name"], "Env": ["PATH=/bin"]})),
    )
}

fn submit(world: &World, registry: &Registry, name: &str) -> Ran {
    world.submit(&of_image(&registry.name(name), "", ""))
}

#[test]
fn an_image_runs_from_an_empty_store_and_asks_nothing_the_second_time() {
    for packing in [Packing::Tar, Packing::Gzip, Packing::Zstd] {
        let Some(image) = app("hello\n") else { return };
        let (world, registry) = (World::new(), Registry::with("app:1", &image.packed(packing)));
        submit(&world, &registry, "app:1").prints("hello\n");
        let asked = registry.requests().len();
        submit(&world, &registry, "app:1").prints("hello\n");
        assert_eq!(registry.requests().len(), asked);
    }
}

#[test]
fn images_of_this_machine_run_too() {
    let Some(image) = app("hello\n") else { return };
    let world = World::new();
    image.write_layout(&world.project().join("image"), "app:1");
    image.write_docker_archive(&world.project().join("image.tar"), "app:1");
    world.submit(&of_image("oci:image", "", "")).prints("hello\n");
    world
        .submit(&of_image("docker-archive:image.tar", "", ""))
        .prints("hello\n");
}

#[test]
fn a_layer_of_two_images_is_fetched_once() {
    let (Some(one), Some(two)) = (app("one\n"), app("two\n")) else {
        return;
    };
    let (world, registry) = (World::new(), Registry::with("one:1", &one));
    registry.push("two:1", &two);
    submit(&world, &registry, "one:1").prints("one\n");
    submit(&world, &registry, "two:1").prints("two\n");
    let shared = one.layer_blobs()[0].digest();
    assert_eq!(registry.asked(&shared), 1);
}

#[test]
fn concurrent_pulls_of_one_layer_fetch_it_once() {
    let (Some(one), Some(two)) = (app("one\n"), app("two\n")) else {
        return;
    };
    let (world, registry) = (World::new(), Registry::with("one:1", &one));
    registry.push("two:1", &two);
    let run = |name: &str| {
        let file = format!("{}.toml", name.replace(':', "-"));
        world.write(&file, of_image(&registry.name(name), "", ""));
        world.wrun(&["submit", &file]).spawn()
    };
    let (first, second) = (run("one:1"), run("two:1"));
    first.wait().prints("one\n");
    second.wait().prints("two\n");
    let shared = one.layer_blobs()[0].digest();
    assert_eq!(registry.asked(&shared), 1, "{:?}", registry.requests());
}

#[test]
fn a_wrong_diff_id_is_told_and_nothing_of_it_is_used() {
    let Some(image) = app("hello\n") else { return };
    let mut ids = image.diff_id_list();
    ids.swap(0, 1);
    let (world, registry) = (
        World::new(),
        Registry::with("app:1", &image.clone().diff_ids(&ids)),
    );
    let ran = submit(&world, &registry, "app:1");
    ran.ends_with(125).says("diff id").says("help: ");
    assert!(world.environments().is_empty());
    registry.push("app:2", &image);
    submit(&world, &registry, "app:2").prints("hello\n");
}

#[test]
fn a_cut_at_each_layer_is_gone_on_with() {
    let Some(image) = app("hello\n") else { return };
    for layer in image.layer_blobs() {
        let (world, registry) = (World::new(), Registry::with("app:1", &image));
        registry.fault_times(&layer.digest(), Trouble::Cut(layer.bytes.len() / 2), 1);
        submit(&world, &registry, "app:1").prints("hello\n");
        let ranges = registry.requests();
        let resumed = ranges.iter().any(|request| request.headers.contains_key("range"));
        assert!(resumed, "{ranges:?}");
    }
}

#[test]
fn a_pull_that_was_killed_goes_on_where_it_ended() {
    let Some(image) = app("hello\n") else { return };
    let (world, registry) = (World::new(), Arc::new(Registry::with("app:1", &image)));
    let large = image.layer_blobs()[0].clone();
    let half = large.bytes.len() / 2;
    // The first half comes, and the process is killed while it tries again.
    registry.fault_times(&large.digest(), Trouble::Cut(half), 1);
    registry.fault(&large.digest(), Trouble::Hang);
    let (asked, waiting) = std::sync::mpsc::channel();
    let digest = large.digest();
    registry.at_each_request(move |request| {
        if request.path.contains(&digest) && request.headers.contains_key("range") {
            let _ = asked.send(());
        }
    });
    world.write("task.toml", of_image(&registry.name("app:1"), "", ""));
    let running = world.wrun(&["submit", "task.toml"]).spawn();
    waiting
        .recv_timeout(std::time::Duration::from_mins(1))
        .expect("the download is gone on with");
    running.signal(rustix::process::Signal::KILL);
    let _ = running.wait();
    processes::assert_none_mentions(world.path());
    registry.heal();
    let before = registry.requests().len();
    world.wrun(&["submit", "task.toml"]).run().prints("hello\n");
    let resumed = registry
        .requests()
        .split_off(before)
        .into_iter()
        .find_map(|request| {
            request
                .path
                .contains(&large.digest())
                .then(|| request.headers.get("range").cloned())
                .flatten()
        });
    assert_eq!(resumed, Some(format!("bytes={half}-")));
}

#[test]
fn what_the_image_says_of_user_folder_and_variables_holds() {
    let Some(shell) = shell_image() else { return };
    let image = shell
        .layer(&[
            ("etc/", b""),
            (
                "etc/passwd",
                b"root:x:0:0:root:/:/bin/sh\nada:x:1000:100::/:/bin/sh\n",
            ),
            ("srv/", b""),
        ])
        .config(json!({
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": ["echo $A; pwd; id -u"],
            "Env": ["A=1", "PATH=/bin"],
            "WorkingDir": "/srv",
            "User": "ada",
        }));
    let (world, registry) = (World::new(), Registry::with("app:1", &image));
    submit(&world, &registry, "app:1").prints("1\n/srv\n1000\n");
    let name = registry.name("app:1");
    world
        .submit(&of_image(&name, "", "user = \"7:8\"\nworking-dir = \"/etc\""))
        .prints("1\n/etc\n7\n");
    world
        .submit(&of_image(&name, "args = [\"echo $A\"]", ""))
        .prints("1\n");
    world
        .submit(&of_image(
            &name,
            "args = [\"/etc/passwd\"]",
            "entrypoint = [\"/bin/cat\"]",
        ))
        .shows("ada:x:1000");
    world
        .submit(&of_image(&name, "", "user = \"bob\""))
        .ends_with(125)
        .says("no user `bob`");
}

#[test]
fn a_layer_that_is_there_twice_is_no_hindrance() {
    let Some(image) = app("hello\n") else { return };
    let image = image
        .layer(&[("srv/", b"")])
        .layer(&[("opt/", b"")])
        .layer(&[("srv/", b"")]);
    let (world, registry) = (World::new(), Registry::with("app:1", &image));
    submit(&world, &registry, "app:1").prints("hello\n");
}

#[test]
fn what_a_layer_removes_is_gone() {
    let Some(shell) = shell_image() else { return };
    let image = shell
        .layer(&[
            ("etc/", b""),
            ("etc/gone", b"x"),
            ("etc/kept", b"x"),
            ("etc/passwd", b"ada:x:1000:100::/:/bin/sh\n"),
            ("srv/", b""),
            ("srv/old", b"x"),
        ])
        .layer(&[("etc/.wh.gone", b""), ("srv/.wh..wh..opq", b""), ("srv/new", b"x")])
        .config(json!({
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": ["for path in /etc/gone /etc/kept /srv/old /srv/new; do test -e $path && echo $path; done"],
            "User": "ada",
        }));
    let (world, registry) = (World::new(), Registry::with("app:1", &image));
    submit(&world, &registry, "app:1").prints("/etc/kept\n/srv/new\n");
    // A user that the image once knew is none.
    registry.push("app:2", &image.layer(&[("etc/.wh.passwd", b"")]));
    submit(&world, &registry, "app:2")
        .ends_with(125)
        .says("no user `ada`");
}
