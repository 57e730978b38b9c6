//! A terminal of the task's own: it is one, it behaves as one, and the caller's is out of reach.

use rustix::process::Signal;
use rustix::termios::LocalModes;
use wrun_tests::{Cmd, Screen, skipped};

use crate::rows::{Answers, FILTERED, row};
use crate::scene::{Scene, Tier, User, wrun_words};

/// Everybody, however strongly held.
const HELD: [(User, &str); 6] = [
    (User::Root, "full"),
    (User::Other, "full"),
    (User::Root, "restricted"),
    (User::Other, "restricted"),
    (User::Root, "off"),
    (User::Other, "off"),
];

/// `wrun run --tty` of a script.
fn script(scene: &Scene, sandbox: &str, text: &str) -> Cmd {
    scene.wrun(&["run", "--tty", "--sandbox", sandbox, "--", "sh", "-c", text])
}

/// Runs a test for everybody that this machine can have.
#[track_caller]
fn everywhere(test: impl Fn(&Scene, &str)) {
    for (user, sandbox) in HELD {
        let Some(scene) = Scene::new(user) else { continue };
        if sandbox == "full" && !scene.offers(Tier::Full) {
            continue;
        }
        eprintln!("{user:?} {sandbox}");
        test(&scene, sandbox);
    }
}

fn is_raw(screen: &Screen) -> bool {
    let (_, _, local) = screen.settings();
    !local.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
}

#[test]
fn it_is_a_terminal_of_the_size_of_the_callers() {
    everywhere(|scene, sandbox| {
        let text =
            "test -t 0 && test -t 1 && test -t 2 && echo on $(stty size) $TERM; : > /dev/tty && echo owned";
        let (code, shown) = script(scene, sandbox, text).on_terminal(33, 77).wait();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains("on 33 77 dumb\r\n"), "{shown}");
        assert!(shown.contains("owned\r\n"), "{shown}");
    });
}

#[test]
fn it_is_resized_with_the_callers() {
    everywhere(|scene, sandbox| {
        let text = "trap 'echo now $(stty size)' WINCH; echo ready; while :; do read line; done";
        let screen = script(scene, sandbox, text).on_terminal(24, 80);
        screen.wait_for("ready");
        screen.resize(50, 111);
        screen.wait_for("now 50 111");
        screen.signal(Signal::TERM);
        assert_eq!(screen.wait().0, 143);
    });
}

#[test]
fn the_keys_that_interrupt_and_end_do_so_inside() {
    everywhere(|scene, sandbox| {
        let waits = "trap 'echo caught; exit 7' INT; echo ready; while :; do read line; done";
        let screen = script(scene, sandbox, waits).on_terminal(24, 80);
        screen.wait_for("ready");
        assert!(is_raw(&screen));
        screen.keys("\u{3}");
        let (code, shown) = screen.wait();
        assert_eq!(code, 7, "{shown}");
        assert!(shown.contains("caught"), "{shown}");

        let screen = script(scene, sandbox, "echo ready; exec sleep 1000").on_terminal(24, 80);
        screen.wait_for("ready");
        screen.keys("\u{3}");
        assert_eq!(screen.wait().0, 130);

        let screen = script(scene, sandbox, "cat; echo the end; exit 5").on_terminal(24, 80);
        screen.keys("typed\n");
        // Once by the terminal, once by the task.
        screen.wait_for("typed\r\ntyped\r\n");
        screen.keys("\u{4}");
        let (code, shown) = screen.wait();
        assert_eq!(code, 5, "{shown}");
        assert!(shown.contains("the end"), "{shown}");
    });
}

#[test]
fn a_password_is_not_shown() {
    everywhere(|scene, sandbox| {
        let text = "stty -echo; echo question; read secret; stty echo; echo got ${#secret}";
        let screen = script(scene, sandbox, text).on_terminal(24, 80);
        screen.wait_for("question");
        screen.keys("hunter2\n");
        let (code, shown) = screen.wait();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains("got 7"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    });
}

#[test]
fn the_last_output_is_shown() {
    everywhere(|scene, sandbox| {
        let text = "seq 1 20000; echo last words";
        let (code, shown) = script(scene, sandbox, text).on_terminal(24, 80).wait();
        assert_eq!(code, 0);
        assert!(shown.ends_with("20000\r\nlast words\r\n"), "{}", shown.len());
        assert_eq!(
            shown
                .lines()
                .filter(|line| line.trim().parse::<u32>().is_ok())
                .count(),
            20000
        );
    });
}

#[test]
fn the_settings_of_the_callers_terminal_are_put_back() {
    everywhere(|scene, sandbox| {
        for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)] {
            let task = script(scene, sandbox, "ulimit -c 0; echo ready; exec sleep 1000");
            let screen = task.on_terminal(24, 80);
            let before = screen.settings();
            screen.wait_for("ready");
            assert!(is_raw(&screen));
            screen.signal(signal);
            let (ended, shown, after) = screen.finish();
            assert_eq!(ended, code, "{signal:?}: {shown}");
            assert_eq!(after, before, "{signal:?}: {shown}");
        }
    });
}

