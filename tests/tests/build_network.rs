//! What is built from source has no network: not the hosts of the index, by no way that leads through its installer.

#![expect(clippy::expect_used, reason = "a test says where it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wrun_tests::container::with_python;
use wrun_tests::{Cmd, Index, Ran, Source, Wheel, World, binary, files, machine, skipped};

const TIERS: [&str; 2] = ["full", "restricted"];

const BACKENDS: [&str; 2] = ["uv", "pip"];

/// Whoever is not the one who may do everything.
const OTHER: u32 = 4242;

/// Asks the index at `ADDRESS` as a build would.
const ASK: &str = r"
import urllib.request
FOUND = urllib.request.urlopen('http://ADDRESS/simple/canary/', timeout=20).status
";

/// Does the same where the environment is there already: pip asks a build what it is before, too.
const ASK_IN_ENVIRONMENT: &str = r"
import sys
if sys.prefix != sys.base_prefix:
    import urllib.request
    FOUND = urllib.request.urlopen('http://ADDRESS/simple/canary/', timeout=20).status
";

/// Leaves in the environment what asks the index when its interpreter starts.
const LEAVE_BEHIND: &str = r#"
import os, sys, sysconfig
if sys.prefix != sys.base_prefix:
    packages = sysconfig.get_path("purelib")
    with open(os.path.join(packages, "left.py"), "w") as module:
        module.write("try:\n import urllib.request; urllib.request.urlopen('http://ADDRESS/simple/canary/', timeout=20)\nexcept OSError: pass\n")
    with open(os.path.join(packages, "left.pth"), "w") as starts:
        starts.write("import left\n")
"#;

/// Tries all there is to get to the index, and what there is of the installer to get at.
const HOSTILE: &str = r#"
import builder  # what the build requires, from the index
import ctypes, json, os, socket, subprocess, sys, urllib.request
HOST, PORT = "ADDRESS".rsplit(":", 1)
ABOVE = os.getppid()

def attempt(work):
    try:
        return "done: " + str(work())
    except BaseException as error:
        return "failed: " + type(error).__name__ + ": " + str(error)

def ask():
    try:
        return urllib.request.urlopen("http://ADDRESS/simple/canary/", timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code  # it was reached

def by_proxies():
    said = set(value.rsplit(":", 1)[1] for name, value in os.environ.items() if name.lower().endswith("_proxy") and ":" in value)
    for port in said:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as stream:
            stream.sendall(b"GET http://ADDRESS/simple/canary/ HTTP/1.1\r\nHost: ADDRESS\r\n\r\n")
            return stream.recv(12)
    raise OSError("no proxy")

def directly():
    with socket.create_connection((HOST, int(PORT)), timeout=20) as stream:
        stream.sendall(b"GET /simple/canary/ HTTP/1.0\r\n\r\n")
        return stream.recv(12)

def orphan():
    # Whose parent is gone when it asks.
    code = "import os, sys, urllib.request\n" \
        "if os.fork(): os._exit(0)\n" \
        "while os.getppid() == int(sys.argv[1]): pass\n" \
        "try:\n urllib.request.urlopen('http://ADDRESS/simple/canary/', timeout=20); print('done')\n" \
        "except BaseException as error: print('failed:', error)\n"
    said = subprocess.run([sys.executable, "-c", code, str(os.getpid())], capture_output=True, text=True).stdout
    if "done" not in said:
        raise OSError(said)

def inherited():
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    held = []
    for number in numbers:
        try:
            if os.readlink("/proc/self/fd/%d" % number).startswith("socket:"):
                held.append(number)
        except OSError:
            pass
    if not held:
        raise OSError("no socket")
    return held

def of_installer(number):
    # A descriptor of the installer, by pidfd_open and pidfd_getfd.
    libc = ctypes.CDLL(None, use_errno=True)
    process = libc.syscall(434, ABOVE, 0)
    taken = libc.syscall(438, process, number, 0)
    if process < 0 or taken < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return taken

def traced():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, ABOVE, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def written():
    with open("/proc/%d/mem" % ABOVE, "r+b"):
        pass

def opened():
    number = next(name for name in os.listdir("/proc/%d/fd" % ABOVE) if os.readlink("/proc/%d/fd/%s" % (ABOVE, name)).startswith("socket:"))
    os.close(os.open("/proc/%d/fd/%s" % (ABOVE, number), os.O_RDWR))

FOUND = {
    "ask": attempt(ask),
    "proxies": attempt(by_proxies),
    "directly": attempt(directly),
    "datagram": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect((HOST, int(PORT)))),
    "version 6": attempt(lambda: socket.socket(socket.AF_INET6)),
    "orphan": attempt(orphan),
    "inherited": attempt(inherited),
    "opened": attempt(opened),
    "taken": attempt(lambda: of_installer(3)),
    "traced": attempt(traced),
    "written": attempt(written),
    "interpreter": attempt(lambda: open(os.path.join(os.path.dirname(os.__file__), "left.py"), "x").close()),
}
"#;

