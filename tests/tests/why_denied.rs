//! What a task was refused is listed with the lines that allow it, and those lines do.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use serde_json::Value;
use wrun_tests::tasks::{command, module};
use wrun_tests::{Ran, World, binary, files, machine, network, skipped};

/// The strongest tier, and the one without namespaces.
const TIERS: [&str; 2] = ["full", "restricted"];

/// A world in a folder that the task can reach in the tier `restricted` too, where it is another user if its caller is
/// root.
fn world() -> World {
    let world = World::new();
    for folder in [world.path().to_owned(), world.project(), world.home()] {
        files::set_mode(&folder, 0o755);
    }
    world
}

fn denied(world: &World, tier: &str, task: &str) -> Ran {
    world.write("task.toml", task);
    let words = ["submit", "--sandbox", tier, "--why-denied", "task.toml"];
    world.wrun(&words).run()
}

/// The denials of a run that spoke JSON.
#[track_caller]
fn denials(ran: &Ran) -> Vec<Value> {
    let events = ran.events();
    let event = events.iter().find(|event| event["event"] == "denied");
    let event = event.unwrap_or_else(|| panic!("nothing is said of what was refused: {ran:?}"));
    event["denials"].as_array().cloned().expect("a list")
}

/// Runs a task until it does what it is to do, granting each time what it was refused. Fails if it is still refused
/// then, or more than four times. Gives the lines of the last task file.
#[track_caller]
fn granted(world: &World, tier: &str, words: &[&str]) -> Vec<String> {
    let mut grants: Vec<Value> = Vec::new();
    for _ in 0..4 {
        let lines = lines(&grants);
        let task = command(words, &format!("\n[allow]\n{}\n", lines.join("\n")));
        world.write("task.toml", task);
        let submit = [
            "--format",
            "json",
            "submit",
            "--sandbox",
            tier,
            "--why-denied",
            "task.toml",
        ];
        let ran = world.wrun(&submit).run();
        if ran.code == 0 {
            return lines;
        }
        let before = grants.len();
        for denial in denials(&ran) {
            let grant = &denial["grant"];
            if !grant.is_null() && !grants.contains(grant) {
                grants.push(grant.clone());
            }
        }
        assert!(grants.len() > before, "no line is said that would help: {ran:?}");
    }
    panic!("it does not do with {grants:?}");
}

/// The lines that grant everything, made of the grants as a program gets them.
fn lines(grants: &[Value]) -> Vec<String> {
    let of = |key: &str| {
        let values: Vec<String> = grants
            .iter()
            .filter_map(|grant| Some(grant.get(key)?.to_string()))
            .collect();
        (!values.is_empty()).then(|| format!("{key} = [{}]", values.join(", ")))
    };
    let net = if grants.iter().any(|grant| grant == "whole-network") {
        Some("net = true".to_owned())
    } else {
        of("net")
    };
    [of("read"), of("write"), net].into_iter().flatten().collect()
}

#[test]
fn a_file_is_named_and_the_line_lets_it_be_read() {
    let world = world();
    let data = world.path().join("data");
    files::folder(&data);
    files::write(&data.join("one"), "first\n");
    for tier in TIERS {
        let one = data.join("one");
        let task = command(&["cat", one.to_str().unwrap()], "");
        let line = format!("read = [\"{}\"]", one.display());
        denied(&world, tier, &task).ends_with(1).says(&format!(
            "denied: read {} — add {line} under [allow]",
            one.display()
        ));
        let lines = granted(&world, tier, &["cat", one.to_str().unwrap()]);
        assert_eq!(lines, [line]);
    }
}

#[test]
fn a_folder_stands_for_many_of_its_files() {
    let world = world();
    let data = world.path().join("data");
    files::folder(&data);
    let mut script = "true".to_owned();
    for number in 0..5 {
        let file = data.join(number.to_string());
        files::write(&file, "");
        write!(script, " && cat {0} || cat {0}", file.display()).unwrap();
    }
    for tier in TIERS {
        let lines = granted(&world, tier, &["sh", "-c", &script]);
        assert_eq!(lines, [format!("read = [\"{}\"]", data.display())]);
    }
}

#[test]
fn what_is_written_in_a_folder_to_read_is_named() {
    let world = world();
    let out = files::folder(&world.project().join("out"));
    let old = world.write("out/old", "");
    files::set_mode(&out, 0o777);
    files::set_mode(&old, 0o666);
    for tier in TIERS {
        for (script, line) in [
            ("echo new > out/new && rm out/new", "write = [\"out\"]"),
            ("echo new > out/old", "write = [\"out/old\"]"),
            ("mkdir -p out/deep/er && rm -r out/deep", "write = [\"out\"]"),
            (
                "mv out/old out/older && mv out/older out/old",
                "write = [\"out\"]",
            ),
        ] {
            let lines = granted(&world, tier, &["sh", "-c", script]);
            assert_eq!(lines, [line], "{tier}: {script}");
        }
    }
}

