//! Programs: set, on the search path, or out of a wheel.

use crate::support::{Reply, Server, World, script, zip};
use wrun_core::host::Host as _;
use wrun_core::id::Digest;
use wrun_core::problem::Problem;
use wrun_core::tool::{ToolFound, ToolKind, ToolRequest};
use wrun_provision::{Index, Settings};

fn program(name: &str, minimum: Option<&str>, wheel: Option<&str>) -> ToolRequest {
    ToolRequest {
        id: name.to_owned(),
        kind: ToolKind::Program {
            names: vec![name.to_owned()],
            folders: Vec::new(),
            version_args: vec!["--version".to_owned()],
            minimum: minimum.map(str::to_owned),
            wheel: wheel.map(str::to_owned),
        },
    }
}

async fn find(world: &mut World, request: &ToolRequest) -> Result<ToolFound, Problem> {
    world.host().find_tool(request, &[]).await
}

#[tokio::test]
async fn the_search_path_is_searched_and_programs_are_asked_once() {
    let mut world = World::new();
    let root = world.folder.path().to_path_buf();
    world.settings.search_path = vec![root.join("old"), root.join("new")];
    script(&root.join("old/thing"), "echo 'thing 1.9 (2026-01-01)'");
    script(
        &root.join("new/thing"),
        &format!("echo x >> '{}'; echo thing 1.10", root.join("starts").display()),
    );
    for _ in 0..2 {
        let found = find(&mut world, &program("thing", Some("1.10"), None))
            .await
            .unwrap();
        assert_eq!(
            (found.path, found.version.as_str()),
            (root.join("new/thing"), "1.10")
        );
    }
    assert_eq!(std::fs::read_to_string(root.join("starts")).unwrap(), "x\n");
    let problem = find(&mut world, &program("thing", Some("2"), None))
        .await
        .unwrap_err();
    assert_eq!(problem.code(), "tool.not-found");
    assert!(
        problem
            .to_string()
            .contains("old/thing`: it is version 1.9, and 2 or later is needed"),
        "{problem}"
    );
}

#[tokio::test]
async fn where_a_program_commonly_is_comes_after_the_search_path() {
    let mut world = World::new();
    let root = world.folder.path().to_path_buf();
    let mut request = program("thing", None, None);
    let ToolKind::Program { folders, .. } = &mut request.kind else {
        panic!("{request:?}")
    };
    folders.push(root.join("common"));
    script(&root.join("common/thing"), "echo thing 1.0");
    assert_eq!(
        find(&mut world, &request).await.unwrap().path,
        root.join("common/thing")
    );
    script(&root.join("own/thing"), "echo thing 1.0");
    world.settings.search_path = vec![root.join("own")];
    assert_eq!(
        find(&mut world, &request).await.unwrap().path,
        root.join("own/thing")
    );
}

#[tokio::test]
async fn a_program_that_is_set_is_used_or_refused() {
    let mut world = World::new();
    let set = world.folder.path().join("set");
    script(&set, "echo thing 1.0");
    world.settings.tools.insert("thing".to_owned(), set.clone());
    assert_eq!(
        find(&mut world, &program("thing", None, None))
            .await
            .unwrap()
            .path,
        set
    );
    let problem = find(&mut world, &program("thing", Some("2.0"), None))
        .await
        .unwrap_err();
    assert_eq!(problem.code(), "tool.unusable");
    script(&set, "echo nothing");
    assert_eq!(
        find(&mut world, &program("thing", None, None))
            .await
            .unwrap_err()
            .code(),
        "tool.unusable"
    );
}

fn wheel(version: &str) -> Vec<u8> {
    let program = format!("#!/bin/sh\necho thing {version}\n");
    zip(&[
        (
            &format!("thing-{version}.data/scripts/thing"),
            program.as_bytes(),
            0o644,
        ),
        (
            &format!("thing-{version}.dist-info/METADATA"),
            b"Name: thing\n",
            0o644,
        ),
    ])
}

