//! One manifest means the same for a WebAssembly guest and for a process: whatever is granted, a path, an address and a
//! variable is reachable in the one exactly if it is in the other, and if the manifest says so.
//!
//! Left out is what is known to differ, and written down: the system's programs and libraries, which every process reads;
//! symbolic links, which lead a process to whatever it is granted and a guest nowhere out of a folder; files as grants,
//! of which guests have copies.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use serde_json::{Value, json};
use wrun_tests::tasks::{command, module};
use wrun_tests::{World, binary, files, network, skipped};

/// An interpreter of the system, which every process may read without being granted it.
const PYTHON: &str = "/usr/bin/python3";

/// Manifests that are tried.
const CASES: u32 = 24;

/// Folders of the project, by their paths in it.
const INSIDE: [&str; 4] = ["one", "one/inner", "two", "two/deep/er"];

/// Folders beside the project.
const OUTSIDE: [&str; 4] = ["far", "far/inner", "other", "other/deep/er"];

/// Variables of the task, and of its caller.
const NAMES: [&str; 4] = ["ALPHA", "BETA", "GAMMA", "DELTA"];
const CALLERS: [&str; 2] = ["OF_CALLER", "SECRET_OF_CALLER"];

/// Does what the guests `probe` and `net-probe` do with `batch`.
const NATIVE: &str = r"
import os, socket, sys
def act(words):
    if words[0] == 'cat':
        open(words[1], 'rb').read()
    elif words[0] == 'write':
        open(words[1], 'wb').write(words[2].encode())
    elif words[0] == 'env':
        for name, value in os.environ.items():
            print(f'{name}={value}')
    else:
        host, port = words[0].rsplit(':', 1)
        with socket.create_connection((host, int(port)), 5) as connection:
            connection.sendall(b'ping\n')
            assert connection.makefile().readline() == 'got ping\n'
for line in sys.stdin:
    try:
        act(line.rstrip('\n').split('\t'))
        print('ok')
    except Exception as error:
        print(repr(error))
";

/// What is granted of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Nothing,
    Read,
    Write,
}

/// What is granted of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Net {
    All,
    /// Servers by their number, and whether they are listed by the name of the machine and not by the address.
    Listed(BTreeMap<usize, bool>),
}

#[derive(Debug, Clone)]
struct Manifest {
    inside: Vec<Right>,
    outside: Vec<Right>,
    net: Net,
    /// Variables with their values, and whether each comes from the caller.
    vars: BTreeMap<usize, (String, bool)>,
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![
        2 => Just(Right::Nothing),
        1 => Just(Right::Read),
        1 => Just(Right::Write),
    ]
}

fn net() -> impl Strategy<Value = Net> {
    let listed = prop::collection::btree_map(0..3_usize, any::<bool>(), 0..3).prop_map(Net::Listed);
    prop_oneof![4 => listed, 1 => Just(Net::All)]
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let value = ("[a-zA-Z0-9 =:/$'\"\\\\]{0,8}", any::<bool>());
    (
        prop::collection::vec(right(), INSIDE.len()),
        prop::collection::vec(right(), OUTSIDE.len()),
        net(),
        prop::collection::btree_map(0..NAMES.len(), value, 0..=NAMES.len()),
    )
        .prop_map(|(inside, outside, net, vars)| Manifest {
            inside,
            outside,
            net,
            vars,
        })
}

