//! What goes wrong with package indexes is said at once, and leaves a store that works.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wrun_tests::tasks::PythonTask;
use wrun_tests::{Fault, Index, Ran, Wheel, World, files, processes};

const CODE: &str = "import thing; print(thing.__version__)";
const BACKENDS: [&str; 2] = ["uv", "pip"];

fn task(backend: &'static str, index: &Index, requirement: &str) -> String {
    PythonTask::new(backend, CODE)
        .package(requirement)
        .index(&index.url())
        .text()
}

fn index() -> Index {
    Index::with([Wheel::new("thing", "1.0")])
}

/// The run failed before the task, with one of these codes and a help; nothing is left over, the store is as it was,
/// and the next run works.
#[track_caller]
fn fails_well(world: &World, index: &Index, backend: &'static str, ran: &Ran, topics: &[&str]) {
    ran.ends_with(125)
        .says("error: ")
        .says("help: ")
        .does_not_say("panicked");
    assert_eq!(ran.stdout, "");
    let codes: Vec<String> = topics
        .iter()
        .map(|topic| format!("[{backend}.{topic}]"))
        .collect();
    assert!(
        codes.iter().any(|code| ran.stderr.contains(code.as_str())),
        "none of {codes:?}: {ran:?}"
    );
    processes::assert_none_mentions(world.path());
    assert!(world.environments().is_empty());
    index.heal();
    world.submit(&task(backend, index, "thing==1.0")).prints("1.0\n");
    assert_eq!(world.environments().len(), 1);
}

#[test]
fn versions_that_no_one_has() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        let ran = world.submit(&task(backend, &index, "thing==9.9"));
        ran.says("thing");
        fails_well(&world, &index, backend, &ran, &["unsatisfiable"]);
    }
}

#[test]
fn requirements_that_contradict_each_other() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.add(&Wheel::new("other", "1.0").requires("thing>=2"));
        let both = PythonTask::new(backend, CODE)
            .package("thing==1.0")
            .package("other")
            .index(&index.url());
        let ran = world.submit(&both.text());
        ran.says("other");
        fails_well(&world, &index, backend, &ran, &["unsatisfiable"]);
    }
}

#[test]
fn a_package_that_is_not_there_takes_one_round_trip() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        let ran = world.submit(&task(backend, &index, "no-such-thing"));
        let asked = index.requests().len();
        assert!(asked <= 3, "{asked} requests: {:?}", index.requests());
        assert!(ran.elapsed < Duration::from_secs(5), "{ran:?}");
        ran.says("no-such-thing");
        fails_well(
            &world,
            &index,
            backend,
            &ran,
            &["unsatisfiable", "index.not-found"],
        );
    }
}

#[test]
fn a_file_that_is_not_what_its_digest_says() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.add_with_wrong_digest(&Wheel::new("thing", "2.0"));
        let ran = world.submit(&task(backend, &index, "thing==2.0"));
        fails_well(&world, &index, backend, &ran, &["hash.mismatch"]);
    }
}

#[test]
fn an_index_that_is_not_there() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.fault("/simple", Fault::Status(404));
        let ran = world.submit(&task(backend, &index, "thing"));
        fails_well(
            &world,
            &index,
            backend,
            &ran,
            &["unsatisfiable", "index.not-found"],
        );
    }
}

#[test]
fn a_server_that_fails() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.fault("/simple", Fault::Status(500));
        let ran = world.submit(&task(backend, &index, "thing"));
        fails_well(&world, &index, backend, &ran, &["index.server"]);
        let world = World::new();
        index.fault("/files/thing-1.0-py3-none-any.whl", Fault::Status(503));
        let ran = world.submit(&task(backend, &index, "thing"));
        fails_well(&world, &index, backend, &ran, &["index.server"]);
    }
}

#[test]
fn a_server_that_has_enough_of_requests() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.fault("/simple", Fault::Status(429));
        let ran = world.submit(&task(backend, &index, "thing"));
        fails_well(&world, &index, backend, &ran, &["index.too-many-requests"]);
    }
}

#[test]
fn an_answer_that_drips_is_given_up_by_uv() {
    drips("uv");
}

#[test]
fn an_answer_that_drips_is_given_up_by_pip() {
    drips("pip");
}

fn drips(backend: &'static str) {
    let (world, index) = (World::new(), index());
    index.fault("/simple", Fault::Drip);
    world.write("task.toml", task(backend, &index, "thing"));
    let submit = world.wrun(&["submit", "task.toml"]);
    let ran = submit.env("WRUN_HTTP_TIMEOUT", "6s").run();
    let url = index.url();
    let host = url.trim_start_matches("http://").trim_end_matches("/simple");
    ran.says(&format!("still waiting for {host} after 2s"))
        .says(&format!("`{url}/thing/` "));
    let topics = ["index.interrupted", "index.timeout"];
    fails_well(&world, &index, backend, &ran, &topics);
}

#[test]
fn a_connection_that_breaks_off() {
    for backend in BACKENDS {
        for path in ["/simple", "/files/"] {
            let (world, index) = (World::new(), index());
            index.fault(path, Fault::Cut(10));
            let ran = world.submit(&task(backend, &index, "thing"));
            let topics = [
                "index.interrupted",
                "index.timeout",
                "solve.failed",
                "step.failed",
                "hash.mismatch",
            ];
            fails_well(&world, &index, backend, &ran, &topics);
        }
    }
}

