//! Finding Python: among files that only look like it, and the real one if there is one.

use std::path::{Path, PathBuf};

use crate::support::{Reply, Server, World, script};
use wrun_core::host::Host as _;
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};
use wrun_provision::{Index, Settings};

/// A file that answers as an interpreter does, and notes each time that it was started.
fn interpreter(path: &Path, implementation: &str, version: &str) {
    let said = serde_json::json!({
        "implementation": implementation,
        "version": version,
        "soabi": "cpython-x",
        "libc": "glibc-2.36",
        "platform": "linux-x86_64",
        "markers": { "python_full_version": version },
        "executable": "/usr/bin/python3",
        "base_prefix": "/usr",
        "has_venv": true,
        "has_ensurepip": false,
        "virtual_environment": null,
        "wheel_folders": [],
    });
    script(
        path,
        &format!("echo x >> '{}.started'\nprintf '%s' '{said}'", path.display()),
    );
}

fn starts(path: &Path) -> usize {
    std::fs::read_to_string(format!("{}.started", path.display()))
        .unwrap_or_default()
        .lines()
        .count()
}

fn python(request: Option<&str>) -> ToolRequest {
    ToolRequest {
        id: "python".to_owned(),
        kind: ToolKind::Python {
            request: request.map(str::to_owned),
        },
    }
}

async fn find(world: &mut World, request: &str) -> Result<ToolFound, Problem> {
    let request = (!request.is_empty()).then_some(request);
    world.host().find_tool(&python(request), &[]).await
}

fn with_path(world: &mut World, folders: &[&str]) -> PathBuf {
    let root = world.folder.path().to_path_buf();
    world.settings.search_path = folders.iter().map(|folder| root.join(folder)).collect();
    root
}

/// pip under the interpreter of the tool `python`.
fn pip_request(minimum: Option<&str>, preferred: Option<&str>) -> ToolRequest {
    ToolRequest {
        id: "pip".to_owned(),
        kind: ToolKind::PythonPackage {
            project: "pip".to_owned(),
            interpreter: "python".to_owned(),
            minimum: minimum.map(str::to_owned),
            preferred: preferred.map(str::to_owned),
        },
    }
}

#[tokio::test]
async fn the_first_that_fits_is_taken_and_asked_once() {
    let mut world = World::new();
    let root = with_path(&mut world, &["a", "b"]);
    interpreter(&root.join("a/python3"), "cpython", "3.9.1");
    interpreter(&root.join("b/python3.12"), "cpython", "3.12.1");
    interpreter(&root.join("b/python3.11"), "cpython", "3.11.7");
    for request in ["3.11", ">=3.10,<3.12", "3.11.7", "cpython@3.11", "3.11"] {
        let found = find(&mut world, request).await.unwrap();
        assert_eq!(
            (found.path, found.version.as_str()),
            (root.join("b/python3.11"), "3.11.7"),
            "{request}"
        );
    }
    assert_eq!(find(&mut world, "").await.unwrap().path, root.join("a/python3"));
    assert_eq!(
        find(&mut world, ">=3.10").await.unwrap().path,
        root.join("b/python3.12")
    );
    assert_eq!(starts(&root.join("a/python3")), 1);
    assert_eq!(starts(&root.join("b/python3.11")), 1);
}

#[tokio::test]
async fn an_interpreter_that_was_replaced_is_asked_again() {
    let mut world = World::new();
    let root = with_path(&mut world, &["a"]);
    let path = root.join("a/python3");
    interpreter(&path, "cpython", "3.9.1");
    let before = find(&mut world, "").await.unwrap();
    std::fs::remove_file(&path).unwrap();
    interpreter(&path, "cpython", "3.10.11");
    let after = find(&mut world, "").await.unwrap();
    assert_eq!(
        (before.version.as_str(), after.version.as_str()),
        ("3.9.1", "3.10.11")
    );
    assert_ne!(
        before.python.unwrap().identity_canon("p"),
        after.python.unwrap().identity_canon("p")
    );
}

#[tokio::test]
async fn a_name_that_rules_it_out_is_not_started() {
    let mut world = World::new();
    let root = with_path(&mut world, &["a"]);
    interpreter(&root.join("a/python3.9"), "cpython", "3.9.1");
    std::os::unix::fs::symlink("python3.9", root.join("a/python3")).unwrap();
    let problem = find(&mut world, "3.11").await.unwrap_err();
    assert_eq!(problem.code(), "python.not-found");
    let message = problem.to_string();
    assert!(
        message.starts_with("no Python was found for `3.11`; looked at\n"),
        "{message}"
    );
    assert!(
        message.contains("a/python3: cpython 3.9 by its name"),
        "{message}"
    );
    let help = problem.help().unwrap().to_owned();
    assert!(
        help.contains("uv python install 3.11") && help.contains("WRUN_PYTHON"),
        "{help}"
    );
    assert_eq!(starts(&root.join("a/python3.9")), 0);
}

