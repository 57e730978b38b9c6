//! What is in a key, and what is not.

mod common;

use common::{digest, id, key, request, text};
use serde_json::{Value, json};
use wrun_core::backend::PlanBackend as _;

/// One golden value for each field: the form and the id must never change without a new canonical revision.
#[test]
fn every_field_has_its_golden_form() {
    insta::assert_snapshot!(key(&request(json!({"packages": []}), [])), @"{} nzovlpvu6xqj2p2423yyvzibxc2elmbf");
    insta::assert_snapshot!(key(&request(json!({"packages": ["Emoji >=2", "requests[socks]"]}), [])), @r#"{"requirements":["emoji>=2","requests[socks]"]} i3reftl7l5bgbppjxyzscsvexuzuuk5z"#);
    insta::assert_snapshot!(key(&request(json!({"packages": ["./lib"]}), [digest("lib", "1")])), @r#"{"requirements":[{"digest":"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b","requirement":"lib"}]} oovr42mvj7yrah6hrkuiycjehb5pfkiv"#);
    insta::assert_snapshot!(
        key(&request(json!({"requirements": "r.txt"}), [text("r.txt", "six # note\n-c c.txt\n"), text("c.txt", "six<2")])),
        @r#"{"constraints":["six<2"],"requirements":["six"]} ciieintubzzhi7drl3urffi7s4u2mw4u"#
    );
    insta::assert_snapshot!(
        key(&request(json!({"packages": ["six"], "constraints": "c.txt"}), [text("c.txt", "six<2")])), @r#"{"constraints":["six<2"],"requirements":["six"]} ciieintubzzhi7drl3urffi7s4u2mw4u"#
    );
    insta::assert_snapshot!(key(&request(json!({"packages": ["six"], "python": "3.11"}), [])), @r#"{"python":"3.11","requirements":["six"]} thissslhlh2a6uxmutybiidjmkmo5qyj"#);
    insta::assert_snapshot!(
        key(&request(json!({"packages": [], "indexes": [
            "https://a.org/simple",
            {"name": "corp", "url": "https://b.org/simple", "credentials": "corp", "default": true},
        ]}), [])),
        @r#"{"indexes":[{"url":"https://a.org/simple"},{"default":true,"url":"https://b.org/simple"}]} wwjfrl7ineyjgkxkleuyub37aawaqyi5"#
    );
    insta::assert_snapshot!(
        key(&request(json!({"packages": [], "find-links": ["wheels", "https://a.org/w"]}), [digest("wheels", "1")])),
        @r#"{"find_links":["https://a.org/w",{"digest":"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b","folder":"wheels"}]} dnd2y3gj6skjxwgon6mhylbj72phxvf4"#
    );
    insta::assert_snapshot!(key(&request(json!({"packages": [], "exclude-newer": "2024-01-31"}), [])), @r#"{"exclude_newer":"2024-02-01T00:00:00Z"} i6cssp4y25xpex54q6jezixtw76powco"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "no-build": ["A.b"]}), [])), @r#"{"no_build":["a-b"]} lwjfiyimq7hlz6wf76yp45v7ganu2ugq"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "build-network": true}), [])), @r#"{"build_network":true} 6auyb3kqy7tmkjofxmrtwd4i5ebsn35t"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "prerelease": "allow"}), [])), @r#"{"prerelease":"allow"} gil2gj6n7qutcodbi55k4fnqpkr3b52y"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "require-hashes": true}), [])), @r#"{"require_hashes":true} kpmwom2eocptxzjkpadczllz2kd7j53z"#);
    insta::assert_snapshot!(key(&request(json!({"packages": [], "variables": {"CFLAGS": "-O2"}}), [])), @r#"{"variables":{"CFLAGS":"-O2"}} v2i4se3kuptzqjaxi2nt6cjjvqoenddi"#);
}

#[test]
fn the_whole_form_of_a_request() {
    let canonical = wrun_backend_pip::Pip
        .canonicalize(&request(json!({"packages": ["emoji"]}), []))
        .unwrap();
    insta::assert_snapshot!(canonical.form, @r#"{"backend":"pip","interpreter":{"libc":"glibc-2.36","machine":{"arch":"x86_64","os":"linux"},"markers":{"python_full_version":"3.11.7","sys_platform":"linux"},"platform":"linux-x86_64","soabi":"cpython-311-x86_64-linux-gnu"},"requirements":["emoji"],"revision":1}"#);
}

#[test]
fn same_meaning_is_same_id() {
    let hashed = "a==1 --hash=sha256:bb";
    let same: [(Value, Value); 5] = [
        (
            json!({"packages": ["a", "b"]}),
            json!({"packages": ["B", "a", "A"]}),
        ),
        (
            json!({"packages": ["a"], "no-build": false}),
            json!({"packages": ["a"], "require-hashes": false}),
        ),
        (
            json!({"packages": ["a"]}),
            json!({"packages": ["a"], "build-network": false}),
        ),
        (
            json!({"packages": [hashed]}),
            json!({"packages": [hashed], "require-hashes": true}),
        ),
        (
            json!({"packages": ["a"], "indexes": [{"url": "https://a.org/simple", "credentials": "x"}]}),
            json!({"packages": ["a"], "indexes": ["https://a.org/simple/"]}),
        ),
    ];
    for (one, two) in same {
        assert_eq!(id(one.clone()), id(two.clone()), "{one} and {two}");
    }
}

#[test]
fn different_meaning_is_different_id() {
    for other in [
        json!({"packages": ["a>1"]}),
        json!({"packages": ["a"], "python": "3.11"}),
        json!({"packages": ["a"], "indexes": ["https://a.org/simple"]}),
        json!({"packages": ["a"], "prerelease": "allow"}),
        json!({"packages": ["a"], "no-build": true}),
        json!({"packages": ["a"], "build-network": true}),
        json!({"packages": ["a"], "variables": {"X": "1"}}),
    ] {
        assert_ne!(id(json!({"packages": ["a"]})), id(other.clone()), "{other}");
    }
    let local = |content: &str| key(&request(json!({"packages": ["./lib"]}), [digest("lib", content)]));
    assert_ne!(local("1"), local("2"));
}
