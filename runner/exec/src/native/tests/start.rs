//! What a task gets, and tasks that do not start.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio_util::sync::CancellationToken;
use wrun_core::outcome::Outcome;

use super::{outcome_of, run, script, task};
use crate::native::NativeError;
use crate::stdio::Stdio;

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_missing_command_says_where_it_was_looked_for() {
    let (outcome, _) = outcome_of(task(&["no-such-command", "x"])).await;
    assert_eq!(
        outcome,
        Outcome::NotFound {
            command: "no-such-command".into(),
            searched: vec!["/usr/bin".into(), "/bin".into()]
        }
    );
    let (outcome, _) = outcome_of(task(&["./no/such"])).await;
    assert!(matches!(outcome, Outcome::NotFound { command, .. } if command == "./no/such"));
    let (outcome, _) = outcome_of(task(&[""])).await;
    assert!(matches!(outcome, Outcome::NotFound { .. }));
}

#[tokio::test]
async fn what_cannot_be_executed_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("folder")).unwrap();
    write(&root.join("plain"), "#!/bin/sh\n", 0o644);
    write(&root.join("bare"), "echo a shell ran this\n", 0o755);
    write(&root.join("orphan"), "#!/no/such/interpreter\n", 0o755);
    for (name, words) in [
        ("folder", "it is a folder"),
        ("plain", "no permission"),
        ("bare", "neither a program"),
        ("orphan", "`/no/such/interpreter` does not exist"),
    ] {
        for command in [name.to_owned(), format!("./{name}")] {
            let mut task = task(&[&command]);
            task.cwd = root.to_owned();
            task.search_path = vec![root.to_owned()];
            match outcome_of(task).await.0 {
                Outcome::NotExecutable { path, reason } => {
                    assert!(path.ends_with(name) && reason.contains(words), "{path}: {reason}");
                }
                other => panic!("{command}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_first_executable_of_the_search_path_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second, third] = ["1", "2", "3"].map(|name| folder.path().join(name));
    for place in [&first, &second, &third] {
        std::fs::create_dir(place).unwrap();
    }
    write(&first.join("tool"), "#!/bin/sh\necho first\n", 0o644);
    write(&second.join("tool"), "#!/bin/sh\necho second\n", 0o755);
    write(&third.join("tool"), "#!/bin/sh\necho third\n", 0o755);
    let mut task = task(&["tool"]);
    task.search_path = vec![folder.path().join("0"), first, second, third];
    let (outcome, sink) = outcome_of(task).await;
    assert_eq!(
        (outcome, sink.text().as_str()),
        (Outcome::Exited { code: 0 }, "second\n")
    );
}

#[tokio::test]
async fn the_environment_is_exact_and_path_is_added_only_if_it_is_not_set() {
    let mut variables = task(&["env", "-0"]);
    variables.env.insert("A".into(), "1 2".into());
    let (_, sink) = outcome_of(variables).await;
    let text = sink.text();
    let without_mark: Vec<&str> = text
        .split_terminator('\0')
        .filter(|line| !line.starts_with(wrun_process::MARK))
        .collect();
    assert_eq!(without_mark, ["A=1 2", "PATH=/usr/bin:/bin"]);

    let mut own_path = script("echo \"$PATH\"");
    own_path.env.insert("PATH".into(), "/own".into());
    assert_eq!(outcome_of(own_path).await.1.text(), "/own\n");
}

#[tokio::test]
async fn the_working_folder_is_the_one_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let mut here = script("pwd -P");
    here.cwd.clone_from(&path);
    assert_eq!(outcome_of(here).await.1.text().trim_end(), path.to_str().unwrap());

    let mut gone = script("pwd");
    gone.cwd = path.join("gone");
    let error = run(gone, Stdio::default(), CancellationToken::new(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            NativeError::Process(wrun_process::ProcessError::WorkingFolder { .. })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_lease_is_open_in_the_task() {
    let lease: OwnedFd = tempfile::tempfile().unwrap().into();
    let mut holder = script(&format!("[ -e /proc/$$/fd/{} ]", lease.as_raw_fd()));
    holder.inherit = vec![lease];
    assert_eq!(outcome_of(holder).await.0, Outcome::Exited { code: 0 });
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_an_error() {
    let error = run(task(&[]), Stdio::default(), CancellationToken::new(), None)
        .await
        .unwrap_err();
    assert!(matches!(error, NativeError::EmptyCommand));
    let mut colon = task(&["sh"]);
    colon.search_path.push("/with:colon".into());
    let error = run(colon, Stdio::default(), CancellationToken::new(), None)
        .await
        .unwrap_err();
    assert!(matches!(error, NativeError::SearchPath { folder, .. } if folder == Path::new("/with:colon")));
}
