//! Fetch steps from a server with faults.

use std::time::Duration;

use crate::support::{Reply, Server, World, checked, give_up, plan, shell, step};
use wrun_core::event::Event;
use wrun_core::id::Digest;
use wrun_core::plan::{Action, Check, Fetch, InstallPlan, Place, Root};

const BODY: &[u8] = b"the whole file";

fn fetch(url: &str) -> Fetch {
    Fetch {
        url: url.to_owned(),
        digest: Digest::of(BODY),
        size: Some(BODY.len() as u64),
        credential: None,
        save_as: "file".to_owned(),
    }
}

/// Fetches a file and reads it as an artifact.
fn fetching(fetch: Fetch) -> InstallPlan {
    let mut run = shell("[ \"$(cat \"$0\")\" = 'the whole file' ]");
    run.args.push(Place::new(Root::Artifact, "file").into());
    checked(
        plan([step("fetch", &[], Action::Fetch(fetch))]),
        Check::Succeeds {
            label: "the file is there".to_owned(),
            run,
        },
    )
}

fn whole() -> Reply {
    Reply::Status(200, BODY.to_vec())
}

fn rest_from(start: usize) -> Reply {
    let range = format!("bytes {start}-{}/{}", BODY.len() - 1, BODY.len());
    Reply::Full(206, vec![("content-range", range)], BODY[start..].to_vec())
}

#[tokio::test]
async fn a_file_is_fetched_once() {
    let server = Server::start(vec![whole()]).await;
    let mut world = World::new();
    assert_eq!(
        world.build(&fetching(fetch(&server.url)), give_up).await.result,
        Ok(())
    );
    assert_eq!(
        world.build(&fetching(fetch(&server.url)), give_up).await.result,
        Ok(())
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_cut() {
    let server = Server::start(vec![Reply::Cut(BODY.to_vec(), 5), rest_from(5)]).await;
    let mut world = World::new();
    assert_eq!(
        world.build(&fetching(fetch(&server.url)), give_up).await.result,
        Ok(())
    );
    let second = &server.requests()[1];
    assert!(second.contains("range: bytes=5-"), "{second}");
    assert!(second.contains("if-range: \"one\""), "{second}");
    let events = world.events.lock().unwrap();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::StepRetried { attempt: 2, .. }))
    );
}

/// As over a line that is cut now and then: what matters is that the file comes nearer.
#[tokio::test]
async fn a_download_that_gets_on_is_not_given_up() {
    const PIECE: usize = 1024 * 1024;
    const PIECES: usize = 6;
    let body = vec![b'x'; PIECE * PIECES];
    let digest = Digest::of(&body);
    let server = Server::routed(move |index, _| match index {
        0 => Reply::Cut(body.clone(), PIECE),
        _ => Reply::CutFrom(body.clone(), PIECE * index, PIECE),
    })
    .await;
    let mut file = fetch(&server.url);
    file.digest = digest;
    file.size = None;
    let plan = plan([step("fetch", &[], Action::Fetch(file))]);
    assert_eq!(World::new().build(&plan, give_up).await.result, Ok(()));
    assert_eq!(server.requests().len(), PIECES);
}

#[tokio::test]
async fn a_server_without_ranges_sends_it_again() {
    let server = Server::start(vec![Reply::Cut(BODY.to_vec(), 5), whole()]).await;
    assert_eq!(
        World::new()
            .build(&fetching(fetch(&server.url)), give_up)
            .await
            .result,
        Ok(())
    );
}

