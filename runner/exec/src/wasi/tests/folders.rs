//! Granted folders.

use std::path::Path;

use wrun_core::grants::{Access, PathGrant};

use super::*;

fn grant(host: &Path, guest: &str, access: Access) -> PathGrant {
    PathGrant {
        host: host.to_owned(),
        guest: guest.to_owned(),
        access,
    }
}

fn granted(paths: Vec<PathGrant>) -> WasiTask {
    let mut task = limited(Limits::default());
    task.grants.paths = paths;
    task
}

/// Calls one function of WASI 0.1 on paths at 0 and 128 and exits with its error code. The first folder is
/// descriptor 3, the second is 4.
fn calls(function: &str, parameters: &str, arguments: &str, first: &str, second: &str) -> String {
    let arguments = arguments
        .replace("first", &format!("(i32.const 0) (i32.const {})", first.len()))
        .replace("second", &format!("(i32.const 128) (i32.const {})", second.len()));
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "{function}" (func $call (param {parameters}) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{first}")
            (data (i32.const 128) "{second}")
            (func (export "_start") (call $exit (call $call {arguments}))))"#
    )
}

const CREATE: i32 = 1;
const TRUNCATE: i32 = 8;
const RIGHT_TO_READ: i64 = 1 << 1;
const RIGHT_TO_WRITE: i64 = 1 << 6;

fn opens(path: &str, flags: i32, rights: i64) -> String {
    let arguments = format!(
        "(i32.const 3) (i32.const 1) first (i32.const {flags}) (i64.const {rights}) (i64.const 0) (i32.const 0) \
         (i32.const 512)"
    );
    calls(
        "path_open",
        "i32 i32 i32 i32 i32 i64 i64 i32 i32",
        &arguments,
        path,
        "",
    )
}

fn removes(path: &str) -> String {
    calls("path_unlink_file", "i32 i32 i32", "(i32.const 3) first", path, "")
}

/// Links a file of the first folder into the second.
fn links(from: &str, to: &str) -> String {
    let arguments = "(i32.const 3) (i32.const 0) first (i32.const 4) second";
    calls("path_link", "i32 i32 i32 i32 i32 i32 i32", arguments, from, to)
}

fn renames(from: &str, to: &str) -> String {
    calls(
        "path_rename",
        "i32 i32 i32 i32 i32 i32",
        "(i32.const 3) first (i32.const 4) second",
        from,
        to,
    )
}

async fn code(text: &str, paths: &[PathGrant]) -> i32 {
    match run_with(text, granted(paths.to_vec()), Stdin::Null).await.outcome {
        Outcome::Exited { code } => code,
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "tests look at what guests left behind")]
fn write(path: &Path) {
    std::fs::write(path, "content").unwrap();
}

#[expect(clippy::disallowed_methods, reason = "tests look at what guests left behind")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_folder_is_read_only_unless_writing_is_granted() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    write(&file);
    let read_only = [grant(folder.path(), "/data", Access::Read)];
    assert_eq!(code(&opens("file", 0, RIGHT_TO_READ), &read_only).await, 0);
    for attempt in [
        opens("file", 0, RIGHT_TO_WRITE),
        opens("file", TRUNCATE, RIGHT_TO_READ),
        opens("new", CREATE, RIGHT_TO_WRITE),
        opens("new", CREATE, RIGHT_TO_READ),
        removes("file"),
    ] {
        assert_ne!(code(&attempt, &read_only).await, 0, "{attempt}");
    }
    assert_eq!(read(&file), "content");
    assert!(!folder.path().join("new").exists());

    let writable = [grant(folder.path(), "/data", Access::Write)];
    assert_eq!(code(&opens("new", CREATE, RIGHT_TO_WRITE), &writable).await, 0);
    assert_eq!(code(&opens("file", TRUNCATE, RIGHT_TO_WRITE), &writable).await, 0);
    assert_eq!(read(&file), "");
    assert!(folder.path().join("new").exists());
}

#[tokio::test]
async fn files_do_not_move_between_folders_of_different_rights() {
    let folder = TempDir::new().unwrap();
    let (source, target) = (
        TempDir::new_in(&folder).unwrap(),
        TempDir::new_in(&folder).unwrap(),
    );
    write(&source.path().join("file"));
    let paths = [
        grant(source.path(), "/source", Access::Read),
        grant(target.path(), "/target", Access::Write),
    ];
    assert_ne!(code(&links("file", "link"), &paths).await, 0);
    assert_ne!(code(&renames("file", "moved"), &paths).await, 0);
    assert!(source.path().join("file").exists());
    assert!(!target.path().join("link").exists());
    assert!(!target.path().join("moved").exists());
}

#[tokio::test]
async fn there_is_no_way_out_of_a_folder() {
    let outside = TempDir::new().unwrap();
    write(&outside.path().join("secret"));
    let inside = TempDir::new_in(&outside).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), inside.path().join("absolute")).unwrap();
    std::os::unix::fs::symlink("../secret", inside.path().join("relative")).unwrap();
    let paths = [grant(inside.path(), "/", Access::Read)];
    for path in ["../secret", "absolute", "relative", "/etc/passwd", "./../secret"] {
        assert_ne!(code(&opens(path, 0, RIGHT_TO_READ), &paths).await, 0, "{path}");
    }
}

#[tokio::test]
async fn without_a_grant_there_are_no_folders() {
    let text = calls(
        "fd_prestat_get",
        "i32 i32",
        "(i32.const 3) (i32.const 512)",
        "",
        "",
    );
    assert_eq!(
        code(&text, &[]).await,
        8,
        "the descriptor is not open (errno `badf`)"
    );
}

#[tokio::test]
async fn a_file_and_a_folder_that_is_not_there_are_refused() {
    let folder = TempDir::new().unwrap();
    let (file, missing) = (folder.path().join("file"), folder.path().join("missing"));
    write(&file);
    let runtime = runtime(false);
    let guest = load(&runtime, r#"(module (func (export "_start")))"#)
        .await
        .unwrap();
    let refusal = async |path: &Path| {
        let task = granted(vec![grant(path, "/data", Access::Read)]);
        run_guest(&runtime, &guest, task, Stdin::Null, CancellationToken::new())
            .await
            .unwrap_err()
    };
    let error = refusal(&file).await;
    assert!(
        matches!(&error, WasiError::FileGrant { path } if *path == file),
        "{error:?}"
    );
    let error = refusal(&missing).await;
    assert!(
        matches!(&error, WasiError::Folder { path, .. } if *path == missing),
        "{error:?}"
    );
}
