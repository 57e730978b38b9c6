//! Where attempts are made: a world with secrets, a neighbour, and a user to be.

use std::cell::RefCell;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{XattrFlags, setxattr};
use serde_json::Value;
use wrun_tests::tasks::command;
use wrun_tests::{Cmd, Ran, World, binary, files, layer, machine, skipped};

use crate::neighbour::Neighbour;
use crate::reachable::program;
use crate::rows::{Answers, Row};

/// How strongly a task is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// In namespaces and a file system of its own.
    Full,
    /// In namespaces, with the files of a container image.
    Image,
    /// By Landlock, seccomp and limits.
    Restricted,
}

impl Tier {
    /// What `--sandbox` and the reports call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Full | Self::Image => "full",
            Self::Restricted => "restricted",
        }
    }
}

/// Who calls `wrun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// The one who may do everything; only if the tests are run by it.
    Root,
    /// Somebody without rights: whoever runs the tests, or another if that is root.
    Other,
}

/// Whom root becomes to be somebody without rights.
pub(crate) const OTHER: u32 = 65533;
/// Who the tasks of root are.
const TASK_OF_ROOT: u32 = 65534;

/// A world for attempts.
pub(crate) struct Scene {
    /// A process of the machine. It ends before the world, which would be the end of it before it has cleaned up.
    pub(crate) neighbour: RefCell<Neighbour>,
    /// Its files.
    pub(crate) world: World,
    /// Who calls `wrun`.
    pub(crate) user: User,
    /// What is in every secret.
    pub(crate) marker: String,
    program: PathBuf,
}

impl Scene {
    /// A world for a user; none, and a word on why, where there is no such user.
    #[track_caller]
    pub(crate) fn new(user: User) -> Option<Self> {
        if user == User::Root && !machine::is_root() {
            skipped("not root");
            return None;
        }
        let world = World::new();
        let built = binary::built("wrun-attempts").expect("build it first: cargo build -p wrun-attempts");
        let marker = format!("canary-{}", world.path().file_name().unwrap().display());
        files::set_mode(world.path(), 0o755);
        for name in ["secret", "out", "tools"] {
            files::folder(&world.path().join(name));
        }
        let secret = world.path().join("secret");
        files::write(&secret.join("secret.txt"), &marker);
        files::write(&world.home().join(".ssh/id_ed25519"), &marker);
        symlink("../secret/secret.txt", world.project().join("link")).unwrap();
        let program = world.project().join("attempts");
        std::fs::copy(&built, &program).unwrap();
        std::fs::copy(&built, world.path().join("tools/set-id")).unwrap();
        // Nothing but the sandbox is to keep the task from them.
        files::set_mode(&secret, 0o777);
        files::set_mode(&secret.join("secret.txt"), 0o666);
        for path in [world.home(), world.home().join(".ssh")] {
            files::set_mode(&path, 0o755);
        }
        if user == User::Other && machine::is_root() {
            files::give(world.path(), OTHER);
        }
        if machine::is_root() {
            let tool = world.path().join("tools/set-id");
            chown(&tool, Some(0), Some(0)).unwrap();
            files::set_mode(&tool, 0o4755);
        }
        let mut like_the_task = Vec::new();
        if machine::is_root() {
            let number = match user {
                User::Root => TASK_OF_ROOT,
                User::Other => OTHER,
            };
            like_the_task = becoming(number);
        }
        let name = format!("wrun-{}", &marker[marker.len() - 6..]);
        let neighbour = Neighbour::start(&program, &like_the_task, &name, &marker, &secret);
        Some(Self {
            world,
            user,
            marker,
            neighbour: RefCell::new(neighbour),
            program,
        })
    }

    /// Has `wrun` make its store, puts a secret there, and opens it to everybody; gives its path.
    #[track_caller]
    pub(crate) fn open_store(&self) -> String {
        self.wrun(&["cache", "ls"]).run().ends_with(0);
        let folder = self.world.store().join("v1");
        let canary = folder.join("canary.txt");
        files::write(&canary, &self.marker);
        files::set_mode(&canary, 0o666);
        for path in [self.world.store(), folder.clone()] {
            files::set_mode(&path, 0o777);
        }
        folder.display().to_string()
    }