#[test]
fn a_program_and_what_runs_it_are_named() {
    let world = world();
    let tools = world.path().join("tools");
    files::folder(&tools);
    let (script, runner) = (tools.join("script"), tools.join("runner"));
    std::fs::copy("/bin/sh", &runner).expect("the shell can be copied");
    files::write(&script, format!("#!{}\necho ran\n", runner.display()));
    for path in [&script, &runner] {
        files::set_mode(path, 0o755);
    }
    for tier in TIERS {
        let lines = granted(&world, tier, &[script.to_str().unwrap()]);
        let expected = format!("read = [\"{}\", \"{}\"]", script.display(), runner.display());
        assert_eq!(lines, [expected], "{tier}");
    }
}

#[test]
fn a_module_in_a_folder_that_is_not_granted_is_found() {
    let Some(python) = python() else { return };
    let world = world();
    let library = world.path().join("library");
    files::folder(&library);
    files::write(&library.join("thing.py"), "import json\nword = 'found'\n");
    let code = format!(
        "import sys; sys.path.insert(0, {:?}); import thing; print(thing.word)",
        library.display().to_string()
    );
    for tier in TIERS {
        let lines = granted(&world, tier, &[python, "-c", &code]);
        let expected = format!("read = [\"{}", library.display());
        assert!(
            matches!(&lines[..], [line] if line.starts_with(&expected)),
            "{tier}: {lines:?}"
        );
    }
}

#[test]
fn an_address_is_named() {
    let Some(python) = python() else { return };
    let world = world();
    let port = network::server();
    let code = format!(
        "import socket; s = socket.create_connection(('127.0.0.1', {port}), 5); s.sendall(b'x\\n'); print(s.recv(9))"
    );
    let task = command(&[python, "-c", &code], "");
    denied(&world, "full", &task).ends_with(1).says(&format!(
        "denied: net 127.0.0.1:{port} — add net = [\"127.0.0.1:{port}\"] under [allow]"
    ));
    // It does not heed the proxy variables, and need not: a program of the machine that is listed by its port answers
    // inside as well.
    let lines = granted(&world, "full", &[python, "-c", &code]);
    assert_eq!(lines, [format!("net = [\"127.0.0.1:{port}\"]")]);
    // Without a network of its own there is no such place, which is said the second time.
    let lines = granted(&world, "restricted", &[python, "-c", &code]);
    assert_eq!(lines, ["net = true"]);
    let far = "import socket; socket.create_connection(('192.0.2.7', 443), 5)";
    let task = command(&[python, "-c", far], "");
    denied(&world, "full", &task)
        .ends_with(1)
        .says("denied: net 192.0.2.7:443 — add net = [\"192.0.2.7:443\"] under [allow]");
}

#[test]
fn a_socket_in_the_file_system_is_a_path_to_read() {
    let Some(python) = python() else { return };
    let world = world();
    let path = world.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket can be made");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client that goes away is no matter of the server.
            drop(stream.write_all(b"got it"));
        }
    });
    let code = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect({:?}); print(s.recv(9))",
        path.display().to_string()
    );
    let lines = granted(&world, "full", &[python, "-c", &code]);
    assert_eq!(lines, [format!("read = [\"{}\"]", path.display())]);
}