#[tokio::test]
async fn candidates_that_do_not_answer_are_listed() {
    let mut world = World::new();
    let root = with_path(&mut world, &["a", "b"]);
    script(&root.join("a/python3"), "echo 'Unknown option: -I' >&2; exit 2");
    script(
        &root.join("b/python3"),
        "echo 'cannot open libpython' >&2; exit 127",
    );
    interpreter(&root.join("b/python"), "pypy", "3.10.14");
    let message = find(&mut world, "cpython").await.unwrap_err().to_string();
    assert!(
        message.contains("a/python3: too old: Python 3.4 or later is needed"),
        "{message}"
    );
    assert!(
        message.contains("(exit code 127): cannot open libpython"),
        "{message}"
    );
    assert!(message.contains("b/python: pypy 3.10.14"), "{message}");
    assert_eq!(
        find(&mut world, "pypy@3.10").await.unwrap().path,
        root.join("b/python")
    );
}

#[tokio::test]
async fn shims_are_passed_by_for_what_they_stand_for() {
    let mut world = World::new();
    let root = with_path(&mut world, &["pyenv/shims"]);
    script(
        &root.join("pyenv/shims/python3"),
        &format!("touch '{}'", root.join("shim-ran").display()),
    );
    for version in ["3.9.1", "3.12.1", "3.13.0"] {
        interpreter(
            &root.join(format!("pyenv/versions/{version}/bin/python3")),
            "cpython",
            version,
        );
    }
    std::fs::write(root.join("pyenv/version"), "3.12.1\n").unwrap();
    assert_eq!(find(&mut world, "").await.unwrap().version, "3.12.1");
    assert_eq!(find(&mut world, "3.9").await.unwrap().version, "3.9.1");
    world.settings.pyenv_version = Some("system:3.9.1".to_owned());
    assert_eq!(find(&mut world, "").await.unwrap().version, "3.9.1");
    assert!(!root.join("shim-ran").exists());
    assert_eq!(starts(&root.join("pyenv/versions/3.13.0/bin/python3")), 0);
}

#[tokio::test]
async fn interpreters_of_uv_are_found_in_the_home_folder() {
    let mut world = World::new();
    let root = with_path(&mut world, &[]);
    world.settings.home = Some(root.clone());
    let folder = root.join(".local/share/uv/python/cpython-3.12.7-linux-x86_64-gnu/bin");
    interpreter(&folder.join("python3.12"), "cpython", "3.12.7");
    std::os::unix::fs::symlink("python3.12", folder.join("python3")).unwrap();
    assert_eq!(
        find(&mut world, "3.12").await.unwrap().path,
        folder.join("python3")
    );
}

#[tokio::test]
async fn an_explicit_interpreter_comes_first_and_a_path_stands_alone() {
    let mut world = World::new();
    let root = with_path(&mut world, &["a"]);
    interpreter(&root.join("a/python3"), "cpython", "3.9.1");
    interpreter(&root.join("mine"), "cpython", "3.13.0+");
    world.settings.python = Some(root.join("mine"));
    assert_eq!(find(&mut world, "").await.unwrap().version, "3.13.0+");
    assert_eq!(
        find(&mut world, "3.9").await.unwrap().path,
        root.join("a/python3")
    );
    interpreter(&world.project().join(".venv/bin/python"), "cpython", "3.8.0");
    for request in ["./.venv/bin/python", "./.venv"] {
        assert_eq!(
            find(&mut world, request).await.unwrap().version,
            "3.8.0",
            "{request}"
        );
    }
    assert_eq!(
        find(&mut world, "./none").await.unwrap_err().code(),
        "python.not-found"
    );
    assert_eq!(
        find(&mut world, "ruby@3").await.unwrap_err().code(),
        "python.request.invalid"
    );
}

#[tokio::test]
async fn the_real_interpreter_says_what_it_is() {
    let mut world = World::new();
    world.settings = Settings::from_environment(std::env::vars_os());
    let Ok(found) = find(&mut world, "").await else {
        return;
    };
    let python = found.python.unwrap();
    assert_eq!(python.version, found.version);
    assert!(python.markers["python_version"].starts_with("3."));
    assert_eq!(python.markers.len(), 11);
    assert!(Path::new(&python.base_prefix).is_dir());

    let pip = pip_request(None, None);
    world.settings.offline = true;
    let again = find(&mut world, "").await.unwrap();
    let Ok(pip) = world.host().find_tool(&pip, &[again]).await else {
        return;
    };
    let output = std::process::Command::new(&found.path)
        .arg("-I")
        .arg(pip.path.join("pip"))
        .arg("--version")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with(&format!("pip {}", pip.version)),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains(&pip.path.display().to_string()), "{said}");
}

