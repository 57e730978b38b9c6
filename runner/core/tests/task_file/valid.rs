//! Files that are understood.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use wrun_core::net::Net;
use wrun_core::outcome::OutcomeClass;
use wrun_core::task::{Origin, Run, Task, Variable, parse, schema};

use crate::support::{FULL, backends, origin, parse_with_backends, rendered};

fn task(text: &str) -> Task {
    parse_with_backends(text).unwrap().task
}

#[test]
fn every_key_is_understood() {
    let parsed = parse_with_backends(FULL).unwrap();
    assert!(parsed.warnings.is_empty());
    let task = parsed.task;
    assert_eq!(task.name, "greet");
    assert_eq!(task.base, PathBuf::from("/home/me/project"));
    assert_eq!(
        task.run,
        Run::Command(["python", "main.py", "--loud"].map(str::to_owned).to_vec())
    );
    assert_eq!(task.dir, PathBuf::from("src"));
    let env = task.env.unwrap();
    assert_eq!(env.backend, "uv");
    assert_eq!(
        env.spec,
        json!({
            "packages": ["emoji>=2", "rich"],
            "python": "3.11",
            "released": "2024-01-01",
            "index": [{ "name": "inner", "url": "https://example.org/simple" }],
        })
    );
    assert_eq!(task.vars["GREETING"], Variable::Value("hi".to_owned()));
    assert_eq!(task.vars["TOKEN"], Variable::FromCaller("API_TOKEN".to_owned()));
    assert_eq!(
        task.allow.read,
        [PathBuf::from("data"), PathBuf::from("/etc/hosts")]
    );
    assert_eq!(task.allow.write, [PathBuf::from("out")]);
    assert!(matches!(&task.allow.net, Net::Listed(rules) if rules.len() == 3));
    assert_eq!(task.limits.time, Some(Duration::from_secs(90)));
    assert_eq!(task.limits.memory, Some(1 << 30));
    assert_eq!(task.limits.processes, Some(64));
    assert_eq!(task.limits.output, Some(64 << 20));
    assert_eq!(task.retry.attempts, 3);
    assert!(
        task.retry
            .on
            .iter()
            .eq(&[OutcomeClass::Exit, OutcomeClass::Timeout])
    );
    assert_eq!(task.retry.delay, Duration::from_millis(500));
}

#[test]
fn the_smallest_file_is_the_command_alone() {
    assert_eq!(
        task("run.command = ['true']"),
        Task::command("task", "/home/me/project", vec!["true".to_owned()])
    );
    assert_eq!(
        task("[run]\nmodule = 'a.wasm'\nargs = ['x']\n[env]\n[vars]\n[allow]\nnet = false\n[limits]"),
        Task::module("task", "/home/me/project", "a.wasm", vec!["x".to_owned()])
    );
}

#[test]
fn the_short_form_is_the_member_it_stands_for() {
    let short = task("run.command = ['a']\n[env]\nuv = ['emoji']\n");
    let long = task("run.command = ['a']\n[env.uv]\npackages = ['emoji']\n");
    assert_eq!(short, long);
}

#[test]
fn the_net_is_nothing_something_or_all() {
    let net = |rule: &str| {
        task(&format!("run.command = ['a']\nallow.net = {rule}"))
            .allow
            .net
    };
    assert_eq!(net("true"), Net::All);
    assert_eq!(net("false"), Net::None);
    assert_eq!(net("[]"), Net::None);
    assert!(matches!(net("['a:1']"), Net::Listed(_)));
}

#[test]
fn a_task_is_named_after_its_file() {
    for (file, name) in [
        ("greet.toml", "greet"),
        ("a/b.task.toml", "b.task"),
        ("<stdin>", "task"),
        ("", "task"),
    ] {
        let origin = Origin {
            name: file.to_owned(),
            ..origin()
        };
        assert_eq!(
            parse("run.command = ['a']", &origin, &[]).unwrap().task.name,
            name,
            "{file}"
        );
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let text =
        "[run]\ncommand = ['python main.py']\n[allow]\nread = ['a']\nwrite = ['a']\n[retry]\nattempts = 1\n";
    let parsed = parse_with_backends(text).unwrap();
    insta::assert_snapshot!("warnings", rendered(text, &parsed.warnings));
}

#[test]
fn a_file_that_is_understood_agrees_with_the_schema() {
    let validator = jsonschema::draft202012::options()
        .build(&schema(&backends()))
        .unwrap();
    for text in [
        FULL,
        "run.command = ['a']",
        "run.module = 'a'\n[env]\nuv = []\n[allow]\nnet = true\n",
    ] {
        assert!(parse_with_backends(text).is_ok());
        let json = serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap());
        let errors: Vec<String> = validator
            .iter_errors(&json.unwrap())
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn the_default_delay_of_the_schema_is_the_model_s() {
    let schema = schema(&[]);
    let written = schema["$defs"]["RetryFile"]["properties"]["delay"]["default"]
        .as_str()
        .unwrap();
    let task = task("run.command = ['a']\n[retry]\nattempts = 2\non = ['exit']\n");
    assert_eq!(humantime::parse_duration(written).unwrap(), task.retry.delay);
}
