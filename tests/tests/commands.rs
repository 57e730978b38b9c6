//! The commands beside `submit` and `exec`.

use serde_json::Value;
use wrun_tests::tasks::{self, PythonTask};
use wrun_tests::{Index, Wheel, World, binary, files};

/// Compares with the snapshot, with what differs between worlds taken out.
macro_rules! assert_output {
    ($world:expr, $name:expr, $text:expr) => {{
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        for (pattern, replacement) in $world.filters() {
            settings.add_filter(&pattern, replacement);
        }
        settings.bind(|| insta::assert_snapshot!($name, $text));
    }};
}

fn thing() -> Index {
    Index::with([
        Wheel::new("thing", "1.0").requires("part"),
        Wheel::new("part", "2.0"),
    ])
}

fn task(index: &Index) -> String {
    let task = PythonTask::new("uv", "import thing; print(thing.__version__)")
        .package("thing")
        .index(&index.url());
    format!(
        "{}\n[vars]\nA = \"x\"\nTOKEN = {{ from = \"T\" }}\n[limits]\ntime = \"1m\"\noutput = \"1MiB\"\n",
        task.text()
    )
}

#[test]
fn a_plan_says_what_a_submit_would_do() {
    let (world, index) = (World::new(), thing());
    world.write("task.toml", task(&index));
    let plan = |options: &[&str]| world.wrun(options).args(["plan", "task.toml"]).run();
    let offline = plan(&["--offline"]);
    assert_output!(world, "plan_offline", &offline.ends_with(0).stdout);
    let cold = plan(&[]);
    assert_output!(world, "plan_cold", &cold.ends_with(0).stdout);
    assert!(world.environments().is_empty(), "a plan builds nothing");
    assert_eq!(index.downloads(), 0, "a plan downloads no package");
    world
        .wrun(&["submit", "task.toml"])
        .env("T", "t")
        .run()
        .prints("1.0\n");
    let warm = plan(&[]);
    assert_output!(world, "plan_warm", &warm.ends_with(0).stdout);
}

#[test]
fn a_plan_is_data_for_programs() {
    let (world, index) = (World::new(), thing());
    world.write("task.toml", task(&index));
    let plan = world.wrun(&["--format", "json", "plan", "task.toml"]).run();
    let value = plan.ends_with(0).json();
    assert_eq!(
        (&value["v"], &value["lock"], &value["environment"]),
        (&1.into(), &"miss".into(), &"miss".into())
    );
    world
        .wrun(&["submit", "task.toml"])
        .env("T", "t")
        .run()
        .prints("1.0\n");
    let warm = world
        .wrun(&["--format", "json", "plan", "task.toml"])
        .run()
        .json();
    assert_eq!(
        (&warm["lock"], &warm["environment"]),
        (&"hit".into(), &"hit".into())
    );
    for id in ["spec_id", "lock_id", "env_id"] {
        assert_eq!(warm[id], value[id], "a plan says the ids that a submit uses");
    }
    assert_eq!(world.environments()[0]["env_id"], value["env_id"]);
    let again = world
        .wrun(&["--format", "json", "plan", "task.toml"])
        .run()
        .json();
    assert_eq!(again, warm, "the same plan is the same text");
    assert_eq!(value["vars"]["TOKEN"]["from"], "T");
    let mut members: Vec<&String> = value.as_object().unwrap().keys().collect();
    members.sort();
    assert_output!(world, "plan_members", format!("{members:#?}"));
}

#[test]
fn a_plan_of_a_task_that_would_be_refused_says_so() {
    let world = World::new();
    let task = "[run]\nmodule = \"task.wasm\"\n[limits]\nscratch = \"1GiB\"\n";
    world.write("task.toml", task);
    world.write("task.wasm", "");
    let ran = world.wrun(&["plan", "task.toml"]).run();
    assert_output!(world, "plan_refused", &ran.ends_with(0).stdout);
}

