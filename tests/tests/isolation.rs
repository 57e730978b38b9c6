//! A task sees its own environment and nothing of its caller's.

use std::collections::BTreeSet;

use wrun_tests::tasks::{PythonTask, command};
use wrun_tests::{Cmd, Index, Wheel, World, files};

const VERSION: &str = "import thing; print(thing.__version__)";

#[test]
fn two_versions_of_a_package_run_side_by_side() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0"), Wheel::new("thing", "2.0")]);
    for (name, backend, version) in [("old", "uv", "1.0"), ("new", "uv", "2.0"), ("pip", "pip", "1.0")] {
        let task = PythonTask::new(backend, &format!("{VERSION}; print('{name}', thing.__version__)"));
        world.write(
            &format!("{name}.toml"),
            task.package(&format!("thing=={version}"))
                .index(&index.url())
                .text(),
        );
    }
    let ran = world.wrun(&["submit", "old.toml", "new.toml", "pip.toml"]).run();
    let mut lines: Vec<&str> = ran
        .ends_with(0)
        .stdout
        .lines()
        .filter(|line| line.contains(' '))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["new 2.0", "old 1.0", "pip 1.0"]);
    assert_eq!(world.environments().len(), 3);
}

/// A caller whose surroundings would change what a Python program does.
fn caller(world: &World, submit: Cmd) -> Cmd {
    let evil = world.path().join("evil");
    files::write(&evil.join("thing.py"), "__version__ = 'the one of PYTHONPATH'\n");
    files::write(&evil.join("startup.py"), "print('started')\n");
    let user = world.home().join(".local");
    for minor in 6..16 {
        let site = user.join(format!("lib/python3.{minor}/site-packages"));
        files::write(&site.join("thing.py"), "__version__ = 'the one of the user'\n");
        files::write(&site.join("user_only.py"), "");
    }
    submit
        .env("PYTHONPATH", &evil)
        .env("PYTHONSTARTUP", evil.join("startup.py"))
        .env("PYTHONUSERBASE", &user)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("VIRTUAL_ENV", &evil)
        .env("CONDA_PREFIX", &evil)
        .env("PIP_TARGET", &evil)
        .env("UV_PROJECT_ENVIRONMENT", &evil)
        .env("LD_LIBRARY_PATH", &evil)
        .env("SECRET_OF_THE_CALLER", "do not tell")
}

#[test]
fn nothing_of_the_caller_is_seen() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        let index = Index::with([Wheel::new("thing", "1.0")]);
        let code = "\
import importlib.util, os, site, sys, thing
print(thing.__version__)
print('user packages', site.ENABLE_USER_SITE, importlib.util.find_spec('user_only') is not None)
known = {'HOME', 'LANG', 'LC_CTYPE', 'PATH', 'TMPDIR', 'VIRTUAL_ENV', 'WRUN_RUN', 'GIVEN'}
print('beside', sorted(set(os.environ) - known))
print('own', os.environ['GIVEN'], os.environ.get('VIRTUAL_ENV', sys.prefix) == sys.prefix)
print('evil', [path for path in sys.path + os.environ['PATH'].split(':') if 'evil' in path or 'home' in path])
";
        let task = PythonTask::new(backend, code)
            .package("thing")
            .index(&index.url())
            .text();
        world.write("task.toml", format!("{task}\n[vars]\nGIVEN = \"yes\"\n"));
        let expected = "1.0\nuser packages False False\nbeside []\nown yes True\nevil []\n";
        for _ in 0..2 {
            caller(&world, world.wrun(&["submit", "task.toml"]))
                .run()
                .prints(expected);
        }
        let environments = world.environments();
        let listing = files::listing(&world.tree(&environments[0]));
        assert!(!listing.contains("user_only"), "{listing}");
        assert_eq!(
            files::names(&world.path().join("evil")),
            ["startup.py", "thing.py"],
            "nothing was installed there"
        );
    }
}

#[test]
fn the_home_of_the_caller_is_not_the_task_s() {
    let world = World::new();
    files::write(&world.home().join("secret.txt"), "do not tell");
    let script = "ls -A ~; echo $HOME; echo kept > ~/kept; echo here > $TMPDIR/here; pwd";
    let first = world.submit(&command(&["sh", "-c", script], ""));
    let lines: Vec<&str> = first.ends_with(0).stdout.lines().collect();
    let [home, folder] = lines[..] else {
        panic!("{first:?}")
    };
    assert_ne!(home, world.home().display().to_string());
    assert_eq!(folder, world.project().display().to_string());
    let second = world.submit(&command(&["sh", "-c", script], ""));
    assert_eq!(
        second.ends_with(0).stdout.lines().count(),
        2,
        "a home is fresh in each run: {second:?}"
    );
    assert!(
        !std::path::Path::new(home).exists(),
        "a home is gone with its run"
    );
}

