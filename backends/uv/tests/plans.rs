//! What uv is asked, and how a lock is built.

mod common;

use common::{digest, optional, question, request, text, variables, words};
use serde_json::json;
use wrun_backend_uv::Uv;
use wrun_core::backend::{PlanBackend as _, Request, Solve};
use wrun_core::launch::{Launch, TaskKind};
use wrun_core::lock::Lock;
use wrun_core::plan::{Action, Login, NetworkUse, Place, Root};
use wrun_core::question::Question;
use wrun_core::tool::ToolKind;

#[expect(clippy::panic, reason = "a helper of tests fails by ending the test")]
fn asked(request: &Request) -> String {
    let Question::Tool {
        label,
        run,
        files,
        outputs,
    } = question(request)
    else {
        panic!("not a tool")
    };
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| format!("{path}:\n{text}"))
        .collect();
    format!(
        "{label}\n{}\nin {}\n{}read {}",
        words(&run),
        run.cwd.rel,
        files.concat(),
        outputs.join(" ")
    )
}

#[test]
fn questions() {
    let spec = json!({
        "packages": ["emoji>=2", "./lib[x]"],
        "constraints": "c.txt",
        "indexes": ["https://a.org/simple", {"name": "corp", "url": "https://b.org/s", "credentials": "key", "default": true}],
        "find-links": ["wheels"],
        "exclude-newer": "2024-01-31",
        "no-build": ["six"],
        "prerelease": "allow",
    });
    let inputs = [text("c.txt", "six<2"), digest("lib", "1"), digest("wheels", "2")];
    insta::assert_snapshot!(asked(&request(spec, inputs)), @r"
    resolve 2 requirements
    <python> -I -c <script> <Project:lib> <Scratch:sources/0> <Project:wheels> <Scratch:wrun-links/0> -- <Scratch:> <uv> pip compile wrun.in --constraints wrun-constraints.txt --format pylock.toml --output-file pylock.wrun.toml --no-header --quiet --python <python> --index https://a.org/simple --default-index corp=https://b.org/s --find-links <Scratch:wrun-links/0> --exclude-newer 2024-02-01T00:00:00Z --only-binary six --prerelease allow
    in 
    wrun.in:
    emoji>=2
    ./sources/0[x]
    wrun-constraints.txt:
    six<2
    read pylock.wrun.toml
    ");

    let metadata = "[project]\nname = 'p'\nversion = '1'\n";
    let flat = [
        text("app/pyproject.toml", metadata),
        optional("app/uv.lock", Some("l")),
        optional("app/uv.toml", None),
    ];
    insta::assert_snapshot!(asked(&request(json!({"project": "app", "no-build": true}), flat)), @r"
    resolve the project
    <uv> export --no-editable --no-default-groups --locked --format pylock.toml --output-file pylock.wrun.toml --no-header --quiet --python <python> --no-build
    in work/app
    work/app/pyproject.toml:
    [project]
    name = 'p'
    version = '1'
    work/app/uv.lock:
    lread work/app/pylock.wrun.toml
    ");

    let package = format!(
        "{metadata}[build-system]\nrequires = []\n[tool.uv.sources]\na = {{ path = 'a' }}\nb = {{ path = '../b' }}\n"
    );
    let whole = [
        text("app/pyproject.toml", &package),
        optional("app/uv.lock", None),
        optional("app/uv.toml", None),
        digest("app", "1"),
        digest("b", "2"),
    ];
    insta::assert_snapshot!(asked(&request(json!({"project": "app"}), whole)), @r"
    resolve the project
    <python> -I -c <script> <Project:app> <Scratch:work/app> <Project:b> <Scratch:work/b> -- <Scratch:work/app> <uv> export --no-editable --no-default-groups --format pylock.toml --output-file pylock.wrun.toml --no-header --quiet --python <python>
    in 
    read work/app/pylock.wrun.toml
    ");

    let script = [
        text(
            "main.py",
            "# /// script\n# dependencies = ['six']\n# ///\nx = 1\n",
        ),
        optional("main.py.lock", None),
    ];
    insta::assert_snapshot!(asked(&request(json!({"script": "main.py"}), script)), @r"
    resolve `main.py`
    <uv> export --no-editable --script <Scratch:work/main.py> --format pylock.toml --output-file pylock.wrun.toml --no-header --quiet --python <python>
    in work
    work/main.py:
    # /// script
    # dependencies = ['six']
    # ///
    read work/pylock.wrun.toml
    ");
}

#[test]
fn a_credential_is_named_and_the_run_is_logged_in() {
    let index = json!({"name": "my.corp", "url": "https://b.org/s", "credentials": "key"});
    let request = request(
        json!({"packages": ["six"], "indexes": [index], "variables": {"CFLAGS": "-O2"}}),
        [],
    );
    let Question::Tool { run, .. } = question(&request) else {
        panic!("not a tool")
    };
    let login = Login {
        url: "https://b.org/s".to_owned(),
        credential: "key".to_owned(),
    };
    assert_eq!(run.logins, [login]);
    insta::assert_debug_snapshot!(variables(&run), @r#"
    {
        "CFLAGS": "Word([Text(\"-O2\")])",
        "GIT_TERMINAL_PROMPT": "Word([Text(\"0\")])",
        "NO_COLOR": "Word([Text(\"1\")])",
        "PYC_INVALIDATION_MODE": "Word([Text(\"UNCHECKED_HASH\")])",
        "UV_CACHE_DIR": "Word([Place(Place { root: Downloads, rel: \"uv-efb589622daecf0f\" })])",
        "UV_HTTP_RETRIES": "Word([Text(\"1\")])",
        "UV_HTTP_TIMEOUT": "Word([Patience])",
        "UV_NO_CONFIG": "Word([Text(\"1\")])",
        "UV_NO_PROGRESS": "Word([Text(\"1\")])",
        "UV_PREVIEW_FEATURES": "Word([Text(\"pylock\")])",
        "UV_PYTHON_DOWNLOADS": "Word([Text(\"never\")])",
    }
    "#);
}

/// A lock of one package.
fn lock_of(package: &str) -> Lock {
    Lock {
        backend: "uv".to_owned(),
        revision: 1,
        content: json!({
            "folder": "",
            "pylock": format!("[[packages]]\nname = 'six'\n{package}\n"),
            "python": "3.11.7",
            "sources": [],
        }),
        packages: Vec::new(),
    }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests fails by ending the test")]
fn built(request: &Request) -> String {
    let lock = lock_of("wheels = [{ url = 'https://h.org/six.whl', size = 10 }]");
    let plan = Uv.plan(request, &lock).unwrap();
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| match &step.action {
            Action::Run(run) => format!("{} {:?}: {}", step.label, step.after, words(run)),
            Action::Write { to, .. } => format!("{} {:?}: {:?}:{}", step.label, step.after, to.root, to.rel),
            Action::VirtualEnvironment(python) => format!("{} {:?}: on <{python}>", step.label, step.after),
            other => format!("{other:?}"),
        })
        .collect();
    format!(
        "{}\n{:?} {:?}",
        steps.join("\n"),
        plan.checks,
        plan.estimated_bytes
    )
}

#[test]
fn a_plan_is_one_run() {
    insta::assert_snapshot!(built(&request(json!({"packages": ["six"], "no-build": true}), [])), @r#"
    make the environment []: on <python>
    write the lock []: Scratch:pylock.wrun.toml
    install 1 package [0, 1]: <uv> pip sync pylock.wrun.toml --compile-bytecode --python <Prefix:bin/python> --no-build
    [Exists(Place { root: Prefix, rel: "bin/python" })] Some(10)
    "#);
}

#[test]
fn an_environment_on_an_interpreter_that_does_not_say_how_is_made_by_uv() {
    let mut request = request(json!({"packages": ["six"]}), []);
    request.tools[0].python.as_mut().unwrap().virtual_environment = None;
    let told = built(&request);
    assert!(
        told.starts_with(
            "make the environment []: <uv> venv --no-project --quiet --python <python> <Prefix:>\n"
        ),
        "{told}"
    );
}

#[test]
fn what_is_downloaded_depends_on_every_file_and_on_the_interpreter() {
    let request = request(json!({"packages": ["six"]}), []);
    let downloads = |python: &str, hash: &str| {
        let pylock = format!(
            "lock-version = '1.0'\n[[packages]]\nname = 'six'\nversion = '1'\n\
             wheels = [{{url = 'https://h.org/six.whl', hashes = {{sha256 = '{hash}'}}}}]"
        );
        let lock = Lock {
            backend: "uv".to_owned(),
            revision: 1,
            content: json!({"folder": "", "pylock": pylock, "python": python, "sources": []}),
            packages: Vec::new(),
        };
        let plan = Uv.plan(&request, &lock).unwrap();
        let Action::Run(run) = plan.steps.last().unwrap().action.clone() else {
            panic!("{plan:?}")
        };
        run.offline.unwrap().downloads
    };
    let first = downloads("3.11.7", "aa");
    assert_eq!(first.len(), 1);
    assert_eq!(downloads("3.11.7", "aa"), first);
    assert_ne!(downloads("3.11.7", "ab"), first);
    assert_ne!(downloads("3.12.1", "aa"), first);
}

#[test]
fn builds_have_the_network_only_where_that_is_asked_for_or_git_needs_it() {
    const WHEEL: &str = "wheels = [{ url = 'https://h.org/six.whl' }]";
    const REPOSITORY: &str = "vcs = { type = 'git', url = 'https://h.org/six', commit-id = '1' }";
    let solving = |request: &Request| match question(request) {
        Question::Tool { run, .. } => run.network,
        other @ Question::Http { .. } => panic!("{other:?}"),
    };
    let building = |request: &Request, package: &str| {
        let plan = Uv.plan(request, &lock_of(package)).unwrap();
        match &plan.steps.last().unwrap().action {
            Action::Run(run) => run.network,
            other => panic!("{other:?}"),
        }
    };
    let plain = request(json!({"packages": ["six"]}), []);
    let open = request(json!({"packages": ["six"], "build-network": true}), []);
    let of_git = request(json!({"packages": ["six @ git+https://h.org/six"]}), []);
    assert_eq!(solving(&plain), NetworkUse::Program);
    assert_eq!(building(&plain, WHEEL), NetworkUse::Program);
    for request in [&open, &of_git] {
        assert_eq!(solving(request), NetworkUse::Everyone);
    }
    assert_eq!(building(&open, WHEEL), NetworkUse::Everyone);
    assert_eq!(building(&plain, REPOSITORY), NetworkUse::Everyone);
}

#[test]
fn an_empty_list_needs_no_question_and_no_install() {
    let request = request(json!({"packages": []}), []);
    let Solve::Done(lock) = Uv.solve(&request, None, &[]).unwrap() else {
        panic!("it asks")
    };
    assert_eq!(Uv.plan(&request, &lock).unwrap().steps.len(), 1);
}

#[test]
fn locks_that_do_not_fit_are_refused() {
    let with = request(json!({"packages": ["./lib"]}), [digest("lib", "2")]);
    let mut lock = Lock {
        backend: "pip".to_owned(),
        revision: 1,
        content: json!({}),
        packages: Vec::new(),
    };
    assert_eq!(Uv.plan(&with, &lock).unwrap_err().code(), "uv.lock.foreign");
    let old = wrun_core::id::Digest::of(b"1").to_string();
    lock.backend = "uv".to_owned();
    lock.content = json!({"folder": "", "pylock": "", "sources": [{"path": "lib", "place": "sources/0", "digest": old}]});
    assert_eq!(Uv.plan(&with, &lock).unwrap_err().code(), "python.lock.changed");
}

#[test]
fn tools_and_inputs() {
    let known = [text(
        "main.py",
        "# /// script\n# requires-python = '>=3.12'\n# ///\n",
    )]
    .into();
    let needs = Uv.needs(&json!({"script": "main.py"}), &known).unwrap();
    assert_eq!(
        needs.tools[0].kind,
        ToolKind::Python {
            request: Some(">=3.12".to_owned())
        }
    );
    assert!(
        matches!(&needs.tools[1].kind, ToolKind::Program { minimum: Some(minimum), .. } if minimum == "0.8.0")
    );
    assert_eq!(needs.inputs.len(), 2);
}

#[test]
fn only_commands_run_in_it() {
    let lock = Lock {
        backend: "uv".to_owned(),
        revision: 1,
        content: json!({}),
        packages: Vec::new(),
    };
    let Launch::Native { search_path, .. } = Uv.enter(&lock, TaskKind::Command).unwrap() else {
        panic!("not native")
    };
    assert_eq!(search_path, [Place::new(Root::Prefix, "bin")]);
    assert_eq!(
        Uv.enter(&lock, TaskKind::Module).unwrap_err().code(),
        "uv.module.unsupported"
    );
}

#[test]
fn the_schema_and_the_short_form_agree() {
    let manifest = Uv.manifest();
    let short = manifest.short_form.unwrap();
    assert!(manifest.schema["properties"].get(&short).is_some());
    assert_eq!(manifest.schema["additionalProperties"], json!(false));
}

#[test]
fn an_old_interpreter_is_told() {
    let mut request = request(json!({"packages": ["six"]}), []);
    request.tools[0].version = "3.6.15".to_owned();
    let problem = Uv.canonicalize(&request).unwrap_err();
    assert_eq!(problem.code(), "uv.python.old");
    assert!(problem.to_string().contains("3.6.15"), "{problem}");
    request.tools[0].version = "3.7.0+".to_owned();
    assert!(Uv.canonicalize(&request).is_ok());
}
