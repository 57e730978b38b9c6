//! A machine on which a step of the sandbox fails: the task is refused by a name, or held as the tier promises that the
//! run says it had. The steps fail by a filter around `wrun`.

use wrun_tests::{Ran, processes};

use crate::rows::{Answers, Row};
use crate::scene::{Scene, Tier, User, layers_words, output_of, sandbox_of, tier_of, wrun_words};

/// Calls that fail, as `wrun-attempts deny` takes them.
const FAULTS: &[&str] = &[
    "unshare:0&0x10000000=EPERM,clone:0&0x10000000=EPERM,clone3=ENOSYS",
    "unshare:0&0x10000000=ENOSPC,clone:0&0x10000000=ENOSPC,clone3=ENOSYS",
    "unshare:0&0x00020000=EPERM,clone:0&0x00020000=EPERM,clone3=ENOSYS",
    "unshare:0&0x20000000=EPERM,clone:0&0x20000000=EPERM,clone3=ENOSYS",
    "unshare:0&0x40000000=EPERM,clone:0&0x40000000=EPERM,clone3=ENOSYS",
    "unshare:0&0x08000000=EPERM,clone:0&0x08000000=EPERM,clone3=ENOSYS",
    "unshare:0&0x04000000=EPERM,clone:0&0x04000000=EPERM,clone3=ENOSYS",
    "unshare:0&0x02000000=EPERM,clone:0&0x02000000=EPERM,clone3=ENOSYS",
    "unshare=ENOSYS,clone:0&0x7e020000=ENOSYS,clone3=ENOSYS",
    // What the default profile of container engines refuses.
    "unshare=EPERM,clone:0&0x7e020000=EPERM,clone3=ENOSYS,mount=EPERM,umount2=EPERM,pivot_root=EPERM,setns=EPERM,\
     open_tree=EPERM,move_mount=EPERM,fsopen=EPERM,mount_setattr=EPERM",
    "clone3=ENOSYS",
    "mount=EPERM",
    "mount=EACCES",
    "umount2=EPERM",
    "pivot_root=EPERM",
    "mount_setattr=EPERM",
    "mount_setattr=ENOSYS",
    "open_tree=EPERM",
    "open_tree=ENOSYS",
    "move_mount=EPERM",
    "fsopen=EPERM",
    "fsopen=ENOSYS",
    "fsconfig=EPERM",
    // Flags, texts and the making of a file system.
    "fsconfig:1=0=EINVAL",
    "fsconfig:1=1=EINVAL",
    "fsconfig:1=6=ENODEV",
    "fsmount=EPERM",
    "sethostname=EPERM",
    "setdomainname=EPERM",
    "socket=EPERM",
    "socket:0=2=EPERM",
    // SOCK_SEQPACKET with SOCK_CLOEXEC; the runtime of `wrun` itself needs pairs of streams.
    "socketpair:1=0x80005=EPERM",
    "bind=EPERM",
    // SIOCSIFFLAGS, which brings an interface up.
    "ioctl:1=0x8914=EPERM",
    "setresuid=EPERM",
    "setresgid=EPERM",
    "setgroups=EPERM",
    "setresuid=EINVAL,setresgid=EINVAL,setgroups=EPERM",
    "capset=EPERM",
    // PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER,
    // PR_SET_SECCOMP, PR_CAP_AMBIENT, and the reading back of two.
    "prctl:0=38=EPERM",
    "prctl:0=24=EPERM",
    "prctl:0=28=EPERM",
    "prctl:0=4=EPERM",
    "prctl:0=1=EPERM",
    "prctl:0=36=EPERM",
    "prctl:0=22=EPERM",
    "prctl:0=47=EPERM",
    "prctl:0=39=EPERM",
    "prctl:0=21=EPERM",
    "seccomp=EPERM",
    "seccomp=ENOSYS",
    "seccomp=EINVAL",
    "seccomp=ENOSYS,prctl:0=22=EINVAL",
    "landlock_create_ruleset=EPERM",
    "landlock_create_ruleset=ENOSYS",
    "landlock_create_ruleset=EOPNOTSUPP",
    "landlock_add_rule=EPERM",
    "landlock_add_rule=EBADF",
    "landlock_restrict_self=EPERM",
    "landlock_restrict_self=E2BIG",
    "landlock_create_ruleset=ENOSYS,unshare:0&0x10000000=EPERM,clone:0&0x10000000=EPERM",
    "seccomp=ENOSYS,prctl:0=22=EINVAL,unshare:0&0x10000000=EPERM,clone:0&0x10000000=EPERM",
    "memfd_create=EPERM",
    "memfd_create=ENOSYS",
    // F_ADD_SEALS
    "fcntl:0=1033=EPERM",
    "fcntl:1=1033=EPERM",
    "prlimit64:2!=EPERM",
    "sched_setaffinity=EPERM",
    "execve=EPERM",
    "execve=EACCES",
    "execve=ENOMEM",
    "execveat=EPERM",
    "setsid=EPERM",
    "close_range=ENOSYS",
    "close_range=EPERM",
    "chdir=EACCES",
    "fchownat=EPERM",
    "unlinkat=EACCES",
    "fchdir=EACCES",
    "openat2=ENOSYS",
    "openat2=EPERM",
    "pidfd_open=EPERM",
    "pidfd_open=ENOSYS",
    "pidfd_send_signal=EPERM",
    "setns=EPERM",
    "umask=EPERM",
    "sendmsg=EPERM",
];

