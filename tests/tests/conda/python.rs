//! Python as a conda package, Python packages for every platform, and pip after the conda packages.

use serde_json::json;
use wrun_tests::conda::{Channel, Package, pip_package, python_package, python_version};
use wrun_tests::{Index, Wheel, World, files};

use crate::task;

fn greeter() -> Package {
    Package::new("greeter", "1.0")
        .noarch("python")
        .depends("python >=3")
        .file(
            "site-packages/greeter/__init__.py",
            "def main():\n    import sys\n    print('hello from', sys.prefix)\n",
        )
        .program("python-scripts/other-greeter", "#!/bin/sh\necho other\n")
        .entry_point("greet = greeter:main")
}

#[test]
fn a_script_runs_under_an_interpreter_that_is_a_package() {
    let world = World::new();
    let channel = Channel::with([python_package(), greeter()]);
    world.write(
        "main.py",
        "import greeter, sys\ngreeter.main()\nprint(sys.version_info[:2])\n",
    );
    let spec = json!({ "packages": ["python", "greeter"], "channels": [channel.url()] });
    let ran = world.submit(&task(&["python", "main.py"], spec.clone()));
    let tree = world.tree(&world.environments()[0]);
    let version = python_version();
    let minor: Vec<&str> = version.split('.').take(2).collect();
    ran.prints(&format!(
        "hello from {}\n({})\n",
        tree.display(),
        minor.join(", ")
    ));
    // The entry point is a program with the interpreter of the environment.
    world
        .submit(&task(&["greet"], spec.clone()))
        .prints(&format!("hello from {}\n", tree.display()));
    world.submit(&task(&["other-greeter"], spec)).prints("other\n");
    let compiled = files::walk(&tree).into_iter().any(|path| {
        path.to_string_lossy()
            .contains("greeter/__pycache__/__init__.cpython")
    });
    assert!(compiled, "modules are compiled once, at build");
}

#[test]
fn pip_installs_after_conda_under_the_new_interpreter() {
    let Some(pip) = pip_package() else { return };
    let world = World::new();
    let channel = Channel::with([python_package(), greeter(), pip]);
    let index = Index::with([
        Wheel::new("wheelie", "1.2").requires("dep>=1"),
        Wheel::new("wheelie", "1.0"),
        Wheel::new("dep", "1.5"),
    ]);
    world.write(
        "environment.yml",
        format!(
            "channels:\n  - {}\ndependencies:\n  - python\n  - greeter\n  - pip\n  - pip:\n    - wheelie\n    - -r more.txt\n",
            channel.url()
        ),
    );
    world.write("more.txt", "dep<2\n");
    let code = "import greeter, wheelie, dep; print(wheelie.__version__, dep.__version__)";
    let indexes = json!([{ "url": index.url(), "default": true }]);
    let spec = json!({ "file": "environment.yml", "indexes": indexes });
    let text = task(&["python", "-c", code], spec);
    world.submit(&text).prints("1.2 1.5\n");
    let asked = index.requests().len();
    let later = world.submit(&text);
    later
        .prints("1.2 1.5\n")
        .does_not_say("build:")
        .does_not_say("solve:");
    assert_eq!(
        index.requests().len(),
        asked,
        "a later run asks the index nothing"
    );
    let packages = world
        .wrun(&["--format", "json", "plan", "task.toml"])
        .run()
        .json();
    let names: Vec<&str> = packages["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    for name in ["python", "greeter", "pip", "wheelie", "dep"] {
        assert!(names.contains(&name), "{name} is in the lock: {names:?}");
    }
    // A file that the lines refer to is part of the key.
    world.write("more.txt", "dep<1.5.1\n");
    world.submit(&text).prints("1.2 1.5\n").says("ready: ");
}

#[test]
fn what_the_pip_block_names_in_the_folder_of_the_task_is_installed() {
    let Some(pip) = pip_package() else { return };
    let world = World::new();
    let channel = Channel::with([python_package(), pip]);
    let index = Index::with([Wheel::new("wheelie", "1.2")]);
    let wheel = Wheel::new("here", "3.0");
    files::write(
        &world.project().join("wheels").join(wheel.file_name()),
        wheel.bytes(),
    );
    world.write(
        "environment.yml",
        format!(
            "channels: [\"{}\"]\ndependencies: [python, pip, {{pip: [wheelie, ./wheels/{}]}}]\n",
            channel.url(),
            wheel.file_name()
        ),
    );
    let indexes = json!([{ "url": index.url(), "default": true }]);
    let code = "import wheelie, here; print(wheelie.__version__, here.__version__)";
    let spec = json!({ "file": "environment.yml", "indexes": indexes });
    world
        .submit(&task(&["python", "-c", code], spec))
        .prints("1.2 3.0\n");
}

#[test]
fn pip_is_added_where_only_packages_for_it_are_listed() {
    let Some(pip) = pip_package() else { return };
    let world = World::new();
    let channel = Channel::with([python_package(), pip]);
    let index = Index::with([Wheel::new("wheelie", "1.2")]);
    let indexes = json!([{ "url": index.url(), "default": true }]);
    let spec = |pip: &str| json!({ "packages": ["python"], "pip": [pip], "channels": [channel.url()], "indexes": indexes });
    let command = ["python", "-c", "import wheelie; print(wheelie.__version__)"];
    world
        .submit(&task(&command, spec("wheelie")))
        .prints("1.2\n")
        .says("pip itself is not");
    world
        .submit(&task(&command, spec("wheelie>=3")))
        .ends_with(125)
        .says("wheelie>=3")
        .says("another Python with `python=3.12` among the conda packages");
    let no_python = Channel::with([Package::new("pip", "1.0").noarch("generic")]);
    let spec = json!({ "packages": [], "pip": ["wheelie"], "channels": [no_python.url()] });
    world
        .submit(&task(&command, spec))
        .ends_with(125)
        .says("conda.pip.python");
}

#[test]
fn what_pip_would_need_for_another_platform_is_told() {
    let world = World::new();
    let python = Package::new("python", "3.12.1").subdir("win-64");
    let pip = Package::new("pip", "26.0").subdir("win-64");
    let channel = Channel::with([python, pip]);
    let spec = json!({ "packages": ["python", "pip"], "pip": ["wheelie"], "channels": [channel.url()], "platform": "win-64" });
    world.write("task.toml", task(&["python"], spec));
    world
        .wrun(&["plan", "--lock", "lock.json", "task.toml"])
        .run()
        .ends_with(125)
        .says("conda.platform.other")
        .says("pip");
}

#[test]
fn the_cut_off_holds_for_pip_too() {
    const JANUARY: u64 = 1_704_067_200_000;
    let world = World::new();
    let old = Package::new("pip", "25.0").noarch("python").depends("python");
    let channel = Channel::with([python_package(), old].map(|package| package.uploaded(JANUARY)));
    let spec = json!({ "packages": ["python", "pip=25"], "pip": ["wheelie"], "channels": [channel.url()], "exclude-newer": "2024-01-31" });
    world
        .submit(&task(&["python"], spec))
        .ends_with(125)
        .says("exclude-newer")
        .does_not_say("conda.solve");
}