#[tokio::test]
async fn halves_of_two_files_are_fetched_again_as_a_whole() {
    let wrong_half = Reply::Full(
        206,
        vec![("content-range", "bytes 5-13/14".to_owned())],
        b"XXXXXXXXX".to_vec(),
    );
    let server = Server::start(vec![Reply::Cut(BODY.to_vec(), 5), wrong_half, whole()]).await;
    assert_eq!(
        World::new()
            .build(&fetching(fetch(&server.url)), give_up)
            .await
            .result,
        Ok(())
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_later_run_goes_on_with_what_an_earlier_one_got() {
    let server = Server::start(vec![
        Reply::Cut(BODY.to_vec(), 5),
        Reply::Status(503, Vec::new()),
        Reply::Status(503, Vec::new()),
        rest_from(5),
    ])
    .await;
    let mut world = World::new();
    let problem = world
        .build(&fetching(fetch(&server.url)), give_up)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "provision.http.failed");
    assert_eq!(
        world.build(&fetching(fetch(&server.url)), give_up).await.result,
        Ok(())
    );
    assert!(
        server.requests()[3].contains("range: bytes=5-"),
        "{:?}",
        server.requests()
    );
}

#[tokio::test]
async fn another_digest_is_refused() {
    let server = Server::start(vec![Reply::Status(200, b"the wrong file".to_vec())]).await;
    let problem = World::new()
        .build(&fetching(fetch(&server.url)), give_up)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "provision.http.digest");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_asked_for_again() {
    let server = Server::start(vec![Reply::Status(404, Vec::new())]).await;
    let problem = World::new()
        .build(&fetching(fetch(&server.url)), give_up)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "provision.http.missing");
    assert!(problem.to_string().contains("404"), "{problem}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn each_status_that_says_no_has_its_code_and_its_advice() {
    for (status, code) in [
        (400, "provision.http.status"),
        (401, "provision.http.unauthorized"),
        (403, "provision.http.unauthorized"),
        (404, "provision.http.missing"),
        (410, "provision.http.missing"),
        (429, "provision.http.busy"),
        (500, "provision.http.failed"),
        (503, "provision.http.failed"),
    ] {
        let server = Server::start(vec![Reply::Status(status, Vec::new())]).await;
        let problem = World::new()
            .build(&fetching(fetch(&server.url)), give_up)
            .await
            .result
            .unwrap_err();
        assert_eq!(problem.code(), code);
        assert!(problem.help().is_some_and(|help| !help.is_empty()), "{status}");
    }
}

#[tokio::test]
async fn a_redirection_without_an_end_is_told_as_one() {
    let again = Reply::Full(302, vec![("location", "/again".to_owned())], Vec::new());
    let server = Server::start(vec![again]).await;
    let problem = World::new()
        .build(&fetching(fetch(&server.url)), give_up)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "provision.http.redirects");
    assert!(problem.to_string().contains("redirect"), "{problem}");
    assert!(problem.help().is_some_and(|help| help.contains("without an end")));
}

#[tokio::test]
async fn a_file_that_is_larger_than_said_is_refused() {
    let server = Server::start(vec![Reply::Status(200, vec![b'x'; 1000])]).await;
    let problem = World::new()
        .build(&fetching(fetch(&server.url)), give_up)
        .await
        .result
        .unwrap_err();
    assert_eq!(problem.code(), "provision.http.too-large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fetches_go_on_side_by_side() {
    // Each of the two answers comes only when both requests are there.
    let both = std::sync::Arc::new(std::sync::Barrier::new(2));
    let server = Server::routed(move |_, _| {
        tokio::task::block_in_place(|| both.wait());
        whole()
    })
    .await;
    let second = Fetch {
        digest: Digest::of(b"other"),
        save_as: "second".to_owned(),
        ..fetch(&server.url)
    };
    let plan = plan([
        step("one", &[], Action::Fetch(fetch(&server.url))),
        step("two", &[], Action::Fetch(second)),
    ]);
    let problem = World::new().build(&plan, give_up).await.result.unwrap_err();
    assert_eq!(problem.code(), "provision.http.digest");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_archive_is_unpacked() {
    let archive = crate::support::zip(&[("pkg/a.txt", b"text", 0o644), ("pkg/run", b"#!/bin/sh\n", 0o755)]);
    let digest = Digest::of(&archive);
    let server = Server::start(vec![Reply::Status(200, archive)]).await;
    let fetched = Fetch {
        digest,
        size: None,
        save_as: "a.whl".to_owned(),
        ..fetch(&server.url)
    };
    let unpack = Action::Unpack {
        artifact: "a.whl".to_owned(),
        format: wrun_core::plan::Archive::Zip,
        to: Place::prefix("lib"),
    };
    let plan = plan([
        step("fetch", &[], Action::Fetch(fetched)),
        step("unpack", &[0], unpack),
    ]);
    let mut world = World::new();
    let built = world.build(&plan, give_up).await;
    assert_eq!(built.result, Ok(()));
    assert_eq!(built.text("lib/pkg/a.txt"), "text");
}

#[tokio::test]
async fn a_download_that_drips_is_given_up_and_its_host_is_said() {
    let server = Server::start(vec![Reply::Drip]).await;
    let mut world = World::new();
    world.settings.timing.idle = Duration::from_millis(300);
    let large = Fetch {
        size: Some(100_000),
        ..fetch(&server.url)
    };
    let problem = world.build(&fetching(large), give_up).await.result.unwrap_err();
    assert!(
        problem.code() == "provision.http.slow"
            && problem.to_string().contains("is too slow: ")
            && problem.to_string().contains(" bytes in 0.3 s"),
        "{problem}"
    );
    assert_eq!(server.requests().len(), 3, "it is tried again");
    let events = world.events.lock().unwrap();
    let host = server.url.trim_start_matches("http://");
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::StillWaiting { hosts, .. } if *hosts == [host]))
    );
}
