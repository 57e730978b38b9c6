//! Every misuse is told, at its place, with what to do.

mod common;

use common::{digest, findings, optional, text};
use serde_json::json;
use wrun_core::backend::Inputs;

#[test]
fn misuses_of_a_spec() {
    let told = findings(
        &json!({
            "packages": ["emoji>>2", "-e ./x", "x @ git+https://u:hunter2@h.org/x", "../up"],
            "python": "python3.11",
            "indexes": ["https://u:hunter2@h.org/simple"],
            "exclude-newer": "yesterday",
            "variables": {"UV_INDEX": "x"},
            "extras": ["x"],
            "find-links": ["../wheels"],
        }),
        &Inputs::new(),
    );
    assert!(!format!("{told:?}").contains("hunter2"));
    let places: Vec<_> = told.iter().map(|(at, code, _)| format!("{at} {code}")).collect();
    insta::assert_snapshot!(places.join("\n"), @r"
    /indexes/0 python.index.password
    /packages/0 python.requirement.syntax
    /packages/1 python.requirement.editable
    /packages/2 python.requirement.password
    /packages/3 python.requirement.path
    /find-links/0 python.requirement.path
    /extras uv.spec.conflict
    /variables/UV_INDEX python.variable.reserved
    /python python.request.syntax
    /exclude-newer python.date.syntax
    ");
}

#[test]
fn families_do_not_mix() {
    for (spec, at) in [
        (json!({}), ""),
        (json!({"project": ".", "packages": []}), "/packages"),
        (
            json!({"script": "x.py", "requirements": "r.txt"}),
            "/requirements",
        ),
        (json!({"script": "x.py", "project": "."}), "/script"),
        (json!({"packages": [], "groups": ["x"]}), "/groups"),
    ] {
        assert_eq!(findings(&spec, &Inputs::new())[0].0, at, "{spec}");
    }
    findings(&json!({"project": "../x"}), &Inputs::new());
    findings(&json!({"script": "/x.py"}), &Inputs::new());
}

#[test]
fn misuses_of_a_project() {
    let known: Inputs = [
        text(
            "pyproject.toml",
            "[project]\nname = 'p'\noptional-dependencies = { plot = [] }\n",
        ),
        optional("uv.lock", None),
        optional("uv.toml", None),
    ]
    .into();
    let told = findings(
        &json!({"project": ".", "extras": ["plto"], "groups": ["dev"]}),
        &known,
    );
    insta::assert_debug_snapshot!(told, @r#"
    [
        (
            "/extras/0",
            "uv.project.undefined",
            "`pyproject.toml` has no extra `plto`",
        ),
        (
            "/groups/0",
            "uv.project.undefined",
            "`pyproject.toml` has no dependency group `dev`",
        ),
    ]
    "#);
    let broken: Inputs = [text("pyproject.toml", "[project\n")].into();
    assert_eq!(
        findings(&json!({"project": "."}), &broken)[0].1,
        "uv.project.syntax"
    );
    let bare: Inputs = [text("pyproject.toml", "[tool.x]\n")].into();
    assert_eq!(
        findings(&json!({"project": "."}), &bare)[0].1,
        "uv.project.metadata"
    );
    let member = "[project]\nname = 'p'\n[tool.uv.sources]\ncore = { workspace = true }\n";
    let member: Inputs = [text("app/pyproject.toml", member)].into();
    assert_eq!(
        findings(&json!({"project": "app"}), &member)[0].1,
        "uv.project.member"
    );
}

#[test]
fn what_is_not_read_is_no_panic() {
    use wrun_core::backend::PlanBackend as _;
    let request = common::request(json!({"packages": ["./lib"]}), []);
    assert_eq!(
        wrun_backend_uv::Uv.canonicalize(&request).unwrap_err().code(),
        "python.input.unread"
    );
    let mut toolless = common::request(json!({"packages": ["./lib"]}), [digest("lib", "1")]);
    toolless.tools.clear();
    assert_eq!(
        wrun_backend_uv::Uv.canonicalize(&toolless).unwrap_err().code(),
        "backend.tool.unasked"
    );
}
