//! Tasks with the files of a container image: what they see, what becomes of what they write, and where they are refused.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use wrun_tests::tasks::command;
use wrun_tests::{files, machine, processes};

use crate::scene::{Scene, Tier, User, output_of};

/// Who can call `wrun` here, where an image can be a root.
fn everyone(test: impl Fn(&Scene)) {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        if scene.offers(Tier::Image) {
            test(&scene);
        }
    }
}

/// Runs a script of the shell in an image, and gives what it wrote.
#[track_caller]
fn script(scene: &Scene, text: &str, rest: &str) -> String {
    let rest = format!("{rest}{}", scene.layers());
    scene
        .world
        .write("task.toml", command(&["sh", "-c", text], &rest));
    scene.give_project();
    let ran = scene.submit_in_image(&["full"]);
    ran.ends_with(0);
    output_of(&ran)
}

/// The names and contents of a folder with all below it.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    files::walk(folder)
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap_or_default();
            (path.display().to_string(), bytes)
        })
        .collect()
}

#[test]
fn what_a_task_writes_to_an_image_is_gone_with_it() {
    everyone(|scene| {
        scene.layers();
        let layers = scene.world.path().join("layers");
        let before = content(&layers);
        let changed = script(
            scene,
            "echo x > /etc/group; echo y > /new; echo z >> /opt/above; echo m > /usr/lib/made; read line < /new; echo $line",
            "",
        );
        assert_eq!(changed, "y\n");
        let after = script(
            scene,
            "read group < /etc/group; read above < /opt/above; echo $group $above; test -e /new || echo gone; \
             test -e /usr/lib/made || echo gone",
            "",
        );
        assert_eq!(after, "root:x:0: above\ngone\ngone\n");
        assert!(content(&layers) == before, "the layers are as they were");
    });
}

#[test]
fn a_layer_takes_away_what_is_below_it() {
    everyone(|scene| {
        let seen = script(scene, "test -e /etc/motd || echo gone; echo /etc/*", "");
        assert_eq!(
            seen,
            "gone\n/etc/group /etc/hostname /etc/hosts /etc/passwd /etc/resolv.conf\n"
        );
    });
}

#[test]
fn nothing_of_the_machine_is_in_an_image() {
    everyone(|scene| {
        let seen = script(scene, "echo /* /usr/* /home/*", "");
        assert_eq!(
            seen,
            "/bin /dev /etc /lib /lib64 /opt /proc /root /tmp /usr /var /usr/lib /home/*\n"
                .replace("/lib /lib64", &libraries())
        );
    });
}

/// The folders of libraries that were copied into the image.
fn libraries() -> String {
    ["/lib", "/lib64"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn what_is_written_to_a_granted_folder_belongs_to_the_caller() {
    use std::os::unix::fs::MetadataExt as _;

    everyone(|scene| {
        let out = scene.path("out");
        let rest = format!("[allow]\nwrite = [\"{out}\"]\n");
        script(scene, &format!("echo x > {out}/file"), &rest);
        let owner = std::fs::metadata(&out).unwrap();
        let made = std::fs::metadata(format!("{out}/file")).unwrap();
        assert_eq!((made.uid(), made.gid()), (owner.uid(), owner.gid()));
    });
}

#[test]
fn an_image_says_what_it_runs_and_how() {
    everyone(|scene| {
        let config = "[env.container.config]\nentrypoint = [\"sh\", \"-c\"]\ncommand = [\"echo $NAME $PWD $PATH\"]\n\
             env = [[\"NAME\", \"image\"], [\"PATH\", \"/bin:/opt/bin\"]]\nworking_dir = \"/srv/made\"\n\
             user = { user = 7, group = 8 }\n";
        let run = |run: &str, rest: &str| {
            scene
                .world
                .write("task.toml", format!("{run}{rest}{}{config}", scene.layers()));
            scene.give_project();
            output_of(scene.submit_in_image(&["full"]).ends_with(0))
        };
        assert_eq!(run("", ""), "image /srv/made /bin:/opt/bin\n");
        assert_eq!(run("[run]\nargs = [\"echo args; exit 0\"]\n", ""), "args\n");
        let own = run(
            "[run]\ncommand = [\"sh\", \"-c\", \"echo $NAME $PWD; cat() { while read l; do echo $l; done; }; cat < /etc/passwd\"]\n",
            "[vars]\nNAME = \"task\"\n",
        );
        let lines: Vec<&str> = own.lines().collect();
        let project = scene.world.project().canonicalize().unwrap();
        assert_eq!(lines[0], format!("task {}", project.display()));
        assert_eq!(lines[1], "root:x:0:0:root:/root:/bin/sh");
        assert!(lines[2].starts_with("wrun:x:7:8:wrun:"), "{own}");
    });
}

#[test]
fn a_program_that_is_not_in_the_image_is_named() {
    everyone(|scene| {
        let outcome = |words: &[&str]| {
            scene.world.write("task.toml", command(words, &scene.layers()));
            scene.give_project();
            let ran = scene.submit_in_image(&["full"]);
            (ran.code, format!("{:?}", ran.events().last()))
        };
        assert_eq!(outcome(&["nothing"]).0, 127);
        assert_eq!(outcome(&["/opt/nothing"]).0, 127);
        let (code, said) = outcome(&["/opt/above"]);
        assert_eq!(code, 126, "{said}");
    });
}

#[test]
fn an_image_is_refused_where_it_cannot_be_a_root() {
    everyone(|scene| {
        scene
            .world
            .write("task.toml", command(&["sh", "-c", ":"], &scene.layers()));
        scene.give_project();
        for how in ["restricted", "off"] {
            let ran = scene.submit_in_image(&[how]);
            ran.ends_with(126);
            assert!(ran.stdout.contains("exec.sandbox.image"), "{ran:?}");
            assert!(ran.stdout.contains("podman"), "the way out is named: {ran:?}");
        }
    });
}

#[test]
fn what_is_written_to_an_image_is_bounded() {
    everyone(|scene| {
        let text =
            "while echo 0123456789012345678901234567890123456789; do :; done > /full 2> /dev/null; exit 3";
        let rest = format!("[limits]\nscratch = \"1MiB\"\n{}", scene.layers());
        scene
            .world
            .write("task.toml", command(&["sh", "-c", text], &rest));
        scene.give_project();
        let ran = scene.submit_in_image(&["full"]);
        let last = ran.events().last().cloned().unwrap_or_default();
        assert_eq!(last["outcome"], "out-of-disk", "{ran:?}");
    });
}

/// The machine's mounts in a folder or of something in it. Engines of other tests mount and unmount beside this one.
fn mounts_in(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("the name of a world is text");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(folder))
        .map(str::to_owned)
        .collect()
}

#[test]
fn nothing_is_left_of_an_image_when_wrun_is_killed() {
    everyone(|scene| {
        scene.world.write(
            "task.toml",
            command(
                &["sh", "-c", "echo ready; read line < /dev/zero"],
                &scene.layers(),
            ),
        );
        scene.give_project();
        let running = scene.in_image(&["full"]).spawn();
        running.wait_for("ready");
        running.signal(Signal::KILL);
        drop(running.kill_after(Duration::from_secs(10)));
        drop(scene.neighbour.borrow_mut().end());
        processes::assert_none_mentions(scene.world.path());
        assert_eq!(mounts_in(scene.world.path()), [""; 0], "nothing is mounted");
        assert!(machine::is_root() || scene.user == User::Other);
    });
}