#[test]
fn a_stopped_task_stops_what_shows_it() {
    everywhere(|scene, sandbox| {
        if sandbox == "off" {
            return skipped("without a sandbox nothing watches for it");
        }
        let wrun = wrun_words(&["run", "--tty", "--sandbox", sandbox, "--", "sh", "-c"]).join(" ");
        let shell = format!(
            "{wrun} 'echo ready; read line; echo line $line'; echo stopped $? $(stty -a | grep -c -w icanon); \
             fg > /dev/null; echo ended $?"
        );
        let command = scene
            .world
            .command("bash".as_ref())
            .args(["--norc", "-m", "-c", &shell]);
        let screen = scene.surrounded(command).on_terminal(24, 80);
        screen.wait_for("ready");
        screen.keys("\u{1a}");
        screen.wait_for("stopped 148 1");
        screen.keys("more\n");
        let (code, shown) = screen.wait();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains("line more"), "{shown}");
        assert!(shown.contains("ended 0"), "{shown}");
    });
}

#[test]
fn a_stopped_task_goes_on_where_nobody_could_continue_it() {
    everywhere(|scene, sandbox| {
        let task = script(scene, sandbox, "echo ready; read line; echo line $line; exit 3");
        let screen = task.on_terminal(24, 80);
        screen.wait_for("ready");
        screen.keys("\u{1a}");
        screen.keys("more\n");
        let (code, shown) = screen.wait();
        assert_eq!(code, 3, "{shown}");
        assert!(shown.contains("line more"), "{shown}");
    });
}

#[test]
fn a_shell_on_it_has_job_control() {
    everywhere(|scene, sandbox| {
        let wrun = scene.wrun(&["run", "--tty", "--sandbox", sandbox, "--", "sh", "-i"]);
        let screen = wrun.on_terminal(24, 80);
        screen.keys("sh -c 'echo up$((40 + 2)); exec sleep 1000'\n");
        screen.wait_for("up42");
        screen.keys("\u{1a}");
        screen.wait_for("Stopped");
        // A shell with stopped jobs is left on the second word only.
        screen.keys("kill -KILL %1; echo still$((40 + 2))\nexit 4\nexit 4\n");
        let (code, shown) = screen.wait();
        assert_eq!(code, 4, "{shown}");
        assert!(shown.contains("still42"), "{shown}");
        assert!(!shown.contains("no job control"), "{shown}");
    });
}

/// Escape 55 once more, on the terminal that is the task's own.
#[test]
fn nothing_is_typed_on_it_from_inside() {
    let rows: Vec<_> = ["type", "type-high", "console"]
        .iter()
        .map(|attempt| row(55, attempt).both(&[FILTERED]))
        .collect();
    for (user, tier) in [
        (User::Root, Tier::Full),
        (User::Other, Tier::Full),
        (User::Root, Tier::Restricted),
        (User::Other, Tier::Restricted),
    ] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(tier) {
            continue;
        }
        scene.write_task("", &rows, false);
        let command = scene.wrun(&[
            "submit",
            "--quiet",
            "--tty",
            "--sandbox",
            tier.name(),
            "task.toml",
        ]);
        let (code, shown) = command.on_terminal(24, 80).wait();
        assert_eq!(code, 0, "{shown}");
        Answers::shown(&shown).hold(tier, &rows);
    }
}

#[test]
fn the_callers_terminal_is_out_of_reach() {
    for (user, tier) in [
        (User::Root, Tier::Full),
        (User::Other, Tier::Full),
        (User::Root, Tier::Restricted),
        (User::Other, Tier::Restricted),
    ] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(tier) {
            continue;
        }
        // What is done to a terminal is seen in its size. In a file system of its own the task's may have the same name.
        let text = "read theirs
            for name in /dev/tty $theirs; do
                { stty rows 5 cols 6 < $name; } 2> /dev/null && echo changed $name
            done
            [ $(tty) = $theirs ] || { true > $theirs; } 2> /dev/null && echo opened
            echo done $(stty size)";
        let screen = script(&scene, tier.name(), text).on_terminal(33, 77);
        let theirs = screen.name();
        screen.keys(&format!("{theirs}\n"));
        screen.wait_for("done 5 6");
        assert_eq!(screen.size(), (33, 77), "{tier:?}");
        let (code, shown) = screen.wait();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains("changed /dev/tty"), "{shown}");
        if tier == Tier::Restricted {
            assert!(!shown.contains("changed /dev/pts"), "{shown}");
            assert!(!shown.contains("opened"), "{shown}");
        }
    }
}

#[test]
fn it_takes_one_native_task_and_a_terminal_to_show_it_on() {
    let Some(scene) = Scene::new(User::Other) else {
        return;
    };
    let task = wrun_tests::tasks::command(&["true"], "");
    scene.world.write("task.toml", task);
    scene.give_project();
    let ran = scene.wrun(&["submit", "--tty", "task.toml"]).run();
    ran.ends_with(125)
        .says("needs a terminal")
        .says("leave `--tty` out");
    for (words, says) in [
        (&["submit", "--tty", "task.toml", "task.toml"][..], "one task"),
        (
            &["--format", "json", "submit", "--tty", "task.toml"],
            "--format json",
        ),
    ] {
        let (code, shown) = scene.wrun(words).on_terminal(24, 200).wait();
        assert_eq!(code, 125, "{shown}");
        assert!(shown.contains(says), "{shown}");
    }
}
