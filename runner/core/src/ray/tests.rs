use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Translated, has_errors, read, translate};
use crate::task::{Task, Variable};

#[track_caller]
fn good(written: &Value) -> Translated {
    let (translated, findings) = translate(written);
    assert!(!has_errors(&findings), "{findings:?}");
    translated
}

#[track_caller]
fn spec(written: &Value) -> (String, Value) {
    let env = good(written).env.expect("an environment");
    (env.backend, env.spec)
}

/// Where it is wrong, and why.
fn wrong(written: &Value) -> Vec<(String, String)> {
    let (_, findings) = translate(written);
    findings
        .into_iter()
        .map(|finding| (finding.at, finding.message))
        .collect()
}

#[test]
fn packages_are_those_of_the_backend_of_the_same_name() {
    for tool in ["pip", "uv"] {
        let packages = json!({ "packages": ["emoji>=2", "six"] });
        for written in [json!(["emoji>=2", "six"]), packages.clone()] {
            assert_eq!(
                spec(&json!({ tool: written })),
                (tool.to_owned(), packages.clone())
            );
        }
        assert_eq!(
            spec(&json!({ tool: "requirements.txt" })).1,
            json!({ "packages": [], "requirements": ["requirements.txt"] })
        );
    }
    assert_eq!(
        spec(&json!({ "pip": { "packages": "more.txt", "pip_check": true } })).1,
        json!({ "packages": [], "requirements": ["more.txt"] })
    );
}

#[test]
fn lines_and_options_become_keys() {
    let written = json!({ "pip": {
        "packages": ["-r base.txt", "# why", "", "emoji # smile", "--extra-index-url=https://two.example/simple"],
        "pip_install_options": [
            "--index-url", "https://one.example/simple", "--no-cache-dir", "--only-binary=numpy,pandas", "--pre",
            "-c", "limits.txt", "--find-links wheels",
        ],
    } });
    assert_eq!(
        spec(&written).1,
        json!({
            "packages": ["emoji"],
            "requirements": ["base.txt"],
            "constraints": ["limits.txt"],
            "indexes": [
                { "url": "https://two.example/simple" },
                { "url": "https://one.example/simple", "default": true },
            ],
            "no-build": ["numpy", "pandas"],
            "prerelease": "allow",
            "find-links": ["wheels"],
        })
    );
    let all = json!({ "uv": { "packages": ["a"], "uv_pip_install_options": ["--only-binary", ":all:", "--only-binary", "b"] } });
    assert_eq!(spec(&all).1["no-build"], json!(true));
}

#[test]
fn conda_is_a_name_a_file_or_what_is_in_one() {
    assert_eq!(spec(&json!({ "conda": "base" })).1, json!({ "existing": "base" }));
    assert_eq!(
        spec(&json!({ "conda": "env.yml" })).1,
        json!({ "file": "env.yml" })
    );
    let written = json!({ "conda": {
        "name": "x",
        "channels": ["conda-forge"],
        "dependencies": ["python=3.12", { "pip": ["emoji"] }],
        "variables": { "A": "1" },
    } });
    let translated = good(&written);
    assert_eq!(
        translated.env.unwrap().spec,
        json!({ "packages": ["python=3.12"], "channels": ["conda-forge"], "pip": ["emoji"] })
    );
    assert_eq!(translated.vars["A"], Variable::Value("1".to_owned()));
}

#[test]
fn an_image_is_that_of_a_container() {
    for written in [
        json!({ "image_uri": "a/b:1" }),
        json!({ "container": { "image": "a/b:1", "run_options": [] } }),
    ] {
        assert_eq!(
            spec(&written),
            ("container".to_owned(), json!({ "image": "a/b:1" }))
        );
    }
}

#[test]
fn folders_and_modules_are_found_by_python() {
    let written = json!({
        "working_dir": "./src/app",
        "py_modules": ["libs/tools", "../one.py", "/opt/lib", "wheels/a-1-py3-none-any.whl"],
        "pip": "requirements.txt",
    });
    let translated = good(&written);
    assert_eq!(translated.dir, Some(PathBuf::from("./src/app")));
    assert_eq!(translated.python_path, [".", "../../libs", "../../..", "/opt"]);
    assert_eq!(
        translated.read,
        ["libs/tools", "../one.py", "/opt/lib"].map(PathBuf::from)
    );
    assert_eq!(
        translated.env.unwrap().spec,
        json!({ "packages": ["../../wheels/a-1-py3-none-any.whl"], "requirements": ["../../requirements.txt"] })
    );
    let wheel = good(&json!({ "py_modules": ["a-1-py3-none-any.whl"] }))
        .env
        .unwrap();
    assert_eq!(
        (wheel.backend.as_str(), wheel.spec),
        ("uv", json!({ "packages": ["./a-1-py3-none-any.whl"] }))
    );
    let conda = good(&json!({ "py_modules": ["a-1-py3-none-any.whl"], "conda": { "dependencies": [] } }));
    assert_eq!(conda.env.unwrap().spec["pip"], json!(["./a-1-py3-none-any.whl"]));
}

