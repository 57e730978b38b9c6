//! The same attempts by a WebAssembly guest, where it can try: it gets no further than a native task.

use wrun_tests::{Ran, binary, files, tasks};

use crate::scene::{Scene, User};

/// The same program as a WASI 0.1 module and as a WASI 0.2 component.
const PROBES: [&str; 2] = ["probe.wasm", "probe.component.wasm"];
const NET_PROBE: &str = "net-probe.component.wasm";

fn run(scene: &Scene, guest: &str, words: &[&str], rest: &str) -> Ran {
    let copy = scene.world.project().join(guest);
    if !copy.is_file() {
        files::write(&copy, files::bytes(&binary::guest(guest)));
    }
    scene.world.write("guest.toml", tasks::module(&copy, words, rest));
    scene.give_project();
    scene.wrun(&["submit", "guest.toml"]).run()
}

#[track_caller]
fn is_refused(scene: &Scene, guest: &str, words: &[&str], rest: &str) {
    let ran = run(scene, guest, words, rest);
    ran.ends_with(1).says("probe: ");
    assert!(!ran.stdout.contains(&scene.marker), "{ran:?}");
}

#[test]
fn a_guest_sees_no_file_that_was_not_granted() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        let (secret, folder, store) = (
            scene.secret(),
            scene.path("secret"),
            scene.path("store/canary.txt"),
        );
        let climb = format!("{}{}", "../".repeat(40), secret.trim_start_matches('/'));
        let inside = format!("{folder}/new");
        for guest in PROBES {
            for words in [
                &["cat", "/etc/shadow"] as &[&str],
                &["cat", &secret],
                &["cat", &store],
                &["cat", "link"],
                &["cat", &climb],
                &["cat", "/proc/self/environ"],
                &["cat", "/proc/1/environ"],
                &["cat", "/dev/vda"],
                &["ls", "/root"],
                &["ls", &folder],
                &["ls", ".."],
                &["write", &secret, "x"],
                &["write", "link", "x"],
                &["write", &inside, "x"],
                &["write", "attempts.json", "x"],
                &["truncate", &secret],
                &["rm", &secret],
                &["mkdir", &inside],
                &["rename", &secret, "/tmp/taken"],
                &["rename", "attempts", "/tmp/taken"],
                &["link", &secret, "/tmp/hard"],
                &["link", "attempts", "/tmp/hard"],
                &["symlink", &secret, "new-link"],
            ] {
                is_refused(&scene, guest, words, "");
            }
            let rest = format!("[allow]\nread = [\"{folder}\"]\n");
            let ran = run(&scene, guest, &["cat", &secret], &rest);
            ran.prints(&scene.marker);
            is_refused(&scene, guest, &["write", &secret, "x"], &rest);
            is_refused(&scene, guest, &["rm", &secret], &rest);
        }
        scene.is_undisturbed();
    }
}

/// A link that the guest makes in the folder that it may write does not lead out of it.
#[test]
fn a_guest_does_not_follow_its_own_link_out() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        let out = scene.path("out");
        let rest = format!("[allow]\nwrite = [\"{out}\"]\n");
        let link = format!("{out}/out-link");
        for guest in PROBES {
            // To make it may be refused as well, as it leads to an absolute path.
            let made = run(&scene, guest, &["symlink", "../secret/secret.txt", &link], &rest);
            assert!([0, 1].contains(&made.code), "{made:?}");
            is_refused(&scene, guest, &["cat", &link], &rest);
            is_refused(&scene, guest, &["write", &link, "x"], &rest);
            run(&scene, guest, &["write", &format!("{out}/made"), "x"], &rest).ends_with(0);
            for name in files::names(out.as_ref()) {
                files::remove(&std::path::Path::new(&out).join(name));
            }
        }
        scene.is_undisturbed();
    }
}

#[test]
fn a_guest_gets_no_variable_of_the_caller() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        for guest in PROBES {
            let ran = run(&scene, guest, &["env"], "[vars]\nGIVEN = \"yes\"\n");
            ran.prints("GIVEN=yes\nHOME=/tmp\nTMPDIR=/tmp\n");
        }
    }
}

#[test]
fn a_guest_reaches_only_what_was_granted() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        let (tcp, udp) = {
            let neighbour = scene.neighbour.borrow();
            (neighbour.tcp, neighbour.udp)
        };
        let (address, other) = (format!("127.0.0.1:{tcp}"), format!("127.0.0.1:{udp}"));
        let granted = format!("[allow]\nnet = [\"{address}\"]\n");
        for (words, rest) in [
            (["connect", &address], ""),
            (["connect", &other], &granted),
            (["connect", &format!("[::ffff:127.0.0.1]:{tcp}")], &granted),
            (["udp", &other], ""),
            (["udp", &other], &granted),
            (["resolve", "localhost"], ""),
            (["listen", "0"], &granted),
        ] {
            let ran = run(&scene, NET_PROBE, &words, rest);
            ran.ends_with(1)
                .says("net-probe: ")
                .does_not_say("connection-refused");
        }
        // A program of the machine that is listed by its port is reached by its name too, as a process reaches it.
        for listed in [address, format!("localhost:{tcp}")] {
            let ran = run(&scene, NET_PROBE, &["connect", &listed], &granted);
            assert!(ran.ends_with(0).stdout.contains("ping"), "{ran:?}");
        }
    }
}

#[test]
fn a_guest_is_held_to_its_memory_and_time() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        for guest in PROBES {
            let memory = "[limits]\nmemory = \"16MiB\"\n";
            run(&scene, guest, &["alloc", "100000000"], memory).ends_with(137);
            run(&scene, guest, &["alloc", "1000000"], memory).ends_with(0);
            let time = "[limits]\ntime = \"200ms\"\n";
            run(&scene, guest, &["spin"], time).ends_with(124);
            run(&scene, guest, &["sleep", "60000"], time).ends_with(124);
            run(&scene, guest, &["sleep", "1"], time).ends_with(0);
            let output = "[limits]\noutput = \"64KiB\"\n";
            run(&scene, guest, &["flood", "10000000"], output).ends_with(153);
        }
    }
}