#[test]
fn an_abstract_socket_is_named_and_cannot_be_granted() {
    let Some(python) = python() else { return };
    let world = world();
    let name = format!("wrun-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("a socket can be made");
    let code = format!("import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')");
    denied(&world, "full", &command(&[python, "-c", &code], ""))
        .ends_with(1)
        .says(&format!("denied: abstract socket `{name}` — no grant allows it"));
}

#[test]
fn a_name_is_named_when_it_is_looked_up() {
    let Some(python) = python() else { return };
    let world = world();
    let code = "import socket; socket.getaddrinfo('host.example', 443)";
    denied(&world, "full", &command(&[python, "-c", code], ""))
        .ends_with(1)
        .says("denied: net host.example — add net = [\"host.example:*\"] under [allow]");
}

/// Asks the proxy for a host three times.
const ASK: &str = "\
import os, socket
proxy = os.environ['http_proxy'].rsplit(':', 1)
for _ in range(3):
    s = socket.create_connection(('127.0.0.1', int(proxy[1])), 5)
    s.sendall(b'CONNECT other.example:443 HTTP/1.1\\r\\nHost: other.example:443\\r\\n\\r\\n')
    print(s.recv(12))
";

#[test]
fn a_host_that_the_proxy_refuses_is_said_at_once_and_once() {
    let Some(python) = python() else { return };
    let world = world();
    let task = command(&[python, "-c", ASK], "\n[allow]\nnet = [\"host.example:443\"]\n");
    let said =
        "net: refused other.example:443: it is not granted; add net = [\"other.example:443\"] under [allow]";
    let ran = world.submit(&task);
    ran.ends_with(0).says(said).does_not_say("denied:");
    assert_eq!(ran.stderr.matches("refused other.example").count(), 1, "{ran:?}");
    let ran = denied(&world, "full", &task);
    ran.ends_with(0)
        .says("denied: net other.example:443 — add net = [\"other.example:443\"] under [allow]");
    let ran = world.wrun(&["--format", "json", "submit", "task.toml"]).run();
    let refused: Vec<Value> = ran
        .events()
        .into_iter()
        .filter(|event| event["event"] == "connection-refused")
        .collect();
    assert_eq!(refused.len(), 1, "{ran:?}");
    assert_eq!(refused[0]["what"], "other.example:443");
    assert_eq!(refused[0]["line"], "net = [\"other.example:443\"]");
}

/// Calls that the filter refuses, each with what it returns.
const CALLS: &str = "\
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(name, *arguments):
    result = getattr(libc, name)(*arguments)
    print(name, result, ctypes.get_errno())
refused('ptrace', 0, 0, 0, 0)
refused('mount', b'none', b'/tmp', b'tmpfs', 0, None)
refused('unshare', 0x10000000)
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
except OSError as error:
    print('socket -1', error.errno)
";

#[test]
fn operations_fail_as_they_do_unwatched_and_are_named() {
    let Some(python) = python() else { return };
    let world = world();
    for tier in TIERS {
        let task = command(&[python, "-c", CALLS], "");
        world.write("task.toml", &task);
        let plain = world.wrun(&["submit", "--sandbox", tier, "task.toml"]).run();
        plain.prints("ptrace -1 1\nmount -1 1\nunshare -1 1\nsocket -1 1\n");
        let watched = denied(&world, tier, &task);
        watched
            .prints(&plain.stdout)
            .says("denied: ptrace: look into other processes or change them — no grant allows it")
            .says("denied: mount: ")
            .says("denied: unshare: make namespaces — no grant allows it")
            .says("denied: socket: read and write the network's frames — no grant allows it");
    }
}

#[test]
fn a_task_that_is_refused_nothing_is_told_so_and_runs_as_ever() {
    let world = world();
    world.write("file", "content\n");
    let script =
        "cat file; ls -l / > \"$HOME/list\"; missing 2> /dev/null; cat /nowhere 2> /dev/null; exit 7";
    for tier in TIERS {
        let ran = denied(&world, tier, &command(&["sh", "-c", script], ""));
        ran.ends_with(7);
        assert_eq!(ran.stdout, "content\n");
        if tier == "full" {
            ran.says("denied: nothing was refused");
        }
    }
}

#[test]
fn many_processes_and_threads_are_watched_at_once() {
    let Some(python) = python() else { return };
    let world = world();
    let code = "\
import os, subprocess, threading
def work():
    for _ in range(20):
        subprocess.run(['cat', '/dev/null'], check=True)
        os.listdir('/usr')
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print('done')
";
    for tier in TIERS {
        denied(&world, tier, &command(&[python, "-c", code], "")).prints("done\n");
    }
}

#[test]
fn a_task_that_is_ended_is_still_told_of() {
    let world = world();
    let script = "cat /nowhere/else /etc/machine-id /etc/fstab; sleep 60";
    let Some(hidden) = ["/etc/machine-id", "/etc/fstab"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
    else {
        skipped("a task that is ended: this machine has neither file");
        return;
    };
    let task = command(&["sh", "-c", script], "\n[limits]\ntime = \"2s\"\n");
    denied(&world, "full", &task)
        .ends_with(124)
        .says(&format!("read {hidden}"));
}

#[test]
fn what_cannot_be_observed_is_said() {
    let world = world();
    let task = command(&["true"], "");
    denied(&world, "off", &task)
        .ends_with(0)
        .says("denied: it cannot be observed what was refused: the task runs without a sandbox");
    let task = module(&binary::guest("probe.wasm"), &[], "");
    denied(&world, "full", &task)
        .says("denied: it cannot be observed what was refused: the task is a WebAssembly");
}

#[test]
fn options_are_said_for_a_command_without_a_file() {
    let world = world();
    let secret = world.path().join("a secret");
    files::write(&secret, "");
    let words = ["run", "--why-denied", "--", "cat", secret.to_str().unwrap()];
    let ran = world.wrun(&words).run();
    ran.ends_with(1)
        .says(&format!("add --read '{}'", secret.display()));
}

/// An interpreter that every task may use.
fn python() -> Option<&'static str> {
    let system = Path::new("/usr/bin/python3");
    if system.is_file() {
        return Some("/usr/bin/python3");
    }
    if machine::python().starts_with("/usr") {
        return machine::python().to_str();
    }
    skipped("Python: the system has none of its own");
    None
}
