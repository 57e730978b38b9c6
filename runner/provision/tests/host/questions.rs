//! Questions of backends, over HTTP and to tools, with everything that goes wrong there.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Reply, Server, World, request, shell};
use wrun_core::host::Host as _;
use wrun_core::plan::{Login, NetworkUse, Offline, Place, Program, Word};
use wrun_core::problem::Problem;
use wrun_core::question::{Answer, Question, Refusal};
use wrun_provision::EnvironmentCredentials;

fn get(url: &str) -> Question {
    Question::Http {
        url: url.to_owned(),
        headers: Vec::new(),
        credential: None,
        maximum_bytes: 1000,
    }
}

async fn ask(world: &mut World, question: Question) -> Result<Answer, Problem> {
    Ok(world.host().ask(&request(), &[question]).await?.remove(0))
}

fn ok(body: &str) -> Reply {
    Reply::Status(200, body.as_bytes().to_vec())
}

fn http(status: u16, body: &str) -> Answer {
    Answer::Http {
        status,
        body: body.as_bytes().to_vec(),
    }
}

fn refusal(answer: Result<Answer, Problem>) -> Refusal {
    match answer {
        Ok(Answer::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_status_that_says_no_is_an_answer_and_is_not_asked_again() {
    let server = Server::start(vec![Reply::Status(404, b"none".to_vec())]).await;
    assert_eq!(
        ask(&mut World::new(), get(&server.url)).await,
        Ok(http(404, "none"))
    );
    assert_eq!(server.requests().len(), 1);
    assert!(server.requests()[0].contains("user-agent: wrun/"));
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again() {
    let fails = Reply::Status(500, Vec::new());
    let slow_down = Reply::Full(429, vec![("retry-after", "0".to_owned())], Vec::new());
    let server = Server::start(vec![fails, slow_down, ok("fine")]).await;
    assert_eq!(
        ask(&mut World::new(), get(&server.url)).await,
        Ok(http(200, "fine"))
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_fails_for_good_is_given_up() {
    let server = Server::start(vec![Reply::Status(503, b"down".to_vec())]).await;
    assert_eq!(
        ask(&mut World::new(), get(&server.url)).await,
        Ok(http(503, "down"))
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_again() {
    let server = Server::start(vec![Reply::Cut(b"whole".to_vec(), 3), ok("whole")]).await;
    assert_eq!(
        ask(&mut World::new(), get(&server.url)).await,
        Ok(http(200, "whole"))
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_refused_as_timed_out() {
    let server = Server::start(vec![Reply::Hang]).await;
    let mut world = World::new();
    world.settings.timing.idle = Duration::from_millis(50);
    assert_eq!(
        refusal(ask(&mut world, get(&server.url)).await),
        Refusal::TimedOut
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_unreachable() {
    let gone = Server::start(vec![ok("")]).await.url.clone();
    assert_eq!(
        refusal(ask(&mut World::new(), get(&gone)).await),
        Refusal::Unreachable
    );
    assert_eq!(
        refusal(ask(&mut World::new(), get("ftp://h/x")).await),
        Refusal::Unreachable
    );
}

#[tokio::test]
async fn a_large_answer_is_refused() {
    let server = Server::start(vec![ok(&"x".repeat(1001))]).await;
    assert_eq!(
        refusal(ask(&mut World::new(), get(&server.url)).await),
        Refusal::TooLarge
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn offline_opens_no_connection() {
    let server = Server::start(vec![ok("")]).await;
    let mut world = World::new();
    world.settings.offline = true;
    assert_eq!(refusal(ask(&mut world, get(&server.url)).await), Refusal::Offline);
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_cancelled_question_ends() {
    let server = Server::start(vec![Reply::Hang]).await;
    let mut world = World::new();
    let cancel = world.cancel.clone();
    let host = world.host();
    let asked = [get(&server.url)];
    let cancelled = async {
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let request = request();
    let (answer, ()) = tokio::join!(host.ask(&request, &asked), cancelled);
    assert_eq!(answer, Err(Problem::Cancelled));
}

#[tokio::test]
async fn a_credential_is_sent_and_a_missing_one_is_told() {
    let server = Server::start(vec![ok("")]).await;
    let mut world = World::new();
    let with = |credential: &str| Question::Http {
        url: server.url.clone(),
        headers: vec![("x-test".to_owned(), "value".to_owned())],
        credential: Some(credential.to_owned()),
        maximum_bytes: 10,
    };
    world.credentials = EnvironmentCredentials::from_environment([
        ("WRUN_INDEX_CORP_USERNAME", "ada"),
        ("WRUN_INDEX_CORP_PASSWORD", "pw"),
    ]);
    ask(&mut world, with("corp")).await.unwrap();
    assert!(
        server.requests()[0].contains("authorization: basic ywrhonb3"),
        "{:?}",
        server.requests()
    );
    assert!(server.requests()[0].contains("x-test: value"));
    let problem = ask(&mut world, with("other")).await.unwrap_err();
    assert_eq!(problem.code(), "provision.credential.missing");
    assert!(problem.help().unwrap().contains("WRUN_INDEX_OTHER_PASSWORD"));
}

#[tokio::test]
async fn a_tool_is_asked_in_a_fresh_folder_with_exact_variables() {
    let mut world = World::new();
    world.settings.passthrough = vec![(
        "HTTPS_PROXY".to_owned(),
        "http://u:proxysecret@proxy:1".to_owned(),
    )];
    world.credentials = EnvironmentCredentials::from_environment([("WRUN_INDEX_CORP_PASSWORD", "s3cr3t/x")]);
    let mut run = shell(
        "env > env; cat in; printf '1%%\\r\\033[2J2%%\\n' >&2; echo http://u:proxysecret@proxy:1; ls -A; exit 3",
    );
    run.env = vec![("PLACE".to_owned(), Word::text_place("at:", Place::scratch("in")))];
    run.logins = vec![Login {
        url: "https://h/simple".to_owned(),
        credential: "corp".to_owned(),
    }];
    let question = Question::Tool {
        label: "look".to_owned(),
        run,
        files: vec![("in".to_owned(), "input\n".to_owned())],
        outputs: vec!["env".to_owned(), "none".to_owned()],
    };
    let answer = ask(&mut world, question).await.unwrap();
    let Answer::Tool {
        exit,
        stdout,
        stderr,
        outputs,
    } = answer
    else {
        panic!("{answer:?}")
    };
    assert_eq!(exit, Some(3));
    assert_eq!(stdout, "input\nhttp://u:***@proxy:1\nenv\nin\n");
    assert_eq!(stderr, "1%\n\\u{1b}[2J2%\n");
    let (name, env) = &outputs[0];
    assert_eq!((outputs.len(), name.as_str()), (1, "env"));
    let mut names: Vec<&str> = env
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name) && *name != wrun_process::MARK);
    assert_eq!(
        names,
        ["HOME", "PATH", "PLACE", "TMPDIR"],
        "what does not need the network is told of no proxy, and logged in to nothing"
    );
    assert!(!env.contains("s3cr3t") && !env.contains("proxysecret"), "{env}");
    assert!(
        env.lines()
            .any(|line| line.starts_with("PLACE=at:/") && line.ends_with("/in")),
        "{env}"
    );
}

#[tokio::test]
async fn a_tool_that_takes_too_long_is_refused() {
    let mut run = shell("sleep 1000");
    run.timeout = Duration::from_millis(100);
    let question = Question::Tool {
        label: "wait".to_owned(),
        run,
        files: Vec::new(),
        outputs: Vec::new(),
    };
    assert_eq!(refusal(ask(&mut World::new(), question).await), Refusal::TimedOut);
}

#[tokio::test]
async fn a_tool_that_needs_the_network_is_refused_offline() {
    let mut world = World::new();
    world.settings.offline = true;
    let mut run = shell("touch ran");
    run.network = NetworkUse::Everyone;
    let question = Question::Tool {
        label: "look".to_owned(),
        run,
        files: Vec::new(),
        outputs: Vec::new(),
    };
    assert_eq!(refusal(ask(&mut world, question).await), Refusal::Offline);
}

#[tokio::test]
async fn a_tool_that_can_do_without_is_told_to_stay_offline() {
    let mut world = World::new();
    let mut request = request();
    request.tools[0].id = "uv".to_owned();
    let mut run = shell("echo $UV_OFFLINE");
    run.program = Program::Tool("uv".to_owned());
    run.network = NetworkUse::Everyone;
    run.env = vec![("UV_OFFLINE".to_owned(), "0".into())];
    run.offline = Some(Box::new(Offline {
        variable: "UV_OFFLINE".to_owned(),
        cache: "uv".to_owned(),
        downloads: BTreeSet::new(),
    }));
    let question = Question::Tool {
        label: "look".to_owned(),
        run,
        files: Vec::new(),
        outputs: Vec::new(),
    };
    for (offline, expected) in [(false, "0\n"), (true, "1\n")] {
        world.settings.offline = offline;
        let answers = world
            .host()
            .ask(&request, std::slice::from_ref(&question))
            .await
            .unwrap();
        assert!(
            matches!(&answers[0], Answer::Tool { stdout, .. } if stdout == expected),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn what_the_host_holds_is_held_by_every_process() {
    let (reader, writer) = std::io::pipe().unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&writer);
    let mut world = World::new();
    let host = world.host().holding(vec![writer.into()]);
    let run = shell("for fd in /proc/self/fd/*; do readlink $fd; done");
    let question = Question::Tool {
        label: "look".to_owned(),
        run,
        files: Vec::new(),
        outputs: Vec::new(),
    };
    let answers = host.ask(&request(), &[question]).await.unwrap();
    let pipe = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    let Answer::Tool { stdout, .. } = &answers[0] else {
        panic!("{answers:?}")
    };
    assert!(stdout.lines().any(|line| pipe.as_os_str() == line), "{stdout}");
    drop(reader);
}

#[tokio::test]
async fn a_proxy_of_the_caller_is_used() {
    let server = Server::start(vec![ok("by proxy")]).await;
    let mut world = World::new();
    world.settings.passthrough = vec![
        ("http_proxy".to_owned(), server.url.clone()),
        ("no_proxy".to_owned(), "127.0.0.1".to_owned()),
    ];
    assert_eq!(
        ask(&mut world, get("http://index.invalid/simple")).await,
        Ok(http(200, "by proxy"))
    );
    assert!(
        server.requests()[0].starts_with("get http://index.invalid/simple "),
        "{:?}",
        server.requests()
    );
    let direct = Server::start(vec![ok("direct")]).await;
    assert_eq!(ask(&mut world, get(&direct.url)).await, Ok(http(200, "direct")));
}

#[tokio::test]
async fn a_file_outside_of_the_scratch_folder_is_not_written() {
    let question = Question::Tool {
        label: "look".to_owned(),
        run: shell("true"),
        files: vec![("../out".to_owned(), String::new())],
        outputs: Vec::new(),
    };
    assert_eq!(
        ask(&mut World::new(), question).await.unwrap_err().code(),
        "provision.plan.invalid"
    );
}