/// Calls whose failure is reported to the machine's own architecture only.
#[cfg(target_arch = "x86_64")]
const FAULTS_HERE: &[&str] = &["mkdirat=EACCES,mkdir=EACCES", "symlinkat=EACCES,symlink=EACCES"];
#[cfg(not(target_arch = "x86_64"))]
const FAULTS_HERE: &[&str] = &["mkdirat=EACCES", "symlinkat=EACCES"];

/// One attempt or a few at each thing that a layer of the sandbox is there for.
fn rows(scene: &Scene) -> Vec<Row> {
    const KEPT: &[&str] = &[
        "read",
        "reopen",
        "write",
        "make",
        "set-id chmod 4755",
        "set-id openat2 4755",
        "make-device",
        "open-device /dev/vda",
        "open-device /dev/kvm",
        "process-file",
        "process-memory",
        "signal",
        "trace",
        "take-descriptor",
        "set-limits-of",
        "is-root",
        "become-root setuid",
        "capabilities",
        "new-privileges",
        "no-filter",
        "filter-undo",
        "mount tmpfs",
        "unmount",
        "new-mount",
        "unshare",
        "clone user",
        "add-key",
        "io-uring",
        "bpf",
        "perf",
        "userfaultfd",
        "administer set",
        "int80 getpid",
        "abstract",
        "unix",
        "shared-memory",
        "message-queue",
        "socket 17 3",
        "tcp ",
        "udp ",
        "bind-taken",
        "descriptors-hold",
        "variable ",
    ];
    let tables: [crate::Table; 9] = [
        crate::files::rows,
        crate::files::modes,
        crate::others::rows,
        crate::privileges::rows,
        crate::mounts::rows,
        crate::kernel::rows,
        crate::machine_ipc::rows,
        crate::network::rows,
        crate::leaks::rows,
    ];
    let rows = tables.iter().flat_map(|table| table(scene));
    let mut seen = std::collections::BTreeMap::new();
    rows.filter(|row| {
        let words = row.words(false).join(" ");
        let Some(kind) = KEPT.iter().find(|kind| words.starts_with(**kind)) else {
            return false;
        };
        let count = seen.entry(*kind).or_insert(0);
        *count += 1;
        *count <= 3
    })
    .collect()
}

/// Runs with a fault, and gives what is wrong with how it went.
fn mistakes(scene: &Scene, fault: &str, rows: &[Row]) -> Vec<String> {
    let run = |sandbox: &[&str]| {
        let arguments = [&["--format", "json", "submit"], sandbox, &["task.toml"]].concat();
        with_fault(scene, fault, &wrun_words(&arguments))
    };
    let mistake = |ran: &Ran, sandbox: &str| {
        if ran.code == 0 && fault.contains("landlock_") && names_landlock(ran) {
            return Some(format!("{fault} ({sandbox}): says that Landlock holds it\n"));
        }
        eprintln!("{fault} ({sandbox}): {}", outcome(ran));
        let why = verdict(ran, sandbox == "full", false, rows)?;
        let text: String = ran.stdout.chars().chain(ran.stderr.chars()).take(700).collect();
        Some(format!("{fault} ({sandbox}): {why}\n    {text}\n"))
    };
    let full = run(&["--sandbox", "full"]);
    let mut mistakes: Vec<String> = mistake(&full, "full").into_iter().collect();
    // What is not refused is what comes of it by default, too.
    if full.code != 0 {
        mistakes.extend(mistake(&run(&[]), "default"));
    }
    mistakes
}

