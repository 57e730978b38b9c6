//! What means the same has the same key, and what means something else has another.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use wrun_tests::{Wheel, World, files, machine};

/// The plan of a task with this environment, made without the network.
#[track_caller]
fn plan(world: &World, environment: &str) -> Value {
    world.write("task.toml", format!("[run]\ncommand = [\"true\"]\n{environment}"));
    world
        .wrun(&["--offline", "--format", "json", "plan", "task.toml"])
        .run()
        .ends_with(0)
        .json()
}

#[track_caller]
fn key(world: &World, environment: &str) -> String {
    let plan = plan(world, environment);
    plan["spec_id"]
        .as_str()
        .unwrap_or_else(|| panic!("no key: {plan}"))
        .to_owned()
}

#[track_caller]
fn same(texts: &[&str]) {
    let world = World::new();
    world.write("requirements.txt", "emoji\nwcwidth\n");
    for backend in ["uv", "pip"] {
        let keys: Vec<String> = texts
            .iter()
            .map(|text| key(&world, &text.replace("BACKEND", backend)))
            .collect();
        for (text, found) in texts.iter().zip(&keys) {
            assert_eq!(
                *found, keys[0],
                "{backend} has another key for\n{text}\nthan for\n{}",
                texts[0]
            );
        }
    }
}

#[track_caller]
fn different(texts: &[&str]) {
    let world = World::new();
    for backend in ["uv", "pip"] {
        let keys: Vec<String> = texts
            .iter()
            .map(|text| key(&world, &text.replace("BACKEND", backend)))
            .collect();
        let mut distinct = keys.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(
            distinct.len(),
            keys.len(),
            "{backend} has one key for several: {keys:?} of {texts:#?}"
        );
    }
}

#[test]
fn the_order_and_the_form_of_packages_do_not_matter() {
    same(&[
        "[env.BACKEND]\npackages = [\"emoji>=2,<3\", \"wcwidth\"]\n",
        "[env.BACKEND]\npackages = [\"wcwidth\", \"emoji>=2,<3\"]\n",
        "[env.BACKEND]\npackages = [\"Wcwidth\", \"EMOJI <3, >=2\"]\n",
        "[env.BACKEND]\npackages = [\"wcwidth\", \"emoji >= 2 , < 3\", \"emoji>=2,<3\"]\n",
        "[env]\nBACKEND = [\"emoji>=2,<3\", \"wcwidth\"]\n",
        "# a comment\n[env.BACKEND] # and another\n  packages = [\n  'emoji>=2,<3', # first\n  'wcwidth',\n]\n",
    ]);
}

#[test]
fn names_are_compared_as_pep_503_says() {
    same(&[
        "[env]\nBACKEND = [\"zope.interface[Test_Extra]\"]\n",
        "[env]\nBACKEND = [\"Zope-Interface[test-extra]\"]\n",
        "[env]\nBACKEND = [\"zope_interface [test.extra]\"]\n",
    ]);
}

#[test]
fn the_order_of_keys_and_what_is_left_out_do_not_matter() {
    same(&[
        "[env.BACKEND]\npackages = [\"emoji\"]\nrequire-hashes = false\nno-build = true\n",
        "[env.BACKEND]\nno-build = true\npackages = [\"emoji\"]\n",
    ]);
}

#[test]
fn a_requirements_file_is_read_for_what_it_means() {
    let world = World::new();
    for backend in ["uv", "pip"] {
        let environment = format!("[env.{backend}]\nrequirements = \"requirements.txt\"\n");
        let of = |text: &str| {
            world.write("requirements.txt", text);
            key(&world, &environment)
        };
        let plain = of("emoji==2.0\nwcwidth\n");
        assert_eq!(of("# a comment\nwcwidth\n\nEmoji == 2.0  # and another\n"), plain);
        assert_eq!(
            key(
                &world,
                &format!("[env]\n{backend} = [\"emoji==2.0\", \"wcwidth\"]\n")
            ),
            plain
        );
        assert_ne!(
            of("emoji==2.1\nwcwidth\n"),
            plain,
            "one byte of the file is another"
        );
        world.write("more.txt", "wcwidth\n");
        assert_eq!(of("emoji==2.0\n-r more.txt\n"), plain);
        world.write("more.txt", "wcwidth>0\n");
        assert_ne!(
            of("emoji==2.0\n-r more.txt\n"),
            plain,
            "one byte of a file that it refers to is another"
        );
    }
}

#[test]
fn what_is_asked_for_matters() {
    different(&[
        "[env.BACKEND]\npackages = []\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\n",
        "[env.BACKEND]\npackages = [\"emoji\", \"wcwidth\"]\n",
        "[env.BACKEND]\npackages = [\"emoji>=2\"]\n",
        "[env.BACKEND]\npackages = [\"emoji[dev]\"]\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nno-build = true\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nno-build = [\"emoji\"]\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nindexes = [\"https://a.example/simple\"]\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nindexes = [\"https://b.example/simple\"]\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nindexes = [{ url = \"https://a.example/simple\", default = true }]\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nvariables = { CFLAGS = \"-O2\" }\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nvariables = { CFLAGS = \"-O3\" }\n",
    ]);
}

#[test]
fn the_order_of_indexes_matters() {
    different(&[
        "[env.BACKEND]\npackages = [\"emoji\"]\nindexes = [\"https://a.example/simple\", \"https://b.example/simple\"]\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\nindexes = [\"https://b.example/simple\", \"https://a.example/simple\"]\n",
    ]);
}