#[test]
fn the_schema_accepts_every_example_and_refuses_mistakes() {
    let world = World::new();
    let schema = world.wrun(&["schema"]).run().ends_with(0).json();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    let validator = jsonschema::draft202012::options().build(&schema).unwrap();
    let mut tasks = 0;
    for path in files::walk(&binary::examples()) {
        if path.extension().is_none_or(|ending| ending != "toml") || !files::read(&path).contains("[run]") {
            continue;
        }
        let value: Value = toml::from_str(&files::read(&path)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        tasks += 1;
    }
    assert!(tasks >= 9, "{tasks} tasks were found");
    for bad in [
        "",
        "[run]\ncommand = []",
        "[run]\ncommand = [\"\"]",
        "[run]\ncommand = [\"x\"]\nargs = [\"y\"]",
        "[run]\ncommand = [\"x\"]\n[env]\nuv = []\npip = []",
        "[run]\ncommand = [\"x\"]\n[retry]\nattempts = 2",
        "[run]\ncomand = []",
        "[run]\ncommand = [\"x\"]\n[env]\nuv = 3",
        "[run]\ncommand = [\"x\"]\n[env.uv]\npackges = []",
    ] {
        let value: Value = toml::from_str(bad).unwrap();
        assert!(!validator.is_valid(&value), "{bad}");
    }
}

#[test]
fn completions_are_scripts_of_the_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = world.wrun(&["completions", shell]).run();
        for known in ["submit", "doctor", "cache-dir"] {
            assert!(
                ran.ends_with(0).stdout.contains(known),
                "{shell} has no `{known}`"
            );
        }
        let program = std::path::Path::new("/bin").join(shell);
        if program.exists() {
            let script = world.write(shell, &ran.stdout);
            world.command(&program).arg("-n").arg(script).run().ends_with(0);
        }
    }
    world
        .wrun(&["completions", "tcl"])
        .run()
        .ends_with(125)
        .says("tcl");
}

#[test]
fn the_doctor_says_what_there_is() {
    let world = World::new();
    let text = world.wrun(&["doctor"]).run();
    for word in [
        "store",
        "python",
        "uv",
        "sandbox",
        "held",
        " memory: ",
        " cpu: ",
        " scratch: ",
    ] {
        assert!(text.ends_with(0).stdout.contains(word), "{text:?}");
    }
    let report = world
        .wrun(&["--format", "json", "doctor"])
        .run()
        .ends_with(0)
        .json();
    assert_eq!((&report["v"], &report["good"]), (&1.into(), &true.into()));
    let missing = world
        .wrun(&["--offline", "doctor"])
        .without("WRUN_UV")
        .env("PATH", "/nowhere")
        .run();
    for words in ["missing", "neither podman nor docker is here"] {
        assert!(missing.ends_with(1).stdout.contains(words), "{missing:?}");
    }
}