/// Runs a program on a machine where calls fail.
fn with_fault(scene: &Scene, fault: &str, words: &[String]) -> Ran {
    let program = scene.path("project/attempts");
    let command = scene.world.command(program.as_ref());
    scene
        .surrounded(command.args(["deny", fault, "--"]).args(words))
        .run()
}

/// Whether a run says that something is held by Landlock.
fn names_landlock(ran: &Ran) -> bool {
    let report = sandbox_of(ran).unwrap_or_default();
    let states = report["capabilities"].as_object().cloned().unwrap_or_default();
    states
        .values()
        .filter_map(|state| state["by"].as_array())
        .flatten()
        .any(|by| by == "Landlock")
}

/// What came of a run, in a few words.
fn outcome(ran: &Ran) -> String {
    let events = ran.events();
    let last = events.last().cloned().unwrap_or_default();
    let word = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
    match ran.code {
        0 => format!("ran in {}", tier_of(ran).unwrap_or_default()),
        code => format!("{code} {} {} {}", word("code"), word("message"), word("reason")),
    }
}

fn verdict(ran: &Ran, wants_full: bool, in_image: bool, rows: &[Row]) -> Option<String> {
    match ran.code {
        0 => {
            let tier = match tier_of(ran).as_deref() {
                Some("full") => Tier::Full,
                Some("restricted") if !wants_full => Tier::Restricted,
                other => return Some(format!("ran in tier {other:?}")),
            };
            let tier = if in_image { Tier::Image } else { tier };
            let breaches = Answers::read(&output_of(ran), ran).breaches(tier, rows);
            (!breaches.is_empty()).then(|| {
                format!(
                    "says it is {}, and open are\n    {}",
                    tier.name(),
                    breaches.join("\n    ")
                )
            })
        }
        125 | 126 => {
            let named = ran.stdout.lines().any(|line| {
                serde_json::from_str::<serde_json::Value>(line).is_ok_and(|event| {
                    ["failed", "finished"].contains(&event["event"].as_str().unwrap_or_default())
                        && (event["code"].is_string() || event["outcome"] == "not-executable")
                })
            });
            (!named).then(|| "refused without a name".to_owned())
        }
        code => Some(format!("ended with {code}")),
    }
}

fn every_fault(user: User, part: usize) {
    let Some(scene) = Scene::new(user) else { return };
    if !scene.offers(Tier::Full) {
        return;
    }
    let rows = rows(&scene);
    scene.write_task("", &rows, false);
    let faults = FAULTS.iter().chain(FAULTS_HERE).enumerate();
    let mistakes: Vec<String> = faults
        .filter(|(number, _)| number % 2 == part)
        .flat_map(|(_, fault)| mistakes(&scene, fault, &rows))
        .collect();
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
    drop(scene.neighbour.borrow_mut().end());
    processes::assert_none_mentions(scene.world.path());
}

/// A task with an image is held by the tier `full` or not run at all.
fn every_fault_in_an_image(user: User) {
    let Some(scene) = Scene::new(user) else { return };
    if !scene.offers(Tier::Full) {
        return;
    }
    let rows = rows(&scene);
    scene.write_task(&scene.layers(), &rows, false);
    let mut mistakes = Vec::new();
    for fault in FAULTS.iter().chain(FAULTS_HERE) {
        let ran = with_fault(&scene, fault, &layers_words(&["task.toml"]));
        eprintln!("{fault} (image): {}", outcome(&ran));
        if let Some(why) = verdict(&ran, true, true, &rows) {
            let text: String = ran.stdout.chars().chain(ran.stderr.chars()).take(700).collect();
            mistakes.push(format!("{fault}: {why}\n    {text}\n"));
        }
    }
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
    drop(scene.neighbour.borrow_mut().end());
    processes::assert_none_mentions(scene.world.path());
}