#[tokio::test]
async fn a_package_needs_the_interpreter_that_runs_it() {
    let mut world = World::new();
    let root = with_path(&mut world, &["a"]);
    world.settings.offline = true;
    interpreter(&root.join("a/python3"), "cpython", "3.12.1");
    let pip = pip_request(None, None);
    assert_eq!(
        world.host().find_tool(&pip, &[]).await.unwrap_err().code(),
        "provision.plan.invalid"
    );
    let python = find(&mut world, "").await.unwrap();
    let problem = world
        .host()
        .find_tool(&pip, std::slice::from_ref(&python))
        .await
        .unwrap_err();
    assert_eq!(problem.code(), "tool.not-found");
    assert!(
        problem.to_string().contains("3.12.1, and this run is offline"),
        "{problem}"
    );

    let wheels = root.join("wheels");
    std::fs::create_dir(&wheels).unwrap();
    for (version, requires) in [("24.0", ">=3.13"), ("23.0", ">=3.7")] {
        let metadata = format!("Metadata-Version: 2.1\nRequires-Python: {requires}\n");
        let wheel = crate::support::zip(&[
            ("pip/__main__.py", b"", 0o644),
            (
                &format!("pip-{version}.dist-info/METADATA"),
                metadata.as_bytes(),
                0o644,
            ),
        ]);
        std::fs::write(wheels.join(format!("pip-{version}-py3-none-any.whl")), wheel).unwrap();
    }
    world.settings.wheel_folders = vec![wheels];
    let found = world.host().find_tool(&pip, &[python]).await.unwrap();
    assert_eq!(found.version, "23.0");
    assert!(found.path.join("pip/__main__.py").is_file());

    let newer = pip_request(Some("23.1"), None);
    let python = find(&mut world, "").await.unwrap();
    let problem = world.host().find_tool(&newer, &[python]).await.unwrap_err();
    assert!(problem.to_string().contains("`pip` 23.1 or later"), "{problem}");
}

#[tokio::test]
async fn a_pip_that_is_too_old_is_not_taken_where_a_newer_one_can_be_fetched() {
    let mut world = World::new();
    let index = Settings::from_environment(std::env::vars_os()).with_pip_configuration();
    world.settings.tool_index = index.tool_index;
    world.settings.passthrough = index.passthrough;
    let root = with_path(&mut world, &["a"]);
    interpreter(&root.join("a/python3"), "cpython", "3.12.1");
    let wheels = root.join("wheels");
    std::fs::create_dir(&wheels).unwrap();
    let metadata = b"Metadata-Version: 2.1\nRequires-Python: >=3.7\n";
    let wheel = crate::support::zip(&[("pip-22.0.dist-info/METADATA", metadata, 0o644)]);
    std::fs::write(wheels.join("pip-22.0-py3-none-any.whl"), wheel).unwrap();
    world.settings.wheel_folders = vec![wheels];
    let pip = pip_request(Some("23.0"), None);
    let python = [find(&mut world, "").await.unwrap()];
    let found = world.host().find_tool(&pip, &python).await.unwrap();
    assert!(found.digest.is_some(), "{found:?}");
}

#[tokio::test]
async fn an_older_package_is_taken_only_where_none_that_is_preferred_can_be_had() {
    let mut world = World::new();
    let page = "<a href=\"pip-25.3-py3-none-any.whl#sha256=00\">pip-25.3-py3-none-any.whl</a>";
    let index = Server::start(vec![Reply::Page("text/html", page.as_bytes().to_vec())]).await;
    world.settings.tool_index = Index::parse(&format!("{}/simple", index.url)).unwrap();
    let root = with_path(&mut world, &["a"]);
    interpreter(&root.join("a/python3"), "cpython", "3.12.1");
    let wheels = root.join("wheels");
    std::fs::create_dir(&wheels).unwrap();
    let bring = |version: &str| {
        let metadata = b"Metadata-Version: 2.1\nRequires-Python: >=3.7\n";
        let name = format!("pip-{version}.dist-info/METADATA");
        let wheel = crate::support::zip(&[(&name, metadata, 0o644)]);
        std::fs::write(wheels.join(format!("pip-{version}-py3-none-any.whl")), wheel).unwrap();
    };
    bring("24.0");
    world.settings.wheel_folders = vec![wheels.clone()];
    let pip = pip_request(Some("23.0"), Some("26.0"));
    let python = [find(&mut world, "").await.unwrap()];
    for _ in 0..2 {
        let found = world.host().find_tool(&pip, &python).await.unwrap();
        assert_eq!(found.version, "24.0");
        assert_eq!(
            index.requests().len(),
            1,
            "an index that has none is not asked each time"
        );
    }
    bring("26.1");
    let found = world.host().find_tool(&pip, &python).await.unwrap();
    assert_eq!(found.version, "26.1");
}

#[tokio::test]
async fn pip_is_fetched_from_the_index_of_this_machine_for_the_version_of_python() {
    let mut world = World::new();
    let index = Settings::from_environment(std::env::vars_os()).with_pip_configuration();
    world.settings.tool_index = index.tool_index;
    world.settings.passthrough = index.passthrough;
    let root = with_path(&mut world, &["a"]);
    interpreter(&root.join("a/python3"), "cpython", "3.7.16");
    let pip = pip_request(None, None);
    let python = [find(&mut world, "").await.unwrap()];
    let found = world.host().find_tool(&pip, &python).await.unwrap();
    // The last pip for Python 3.7.
    assert_eq!(found.version, "24.0");
    assert!(found.digest.is_some() && found.path.join("pip/__main__.py").is_file());
    world.settings.offline = true;
    assert_eq!(world.host().find_tool(&pip, &python).await.unwrap(), found);
}