#[test]
fn a_port_that_nobody_listens_at() {
    for backend in BACKENDS {
        let world = World::new();
        let index = index();
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let nobody = PythonTask::new(backend, CODE)
            .package("thing")
            .index(&format!("http://{closed}/simple"));
        let ran = world.submit(&nobody.text());
        fails_well(&world, &index, backend, &ran, &["index.refused"]);
    }
}

/// An index that never answers is waited for twice, as long as the setting says.
fn never_answers(backend: &'static str) {
    let (world, index) = (World::new(), index());
    index.fault("/simple", Fault::Hang);
    world.write("task.toml", task(backend, &index, "thing"));
    let submit = world.wrun(&["submit", "task.toml"]);
    // Well below the sixty seconds that the default comes to.
    let ran = submit
        .env("WRUN_HTTP_TIMEOUT", "3s")
        .timeout(Duration::from_secs(40))
        .run();
    fails_well(&world, &index, backend, &ran, &["index.timeout"]);
    ran.says("WRUN_HTTP_TIMEOUT");
}

#[test]
fn an_index_that_never_answers_is_given_up_by_uv() {
    never_answers("uv");
}

#[test]
fn an_index_that_never_answers_is_given_up_by_pip() {
    never_answers("pip");
}

#[test]
fn an_index_that_never_answers_is_given_up_at_an_interrupt() {
    for (backend, command) in BACKENDS
        .into_iter()
        .flat_map(|backend| [(backend, "submit"), (backend, "plan")])
    {
        let (world, index) = (World::new(), index());
        let (asked, waiting) = std::sync::mpsc::channel();
        index.at_each_request(move |_| {
            // Nobody waits for the second request.
            let _ = asked.send(());
        });
        index.fault("/simple", Fault::Hang);
        world.write("task.toml", task(backend, &index, "thing"));
        let running = world.wrun(&[command, "task.toml"]).spawn();
        waiting
            .recv_timeout(Duration::from_mins(1))
            .expect("the index is asked");
        running.signal(rustix::process::Signal::INT);
        running.wait().ends_with(130);
        processes::assert_none_mentions(world.path());
        index.heal();
        world.submit(&task(backend, &index, "thing")).prints("1.0\n");
    }
}

#[test]
fn a_slow_index_is_waited_for() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.fault("/", Fault::Slow(Duration::from_secs(1)));
        world.submit(&task(backend, &index, "thing")).prints("1.0\n");
    }
}

const USER: &str = "ada-of-the-tests";
const PASSWORD: &str = "correct-horse-battery";

fn private(backend: &'static str, index: &Index) -> String {
    PythonTask::new(backend, CODE)
        .package("thing")
        .private_index(&index.url(), "corp")
        .text()
}

#[test]
fn an_index_that_wants_a_credential() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.require(USER, PASSWORD);
        let ran = world.submit(&task(backend, &index, "thing"));
        ran.ends_with(125)
            .says(&format!("{backend}.index.unauthorized"))
            .says("credentials")
            .says("help: ");
        let ran = world.submit(&private(backend, &index));
        ran.ends_with(125).says("WRUN_INDEX_CORP_PASSWORD").says("help: ");
        let submit = || {
            world
                .wrun(&["submit", "task.toml"])
                .env("WRUN_INDEX_CORP_USERNAME", USER)
        };
        let ran = submit().env("WRUN_INDEX_CORP_PASSWORD", "wrong-word").run();
        ran.ends_with(125)
            .says(&format!("{backend}.index."))
            .does_not_say("wrong-word");
        assert!(world.environments().is_empty());
        processes::assert_none_mentions(world.path());
        submit()
            .env("WRUN_INDEX_CORP_PASSWORD", PASSWORD)
            .run()
            .prints("1.0\n");
    }
}

#[test]
fn a_credential_is_seen_nowhere_and_kept_nowhere() {
    for backend in BACKENDS {
        let (world, index) = (World::new(), index());
        index.require(USER, PASSWORD);
        // While the index is asked, whoever asks is running.
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seeing = Arc::clone(&seen);
        index.at_each_request(move |_| seeing.lock().unwrap().extend(processes::command_lines()));
        world.write("task.toml", private(backend, &index));
        let submit = |options: &[&str]| {
            let submit = world.wrun(options).args(["submit", "--refresh", "task.toml"]);
            let submit = submit
                .env("WRUN_INDEX_CORP_USERNAME", USER)
                .env("WRUN_INDEX_CORP_PASSWORD", PASSWORD);
            let ran = submit.env("WRUN_LOG", "trace").run();
            assert!(!format!("{ran:?}").contains(PASSWORD), "{ran:?}");
            ran.ends_with(0);
        };
        submit(&["--verbose"]);
        submit(&["--format", "json"]);
        index.fault("/files/", Fault::Status(403));
        index.add(&Wheel::new("thing", "2.0"));
        let failed = world.wrun(&["--verbose", "submit", "--refresh", "task.toml"]);
        let failed = failed
            .env("WRUN_INDEX_CORP_USERNAME", USER)
            .env("WRUN_INDEX_CORP_PASSWORD", PASSWORD)
            .run();
        assert!(
            !format!("{:?}", failed.ends_with(125)).contains(PASSWORD),
            "{failed:?}"
        );

        let told: Vec<_> = seen
            .lock()
            .unwrap()
            .iter()
            .filter(|process| process.command.contains(PASSWORD))
            .cloned()
            .collect();
        assert!(told.is_empty(), "in command lines: {told:?}");
        assert!(!seen.lock().unwrap().is_empty());
        let encoded = data_encoding::BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
        for secret in [PASSWORD, encoded.as_str()] {
            assert_eq!(
                files::holding(world.path(), secret),
                Vec::<std::path::PathBuf>::new()
            );
        }
    }
}
