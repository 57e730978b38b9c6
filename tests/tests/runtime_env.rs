//! A Ray `runtime_env` is taken as it is, in a task file and on the command line.

use wrun_tests::{Index, Wheel, World, files, skipped};

const PRINT: &str = "import os, thing, tools; print(thing.__version__, tools.NAME, os.environ['GREETING'])";

/// A world with modules beside the task, and an index that the machine's setting leads to.
fn world() -> (World, Index) {
    let world = World::new();
    world.write("libs/tools/__init__.py", "NAME = 'tools'\n");
    let index = Index::with([Wheel::new("thing", "1.0"), Wheel::new("thing", "2.0")]);
    (world, index)
}

fn fields(index: &Index, tool: &str) -> String {
    let options = if tool == "pip" {
        "pip_install_options"
    } else {
        "uv_pip_install_options"
    };
    format!(
        r#"{{"{tool}": {{"packages": ["thing<2"], "{options}": ["--index-url", "{}", "--no-cache"]}},
            "working_dir": ".", "py_modules": ["libs/tools"], "env_vars": {{"GREETING": "hi"}}}}"#,
        index.url()
    )
}

#[test]
fn a_file_of_json_or_yaml_says_what_the_task_needs() {
    let (world, index) = world();
    world.write("ray.json", fields(&index, "uv"));
    world.write(
        "ray.yaml",
        format!(
            "pip:\n  packages: [thing<2]\n  pip_install_options: ['--index-url={}']\nworking_dir: .\npy_modules: [libs/tools]\n\
             env_vars:\n  GREETING: hi\n",
            index.url()
        ),
    );
    for file in ["ray.json", "ray.yaml"] {
        let task =
            format!("[run]\ncommand = [\"python\", \"-c\", \"{PRINT}\"]\n[env]\nruntime_env = \"{file}\"\n");
        world.write("task.toml", task);
        world
            .wrun(&["submit", "task.toml"])
            .run()
            .prints("1.0 tools hi\n");
        let plan = world
            .wrun(&["plan", "task.toml", "--format", "json"])
            .run()
            .json();
        assert_eq!(plan["environment"], "hit", "{plan}");
        assert_eq!(plan["vars"]["PYTHONPATH"], ".:libs", "{plan}");
    }
}

#[test]
fn the_environment_is_the_one_that_a_task_file_would_ask_for() {
    let (world, index) = world();
    let run = "[run]\ncommand = [\"true\"]\n";
    let ray = format!(
        "{run}[env.runtime_env.uv]\npackages = [\"thing\"]\nuv_pip_install_options = [\"--index-url\", \"{0}\"]\n",
        index.url()
    );
    let own = format!(
        "{run}[env.uv]\npackages = [\"thing\"]\nindexes = [{{ url = \"{0}\", default = true }}]\n",
        index.url()
    );
    let ids: Vec<_> = [ray, own]
        .iter()
        .map(|text| {
            world.write("task.toml", text);
            let plan = world
                .wrun(&["plan", "task.toml", "--format", "json"])
                .run()
                .json();
            plan["env_id"].clone()
        })
        .collect();
    assert!(ids[0].is_string(), "{ids:?}");
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn the_command_line_takes_it_as_a_file_and_written_out() {
    let (world, index) = world();
    let file = world.write("ray.json", fields(&index, "uv"));
    world
        .wrun(&[
            "run",
            "--runtime-env",
            file.to_str().unwrap_or_default(),
            "--",
            "python",
            "-c",
            PRINT,
        ])
        .run()
        .prints("1.0 tools hi\n");
    world
        .wrun(&[
            "run",
            "--runtime-env-json",
            &fields(&index, "uv"),
            "--",
            "python",
            "-c",
            PRINT,
        ])
        .run()
        .prints("1.0 tools hi\n")
        .does_not_say("build: ");
    let both = world
        .wrun(&["run", "--runtime-env", "ray.json", "--uv", "thing", "--", "true"])
        .run();
    both.ends_with(125).says("cannot be used with");
}

#[test]
fn a_wheel_among_the_modules_is_installed() {
    let world = World::new();
    files::write(
        &world.project().join("wheels/thing-3.0-py3-none-any.whl"),
        Wheel::new("thing", "3.0").bytes(),
    );
    let fields = r#"{"py_modules": ["wheels/thing-3.0-py3-none-any.whl"]}"#;
    let code = "import thing; print(thing.__version__)";
    world
        .wrun(&["run", "--runtime-env-json", fields, "--", "python", "-c", code])
        .run()
        .prints("3.0\n");
}

#[test]
fn a_module_is_all_that_is_granted_of_its_folder() {
    let (world, _index) = world();
    files::write(
        &world.path().join("beside/tools/__init__.py"),
        "NAME = 'beside'\n",
    );
    files::write(&world.path().join("beside/secret.txt"), "no\n");
    let fields = r#"{"py_modules": ["../beside/tools"]}"#;
    let code = "import tools; print(tools.NAME)";
    let doctor = world.wrun(&["doctor"]).run();
    if !doctor.stdout.contains("held by the tier `full`") {
        skipped("this machine has no tier `full`");
        return;
    }
    let run = |code: &str| {
        world
            .wrun(&[
                "run",
                "--sandbox",
                "full",
                "--runtime-env-json",
                fields,
                "--",
                "python3",
                "-c",
                code,
            ])
            .run()
    };
    run(code).prints("beside\n");
    run("open('../beside/secret.txt')")
        .ends_with(1)
        .says("No such file");
}

#[test]
fn what_cannot_be_had_is_told_with_its_place() {
    let world = World::new();
    let run = "[run]\ncommand = [\"true\"]\n";
    let written = format!(
        "{run}[env.runtime_env]\nuv = [\"thing\"]\njava_jars = [\"a.jar\"]\nworking_dir = \"s3://b/a.zip\"\npipp = []\n"
    );
    world.write("task.toml", written);
    let ran = world.wrun(&["submit", "task.toml"]).run();
    ran.ends_with(125)
        .says("no Java workers")
        .says("task.toml:5:13")
        .says("`working_dir` is an address")
        .says("did you mean `pip`?");
    let events = world
        .wrun(&["submit", "--format", "json", "task.toml"])
        .run()
        .events();
    assert_eq!(
        events[0]["problems"].as_array().map(Vec::len),
        Some(3),
        "{events:?}"
    );

    world.write("ray.yaml", "pip: [thing]\nmpi: {}\n");
    world.write("task.toml", format!("{run}[env]\nruntime_env = \"ray.yaml\"\n"));
    let ran = world.wrun(&["submit", "task.toml"]).run();
    ran.ends_with(125)
        .says("task.toml:4:15")
        .says("`ray.yaml`, `mpi`");
    world.write("ray.yaml", "pip: [a b]\n");
    let ran = world.wrun(&["submit", "task.toml"]).run();
    ran.ends_with(125)
        .says("task.toml:4:15")
        .says("not a requirement");
    world.write("ray.yaml", "pip: [\n");
    world
        .wrun(&["submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("neither JSON nor YAML");
    files::remove(&world.project().join("ray.yaml"));
    world
        .wrun(&["submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("cannot read `ray.yaml`");
}
