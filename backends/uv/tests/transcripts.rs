//! What uv said, recorded from uv 0.13.9 and (`…-0.8`) 0.8.0, and what it means.

mod common;

use common::{answered, request};
use serde_json::json;
use wrun_core::backend::Request;
use wrun_core::lock::Lock;
use wrun_core::problem::Problem;
use wrun_core::question::{Answer, Refusal};

fn corp(package: &str) -> Request {
    let index =
        json!({"name": "corp", "url": "http://127.0.0.1:8399/auth", "credentials": "corp", "default": true});
    request(json!({"packages": [package], "indexes": [index]}), [])
}

#[expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a fixture of this test"
)]
fn recorded(name: &str, package: &str) -> Result<Lock, Problem> {
    let path = format!("{}/tests/transcripts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    answered(&corp(package), serde_json::from_str(&text).unwrap())
}

#[test]
fn failures_are_told_apart() {
    let mut told = String::new();
    for name in [
        "unknown",
        "no-version",
        "conflict",
        "conflict-0.8",
        "python",
        "unauthorized",
        "unauthorized-0.8",
        "forbidden",
        "server",
        "refused",
        "unknown-host",
        "certificate",
        "timeout",
        "build",
    ] {
        let problem = recorded(name, "pkga").unwrap_err();
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
    unknown: uv.unsatisfiable
    Because emojii was not found in the package registry and you require emojii, we can conclude that your requirements are unsatisfiable.
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    no-version: uv.unsatisfiable
    Because only pkga==1.0 is available and you require pkga>5, we can conclude that your requirements are unsatisfiable.
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    conflict: uv.unsatisfiable
    Because all versions of conf depend on pkga>5 and only pkga==1.0 is available, we can conclude that all versions of conf cannot be used.
    And because you require conf, we can conclude that your requirements are unsatisfiable.
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    conflict-0.8: uv.unsatisfiable
    Because only conf==1.0 is available and conf==1.0 depends on pkga>5, we can conclude that all versions of conf depend on pkga>5.
    And because only pkga==1.0 is available and you require conf, we can conclude that your requirements are unsatisfiable.
    = check the spelling of the name; ask for other versions, or another Python with `python = "3.12"`; a package of a private index needs that index under `indexes`

    python: uv.unsatisfiable
    Because the current Python version (3.10.13) does not satisfy Python>=3.11 and numpy==2.3.0 depends on Python>=3.11, we can conclude that numpy==2.3.0 cannot be used.
    And because you require numpy==2.3.0, we can conclude that your requirements are unsatisfiable.
    = the version of Python does not fit: ask for another one, for instance `python = "3.12"`

    unauthorized: uv.index.unauthorized
    `http://127.0.0.1:8399/auth` does not accept the credential `corp` (401)
    = set `WRUN_INDEX_CORP_USERNAME` and `WRUN_INDEX_CORP_PASSWORD` to a user name and a password or token that the index accepts

    unauthorized-0.8: uv.index.unauthorized
    `http://127.0.0.1:8399/auth` does not accept the credential `corp` (401)
    = set `WRUN_INDEX_CORP_USERNAME` and `WRUN_INDEX_CORP_PASSWORD` to a user name and a password or token that the index accepts

    forbidden: uv.index.forbidden
    `http://127.0.0.1:8399/forbid` does not accept the credential `corp` (403)
    = set `WRUN_INDEX_CORP_USERNAME` and `WRUN_INDEX_CORP_PASSWORD` to a user name and a password or token that the index accepts

    server: uv.index.server
    `http://127.0.0.1:8399/five/pkga/` failed (5xx)
    = try again later; behind a proxy, set `HTTPS_PROXY`

    refused: uv.index.refused
    `http://127.0.0.1:1/simple/pkga/` refuses connections
    = check the port of the address, and whether the server runs

    unknown-host: uv.index.unknown-host
    the host of `https://no-such-host.invalid/simple/pkga/` is not known
    = check the spelling of the address, and whether this machine has a network

    certificate: uv.index.certificate
    the certificate of `https://localhost:8398/simple/pkga/` is not trusted
    = if the index has a certificate of your own authority, set `SSL_CERT_FILE` to the file with that authority's certificate

    timeout: uv.index.timeout
    `http://127.0.0.1:8399/hang/pkga/` does not answer
    = try again later, or wait longer: set `WRUN_HTTP_TIMEOUT`, for instance `5m`; behind a proxy, set `HTTPS_PROXY`

    build: uv.build.failed
    a package could not be built from its source
    The build backend returned an error
    Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)
    [stderr]
    no compiler was found
    = read what the build said: often a compiler or a header is missing, or the package has no wheel for this version of Python: try another one with `python = "3.12"`
    "#);
}

#[test]
fn a_lock_is_read() {
    let mut lock = recorded("authorized", "pkga").unwrap();
    lock.content = common::sorted(&lock.content);
    insta::assert_snapshot!(serde_json::to_string_pretty(&lock).unwrap(), @r#"
    {
      "backend": "uv",
      "revision": 1,
      "content": {
        "folder": "",
        "pylock": "lock-version = \"1.0\"\ncreated-by = \"uv\"\nrequires-python = \">=3.11.7\"\n\n[[packages]]\nname = \"pkga\"\nversion = \"1.0\"\nwheels = [{ url = \"http://127.0.0.1:8399/auth/files/pkga-1.0-py3-none-any.whl\", hashes = { sha256 = \"41e214973d51b454618e3653893a53d42715e2043d780f8da779c33dcd0eb0ee\" } }]\n",
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

fn pylock(text: &str) -> Answer {
    let outputs = vec![("pylock.wrun.toml".to_owned(), text.to_owned())];
    Answer::Tool {
        exit: Some(0),
        stdout: String::new(),
        stderr: String::new(),
        outputs,
    }
}

const TWO_FILES: &str = "lock-version = '1.0'\n[[packages]]\nname = 'emoji'\nversion = '2.16.0'\n\
    sdist = { url = 'https://u:hunter2@h.org/emoji.tar.gz', size = 20, hashes = { sha256 = 'aa' } }\n\
    wheels = [{ url = 'https://h.org/emoji.whl', size = 10, hashes = { sha256 = 'bb' } }]\n";

#[test]
fn digests_of_requirements_choose_files() {
    let with = |spec: serde_json::Value| answered(&request(spec, []), pylock(TWO_FILES));
    let lock = with(json!({"packages": ["emoji==2.16.0 --hash=sha256:bb"]})).unwrap();
    let text = lock.content["pylock"].as_str().unwrap();
    assert!(
        text.contains("emoji.whl") && !text.contains("emoji.tar.gz"),
        "{text}"
    );
    assert_eq!(
        with(json!({"packages": ["emoji==2.16.0 --hash=sha256:cc"]}))
            .unwrap_err()
            .code(),
        "uv.hash.mismatch"
    );
    let missing = with(json!({"packages": ["six==1.0 --hash=sha256:bb"], "require-hashes": true}));
    assert_eq!(missing.unwrap_err().code(), "uv.hash.missing");
}

#[test]
fn no_password_gets_into_a_lock() {
    let lock = answered(&request(json!({"packages": ["emoji"]}), []), pylock(TWO_FILES)).unwrap();
    assert!(!serde_json::to_string(&lock).unwrap().contains("hunter2"));
}

#[test]
fn answers_that_are_none() {
    let emoji = request(json!({"packages": ["emoji"]}), []);
    let code = |answer: Answer| answered(&emoji, answer).unwrap_err().code().to_owned();
    let tool = |exit: Option<i32>, stderr: &str| Answer::Tool {
        exit,
        stdout: String::new(),
        stderr: stderr.to_owned(),
        outputs: Vec::new(),
    };
    assert_eq!(code(tool(Some(0), "")), "uv.lock.missing");
    assert_eq!(code(pylock("not = toml = at all")), "uv.lock.syntax");
    assert_eq!(code(tool(None, "")), "uv.solve.failed");
    let stale = "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.";
    assert_eq!(code(tool(Some(1), stale)), "uv.lock.stale");
    let refused = |refusal| Answer::Refused {
        refusal,
        message: "no".to_owned(),
    };
    assert_eq!(code(refused(Refusal::Offline)), "uv.offline");
    assert_eq!(code(refused(Refusal::TimedOut)), "uv.timeout");
    assert_eq!(code(refused(Refusal::Cancelled)), "cancelled");
}
