//! What pip is asked, and how a lock is built.

mod common;

use common::{digest, findings, question, request, text, variables, words};
use serde_json::json;
use wrun_backend_pip::Pip;
use wrun_core::backend::{Inputs, PlanBackend as _, Request, Solve};
use wrun_core::launch::TaskKind;
use wrun_core::lock::Lock;
use wrun_core::plan::{Action, Check, InstallPlan, Login, NetworkUse, Place, Program};
use wrun_core::question::Question;
use wrun_core::tool::ToolKind;

#[test]
fn a_question() {
    let spec = json!({
        "packages": ["emoji>=2", "./lib[x]"],
        "constraints": "c.txt",
        "find-links": ["wheels"],
        "exclude-newer": "2024-01-31",
        "no-build": ["six"],
        "prerelease": "allow",
    });
    let inputs = [text("c.txt", "six<2"), digest("lib", "1"), digest("wheels", "2")];
    let Question::Tool {
        label,
        run,
        files,
        outputs,
    } = question(&request(spec, inputs))
    else {
        panic!("not a tool")
    };
    insta::assert_snapshot!(format!("{label}\n{}\n{files:?}\n{outputs:?}", words(&run)), @r#"
    resolve 2 requirements
    <python> -I -c <script> <Project:lib> <Scratch:sources/0> <Project:wheels> <Scratch:wrun-links/0> -- <Scratch:> <python> -I <pip>/pip install --disable-pip-version-check --no-input --no-color --progress-bar off --no-warn-script-location --root-user-action ignore --retries 1 --timeout <patience> --cache-dir <Downloads:pip> --use-feature inprocess-build-deps --find-links <Scratch:wrun-links/0> --uploaded-prior-to 2024-02-01T00:00:00Z --only-binary six --dry-run --ignore-installed --report wrun-report.json --log wrun-pip.log -r wrun.in -c wrun-constraints.txt --pre
    [("wrun.in", "emoji>=2\n./sources/0[x]\n"), ("wrun-constraints.txt", "six<2\n")]
    ["wrun-report.json", "wrun-pip.log"]
    "#);
}

#[test]
fn a_credential_is_named_and_the_run_is_logged_in() {
    let spec = json!({"packages": ["six"], "indexes": [
        {"name": "corp", "url": "https://b.org/s", "credentials": "key", "default": true},
        "https://c.org/s",
        "https://d.org/s",
    ]});
    let Question::Tool { run, .. } = question(&request(spec, [])) else {
        panic!("not a tool")
    };
    let login = Login {
        url: "https://b.org/s".to_owned(),
        credential: "key".to_owned(),
    };
    assert_eq!(run.logins, [login]);
    assert!(!words(&run).contains("b.org"));
    insta::assert_debug_snapshot!(variables(&run), @r#"
    {
        "GIT_TERMINAL_PROMPT": "Word([Text(\"0\")])",
        "NO_COLOR": "Word([Text(\"1\")])",
        "PIP_CONFIG_FILE": "Word([Text(\"/dev/null\")])",
        "PIP_EXTRA_INDEX_URL": "Word([Text(\"https://c.org/s https://d.org/s\")])",
        "PIP_INDEX_URL": "Word([Text(\"https://b.org/s\")])",
    }
    "#);
}

fn lock(packages: &serde_json::Value) -> Lock {
    let content = json!({"packages": packages, "python": "3.11.7", "sources": []});
    Lock {
        backend: "pip".to_owned(),
        revision: 1,
        content,
        packages: Vec::new(),
    }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests fails by ending the test")]
fn built(request: &Request, lock: &Lock) -> String {
    let plan = Pip.plan(request, lock).unwrap();
    let mut told = Vec::new();
    for step in &plan.steps {
        told.push(match &step.action {
            Action::Run(run) => format!("{} {:?}: {}\n", step.label, step.after, words(run)),
            Action::Write { content, to, .. } => {
                format!("{} {:?}: {}\n{content}", step.label, step.after, to.rel)
            }
            Action::VirtualEnvironment(python) => format!("{} {:?}: on <{python}>\n", step.label, step.after),
            other => format!("{other:?}\n"),
        });
    }
    for check in &plan.checks {
        told.push(match check {
            Check::Exists(place) => format!("exists {}\n", place.rel),
            Check::Succeeds { label, run } => format!("{label}: {}\n", words(run)),
        });
    }
    told.concat()
}

#[test]
fn a_plan() {
    let packages = json!([
        {"name": "six", "version": "1.0", "from": "index", "url": "https://h.org/six.whl", "sha256": "aa"},
        {"name": "u", "version": "1.0", "from": "url", "url": "https://h.org/u.whl", "sha256": "bb"},
        {"name": "w", "version": "1.0", "from": "archive", "place": "sources/0/w.whl", "sha256": "cc"},
        {"name": "lib", "version": "1.0", "from": "folder", "place": "sources/1"},
        {"name": "v", "version": "1.0", "from": "commit", "vcs": "git", "url": "https://h.org/v", "commit": "c0", "subdirectory": "s"},
    ]);
    insta::assert_snapshot!(built(&request(json!({"packages": ["six"]}), []), &lock(&packages)), @r"
    make the environment []: on <python>
    write the lock [0]: locked.txt
    six==1.0 --hash=sha256:aa
    u @ https://h.org/u.whl --hash=sha256:bb
    ./sources/0/w.whl --hash=sha256:cc
    install 3 packages [1]: <python> -I -S -c <script> <Prefix:> <pip>/pip install --disable-pip-version-check --no-input --no-color --progress-bar off --no-warn-script-location --root-user-action ignore --retries 1 --timeout <patience> --cache-dir <Downloads:pip> --use-feature inprocess-build-deps --no-deps --no-compile -r locked.txt --require-hashes
    write the lock [2]: locked-sources.txt
    ./sources/1
    v @ git+https://h.org/v@c0#subdirectory=s
    install 2 packages [3]: <Prefix:bin/python> -I <pip>/pip install --disable-pip-version-check --no-input --no-color --progress-bar off --no-warn-script-location --root-user-action ignore --retries 1 --timeout <patience> --cache-dir <Downloads:pip-network> --no-deps --no-compile -r locked-sources.txt
    compile to bytecode [4]: <Prefix:bin/python> -I -c <script> <Prefix:lib>
    exists bin/python
    packages go together: <Prefix:bin/python> -I <pip>/pip check --disable-pip-version-check
    ");
}

#[test]
fn an_empty_list_needs_no_question_and_no_install() {
    let request = request(json!({"packages": []}), []);
    let Solve::Done(lock) = Pip.solve(&request, None, &[]).unwrap() else {
        panic!("it asks")
    };
    assert_eq!(Pip.plan(&request, &lock).unwrap().steps.len(), 1);
}

#[test]
fn an_interpreter_that_needs_its_venv_and_has_none_is_named() {
    let mut request = request(json!({"packages": ["six"]}), []);
    request.tools[0].python.as_mut().unwrap().has_venv = false;
    request.tools[0].python.as_mut().unwrap().virtual_environment = None;
    request.tools[0].python.as_mut().unwrap().has_ensurepip = false;
    for problem in [
        Pip.solve(&request, None, &[]).unwrap_err(),
        Pip.plan(&request, &lock(&json!([]))).unwrap_err(),
    ] {
        assert_eq!(problem.code(), "pip.venv.missing");
        assert!(problem.to_string().contains("/usr/bin/python"));
        assert!(problem.help().unwrap().contains("apt install python3.11-venv"));
    }
    request.tools[0].python.as_mut().unwrap().has_venv = true;
    assert!(Pip.solve(&request, None, &[]).is_ok());
    let told = built(&request, &lock(&json!([])));
    assert!(
        told.starts_with("make the environment []: <python> -I -m venv --without-pip <Prefix:>\n"),
        "{told}"
    );
}

#[test]
fn an_old_pip_is_told() {
    let mut request = request(json!({"packages": ["six"], "exclude-newer": "2024-01-31"}), []);
    assert!(Pip.canonicalize(&request).is_ok());
    request.tools[1].version = "25.3".to_owned();
    assert_eq!(
        Pip.canonicalize(&request).unwrap_err().code(),
        "pip.exclude-newer.unsupported"
    );
    request.tools[1].version = "21.2.4".to_owned();
    request.spec = json!({"packages": ["six"]});
    assert_eq!(
        Pip.canonicalize(&request).unwrap_err().code(),
        "pip.version.unsupported"
    );
}

fn installing(plan: &InstallPlan) -> Vec<(NetworkUse, Program)> {
    let runs = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Run(run) if step.label.starts_with("install ") => Some(run),
        _ => None,
    });
    runs.map(|run| (run.network, run.program.clone())).collect()
}

#[test]
fn builds_have_the_network_only_where_that_is_asked_for_or_pip_cannot_do_otherwise() {
    let run = |question: Question| match question {
        Question::Tool { run, .. } => run,
        other @ Question::Http { .. } => panic!("{other:?}"),
    };
    let solving = |request: &Request| run(question(request));
    let index = json!([{"name": "six", "version": "1", "from": "index", "url": "https://h.org/six.whl", "sha256": "aa"}]);
    let repository = json!([{"name": "six", "version": "1", "from": "commit", "vcs": "git", "url": "https://h.org/six", "commit": "1"}]);
    let local = json!([{"name": "six", "version": "1", "from": "commit", "vcs": "git", "url": "file:///srv/six", "commit": "1"}]);
    let outside = Program::Tool("python".to_owned());
    let own = Program::Place(Place::prefix("bin/python"));
    let held = vec![(NetworkUse::Program, outside)];
    let open = vec![(NetworkUse::Everyone, own)];
    let planned = |request: &Request, packages| installing(&Pip.plan(request, &lock(packages)).unwrap());

    let plain = request(json!({"packages": ["six"]}), []);
    assert_eq!(solving(&plain).network, NetworkUse::Program);
    assert_eq!(planned(&plain, &index), held);
    assert_eq!(planned(&plain, &local), held);
    assert_eq!(planned(&plain, &repository), open);

    let asked = request(json!({"packages": ["six"], "build-network": true}), []);
    let mut old = plain.clone();
    old.tools[1].version = "25.3".to_owned();
    for request in [&asked, &old] {
        assert_eq!(solving(request).network, NetworkUse::Everyone);
        assert_eq!(planned(request, &index), open);
        assert!(!words(&solving(request)).contains("inprocess-build-deps"));
    }
    let of_git = request(json!({"packages": ["six @ git+https://h.org/six"]}), []);
    assert_eq!(solving(&of_git).network, NetworkUse::Everyone);

    // The interpreter is in the environment there.
    let into = Pip.plan_into(&plain, &lock(&index)).unwrap();
    assert_eq!(installing(&into), open);
    let Solve::Ask(mut questions) = Pip.solve_into(&plain, &[]).unwrap() else {
        panic!("it knows the lock")
    };
    assert_eq!(run(questions.remove(0)).network, NetworkUse::Everyone);
}

#[test]
fn what_an_old_pip_cannot_keep_from_builds_is_told() {
    let told = |spec: serde_json::Value, version: &str| {
        let mut request = request(spec, []);
        request.tools[1].version = version.to_owned();
        let warnings = Pip.canonicalize(&request).unwrap().warnings;
        warnings
            .into_iter()
            .map(|finding| finding.code)
            .collect::<Vec<_>>()
    };
    let plain = json!({"packages": ["six"]});
    assert_eq!(told(plain.clone(), "25.3"), ["pip.build.open"]);
    assert!(told(plain, "26.0").is_empty());
    for other in [
        json!({"packages": []}),
        json!({"packages": ["six"], "no-build": true}),
        json!({"packages": ["six"], "build-network": true}),
    ] {
        assert!(told(other.clone(), "25.3").is_empty(), "{other}");
    }
}

#[test]
fn misuses_of_a_spec() {
    let told = findings(
        &json!({
            "packages": ["emoji>>2", "six==1 --hash=sha256:aa"],
            "python": "latest",
            "prerelease": "disallow",
            "exclude-newer": "x",
            "variables": {"PIP_X": "1"},
        }),
        &Inputs::new(),
    );
    let places: Vec<_> = told.iter().map(|(at, code, _)| format!("{at} {code}")).collect();
    insta::assert_snapshot!(places.join("\n"), @r"
    /packages/0 python.requirement.syntax
    /prerelease pip.prerelease.unsupported
    /variables/PIP_X python.variable.reserved
    /python python.request.syntax
    /exclude-newer python.date.syntax
    ");
    assert_eq!(findings(&json!({}), &Inputs::new())[0].1, "pip.spec.empty");
    assert_eq!(
        findings(&json!({"project": "."}), &Inputs::new())[0].1,
        "python.spec.unknown-key"
    );
}

#[test]
fn tools() {
    let needs = Pip
        .needs(&json!({"packages": [], "python": " 3.12 "}), &Inputs::new())
        .unwrap();
    assert_eq!(
        needs.tools[0].kind,
        ToolKind::Python {
            request: Some("3.12".to_owned())
        }
    );
    assert!(
        matches!(&needs.tools[1].kind, ToolKind::PythonPackage { interpreter, minimum: Some(minimum), preferred: Some(preferred), .. }
            if interpreter == "python" && minimum == "23.0" && preferred == "26.0")
    );
}

#[test]
fn only_commands_run_in_it() {
    assert!(Pip.enter(&lock(&json!([])), TaskKind::Command).is_ok());
    assert_eq!(
        Pip.enter(&lock(&json!([])), TaskKind::Module).unwrap_err().code(),
        "pip.module.unsupported"
    );
}