#[test]
fn steps_fail_in_an_image_as_root() {
    every_fault_in_an_image(User::Root);
}

#[test]
fn steps_fail_in_an_image_as_a_user() {
    every_fault_in_an_image(User::Other);
}

/// The steps of an image have names of their own.
#[test]
fn a_step_of_an_image_that_fails_is_named() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(Tier::Full) {
            continue;
        }
        let task = wrun_tests::tasks::command(&["/bin/sh", "-c", ":"], &scene.layers());
        scene.world.write("task.toml", task);
        scene.give_project();
        for (fault, says) in [
            ("fsconfig:1=0=EINVAL", "join the image's layers"),
            (
                "unshare:0&0x00020000=EPERM,clone:0&0x00020000=EPERM,clone3=ENOSYS",
                "namespaces",
            ),
        ] {
            let ran = with_fault(&scene, fault, &layers_words(&["task.toml"]));
            ran.ends_with(126);
            assert!(ran.stdout.contains(says), "{ran:?}");
            assert!(ran.stdout.contains("engine"), "the way out is named: {ran:?}");
        }
    }
}

#[test]
fn some_steps_fail_as_root() {
    every_fault(User::Root, 0);
}

#[test]
fn other_steps_fail_as_root() {
    every_fault(User::Root, 1);
}

#[test]
fn some_steps_fail_as_a_user() {
    every_fault(User::Other, 0);
}

#[test]
fn other_steps_fail_as_a_user() {
    every_fault(User::Other, 1);
}

/// What fails is said by its name, not taken for a mistake of the task.
#[test]
fn a_step_that_fails_is_named() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        scene
            .world
            .write("task.toml", wrun_tests::tasks::command(&["true"], ""));
        scene.give_project();
        for (fault, code, says) in [
            ("setsid=EPERM", 126, "cannot begin a session"),
            ("prctl:0=1=EPERM", 126, "cannot arrange to end with wrun"),
            ("execve=EPERM", 125, "cannot start the sandbox helper"),
        ] {
            let program = scene.path("project/attempts");
            let command = scene.world.command(program.as_ref());
            let command = command
                .args(["deny", fault, "--"])
                .args(wrun_words(&["submit", "task.toml"]));
            let ran = scene.surrounded(command).run();
            ran.ends_with(code).says(says);
        }
    }
}

/// The full tier without its second layer says so.
#[test]
fn a_missing_landlock_is_reported() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(Tier::Full) {
            continue;
        }
        scene
            .world
            .write("task.toml", wrun_tests::tasks::command(&["true"], ""));
        scene.give_project();
        for (fault, gap) in [
            ("landlock_create_ruleset=ENOSYS", "Function not implemented"),
            ("landlock_create_ruleset=EOPNOTSUPP", "not supported"),
        ] {
            let run = |format: &str| {
                let program = scene.path("project/attempts");
                let words = ["--format", format, "submit", "--sandbox", "full", "task.toml"];
                let command = scene.world.command(program.as_ref());
                let command = command.args(["deny", fault, "--"]).args(wrun_words(&words));
                scene.surrounded(command).run()
            };
            let ran = run("json");
            let report = sandbox_of(ran.ends_with(0)).unwrap();
            for capability in ["read", "write"] {
                let state = &report["capabilities"][capability];
                assert_eq!(state["state"], "partial", "{report}");
                let said = state["gap"].as_str().unwrap();
                assert!(said.contains("Landlock") && said.contains(gap), "{report}");
            }
            run("text")
                .ends_with(0)
                .says("Landlock, the second layer, is not in force");
        }
    }
}

/// The launcher does what it says: with a call denied that is not part of any sandbox, a run is as it is without.
#[test]
fn a_call_that_is_not_a_step_fails_no_run() {
    for user in [User::Root, User::Other] {
        let Some(scene) = Scene::new(user) else { continue };
        if !scene.offers(Tier::Full) {
            continue;
        }
        let rows = rows(&scene);
        scene.write_task("", &rows, false);
        assert_eq!(mistakes(&scene, "setns=EPERM", &rows), Vec::<String>::new());
    }
}