    /// A path of the world.
    pub(crate) fn path(&self, name: &str) -> String {
        self.world.path().join(name).display().to_string()
    }

    /// The secret that was not granted.
    pub(crate) fn secret(&self) -> String {
        self.path("secret/secret.txt")
    }

    /// The number of the secret in its file system.
    pub(crate) fn handle(&self) -> String {
        let output = Command::new(&self.program)
            .args(["handle-of", &self.secret()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() {
            text.trim().to_owned()
        } else {
            "1:00".to_owned()
        }
    }

    /// A command as the user of the scene, with mounts and a host name that it cannot do harm to, and with the number of
    /// the process and two descriptors that a task must not get.
    pub(crate) fn surrounded(&self, command: Cmd) -> Cmd {
        const SURROUND: &str = r#"echo $$ > supervisor; exec 7<"$0" 8<>"$1"; shift; exec "$@""#;
        let (folder, file) = (self.path("secret"), self.secret());
        let mut words = self.as_user();
        words.extend(["sh", "-c", SURROUND, &folder, &file].map(str::to_owned));
        command.through(&words).env("SECRET_OF_THE_CALLER", &self.marker)
    }

    /// The words that make a command one of the user, in mounts of its own if that is possible.
    pub(crate) fn as_user(&self) -> Vec<String> {
        let mut words = Vec::new();
        if machine::is_root() {
            words = ["unshare", "-m", "-u", "--propagation", "private", "--"]
                .map(str::to_owned)
                .to_vec();
            if self.user == User::Other {
                words.extend(becoming(OTHER));
            }
        }
        words
    }

    /// `wrun` with these arguments, as the user.
    pub(crate) fn wrun(&self, arguments: &[&str]) -> Cmd {
        let command = self.world.command(&program("wrun")).args(arguments);
        self.surrounded(command)
    }

    /// Hands what was written to the project to the user.
    pub(crate) fn give_project(&self) {
        if machine::is_root() && self.user == User::Other {
            files::give(&self.world.project(), OTHER);
        }
    }

    /// Writes the list of attempts, and the task that makes them.
    pub(crate) fn write_task(&self, rest: &str, rows: &[Row], is_control: bool) {
        let list: Vec<Vec<String>> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| {
                let mut words = vec![index.to_string()];
                words.extend_from_slice(row.words(is_control));
                words
            })
            .collect();
        self.world
            .write("attempts.json", serde_json::to_string(&list).unwrap());
        let mounts = Command::new(&self.program).arg("mounts").output().unwrap();
        self.world.write("outer-mounts", mounts.stdout);
        self.world.write(
            "task.toml",
            command(&["./attempts", "batch", "attempts.json"], rest),
        );
        self.give_project();
    }

    /// Makes the attempts in a tier, with the rest of the task file; nothing, and a word on why, if this machine does not
    /// have the tier.
    #[track_caller]
    pub(crate) fn attempt(&self, tier: Tier, rest: &str, rows: &[Row]) -> Option<Answers> {
        if !self.offers(tier) {
            return None;
        }
        if tier == Tier::Image {
            let layers = self.layers();
            self.write_task(&format!("{rest}{layers}"), rows, false);
        } else {
            self.write_task(rest, rows, false);
        }
        let ran = match tier {
            Tier::Image => self.submit_in_image(&["full"]),
            Tier::Full | Tier::Restricted => self.submit(tier.name()),
        };
        ran.ends_with(0);
        assert_eq!(tier_of(&ran).as_deref(), Some(tier.name()), "{ran:?}");
        Some(Answers::read(&output_of(&ran), &ran))
    }

    /// Whether this machine can have the tier; a word on why, if not.
    pub(crate) fn offers(&self, tier: Tier) -> bool {
        let mut words = self.as_user();
        words.extend(["unshare", "-U", "-m", "-p", "-n", "-f", "true"].map(str::to_owned));
        let offers = tier == Tier::Restricted
            || Command::new(&words[0])
                .args(&words[1..])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        if !offers {
            skipped("this machine has no user namespaces for this user");
        }
        offers
    }

    /// Runs the task of the project.
    pub(crate) fn submit(&self, sandbox: &str) -> Ran {
        self.wrun(&["--format", "json", "submit", "--sandbox", sandbox, "task.toml"])
            .run()
    }

    /// The environment of a task in an image, made of what the attempts need. The second layer takes `/etc/motd` of the first
    /// away.
    pub(crate) fn layers(&self) -> String {
        let below = self.world.path().join("layers/below");
        let above = self.world.path().join("layers/above");
        layer::of_programs(&below, &[&self.program]);
        files::write(&above.join("opt/above"), "above\n");
        // What takes a file away, as the kernel's `overlayfs` documentation has it where there are no rights for devices.
        files::write(&above.join("etc/motd"), "");
        for (path, name, value) in [("etc", "opaque", "x"), ("etc/motd", "whiteout", "")] {
            let name = format!("user.overlay.{name}");
            setxattr(above.join(path), name, value.as_bytes(), XattrFlags::empty()).unwrap();
        }
        if machine::is_root() && self.user == User::Other {
            files::give(&self.world.path().join("layers"), OTHER);
        }
        let list = serde_json::to_string(&[below, above]).unwrap();
        format!("[env.container]\nlayers = {list}\n")
    }

    /// Runs the task of the project, which names the layers of its image.
    pub(crate) fn submit_in_image(&self, how: &[&str]) -> Ran {
        self.in_image(how).run()
    }

    /// What runs the task of the project, which names the layers of its image.
    pub(crate) fn in_image(&self, how: &[&str]) -> Cmd {
        let command = self.world.command(&program("wrun-layers"));
        self.surrounded(command.args([how, &["task.toml"]].concat()))
    }

    /// Makes the attempts without a sandbox.
    #[track_caller]
    pub(crate) fn attempt_without_sandbox(&self, rows: &[Row]) -> Answers {
        self.write_task("", rows, true);
        let ran = self.submit("off");
        ran.ends_with(0);
        assert_ne!(tier_of(&ran).as_deref(), Some("full"), "{ran:?}");
        assert_ne!(tier_of(&ran).as_deref(), Some("restricted"), "{ran:?}");
        Answers::read(&output_of(&ran), &ran)
    }

    /// Fails if the neighbour got a signal or if a secret was changed.
    #[track_caller]
    pub(crate) fn is_undisturbed(&self) {
        assert_eq!(
            self.neighbour.borrow_mut().end(),
            "",
            "the neighbour was signalled"
        );
        assert_eq!(files::read(Path::new(&self.secret())), self.marker);
        assert_eq!(
            files::names(&self.world.path().join("secret")),
            ["datagrams", "secret.txt", "socket"]
        );
    }
}

/// The words that make a command another user's.
pub(crate) fn becoming(user: u32) -> Vec<String> {
    vec![
        "setpriv".to_owned(),
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".to_owned(),
        "--".to_owned(),
    ]
}

/// `wrun` with these arguments, to be handed to another program.
pub(crate) fn wrun_words(arguments: &[&str]) -> Vec<String> {
    let mut words = vec![program("wrun").display().to_string()];
    words.extend(arguments.iter().map(|word| (*word).to_owned()));
    words
}

/// What takes layers for an image, with these arguments, to be handed to another program.
pub(crate) fn layers_words(arguments: &[&str]) -> Vec<String> {
    let mut words = vec![program("wrun-layers").display().to_string()];
    words.extend(arguments.iter().map(|word| (*word).to_owned()));
    words
}

/// What the task wrote to its standard output, of a run that was told in events.
pub(crate) fn output_of(ran: &Ran) -> String {
    ran.events()
        .iter()
        .filter(|event| event["event"] == "output" && event["stream"] == "stdout")
        .filter_map(|event| event["text"].as_str())
        .collect()
}

/// The tier that a run says it had.
pub(crate) fn tier_of(ran: &Ran) -> Option<String> {
    let event = sandbox_of(ran)?;
    Some(event["tier"].as_str()?.to_owned())
}

/// What a run says of its sandbox.
pub(crate) fn sandbox_of(ran: &Ran) -> Option<Value> {
    ran.events().into_iter().find(|event| event["event"] == "sandbox")
}
