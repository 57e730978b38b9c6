//! Who is logged in to an index does not tell what is built beside it: the credential is nowhere where a build can look.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use wrun_tests::secure::Secure;
use wrun_tests::{Cmd, Index, Ran, Source, Wheel, World, files, skipped};

const BACKENDS: [&str; 2] = ["uv", "pip"];
const TIERS: [&str; 3] = ["full", "restricted", "off"];

const USER: &str = "somebody";
const PASSWORD: &str = "correct-horse-battery-staple";

/// Looks for the password, plain and as it is sent (RFC 7617), in all that a build can read of its surroundings: variables,
/// arguments and memory of all processes, and files below its folders.
const NOSY: &str = r#"
import base64, json, os, re, sys
SECRET = bytes.fromhex("SECRET_IN_HEX")
USER = b"somebody"
WANTED = [SECRET, base64.b64encode(USER + b":" + SECRET).rstrip(b"=")]
FOUND, LOOKED = [], {"variables": 0, "memory": 0, "files": 0}

def look(what, content):
    LOOKED[what.split()[0]] += 1
    if any(wanted in content for wanted in WANTED):
        FOUND.append(what)

look("variables of the build", "\0".join("%s=%s" % pair for pair in os.environ.items()).encode(errors="replace"))
for number in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline"):
        try:
            look("variables " + name + " " + number, open("/proc/%s/%s" % (number, name), "rb").read())
        except OSError:
            pass
    if int(number) == os.getpid():
        continue  # it knows the password itself
    try:
        regions = open("/proc/%s/maps" % number).read().splitlines()
        memory = open("/proc/%s/mem" % number, "rb", 0)
    except OSError:
        continue
    for region in regions:
        begin, end, modes = re.match("([0-9a-f]+)-([0-9a-f]+) (\\S+)", region).groups()
        if "r" not in modes or region.endswith("[vvar]"):
            continue
        try:
            memory.seek(int(begin, 16))
            look("memory of " + number, memory.read(min(int(end, 16) - int(begin, 16), 1 << 26)))
        except (OSError, OverflowError, ValueError):
            pass
folders = [os.environ["HOME"], os.environ.get("TMPDIR", "/tmp"), os.getcwd(), os.path.dirname(os.environ["HOME"])]
for folder in folders:
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                path = os.path.join(at, name)
                if os.path.isfile(path):
                    look("files " + path, open(path, "rb").read())
            except OSError:
                pass
FOUND = {"found": FOUND, "looked": LOOKED}
"#;

/// A task that needs a package which looks around when it is built, from an index that wants to know who asks.
struct Scene {
    world: World,
    index: Index,
    secure: Option<Secure>,
    certificate: PathBuf,
}

impl Scene {
    fn new(encrypted: bool) -> Self {
        let (world, index) = (World::new(), Index::start());
        let code = NOSY.replace("SECRET_IN_HEX", &HEXLOWER.encode(PASSWORD.as_bytes()));
        index.add_source(&Source::new("nosy", &code).build_requires("builder"));
        index.add(&Wheel::new("builder", "1.0"));
        index.require(USER, PASSWORD);
        let secure = encrypted.then(|| Secure::before(&index.url()));
        let certificate = world.path().join("authority.pem");
        if let Some(secure) = &secure {
            files::write(&certificate, secure.authority());
        }
        Self {
            world,
            index,
            secure,
            certificate,
        }
    }

    fn url(&self) -> String {
        self.secure.as_ref().map_or_else(|| self.index.url(), Secure::url)
    }

    fn command(&self, backend: &str, tier: &str) -> Cmd {
        let text = format!(
            "[run]\ncommand = [\"python\", \"-c\", \"import json, nosy; print(json.dumps(nosy.found))\"]\n\
             [env.{backend}]\npackages = [\"nosy\"]\n\
             indexes = [{{ url = \"{}\", credentials = \"corp\", default = true }}]\n",
            self.url()
        );
        self.world.write("task.toml", text);
        let command = self.world.wrun(&["submit", "--sandbox", tier, "task.toml"]);
        let command = command
            .env("WRUN_INDEX_CORP_USERNAME", USER)
            .env("WRUN_INDEX_CORP_PASSWORD", PASSWORD);
        if self.secure.is_some() {
            command.env("SSL_CERT_FILE", &self.certificate)
        } else {
            command
        }
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

#[test]
fn a_build_finds_no_credential() {
    for encrypted in [false, true] {
        for (backend, tier) in BACKENDS
            .into_iter()
            .flat_map(|backend| TIERS.map(|tier| (backend, tier)))
        {
            let scene = Scene::new(encrypted);
            let ran = scene.command(backend, tier).run();
            if !is_there(&ran) {
                continue;
            }
            let said: serde_json::Value = serde_json::from_str(ran.ends_with(0).stdout.trim()).unwrap();
            let found: Vec<String> = serde_json::from_value(said["found"].clone()).unwrap();
            if tier == "off" {
                // All processes can be looked into, that of `wrun` among them.
                assert!(
                    !found.iter().any(|what| what.ends_with("of the build")),
                    "{backend}: {found:?}"
                );
            } else {
                assert_eq!(found, [""; 0], "{backend} {tier} {encrypted}");
            }
            for what in ["variables", "files", "memory"] {
                assert!(
                    said["looked"][what].as_u64() > Some(0),
                    "{backend} {tier}: {said}"
                );
            }
            assert!(!scene.index.requests().is_empty());
        }
    }
}

#[test]
fn a_server_that_is_not_what_it_says_is_told_and_gets_no_credential() {
    let other = Secure::before("http://127.0.0.1:9/");
    for (backend, tier) in BACKENDS
        .into_iter()
        .flat_map(|backend| TIERS.map(|tier| (backend, tier)))
    {
        let scene = Scene::new(true);
        files::write(&scene.certificate, other.authority());
        let ran = scene.command(backend, tier).run();
        if !is_there(&ran) {
            continue;
        }
        ran.ends_with(125).says("certificate").does_not_say(PASSWORD);
        assert!(scene.index.requests().is_empty(), "{ran:?}");
        assert_eq!(scene.secure.as_ref().map(Secure::connections), Some(0));
    }
}

#[test]
fn connections_are_used_again() {
    let scene = Scene::new(true);
    let ran = scene.command("uv", "full").run();
    if !is_there(&ran) {
        return;
    }
    ran.ends_with(0);
    let connections = scene
        .secure
        .as_ref()
        .map(Secure::connections)
        .expect("it is secure");
    let requests = scene.index.requests().len();
    assert!(connections < requests, "{connections} for {requests} requests");
}