#[test]
fn a_secret_is_seen_by_the_task_and_kept_nowhere() {
    const SECRET: &str = "hunter2-hunter2";
    for backend in ["uv", "pip"] {
        let world = World::new();
        let code = "import os; print(len(os.environ['TOKEN']))";
        let task = PythonTask::new(backend, code).text();
        world.write(
            "task.toml",
            format!("{task}\n[vars]\nTOKEN = {{ from = \"CALLER_TOKEN\" }}\n"),
        );
        for format in ["text", "json"] {
            let submit = world.wrun(&["--format", format, "--verbose", "submit", "task.toml"]);
            let ran = submit.env("CALLER_TOKEN", SECRET).env("WRUN_LOG", "trace").run();
            assert!(!format!("{ran:?}").contains(SECRET), "{ran:?}");
            assert!(ran.ends_with(0).stdout.contains(&SECRET.len().to_string()));
        }
        let plan = world
            .wrun(&["--format", "json", "plan", "task.toml"])
            .env("CALLER_TOKEN", SECRET)
            .run();
        assert!(!format!("{plan:?}").contains(SECRET), "{plan:?}");
        assert_eq!(
            files::holding(world.path(), SECRET),
            Vec::<std::path::PathBuf>::new()
        );
        world
            .wrun(&["submit", "task.toml"])
            .run()
            .ends_with(125)
            .says("CALLER_TOKEN")
            .says("task.variable.unset");
    }
}

/// A task that writes where its package lies.
fn writes_into_its_environment(index: &Index) -> String {
    let code = "\
import os, thing
try:
    open(thing.__file__, 'a').write('# changed')
    print('changed')
except OSError as error:
    print(type(error).__name__)
try:
    open(os.path.join(os.path.dirname(thing.__file__), 'new.py'), 'w')
    print('added')
except OSError as error:
    print(type(error).__name__)
";
    PythonTask::new("pip", code)
        .package("thing")
        .index(&index.url())
        .text()
}

#[test]
fn a_task_cannot_change_its_environment() {
    let world = World::new();
    let index = Index::with([Wheel::new("thing", "1.0")]);
    world.write("task.toml", writes_into_its_environment(&index));
    let submit = world.wrun(&["submit", "task.toml"]);
    submit.clone().run().prints("PermissionError\nOSError\n");
    let environments = world.environments();
    let tree = world.tree(&environments[0]);
    let before = files::listing(&tree);
    submit.run().prints("PermissionError\nOSError\n");
    assert_eq!(files::listing(&tree), before);
}

#[test]
fn a_run_does_not_change_its_environment() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        let index = Index::with([Wheel::new("thing", "1.0")]);
        let task = PythonTask::new(backend, VERSION)
            .package("thing")
            .index(&index.url())
            .text();
        world.submit(&task).prints("1.0\n");
        let environments = world.environments();
        let tree = world.tree(&environments[0]);
        let before = files::listing(&tree);
        world.submit(&task).prints("1.0\n");
        assert_eq!(
            files::listing(&tree),
            before,
            "not even byte code is written, also by a user who could"
        );
    }
}

#[test]
fn a_task_sees_the_variables_that_are_documented() {
    let world = World::new();
    let seen = |rest: &str| -> BTreeSet<String> {
        let ran = world.submit(&command(&["env"], rest));
        let names = ran
            .ends_with(0)
            .stdout
            .lines()
            .filter_map(|line| line.split_once('='));
        names.map(|(name, _)| name.to_ascii_uppercase()).collect()
    };
    let documented: BTreeSet<String> = wrun::variables::OF_TASKS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let always: BTreeSet<String> = documented
        .iter()
        .filter(|name| !name.ends_with("_PROXY"))
        .cloned()
        .collect();
    assert_eq!(seen(""), always);
    let with_hosts = seen("[allow]\nnet = [\"example.org:443\"]\n");
    // Without a network of its own the task needs no proxy.
    assert!(with_hosts == documented || with_hosts == always, "{with_hosts:?}");
}