/// An index with a wheel that fits and newer ones that do not.
async fn index() -> Server {
    let file = |name: &str, content: &[u8]| {
        serde_json::json!({
            "filename": name,
            "url": format!("/files/{name}"),
            "hashes": { "sha256": Digest::of(content).hex() },
            "size": content.len(),
        })
    };
    let mut withdrawn = file("thing-9.0-py3-none-any.whl", b"");
    withdrawn["yanked"] = "broken".into();
    let files = vec![
        file("thing-1.9-py3-none-any.whl", &wheel("1.9")),
        file("thing-1.10-py3-none-any.whl", &wheel("1.10")),
        withdrawn,
        file("thing-2.0rc1-py3-none-any.whl", b""),
        file("thing-3.0-py3-none-win_amd64.whl", b""),
        file("thing-4.0-cp312-cp312-linux_x86_64.whl", b""),
        file("thing-5.0.tar.gz", b""),
        file("other-6.0-py3-none-any.whl", b""),
    ];
    let page = serde_json::json!({ "files": files }).to_string();
    Server::routed(move |_, path| match path {
        "/simple/thing/" => Reply::Page("application/vnd.pypi.simple.v1+json", page.clone().into_bytes()),
        "/files/thing-1.10-py3-none-any.whl" => Reply::Status(200, wheel("1.10")),
        _ => Reply::Status(404, Vec::new()),
    })
    .await
}

#[tokio::test]
async fn a_program_is_fetched_once_from_the_index() {
    let server = index().await;
    let mut world = World::new();
    let address = server.url.replace("http://", "http://ada:pw@");
    world.settings.tool_index = Index::parse(&format!("{address}/simple/")).unwrap();
    let request = program("thing", Some("1.5"), Some("Thing"));
    let found = find(&mut world, &request).await.unwrap();
    assert_eq!(found.version, "1.10");
    assert_eq!(found.digest, Some(Digest::of(&wheel("1.10"))));
    assert!(
        found
            .path
            .starts_with(world.store.root().join("tools/thing/1.10")),
        "{:?}",
        found.path
    );
    let output = std::process::Command::new(&found.path).output().unwrap();
    assert_eq!(output.stdout, b"thing 1.10\n");
    assert!(
        server
            .requests()
            .iter()
            .all(|head| head.contains("authorization: basic")),
        "{:?}",
        server.requests()
    );

    std::fs::remove_dir_all(world.store.root().join("tools/thing/1.10")).unwrap();
    std::fs::create_dir(world.store.root().join("tools/thing/1.10")).unwrap();
    assert_eq!(
        find(&mut world, &request).await.unwrap(),
        found,
        "an emptied folder is filled again"
    );
    assert_eq!(server.requests().len(), 3, "the wheel itself is kept");

    world.settings.offline = true;
    assert_eq!(find(&mut world, &request).await.unwrap(), found);
    assert_eq!(server.requests().len(), 3);
    let problem = find(&mut world, &program("thing", Some("1.11"), Some("thing")))
        .await
        .unwrap_err();
    assert_eq!(problem.code(), "tool.not-found");
    assert!(problem.to_string().contains("offline"), "{problem}");
}

#[tokio::test]
async fn an_index_without_what_is_needed_is_told() {
    let server = index().await;
    let mut world = World::new();
    world.settings.tool_index = Index::parse(&format!("{}/simple", server.url)).unwrap();
    let problem = find(&mut world, &program("thing", Some("2.0"), Some("thing")))
        .await
        .unwrap_err();
    assert_eq!(problem.code(), "tool.wheel.missing");
    let problem = find(&mut world, &program("none", None, Some("none")))
        .await
        .unwrap_err();
    assert_eq!(problem.code(), "provision.http.missing");
}

#[tokio::test]
async fn uv_is_fetched_from_the_index_of_this_machine() {
    let mut world = World::new();
    let folders = world.settings.search_path.clone();
    world.settings = Settings::from_environment(std::env::vars_os()).with_pip_configuration();
    world.settings.search_path = folders;
    let request = program("uv", Some("0.5"), Some("uv"));
    let found = find(&mut world, &request).await.unwrap();
    let output = std::process::Command::new(&found.path)
        .arg("--version")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with(&format!("uv {}", found.version)), "{said}");
    world.settings.offline = true;
    assert_eq!(find(&mut world, &request).await.unwrap(), found);
}
