//! Packages for the Python of an image.

use serde_json::json;
use wrun_tests::container::{Image, with_python};
use wrun_tests::secure::Secure;
use wrun_tests::{Index, Wheel, World, files, machine};

/// A world with an image that has a Python, in a folder of the project, and an index of its own.
fn world() -> (World, Index) {
    let world = World::new();
    with_python(&world.path().join("layer")).write_layout(&world.project().join("image"), "py:1");
    let index = Index::start();
    for version in ["1.0", "2.0"] {
        index.add(&Wheel::new("thing", version));
    }
    (world, index)
}

fn task(index: &Index, backend: &str, package: &str, code: &str) -> String {
    format!(
        "[run]\ncommand = [\"python3\", \"-c\", \"{code}\"]\n\
         [env.container]\nimage = \"oci:image\"\n\
         [env.{backend}]\npackages = [\"{package}\"]\n\
         indexes = [{{ url = \"{}\", default = true }}]\n",
        index.url()
    )
}

const CODE: &str = "import os, sys, thing; print(thing.__version__, os.getuid(), os.environ['OF_IMAGE'], sys.base_prefix, os.path.exists('/usr/share/doc'))";

#[test]
fn packages_of_uv_and_pip_are_those_of_the_python_of_the_image() {
    let (world, index) = world();
    let prefix = {
        let code = "import sys; print(sys.base_prefix)";
        let ran = std::process::Command::new(machine::python())
            .args(["-I", "-c", code])
            .output()
            .expect("the interpreter can be started");
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    };
    for (backend, package) in [("uv", "thing==1.0"), ("pip", "thing==2.0"), ("uv", "thing==2.0")] {
        world.write("task.toml", task(&index, backend, package, CODE));
        let version = &package["thing==".len()..];
        world
            .wrun(&["submit", "task.toml"])
            .run()
            .ends_with(0)
            .prints(&format!("{version} 0 yes {prefix} False\n"));
    }
    // The image was unpacked once, and what is there needs no network and no second look at the Python.
    let requests = index.requests().len();
    let again = world
        .wrun(&["--offline", "--format", "json", "submit", "task.toml"])
        .run();
    again.ends_with(0);
    let ready: Vec<_> = again
        .events()
        .into_iter()
        .filter(|event| event["event"] == "environment-ready")
        .collect();
    assert_eq!(ready.len(), 2, "{ready:?}");
    assert!(ready.iter().all(|event| event["built"] == false), "{ready:?}");
    assert_eq!(index.requests().len(), requests);
}

/// What is installed is in the key, and the image's variables are not.
#[test]
fn variables_of_the_image_do_not_steer_installers() {
    let (world, index) = world();
    with_python(&world.path().join("layer-2"))
        .layer(&[("steering/pip/__init__.py", b"raise SystemExit('of the image')\n")])
        .config(json!({"Env": [
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "UV_CONSTRAINT=/nowhere",
            "UV_NO_BINARY=1",
            "PIP_CONSTRAINT=/nowhere",
            "PIP_NO_BINARY=:all:",
            "PYTHONPATH=/steering",
            "TMPDIR=/nowhere",
            "https_proxy=http://127.0.0.1:1",
        ]}))
        .write_layout(&world.project().join("image"), "py:1");
    let code = "import os, thing; print(thing.__version__, os.environ['UV_CONSTRAINT'])";
    for backend in ["uv", "pip"] {
        world.write("task.toml", task(&index, backend, "thing==1.0", code));
        // The task itself has what the image has.
        let ran = world.wrun(&["submit", "task.toml"]).run();
        ran.ends_with(0).prints("1.0 /nowhere\n");
    }
}

#[test]
fn an_index_that_wants_to_know_who_asks_is_asked_from_an_image_too() {
    let (world, index) = world();
    index.require("ada", "pw");
    let secure = Secure::before(&index.url());
    let certificate = world.path().join("authority.pem");
    files::write(&certificate, secure.authority());
    for backend in ["uv", "pip"] {
        let text = task(
            &index,
            backend,
            "thing==1.0",
            "import thing; print(thing.__version__)",
        );
        let private = format!("{}\", credentials = \"corp\"", secure.url());
        world.write("task.toml", text.replace(&format!("{}\"", index.url()), &private));
        world
            .wrun(&["submit", "task.toml"])
            .env("SSL_CERT_FILE", &certificate)
            .env("WRUN_INDEX_CORP_USERNAME", "ada")
            .env("WRUN_INDEX_CORP_PASSWORD", "pw")
            .run()
            .prints("1.0\n");
    }
}

#[test]
fn another_image_is_another_environment() {
    let (world, index) = world();
    let id = || {
        world.write("task.toml", task(&index, "uv", "thing==1.0", "pass"));
        let ran = world.wrun(&["--format", "json", "plan", "task.toml"]).run();
        let plan = ran.ends_with(0).json();
        (
            plan["spec_id"].clone(),
            plan["env_id"].clone(),
            plan["lock_id"].clone(),
        )
    };
    let first = id();
    assert_eq!(first, id());
    with_python(&world.path().join("layer-2"))
        .layer(&[("etc/other", b"1")])
        .write_layout(&world.project().join("image"), "py:1");
    let second = id();
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_eq!(
        first.2, second.2,
        "the same packages were found for the same Python"
    );
}

#[test]
fn an_image_without_a_python_that_fits_is_said() {
    let world = World::new();
    let index = Index::start();
    Image::new()
        .layer(&[("etc/name", b"x")])
        .write_layout(&world.project().join("image"), "app:1");
    world.write("task.toml", task(&index, "uv", "thing", "pass"));
    world
        .wrun(&["submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("no Python was found for any version of Python 3 in the image")
        .says("[python.not-in-image]");
}

#[test]
fn what_cannot_be_built_in_an_image_is_refused_at_its_place() {
    let world = World::new();
    world.write(
        "task.toml",
        "[run]\ncommand = [\"x\"]\n[env.container]\nimage = \"a\"\n[env.conda]\npackages = [\"x\"]\n",
    );
    world
        .wrun(&["submit", "task.toml"])
        .run()
        .ends_with(125)
        .says("`env.conda` does not go together with `env.container`")
        .says("task.toml:5");
}
