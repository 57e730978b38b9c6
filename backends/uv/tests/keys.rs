//! What is in a key, and what is not.

mod common;

use common::{digest, id, key, optional, request, text};
use serde_json::{Value, json};
use wrun_core::backend::{Input, InputRequest, PlanBackend as _, Request};

/// One golden value for each field: the form and the id must never change without a new canonical revision.
#[test]
fn every_field_has_its_golden_form() {
    insta::assert_snapshot!(key(&request(json!({"packages": []}), [])), @"{} uecblwxl26kyztw6mquu5xhmgzs626y6");
    insta::assert_snapshot!(key(&request(json!({"packages": ["Emoji >=2", "requests[socks]"]}), [])), @r#"{"requirements":["emoji>=2","requests[socks]"]} sf4povxnrfbbybiqssk36nrivjk552az"#);
    insta::assert_snapshot!(key(&request(json!({"packages": ["./lib"]}), [digest("lib", "1")])), @r#"{"requirements":[{"digest":"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b","requirement":"lib"}]} llxg2hu4qkbd4fcrgxcvoeyo4avu7ulc"#);
    insta::assert_snapshot!(
        key(&request(json!({"requirements": "r.txt"}), [text("r.txt", "six # note\n-c c.txt\n"), text("c.txt", "six<2")])),
        @r#"{"constraints":["six<2"],"requirements":["six"]} tdjyq4f7subvxdm43o2dwzzyusrzh2xi"#
    );
    insta::assert_snapshot!(
        key(&request(json!({"packages": ["six"], "constraints": "c.txt"}), [text("c.txt", "six<2")])), @r#"{"constraints":["six<2"],"requirements":["six"]} tdjyq4f7subvxdm43o2dwzzyusrzh2xi"#
    );
    insta::assert_snapshot!(
        key(&request(json!({"packages": ["six"], "overrides": "o.txt"}), [text("o.txt", "six<2")])), @r#"{"overrides":["six<2"],"requirements":["six"]} rbh4m3gfa7dwwixvtkxkotdb5giafxob"#
    );
    insta::assert_snapshot!(key(&request(json!({"packages": ["six"], "python": "3.11"}), [])), @r#"{"python":"3.11","requirements":["six"]} ly7udcc7z2gfoyafutcqp46442qsjhsl"#);
    insta::assert_snapshot!(
        key(&request(json!({"packages": [], "indexes": [
            "https://a.org/simple",
            {"name": "corp", "url": "https://b.org/simple", "credentials": "corp", "default": true},
        ]}), [])),
        @r#"{"indexes":[{"url":"https://a.org/simple"},{"default":true,"url":"https://b.org/simple"}]} rns2k3ghrboen4lovnyjes2mejxap2ua"#
    );
    insta::assert_snapshot!(
        key(&request(json!({"packages": [], "find-links": ["wheels", "https://a.org/w"]}), [digest("wheels", "1")])),
        @r#"{"find_links":["https://a.org/w",{"digest":"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b","folder":"wheels"}]} nt3e6c2st25yqvzpr44lyj6mmsnpz4xz"#
    );
    insta::assert_snapshot!(key(&request(json!({"packages": [], "exclude-newer": "2024-01-31"}), [])), @r#"{"exclude_newer":"2024-02-01T00:00:00Z"} rr75x3zbwgnexuw7zkd3glkyc354ug2a"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "no-build": ["A.b"]}), [])), @r#"{"no_build":["a-b"]} h6gzzkkj4wpcxelknifxroedqrs5yo5k"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "build-network": true}), [])), @r#"{"build_network":true} 6kqiklwh4pncxukepnui442d5b7du7jz"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "prerelease": "allow"}), [])), @r#"{"prerelease":"allow"} 6sce6fzn3nijazdf2tadfhxwzj2ouox3"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "require-hashes": true}), [])), @r#"{"require_hashes":true} cdxoeuyzgfbldn5wuujjmlbmlzpybbpz"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "variables": {"CFLAGS": "-O2"}}), [])), @r#"{"variables":{"CFLAGS":"-O2"}} ev2zngsnwzquf3t47ijpjyasmoispnzv"#);
    insta::assert_snapshot!(key(&request(json!({"project": ".", "extras": ["X"], "groups": ["dev"]}), project("1"))), @r#"{"extras":["x"],"groups":["dev"],"project":{"files":{"pyproject.toml":"sha256:c99b7e4b944721661c02370d90302e881ca9108645dd3e7b89906fd6746c16d6","uv.lock":"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"},"folder":"."},"python":">=3.10"} 6bljyfb3mtplx6ilxdroutfvkib7ihir"#);
    insta::assert_snapshot!(
        key(&request(json!({"script": "main.py"}), script("# dependencies = ['emoji']\n", "print(1)"))), @r#"{"script":{"metadata":{"dependencies":["emoji"]}}} 652ar42fel24mmyijjosfcpg3xeu2los"#
    );
}

fn project(lock: &str) -> [(InputRequest, Input); 3] {
    let pyproject = "[project]\nname = 'p'\nversion = '1'\nrequires-python = '>=3.10'\n\
                     optional-dependencies = { x = [] }\n[dependency-groups]\ndev = []\n";
    [
        text("pyproject.toml", pyproject),
        optional("uv.lock", Some(lock)),
        optional("uv.toml", None),
    ]
}

fn script(metadata: &str, body: &str) -> [(InputRequest, Input); 2] {
    let content = format!("# /// script\n{metadata}# ///\n{body}\n");
    [text("main.py", &content), optional("main.py.lock", None)]
}

#[test]
fn the_whole_form_of_a_request() {
    let canonical = wrun_backend_uv::Uv
        .canonicalize(&request(json!({"packages": ["emoji"]}), []))
        .unwrap();
    insta::assert_snapshot!(canonical.form, @r#"{"backend":"uv","interpreter":{"libc":"glibc-2.36","machine":{"arch":"x86_64","os":"linux"},"markers":{"python_full_version":"3.11.7","sys_platform":"linux"},"platform":"linux-x86_64","soabi":"cpython-311-x86_64-linux-gnu"},"requirements":["emoji"],"revision":1}"#);
}

#[test]
fn same_meaning_is_same_id() {
    let same: [(Value, Value); 8] = [
        (
            json!({"packages": ["a", "b"]}),
            json!({"packages": ["B", "a", "A"]}),
        ),
        (
            json!({"packages": ["a>=1,<2"]}),
            json!({"packages": ["a <2, >=1"]}),
        ),
        (
            json!({"packages": ["a"], "no-build": false}),
            json!({"packages": ["a"]}),
        ),
        (
            json!({"packages": ["a"], "build-network": false}),
            json!({"packages": ["a"]}),
        ),
        (
            json!({"packages": ["a"], "indexes": []}),
            json!({"packages": ["a"], "variables": {}}),
        ),
        (
            json!({"packages": ["a"], "exclude-newer": "2024-01-31"}),
            json!({"packages": ["a"], "exclude-newer": "2024-02-01T00:00:00Z"}),
        ),
        (
            json!({"packages": ["a"], "indexes": [{"name": "x", "url": "https://a.org/simple", "credentials": "x"}]}),
            json!({"packages": ["a"], "indexes": ["https://a.org/simple/"]}),
        ),
        (
            json!({"packages": ["a"], "no-build": ["x_y"]}),
            json!({"packages": ["a"], "no-build": ["X-Y"]}),
        ),
    ];
    for (one, two) in same {
        assert_eq!(id(one.clone()), id(two.clone()), "{one} and {two}");
    }
    let listed = request(
        json!({"requirements": ["a.txt"]}),
        [text("a.txt", "--pre\nsix\n")],
    );
    let written = request(json!({"packages": ["six"], "prerelease": "allow"}), []);
    assert_eq!(key(&listed), key(&written));
    let one = request(
        json!({"script": "main.py"}),
        script("# dependencies = ['emoji']\n", "print(1)"),
    );
    let two = request(
        json!({"script": "main.py"}),
        script("# dependencies = ['emoji']\n", "print(2)"),
    );
    assert_eq!(key(&one), key(&two), "what a script does is not what it needs");
}

#[test]
fn different_meaning_is_different_id() {
    let base = json!({"packages": ["a"]});
    for other in [
        json!({"packages": ["a>1"]}),
        json!({"packages": ["a[x]"]}),
        json!({"packages": ["a ; sys_platform == 'win32'"]}),
        json!({"packages": ["a"], "python": "3.11"}),
        json!({"packages": ["a"], "indexes": ["https://a.org/simple"]}),
        json!({"packages": ["a"], "prerelease": "allow"}),
        json!({"packages": ["a"], "no-build": true}),
        json!({"packages": ["a"], "build-network": true}),
        json!({"packages": ["a"], "variables": {"X": "1"}}),
    ] {
        assert_ne!(id(base.clone()), id(other.clone()), "{other}");
    }
    let ordered = |first: &str, second: &str| id(json!({"packages": [], "indexes": [first, second]}));
    assert_ne!(
        ordered("https://a.org/s", "https://b.org/s"),
        ordered("https://b.org/s", "https://a.org/s")
    );
    let local = |content: &str| key(&request(json!({"packages": ["./lib"]}), [digest("lib", content)]));
    assert_ne!(local("1"), local("2"));
    let locked = |lock: &str| key(&request(json!({"project": "."}), project(lock)));
    assert_ne!(locked("1"), locked("2"));
    let mut newer = request(base.clone(), []);
    newer.tools[0]
        .python
        .as_mut()
        .unwrap()
        .markers
        .insert("python_full_version".to_owned(), "3.11.8".to_owned());
    assert_ne!(
        key_with_interpreter(&newer),
        key_with_interpreter(&request(base, []))
    );
}

#[expect(clippy::unwrap_used, reason = "a helper of tests fails by ending the test")]
fn key_with_interpreter(request: &Request) -> String {
    wrun_backend_uv::Uv
        .canonicalize(request)
        .unwrap()
        .form
        .to_string()
}
