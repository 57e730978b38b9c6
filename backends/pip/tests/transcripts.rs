//! What pip said, recorded from pip 26.3 with the log cut to its telling lines, and what it means.

mod common;

use common::{answered, request};
use serde_json::json;
use wrun_core::backend::Request;
use wrun_core::lock::Lock;
use wrun_core::problem::Problem;
use wrun_core::question::{Answer, Refusal};

fn corp() -> Request {
    let index =
        json!({"name": "corp", "url": "http://127.0.0.1:8399/auth", "credentials": "corp", "default": true});
    request(json!({"packages": ["pkga"], "indexes": [index]}), [])
}

#[expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a fixture of this test"
)]
fn recorded(name: &str) -> Result<Lock, Problem> {
    let path = format!("{}/tests/transcripts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    answered(&corp(), serde_json::from_str(&text).unwrap())
}

#[test]
fn failures_are_told_apart() {
    let mut told = String::new();
    for name in [
        "unknown",
        "no-version",
        "conflict",
        "python",
        "unauthorized",
        "forbidden",
        "server",
        "refused",
        "unknown-host",
        "certificate",
        "timeout",
        "hash",
        "build",
    ] {
        let problem = recorded(name).unwrap_err();
        told.extend([
            name,
            ": ",
            problem.code(),
            "\n",
            &problem.to_string(),
            "\n= ",
            problem.help().unwrap(),
            "\n\n",
        ]);
    }
    insta::assert_snapshot!(told, @r#"
    unknown: pip.unsatisfiable
    no index has a file of `emojii` that this Python can use
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    no-version: pip.unsatisfiable
    no version fits `pkga>5`; the newest that this Python can use: 1.0
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    conflict: pip.unsatisfiable
    these contradict each other:
    The user requested pkga
    conf 1.0 depends on pkga>5
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    python: pip.unsatisfiable
    no version fits `numpy==2.3.0`; the newest that this Python can use: 2.2.6, 2.2.5, 2.2.4
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    unauthorized: pip.index.unauthorized
    `http://127.0.0.1:8399/auth/pkga/` does not accept the credential `corp` (401)
    = set `WRUN_INDEX_CORP_USERNAME` and `WRUN_INDEX_CORP_PASSWORD` to a user name and a password or token that the index accepts

    forbidden: pip.index.forbidden
    `http://127.0.0.1:8399/forbid/pkga/` does not accept the credential `corp` (403)
    = set `WRUN_INDEX_CORP_USERNAME` and `WRUN_INDEX_CORP_PASSWORD` to a user name and a password or token that the index accepts

    server: pip.index.server
    `http://127.0.0.1:8399/five/pkga/` failed (5xx)
    = try again later; behind a proxy, set `HTTPS_PROXY`

    refused: pip.index.refused
    `http://127.0.0.1:1/simple/pkga/` refuses connections
    = check the port of the address, and whether the server runs

    unknown-host: pip.index.unknown-host
    the host of `https://no-such-host.invalid/simple/pkga/` is not known
    = check the spelling of the address, and whether this machine has a network

    certificate: pip.index.certificate
    the certificate of `https://localhost:8398/simple/pkga/` is not trusted
    = if the index has a certificate of your own authority, set `SSL_CERT_FILE` to the file with that authority's certificate

    timeout: pip.index.timeout
    `http://127.0.0.1:8399/hang/pkga/` does not answer
    = try again later, or wait longer: set `WRUN_HTTP_TIMEOUT`, for instance `5m`; behind a proxy, set `HTTPS_PROXY`

    hash: pip.hash.mismatch
    a file is not what its digest says
    ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, please update the hashes. Otherwise, examine the package contents carefully; someone may have tampered with them.
        badhash from http://127.0.0.1:8399/ok/files/badhash-1.0-py3-none-any.whl#sha256=0000000000000000000000000000000000000000000000000000000000000000 (from -r wrun.in (line 1)):
            Expected sha256 0000000000000000000000000000000000000000000000000000000000000000
                 Got        0a376c2369f3963a2159e13b3918eb183d08439c92022c9fc19bddf241d17dc5
    = solve again with `--refresh`; if it stays, the file was changed on its server: do not use it

    build: pip.build.failed
    a package could not be built from its source
    no compiler was found
    = read what the build said: often a compiler or a header is missing, or the package has no wheel for this version of Python: try another one with `python = "3.12"`
    "#);
}

#[test]
fn a_report_becomes_a_lock() {
    let mut lock = recorded("authorized").unwrap();
    lock.content = common::sorted(&lock.content);
    insta::assert_snapshot!(serde_json::to_string_pretty(&lock).unwrap(), @r#"
    {
      "backend": "pip",
      "revision": 1,
      "content": {
        "packages": [
          {
            "from": "index",
            "name": "pkga",
            "sha256": "41e214973d51b454618e3653893a53d42715e2043d780f8da779c33dcd0eb0ee",
            "url": "http://127.0.0.1:8399/auth/files/pkga-1.0-py3-none-any.whl",
            "version": "1.0"
          }
        ],
        "python": "3.11.7",
        "sources": [],
        "variables": {}
      },
      "packages": [
        {
          "name": "pkga",
          "version": "1.0",
          "source": "http://127.0.0.1:8399/auth/files/pkga-1.0-py3-none-any.whl",
          "digest": "sha256:41e214973d51b454618e3653893a53d42715e2043d780f8da779c33dcd0eb0ee"
        }
      ]
    }
    "#);
}

fn report(text: &str) -> Answer {
    let outputs = vec![("wrun-report.json".to_owned(), text.to_owned())];
    Answer::Tool {
        exit: Some(0),
        stdout: String::new(),
        stderr: String::new(),
        outputs,
    }
}

#[test]
fn origins_of_packages() {
    let spec = json!({"packages": ["./lib", "./a-1.0-py3-none-any.whl", "v @ git+https://h.org/v", "u @ https://h.org/u.whl"]});
    let inputs = [
        common::digest("lib", "1"),
        common::digest("a-1.0-py3-none-any.whl", "2"),
    ];
    let item = |name: &str, info: serde_json::Value| json!({"metadata": {"name": name, "version": "1.0"}, "download_info": info, "is_direct": true});
    let text = json!({"version": "1", "install": [
        item("Lib", json!({"url": "file:///scratch/sources/1", "dir_info": {}})),
        item("a", json!({"url": "file:///scratch/sources/0/a-1.0-py3-none-any.whl", "archive_info": {"hashes": {"sha256": "aa"}}})),
        item("v", json!({"url": "https://u:hunter2@h.org/v", "vcs_info": {"vcs": "git", "commit_id": "c0"}, "subdirectory": "s"})),
        item("u", json!({"url": "https://h.org/u.whl", "archive_info": {"hashes": {"sha256": "bb"}}})),
    ]});
    let lock = answered(&request(spec, inputs), report(&text.to_string())).unwrap();
    assert!(!serde_json::to_string(&lock).unwrap().contains("hunter2"));
    insta::assert_snapshot!(common::sorted(&lock.content["packages"]), @r#"[{"from":"archive","name":"a","place":"sources/0/a-1.0-py3-none-any.whl","sha256":"aa","version":"1.0"},{"from":"folder","name":"lib","place":"sources/1","version":"1.0"},{"from":"url","name":"u","sha256":"bb","url":"https://h.org/u.whl","version":"1.0"},{"commit":"c0","from":"commit","name":"v","subdirectory":"s","url":"https://h.org/v","vcs":"git","version":"1.0"}]"#);
}

#[test]
fn answers_that_are_none() {
    let code = |answer: Answer| answered(&corp(), answer).unwrap_err().code().to_owned();
    let tool = |exit: Option<i32>| Answer::Tool {
        exit,
        stdout: String::new(),
        stderr: String::new(),
        outputs: Vec::new(),
    };
    assert_eq!(code(tool(Some(0))), "pip.report.missing");
    assert_eq!(code(tool(None)), "pip.solve.failed");
    assert_eq!(code(report("{")), "pip.report.syntax");
    assert_eq!(
        code(report(r#"{"version": "2", "install": []}"#)),
        "pip.report.syntax"
    );
    let item = r#"{"metadata": {"name": "x", "version": "1"}, "download_info": {"url": "https://h.org/x", "archive_info": {}}}"#;
    assert_eq!(
        code(report(&format!(r#"{{"version": "1", "install": [{item}]}}"#))),
        "pip.hash.missing"
    );
    assert_eq!(
        code(Answer::Refused {
            refusal: Refusal::Offline,
            message: "no".to_owned()
        }),
        "pip.offline"
    );
}