/// Everything that a manifest may grant.
struct Scene {
    world: World,
    ports: Vec<u16>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let scene = Self {
            ports: (0..3).map(|_| network::server()).collect(),
            world,
        };
        for folder in scene.folders() {
            files::write(&scene.world.project().join(&folder).join("file"), "");
        }
        scene
    }

    /// All folders as a task calls them.
    fn folders(&self) -> Vec<String> {
        let outside = OUTSIDE.map(|folder| self.world.path().join(folder).display().to_string());
        INSIDE.map(str::to_owned).into_iter().chain(outside).collect()
    }

    fn rest(&self, manifest: &Manifest) -> String {
        let rights = manifest.inside.iter().chain(&manifest.outside);
        let of = |wanted: Right| -> Vec<String> {
            let granted = self.folders().into_iter().zip(rights.clone());
            granted
                .filter(|(_, right)| **right == wanted)
                .map(|(folder, _)| folder)
                .collect()
        };
        let net = match &manifest.net {
            Net::All => json!(true),
            Net::Listed(listed) => listed
                .iter()
                .map(|(server, by_name)| {
                    let host = if *by_name { "localhost" } else { "127.0.0.1" };
                    json!(format!("{host}:{}", self.ports[*server]))
                })
                .collect::<Value>(),
        };
        let vars: serde_json::Map<String, Value> = manifest
            .vars
            .iter()
            .map(|(index, (value, from_caller))| {
                let value = if *from_caller {
                    json!({ "from": CALLERS[index % CALLERS.len()] })
                } else {
                    json!(value)
                };
                (NAMES[*index].to_owned(), value)
            })
            .collect();
        let rest = json!({
            "allow": { "read": of(Right::Read), "write": of(Right::Write), "net": net },
            "vars": vars,
        });
        format!("\n{}", toml::to_string(&rest).expect("a task can be written"))
    }

    /// The lines that a task says to what it is told to try.
    fn answers(&self, task: &str, tries: &[String]) -> Vec<String> {
        self.world.write("task.toml", task);
        let mut submit = self
            .world
            .wrun(&["submit", "--sandbox", "full", "task.toml"])
            .stdin(tries.join("\n") + "\n");
        for name in CALLERS {
            submit = submit.env(name, format!("value of {name}"));
        }
        let ran = submit.run();
        ran.ends_with(0);
        ran.stdout.lines().map(str::to_owned).collect()
    }

    fn holds(&self, manifest: &Manifest, number: usize) -> Result<(), TestCaseError> {
        let rest = self.rest(manifest);
        let python = PYTHON.to_owned();
        let native = command(&[&python, "-I", "-c", NATIVE], &rest);
        let probe = ["probe.wasm", "probe.component.wasm"][number % 2];
        let guest = module(&binary::guest(probe), &["batch"], &rest);
        let net_guest = module(&binary::guest("net-probe.component.wasm"), &["batch"], &rest);

        let places: Vec<String> = ["file".to_owned()]
            .into_iter()
            .chain(self.folders().iter().map(|folder| format!("{folder}/file")))
            .chain([self.world.path().join("file").display().to_string()])
            .collect();
        let mut tries: Vec<String> = Vec::new();
        for place in &places {
            tries.push(format!("cat\t{place}"));
            // Nothing is written, so that what is read says nothing either.
            tries.push(format!("write\t{place}\t"));
        }
        let addresses: Vec<String> = self
            .ports
            .iter()
            .flat_map(|port| [format!("127.0.0.1:{port}"), format!("localhost:{port}")])
            .collect();
        let with_env = |tries: &[String]| [tries, &["env".to_owned()]].concat();
        let of_guest = self.answers(&guest, &with_env(&tries));
        let of_net_guest = self.answers(&net_guest, &addresses);
        let of_native = self.answers(&native, &with_env(&[tries.as_slice(), &addresses].concat()));

        let mut differences = String::new();
        let (of_files, of_native) = of_native.split_at(tries.len());
        for ((attempt, guest), native) in tries.iter().zip(&of_guest).zip(of_files) {
            let expected = self.expected(manifest, attempt);
            if [guest == "ok", native == "ok"] != [expected; 2] {
                writeln!(
                    differences,
                    "{attempt}: guest {guest}, native {native}, granted {expected}"
                )
                .ok();
            }
        }
        let (of_addresses, native_variables) = of_native.split_at(addresses.len());
        // What the guest says of an address is the line that came back, and then `ok`.
        let said = of_net_guest.iter().filter(|line| *line != "got ping");
        for ((address, guest), native) in addresses.iter().zip(said).zip(of_addresses) {
            if (guest == "ok") != (native == "ok") {
                writeln!(differences, "{address}: guest {guest}, native {native}").ok();
            }
        }
        let guest_variables = of_guest.get(tries.len()..).unwrap_or_default();
        for name in NAMES.into_iter().chain(CALLERS) {
            let value = |lines: &[String]| {
                let begin = format!("{name}=");
                let mut found = lines.iter().filter_map(|line| line.strip_prefix(&begin));
                found.next().map(str::to_owned)
            };
            let (guest, native) = (value(guest_variables), value(native_variables));
            let index = NAMES.iter().position(|known| *known == name);
            let expected = index
                .and_then(|index| manifest.vars.get(&index).map(|var| (index, var)))
                .map(|(index, (value, from_caller))| match from_caller {
                    true => format!("value of {}", CALLERS[index % CALLERS.len()]),
                    false => value.clone(),
                });
            if guest != expected || native != expected {
                writeln!(
                    differences,
                    "{name}: guest {guest:?}, native {native:?}, given {expected:?}"
                )
                .ok();
            }
        }
        prop_assert!(differences.is_empty(), "{differences}\n{rest}");
        Ok(())
    }

    /// What the manifest says of a path: the nearest folder that is listed counts, and the task's own can be read.
    fn expected(&self, manifest: &Manifest, attempt: &str) -> bool {
        let words: Vec<&str> = attempt.split('\t').collect();
        let folders = self.folders();
        let rights = manifest.inside.iter().chain(&manifest.outside);
        let nearest = folders
            .iter()
            .zip(rights)
            .filter(|(folder, right)| {
                **right != Right::Nothing && words[1].starts_with(&format!("{folder}/"))
            })
            .max_by_key(|(folder, _)| folder.len())
            .map(|(_, right)| *right);
        let own = if words[1].starts_with('/') {
            Right::Nothing
        } else {
            Right::Read
        };
        match nearest.unwrap_or(own) {
            Right::Nothing => false,
            Right::Read => words[0] == "cat",
            Right::Write => true,
        }
    }
}

#[test]
fn a_manifest_means_the_same_for_guests_and_processes() {
    if !std::path::Path::new(PYTHON).is_file() {
        skipped(&format!("guests and processes: there is no {PYTHON}"));
        return;
    }
    let scene = Scene::new();
    files::write(&scene.world.project().join("file"), "");
    files::write(&scene.world.path().join("file"), "");
    let ran = scene
        .world
        .wrun(&["run", "--sandbox", "full", "--", "true"])
        .run();
    if ran.code != 0 {
        skipped(&format!(
            "guests and processes: there is no tier `full` here: {}",
            ran.stderr
        ));
        return;
    }
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        // Each attempt to shrink runs three programs.
        max_shrink_iters: 200,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tried = (manifest(), any::<Index>());
    let result = runner.run(&tried, |(manifest, which)| scene.holds(&manifest, which.index(2)));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, (manifest, _))) => {
            panic!("{reason}\nthe smallest manifest: {manifest:#?}")
        }
        Err(error) => panic!("{error}"),
    }
}