/// How many it makes.
const ATTEMPTS: usize = 12;

/// Becomes the program of its arguments, under a filter whose notifications somebody has already, so that nobody else
/// gets any (`seccomp(2)`, `EBUSY`).
const TOLD_ALREADY: &str = r#"
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
allow = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(allow)))
number = 317 if platform.machine() == "x86_64" else 277
assert libc.prctl(38, 1, 0, 0, 0) == 0
listener = libc.syscall(number, 1, 8, ctypes.byref(program))
assert listener >= 0, ctypes.get_errno()
os.set_inheritable(listener, True)
os.execv(sys.argv[1], sys.argv[1:])
"#;

/// A world whose `wrun` runs as its user or, where that is the one who may do everything, as another one.
struct Scene {
    backend: &'static str,
    world: World,
    index: Index,
    program: PathBuf,
    other: bool,
}

impl Scene {
    fn new(backend: &'static str, other: bool) -> Option<Self> {
        let world = World::new();
        let folder = files::folder(&world.path().join("bin"));
        let mut program = binary::wrun();
        if other {
            if !machine::is_root() || !Path::new("/usr/bin/python3").exists() {
                skipped("as another user: needs root, and a Python of the system");
                return None;
            }
            put(&program, &folder.join("wrun"));
            put(
                &program.with_file_name("wrun-helper"),
                &folder.join("wrun-helper"),
            );
            put(machine::uv(), &folder.join("uv"));
            program = folder.join("wrun");
        }
        Some(Self {
            backend,
            world,
            index: Index::with([Wheel::new("canary", "1.0")]),
            program,
            other,
        })
    }

    /// A source distribution whose build knows the address of the index.
    fn source(&self, name: &str, code: &str) -> Source {
        let url = self.index.url();
        let address = url
            .trim_start_matches("http://")
            .trim_end_matches("/simple")
            .to_owned();
        Source::new(name, &code.replace("ADDRESS", &address))
    }

    /// A task that needs `package` and says what the build of it found.
    fn task(&self, package: &str, rest: &str) -> String {
        format!(
            "[run]\ncommand = [\"python\", \"-c\", \"import json, {package}; print(json.dumps({package}.found))\"]\n\
             [env.{}]\npackages = [\"{package}\"]\nindexes = [{{ url = \"{}\", default = true }}]\n{rest}",
            self.backend,
            self.index.url()
        )
    }

    /// Submits that task.
    fn submit(&self, tier: &str, package: &str, rest: &str) -> Ran {
        self.world.write("task.toml", self.task(package, rest));
        let words = ["submit", "--sandbox", tier, "task.toml"];
        let command = self.world.command(&self.program).args(words);
        self.as_user(command).run()
    }

    fn as_user(&self, command: Cmd) -> Cmd {
        if !self.other {
            return command;
        }
        // The programs are links to those of everybody, which stay what they are.
        files::set_mode(self.world.path(), 0o755);
        let store = files::folder(&self.world.store());
        for folder in [
            store,
            self.world.home(),
            self.world.project(),
            self.world.path().join("tmp"),
        ] {
            files::give(&folder, OTHER);
        }
        let (user, group) = (format!("--reuid={OTHER}"), format!("--regid={OTHER}"));
        command
            .through(&["setpriv", &user, &group, "--clear-groups", "--"])
            .env("PATH", "/usr/bin:/bin")
            .env("WRUN_UV", self.world.path().join("bin/uv"))
    }

