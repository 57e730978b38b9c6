//! A task's environment is made at the first run and only used at every later one.

use wrun_tests::tasks::PythonTask;
use wrun_tests::{Index, Wheel, World, network};

/// The first run builds; every later one finds everything in the store, also without any network.
#[track_caller]
fn builds_once(world: &World, task: &str, stdout: &str) {
    let first = world.submit(task);
    first.prints(stdout).says("build: ").says("ready: ");
    let second = world.submit(task);
    second.prints(stdout);
    second.finds_everything();
    let offline = world.wrun(&["--offline", "submit", "task.toml"]).run();
    offline.prints(stdout);
    offline.finds_everything();
    if let Some(way) = network::without_network() {
        let alone = world.wrun(&["submit", "task.toml"]).through(way).run();
        alone.prints(stdout);
        alone.finds_everything();
    }
    assert_eq!(world.environments().len(), 1);
}

fn local_index(backend: &'static str) {
    let world = World::new();
    let index = Index::with([
        Wheel::new("thing", "1.2.3").requires("part>=2"),
        Wheel::new("thing", "1.0.0"),
        Wheel::new("part", "2.1.0"),
        Wheel::new("part", "1.0.0"),
    ]);
    let code = "import part, thing; print(thing.__version__, part.__version__)";
    let task = PythonTask::new(backend, code)
        .package("thing")
        .index(&index.url())
        .text();
    builds_once(&world, &task, "1.2.3 2.1.0\n");
    let requests = index.requests().len();
    world.submit(&task).prints("1.2.3 2.1.0\n");
    assert_eq!(
        index.requests().len(),
        requests,
        "a later run asks the index nothing"
    );
}

#[test]
fn uv_builds_once_from_a_local_index() {
    local_index("uv");
}

#[test]
fn pip_builds_once_from_a_local_index() {
    local_index("pip");
}

const EMOJI: &str = "import emoji; print(emoji.emojize(':waving_hand: hello'))";

#[test]
fn uv_builds_once_from_the_index_of_the_machine() {
    let task = PythonTask::new("uv", EMOJI).package("emoji>=2,<3").text();
    builds_once(&World::new(), &task, "👋 hello\n");
}

#[test]
fn pip_builds_once_from_the_index_of_the_machine() {
    let task = PythonTask::new("pip", EMOJI).package("emoji>=2,<3").text();
    builds_once(&World::new(), &task, "👋 hello\n");
}

#[test]
fn a_machine_without_uv_gets_it_from_the_index() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0")]);
    world.write("task.toml", PythonTask::thing("uv", &index).text());
    let submit = || world.wrun(&["submit", "task.toml"]).without("WRUN_UV");
    submit().run().prints("1.0\n").says("tools: ");
    let second = submit().run();
    second.prints("1.0\n");
    second.finds_everything();
    let tools = world.store().join("tools/uv");
    assert!(tools.is_dir(), "it is kept in the store");
}

#[test]
fn a_refresh_solves_again_and_a_lock_does_not() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        let index = Index::with([Wheel::new("thing", "1.0")]);
        let task = PythonTask::thing(backend, &index).text();
        world.submit(&task).prints("1.0\n");
        world
            .wrun(&["plan", "task.toml", "--lock", "lock.json"])
            .run()
            .ends_with(0);

        index.add(&Wheel::new("thing", "2.0"));
        world.submit(&task).prints("1.0\n");
        world
            .wrun(&["submit", "--refresh", "task.toml"])
            .run()
            .prints("2.0\n")
            .says("solve: ");
        world.submit(&task).prints("2.0\n");
        let locked = world
            .wrun(&["submit", "--locked", "lock.json", "task.toml"])
            .run();
        locked.prints("1.0\n").does_not_say("solve: ");
        world.submit(&task).prints("2.0\n");
        assert_eq!(world.environments().len(), 2);
    }
}

#[test]
fn programs_of_packages_are_on_the_search_path() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        let index = Index::with([Wheel::new("thing", "1.0").script("show-thing", "thing:main")]);
        let task = PythonTask::new(backend, "")
            .package("thing")
            .index(&index.url())
            .command(&["show-thing"]);
        world.submit(&task.text()).prints("1.0\n");
    }
}

#[test]
fn a_requirements_file_and_its_hashes_hold() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        let wheel = Wheel::new("thing", "1.0");
        let index = Index::with([wheel.clone()]);
        let digest = wrun_tests::files::sha256(&wheel.bytes());
        world.write("requirements.txt", format!("thing==1.0 --hash=sha256:{digest}\n"));
        let task = format!(
            "[run]\ncommand = [\"python\", \"-c\", \"import thing; print(thing.__version__)\"]\n\
             [env.{backend}]\nrequirements = \"requirements.txt\"\nrequire-hashes = true\n\
             indexes = [{{ name = \"local\", url = \"{}\", default = true }}]\n",
            index.url()
        );
        world.submit(&task).prints("1.0\n");
        let other = wrun_tests::files::sha256(b"another file");
        world.write("requirements.txt", format!("thing==1.0 --hash=sha256:{other}\n"));
        world.submit(&task).ends_with(125).says("help:");
    }
}

#[test]
fn a_repository_of_this_machine_is_installed() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        let repository = world.project().join("repository");
        wrun_tests::files::write(
            &repository.join("pyproject.toml"),
            "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
        );
        wrun_tests::files::write(&repository.join("backend.py"), BACKEND);
        let git = |words: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
            let git = world.command("git".as_ref()).args(who).args(words);
            git.dir(&repository).run().ends_with(0);
        };
        git(&["init", "--quiet"]);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "first"]);
        let requirement = format!("local @ git+file://{}", repository.display());
        let task =
            PythonTask::new(backend, "import local; print(local.__file__ is not None)").package(&requirement);
        world.submit(&task.text()).prints("True\n");
    }
}

/// A build backend (PEP 517) that needs nothing: its wheel has one module.
const BACKEND: &str = r#"
import os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "local-1.0-py3-none-any.whl"
    files = {
        "local.py": "",
        "local-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: local\nVersion: 1.0\n",
        "local-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "local-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"#;