#[test]
fn variables_are_texts_or_those_of_the_caller() {
    let translated = good(&json!({ "env_vars": { "A": "1", "HOME_OF": "${HOME}", "EMPTY": "" } }));
    assert_eq!(translated.vars["A"], Variable::Value("1".to_owned()));
    assert_eq!(
        translated.vars["HOME_OF"],
        Variable::FromCaller("HOME".to_owned())
    );
    assert_eq!(translated.vars["EMPTY"], Variable::Value(String::new()));
}

#[test]
fn a_task_takes_the_parts_and_keeps_its_own_variables() {
    let mut task = Task::command("t", "/base", vec!["python".to_owned()]);
    task.vars
        .insert("A".to_owned(), Variable::Value("own".to_owned()));
    let written = json!({
        "working_dir": "src",
        "env_vars": { "A": "1", "B": "2", "PYTHONPATH": "/more" },
        "py_modules": ["mod"],
        "uv": ["emoji"],
    });
    good(&written).apply(&mut task);
    assert_eq!(task.dir, PathBuf::from("src"));
    assert_eq!(task.allow.read, [PathBuf::from("mod")]);
    assert_eq!(task.env.unwrap().backend, "uv");
    let value = |name: &str| task.vars[name].clone();
    assert_eq!(value("A"), Variable::Value("own".to_owned()));
    assert_eq!(value("B"), Variable::Value("2".to_owned()));
    assert_eq!(value("PYTHONPATH"), Variable::Value(".:..:/more".to_owned()));

    let mut guest = Task::module("g", "/base", "g.wasm", Vec::new());
    good(&json!({ "working_dir": "." })).apply(&mut guest);
    assert!(guest.vars.is_empty());
}

#[test]
fn what_has_no_value_is_not_there() {
    assert_eq!(
        good(&json!({ "pip": null, "uv": ["six"], "env_vars": null }))
            .env
            .unwrap()
            .backend,
        "uv"
    );
    assert_eq!(good(&json!({ "_ray_commit": "abc" })), Translated::default());
}

#[test]
fn packages_beside_an_image_are_installed_inside_of_it() {
    for written in [
        json!({ "image_uri": "a/b:1", "pip": ["emoji"] }),
        json!({ "image_uri": "a/b:1", "uv": ["emoji"] }),
        json!({ "image_uri": "a/b:1", "py_modules": ["a-1-py3-none-any.whl"] }),
    ] {
        let (translated, findings) = translate(&written);
        assert!(findings.is_empty(), "{findings:?}");
        let env = translated.env.unwrap();
        assert_eq!(env.image, Some(json!({ "image": "a/b:1" })), "{written}");
        assert!(matches!(env.backend.as_str(), "pip" | "uv"), "{written}");
        assert_eq!(
            env.spec["packages"].as_array().map(Vec::len),
            Some(1),
            "{written}"
        );
    }
    assert_eq!(wrong(&json!({ "image_uri": "a", "conda": "base" })).len(), 1);
}

#[test]
fn what_cannot_be_had_is_refused_field_by_field() {
    let written = json!({
        "pip": ["emoji"],
        "conda": "base",
        "working_dir": "https://example.org/app.zip",
        "py_modules": ["s3://bucket/lib.zip", ".."],
        "env_vars": { "P": "${PATH}:/opt", "N": 1, "9": "x" },
        "container": { "image": "x", "run_options": ["--gpus=all"] },
        "py_executable": "uv run",
        "java_jars": [],
        "nsight": "default",
        "worker_process_setup_hook": "a.b",
        "working_dri": ".",
        "config": { "setup_timeout_seconds": 0, "eager": true },
    });
    insta::assert_debug_snapshot!(wrong(&written));
}

#[test]
fn options_and_keys_of_pip_that_cannot_be_had_are_refused() {
    let written = json!({ "pip": {
        "packages": ["-e ./lib", 3],
        "pip_version": "==24.0",
        "pip_check": "yes",
        "pip_instal_options": [],
        "pip_install_options": ["--no-deps", "--index-url", "--trusted-host=h", "--index-url"],
    } });
    insta::assert_debug_snapshot!(wrong(&written));
    for written in [
        json!([]),
        json!("x"),
        json!({ "pip": 3 }),
        json!({ "uv": {} }),
        json!({ "container": {} }),
    ] {
        assert_eq!(wrong(&written).len(), 1, "{written}");
    }
}

#[test]
fn what_steers_ray_itself_is_a_warning() {
    let (translated, findings) = translate(&json!({
        "excludes": ["*.bin"],
        "config": { "setup_timeout_seconds": 600, "eager_install": false },
        "pip": { "packages": [], "pip_check": false },
    }));
    assert!(!has_errors(&findings));
    let places: Vec<&str> = findings.iter().map(|finding| finding.at.as_str()).collect();
    assert_eq!(
        places,
        [
            "/config/eager_install",
            "/config/setup_timeout_seconds",
            "/excludes",
            "/pip/pip_check"
        ]
    );
    assert!(translated.env.is_some());
}

#[test]
fn the_same_is_read_of_json_and_yaml() {
    let json = read(r#"{"pip": ["emoji"], "env_vars": {"A": "1"}}"#).unwrap();
    let yaml = read("pip:\n  - emoji\nenv_vars: {A: '1'}\n").unwrap();
    assert_eq!(json, yaml);
    assert!(read("pip: [").unwrap_err().contains("neither JSON nor YAML"));
}