    fn canaries(&self) -> usize {
        let asked = self.index.requests();
        asked
            .iter()
            .filter(|request| request.path.contains("canary"))
            .count()
    }
}

fn put(program: &Path, at: &Path) {
    if std::fs::hard_link(program, at).is_err() {
        std::fs::copy(program, at).expect("a program can be copied");
    }
}

/// Whether the machine has the tier; a word on why, if not.
fn is_there(ran: &Ran) -> bool {
    let there = !ran.stderr.contains("exec.sandbox") && !ran.stderr.contains("provision.sandbox");
    if !there {
        skipped("a tier that this machine does not have");
    }
    there
}

/// All that is tried in all tiers.
fn everywhere() -> impl Iterator<Item = (&'static str, &'static str)> {
    TIERS
        .into_iter()
        .flat_map(|tier| BACKENDS.map(|backend| (tier, backend)))
}

/// A package whose build asks for the network: when it is installed, or already when it is resolved.
fn asking(backend: &'static str, of_install: bool) -> Scene {
    let scene = Scene::new(backend, false).expect("it is there for every user");
    let code = match (backend, of_install) {
        ("pip", true) => ASK_IN_ENVIRONMENT,
        _ => ASK,
    };
    let mut source = scene.source("asking", code);
    if of_install {
        source = source.with_static_metadata();
    }
    scene.index.add_source(&source);
    scene
}

#[test]
fn a_build_that_asks_is_refused_and_the_way_out_is_told() {
    for (tier, backend) in everywhere() {
        for of_install in [false, true] {
            let scene = asking(backend, of_install);
            let ran = scene.submit(tier, "asking", "");
            if !is_there(&ran) {
                continue;
            }
            ran.ends_with(125)
                .says(&format!("{backend}.build.network"))
                .says(&format!("`build-network = true` in `[env.{backend}]`"));
            assert_eq!(scene.canaries(), 0, "{ran:?}");
        }
    }
}

#[test]
fn a_build_that_is_given_the_network_has_it() {
    for (tier, backend) in everywhere() {
        for of_install in [false, true] {
            let scene = asking(backend, of_install);
            let ran = scene.submit(tier, "asking", "build-network = true\n");
            if !is_there(&ran) {
                continue;
            }
            assert_eq!(ran.ends_with(0).stdout.trim(), "200", "{ran:?}");
            assert!(scene.canaries() > 0);
        }
    }
}

/// What a build left behind of its attempts: those that came to their end, and their number.
fn done(ran: &Ran) -> (BTreeSet<String>, usize) {
    let found: BTreeMap<String, String> =
        serde_json::from_str(ran.ends_with(0).stdout.trim()).expect("the build left what it found");
    let count = found.len();
    let done = found.into_iter().filter(|(_, end)| end.starts_with("done: "));
    (done.map(|(name, _)| name).collect(), count)
}

#[test]
fn a_hostile_build_gets_nowhere() {
    for (tier, backend) in everywhere() {
        for (of_install, other) in [(false, false), (false, true), (true, false), (true, true)] {
            let Some(scene) = Scene::new(backend, other) else {
                continue;
            };
            let mut source = scene.source("hostile", HOSTILE).build_requires("builder");
            if of_install {
                source = source.with_static_metadata();
            }
            scene.index.add_source(&source);
            scene.index.add(&Wheel::new("builder", "1.0"));
            let ran = scene.submit(tier, "hostile", "");
            if !is_there(&ran) {
                continue;
            }
            assert_eq!(done(&ran), (BTreeSet::new(), ATTEMPTS), "{tier}: {ran:?}");
            assert_eq!(scene.canaries(), 0, "{ran:?}");
            // The attempts are good ones.
            let ran = scene.submit(tier, "hostile", "build-network = true\n");
            let (done, _) = done(&ran);
            for name in ["ask", "datagram", "directly", "orphan", "version 6"] {
                assert!(done.contains(name), "{tier} {name}: {ran:?}");
            }
            assert!(scene.canaries() > 0);
        }
    }
}