#[test]
fn backends_have_keys_of_their_own() {
    let world = World::new();
    assert_ne!(
        key(&world, "[env]\nuv = [\"emoji\"]\n"),
        key(&world, "[env]\npip = [\"emoji\"]\n")
    );
}

#[test]
fn what_only_the_run_needs_does_not_matter() {
    same(&[
        "[env.BACKEND]\npackages = [\"emoji\"]\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\n[vars]\nA = \"x\"\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\n[limits]\ntime = \"3s\"\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\n[allow]\nnet = true\n",
        "[env.BACKEND]\npackages = [\"emoji\"]\n[retry]\nattempts = 2\non = [\"exit\"]\n",
    ]);
}

#[test]
fn who_asks_an_index_does_not_matter() {
    let index = "url = \"https://a.example/simple\", default = true";
    same(&[
        &format!("[env.BACKEND]\npackages = [\"emoji\"]\nindexes = [{{ {index}, name = \"a\" }}]\n"),
        &format!(
            "[env.BACKEND]\npackages = [\"emoji\"]\nindexes = [{{ {index}, name = \"a\", credentials = \"corp\" }}]\n"
        ),
    ]);
}

#[test]
fn the_index_of_the_machine_is_part_of_the_key() {
    let world = World::new();
    world.write(
        "task.toml",
        "[run]\ncommand = [\"true\"]\n[env]\nuv = [\"emoji\"]\n",
    );
    let of = |url: &str| {
        let plan = world.wrun(&["--offline", "--format", "json", "plan", "task.toml"]);
        plan.env("UV_DEFAULT_INDEX", url).run().ends_with(0).json()["spec_id"].clone()
    };
    assert_ne!(of("https://a.example/simple"), of("https://b.example/simple"));
    assert_eq!(
        of("https://ada:word@a.example/simple"),
        of("https://a.example/simple/")
    );
}

#[test]
fn local_files_are_compared_by_their_content_and_mode() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        let wheel = Wheel::new("thing", "1.0");
        let path = format!("wheels/{}", wheel.file_name());
        world.write(&path, wheel.bytes());
        let environment = format!("[env]\n{backend} = [\"./{path}\"]\n");
        let plain = key(&world, &environment);
        assert_eq!(key(&world, &environment), plain);
        world.write(&path, wheel.clone().file("more.py", "").bytes());
        assert_ne!(key(&world, &environment), plain);

        world.write(
            "source/pyproject.toml",
            "[project]\nname = \"source\"\nversion = \"1.0\"\n",
        );
        let script = world.write("source/script.sh", "#!/bin/sh\n");
        let environment = format!("[env]\n{backend} = [\"./source\"]\n");
        let plain = key(&world, &environment);
        files::set_mode(&script, 0o755);
        let executable = key(&world, &environment);
        assert_ne!(executable, plain, "the mode is part of the content");
        files::set_mode(&script, 0o644);
        assert_eq!(key(&world, &environment), plain);
        world.write("source/new.py", "");
        assert_ne!(key(&world, &environment), plain);
    }
}

#[test]
fn another_interpreter_is_another_key_or_another_tree() {
    let world = World::new();
    let folder = machine::python()
        .parent()
        .and_then(std::path::Path::parent)
        .and_then(std::path::Path::parent);
    let others: Vec<_> = files::names(folder.unwrap())
        .into_iter()
        .map(|name| folder.unwrap().join(name).join("bin/python3"))
        .filter(|path| path.exists() && path.canonicalize().unwrap() != machine::python())
        .collect();
    // An interpreter too old for the backends is none.
    let other = others.iter().rev().find(|path| {
        let code = "import sys, venv; sys.exit(sys.version_info < (3, 8))";
        world.command(path).args(["-c", code]).run().code == 0
    });
    let Some(other) = other else {
        return wrun_tests::skipped("this machine has one Python only");
    };
    for backend in ["uv", "pip"] {
        let plain = plan(
            &world,
            &format!(
                "[env.{backend}]\npackages = []\npython = \"{}\"\n",
                machine::python().display()
            ),
        );
        let of_other = plan(
            &world,
            &format!(
                "[env.{backend}]\npackages = []\npython = \"{}\"\n",
                other.display()
            ),
        );
        assert_ne!(plain["spec_id"], of_other["spec_id"]);
    }
}

/// A source distribution whose module knows what the variable `FLAVOUR` was when it was built. It brings its own
/// build backend (PEP 517), so that nothing has to be fetched for the build.
fn flavoured(world: &World) {
    world.write(
        "lib/pyproject.toml",
        "[project]\nname = \"flavoured\"\nversion = \"1.0\"\n\
         [build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
    );
    world.write(
        "lib/backend.py",
        r#"
import os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "flavoured-1.0-py3-none-any.whl"
    files = {
        "flavoured.py": f"FLAVOUR = {os.environ.get('FLAVOUR')!r}\n",
        "flavoured-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: flavoured\nVersion: 1.0\n",
        "flavoured-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in files) + "flavoured-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for path, text in {**files, "flavoured-1.0.dist-info/RECORD": record}.items():
            wheel.writestr(path, text)
    return name
"#,
    );
}

#[test]
fn what_a_build_sees_makes_another_environment() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        flavoured(&world);
        for flavour in ["plain", "salted", "plain"] {
            let task = format!(
                "[run]\ncommand = [\"python\", \"-c\", \"import flavoured; print(flavoured.FLAVOUR)\"]\n\
                 [env.{backend}]\npackages = [\"./lib\"]\nvariables = {{ FLAVOUR = \"{flavour}\" }}\n"
            );
            world.submit(&task).prints(&format!("{flavour}\n"));
        }
        assert_eq!(world.environments().len(), 2, "{backend}");
    }
}