#[test]
fn help_is_help() {
    let world = World::new();
    for (name, words) in [
        ("help", &["--help"] as &[&str]),
        ("help_submit", &["submit", "--help"]),
        ("help_run", &["run", "--help"]),
        ("help_exec", &["exec", "--help"]),
        ("help_cache", &["cache", "--help"]),
    ] {
        let ran = world.wrun(words).env("COLUMNS", "100").run();
        assert_output!(world, name, &ran.ends_with(0).stdout);
    }
    world
        .wrun(&["--version"])
        .run()
        .prints(&format!("wrun {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_is_a_failure_before_the_task() {
    let world = World::new();
    for words in [
        &[] as &[&str],
        &["sumbit"],
        &["submit"],
        &["submit", "--jobs", "0", "x.toml"],
        &["run"],
        &["cache"],
    ] {
        let ran = world.wrun(words).run();
        ran.ends_with(125).does_not_say("panicked");
        assert!(!ran.stderr.is_empty());
        assert_eq!(ran.stdout, "");
    }
    world.wrun(&["sumbit"]).run().says("submit");
    let ran = world.wrun(&["--format", "json", "sumbit"]).run();
    assert_eq!(ran.ends_with(125).events()[0]["code"], "command.usage");
    world
        .wrun(&["submit", "-", "-"])
        .run()
        .ends_with(125)
        .says("twice");
}

#[test]
fn a_command_runs_in_an_environment_named_beside_it() {
    let (world, index) = (World::new(), thing());
    let run = |words: &[&str]| {
        world
            .wrun(&["run"])
            .args(words)
            .env("UV_DEFAULT_INDEX", index.url())
    };
    let print = "import thing, sys; print(thing.__version__, *sys.argv[1:])";
    let python = ["--", "python", "-c", print, "--flag"];
    run(&["--uv", "thing>=1"])
        .args(python)
        .run()
        .prints("1.0 --flag\n");
    run(&["--uv", "thing>=1"])
        .args(python)
        .run()
        .prints("1.0 --flag\n")
        .does_not_say("build: ");
    run(&["--pip", "thing"]).args(python).run().prints("1.0 --flag\n");
    world.write("requirements.txt", "thing\n");
    run(&["--requirements", "requirements.txt"])
        .args(python)
        .run()
        .prints("1.0 --flag\n");

    run(&["--", "sh", "-c", "exit 9"]).run().ends_with(9);
    run(&["sh", "-c", "echo $A $B"]).run().prints("\n");
    let given = run(&["--env", "A=1", "--env", "B", "--", "sh", "-c", "echo $A $B $C"]);
    given.env("B", "2").env("C", "3").run().prints("1 2\n");
    run(&["--timeout", "200ms", "--", "sleep", "60"])
        .run()
        .ends_with(124);
    run(&["--", "cat"]).stdin("read me").run().prints("read me");
    for bad in [["--env", "A B=c"], ["--env", "=c"], ["--timeout", "0s"]] {
        run(&bad).args(["--", "true"]).run().ends_with(125);
    }
    run(&["--memory", "1Mb", "--", "true"]).run().ends_with(125);
    run(&["--timeout", "1month", "--", "true"]).run().ends_with(125);
    world.write("requirements.txt", "");
    let words = [
        "--format",
        "json",
        "run",
        "--pip",
        "-r",
        "requirements.txt",
        "--",
        "true",
    ];
    let events = world.wrun(&words).run().ends_with(0).events();
    assert!(
        events.iter().any(|event| event["event"] == "environment-ready"),
        "{events:?}"
    );
    run(&["--uv", "a", "--pip", "b", "--", "true"])
        .run()
        .ends_with(125);
    run(&["--uv", "thing==9", "--", "true"])
        .run()
        .ends_with(125)
        .says("uv.unsatisfiable");
}

#[test]
fn a_plan_shows_the_command_and_every_limit() {
    let world = World::new();
    let limits = "[limits]\ncpu = 1.5\nfile-size = \"1MiB\"\nscratch = \"2MiB\"\n";
    world.write("task.toml", tasks::command(&["echo", "a b", "c"], limits));
    let ran = world.wrun(&["plan", "task.toml"]).run();
    for line in [
        "run:         echo 'a b' c\n",
        "grants:\n",
        "  at most 1.5 processors\n",
        "  at most 1 MiB of any one file\n",
        "  at most 2 MiB of the scratch folder\n",
    ] {
        assert!(ran.ends_with(0).stdout.contains(line), "{line} {ran:?}");
    }
}

#[test]
fn a_verbose_run_says_how_it_was_held_and_ended() {
    let world = World::new();
    world.write("task.toml", tasks::command(&["true"], ""));
    let ran = world.wrun(&["submit", "--verbose", "task.toml"]).run();
    ran.ends_with(0)
        .says("sandbox: tier `")
        .says("done: the task exited with code 0 after ");
    let ran = world.wrun(&["submit", "task.toml"]).run();
    ran.ends_with(0).does_not_say("done: ");
}

#[test]
fn a_command_that_is_not_there_is_named_once() {
    let world = World::new();
    let ran = world.wrun(&["run", "--", "no-such-command"]).run();
    ran.ends_with(127)
        .says("error: the command `no-such-command` was not found in ");
}