#[test]
fn a_hostile_build_in_an_image_gets_nowhere() {
    for backend in BACKENDS {
        let scene = Scene::new(backend, false).expect("it is there for every user");
        with_python(&scene.world.path().join("layer"))
            .write_layout(&scene.world.project().join("image"), "py:1");
        let source = scene.source("hostile", HOSTILE).build_requires("builder");
        scene.index.add_source(&source);
        scene.index.add(&Wheel::new("builder", "1.0"));
        let image = "[env.container]\nimage = \"oci:image\"\n[env.";
        let submit = |rest: &str| {
            let task = scene.task("hostile", rest).replacen("[env.", image, 1);
            scene.world.write("task.toml", task);
            scene.world.wrun(&["submit", "task.toml"]).run()
        };
        let ran = submit("");
        if ran.stderr.contains("[engine.none]") {
            skipped("images: nothing here runs them");
            return;
        }
        assert_eq!(done(&ran), (BTreeSet::new(), ATTEMPTS), "{ran:?}");
        assert_eq!(scene.canaries(), 0, "{ran:?}");
        let (done, _) = done(&submit("build-network = true\n"));
        for name in ["ask", "interpreter"] {
            assert!(done.contains(name), "{backend} {name}: {done:?}");
        }
    }
}

#[test]
fn where_nobody_can_be_told_of_calls_that_is_said() {
    for (tier, backend) in everywhere() {
        let scene = Scene::new(backend, false).expect("it is there for every user");
        scene.index.add_source(&scene.source("asking", ASK));
        let python = machine::python().display().to_string();
        scene.world.write("task.toml", scene.task("asking", ""));
        let submit = scene
            .world
            .command(&scene.program)
            .args(["submit", "--sandbox", tier, "task.toml"]);
        let ran = submit.through(&[python.as_str(), "-c", TOLD_ALREADY]).run();
        if !is_there(&ran) {
            continue;
        }
        ran.ends_with(0)
            .says("builds of packages have the network of their installer");
    }
}

/// pip runs once for what has a digest and once for what has none; the environment is there in between.
#[test]
fn what_a_build_leaves_in_the_environment_has_no_network() {
    for tier in TIERS {
        let scene = Scene::new("pip", false).expect("it is there for every user");
        scene.index.add_source(&scene.source("leaving", LEAVE_BEHIND));
        Source::new("later", "").unpack(&scene.world.project().join("later"));
        let packages = "packages = [\"leaving\", \"./later\"]";
        let submit = |rest: &str| {
            let task = scene.task("later", rest);
            let task = task.replace("packages = [\"later\"]", packages);
            scene.world.write("task.toml", task);
            scene
                .world
                .wrun(&["submit", "--sandbox", tier, "task.toml"])
                .run()
        };
        let ran = submit("");
        if !is_there(&ran) {
            continue;
        }
        assert_eq!(ran.ends_with(0).stdout.trim(), "null", "{ran:?}");
        assert_eq!(scene.canaries(), 0, "{ran:?}");
        // What it leaves behind is a good one.
        submit("build-network = true\n").ends_with(0);
        assert!(scene.canaries() > 0);
    }
}

#[test]
fn where_only_an_old_pip_can_be_had_that_is_said_and_builds_have_the_network() {
    const SAID: &str = "builds of packages have the network of their installer: this is pip";
    let scene = asking("pip", false);
    let python = machine::python().to_string_lossy();
    let bundled = scene
        .world
        .command(Path::new(&*python))
        .args(["-I", "-c", "import ensurepip; print(ensurepip.version())"])
        .run();
    let major = bundled
        .stdout
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if bundled.code != 0 || major.is_none_or(|major| major >= 26) {
        skipped("the pip that comes with the interpreter: needs an old one");
        return;
    }
    let submit = |rest: &str| {
        scene.world.write("task.toml", scene.task("asking", rest));
        let wrun = scene.world.wrun(&["submit", "task.toml"]);
        // It has no pip.
        wrun.env("WRUN_TOOL_INDEX", scene.index.url()).run()
    };
    let ran = submit("");
    assert_eq!(ran.ends_with(0).says(SAID).stdout.trim(), "200", "{ran:?}");
    let asked = || {
        let requests = scene.index.requests();
        requests
            .iter()
            .filter(|request| request.path.contains("/pip/"))
            .count()
    };
    assert_eq!(asked(), 1);
    submit("").ends_with(0).says(SAID);
    assert_eq!(asked(), 1, "it is not asked for each time");
    submit("build-network = true\n").ends_with(0).does_not_say(SAID);
}
