use std::os::unix::fs::PermissionsExt as _;

use miette::Diagnostic as _;
use wrun_store::{Store, StoreError};

use crate::support::fresh;

#[test]
fn a_new_store_is_private_and_marked_as_a_cache() {
    let (_folder, store) = fresh();
    let root = store.root();
    assert_eq!(
        std::fs::metadata(root).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(
        std::fs::read_to_string(root.join("CACHEDIR.TAG"))
            .unwrap()
            .starts_with("Signature: 8a477f597d28d172")
    );
    assert_eq!(std::fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
    assert!(store.free_bytes().unwrap() > 0);
}

#[test]
fn opening_again_changes_nothing() {
    let (_folder, store) = fresh();
    let before = std::fs::read(store.root().join("store.json")).unwrap();
    let modified = || std::fs::metadata(store.root()).unwrap().modified().unwrap();
    let then = modified();
    let again = Store::open(store.root()).unwrap();
    assert_eq!(again.root(), store.root());
    assert_eq!(std::fs::read(store.root().join("store.json")).unwrap(), before);
    assert_eq!(modified(), then);
}

#[test]
fn many_can_make_the_same_store_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b/store");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| Store::open(&root).map(drop)))
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
}

#[test]
fn the_root_is_a_real_path() {
    let folder = tempfile::tempdir().unwrap();
    let real = std::fs::canonicalize(folder.path()).unwrap().join("real");
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
    assert_eq!(Store::open(&folder.path().join("link")).unwrap().root(), real);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, StoreError::Foreign { found, .. } if found == "thesis.txt"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_newer_format_is_refused() {
    let (_folder, store) = fresh();
    std::fs::write(store.root().join("store.json"), r#"{"format": 2, "new": true}"#).unwrap();
    let error = Store::open(store.root()).unwrap_err();
    assert_eq!(error.code().unwrap().to_string(), "store.format.newer");
    std::fs::write(store.root().join("store.json"), "{").unwrap();
    assert!(matches!(
        Store::open(store.root()),
        Err(StoreError::Unreadable { .. })
    ));
}

#[test]
fn a_file_in_the_way_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = Store::open(&folder.path().join("file/store")).unwrap_err();
    assert_eq!(error.code().unwrap().to_string(), "store.not-a-folder", "{error}");
    assert!(error.to_string().contains("file/store"), "{error}");
}

#[test]
fn a_path_that_scripts_cannot_have_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        Store::open(&folder.path().join("s"))
            .unwrap()
            .warnings()
            .is_empty()
    );
    let blank = Store::open(&folder.path().join("my store")).unwrap();
    assert!(
        blank
            .warnings()
            .iter()
            .any(|warning| warning.contains("white space")),
        "{:?}",
        blank.warnings()
    );
    let long = Store::open(&folder.path().join("s".repeat(80))).unwrap();
    assert!(
        long.warnings().iter().any(|warning| warning.contains("bytes")),
        "{:?}",
        long.warnings()
    );
}

#[test]
fn a_store_that_was_moved_or_opened_to_others_is_warned_of() {
    let (folder, store) = fresh();
    let moved = folder.path().join("moved");
    std::fs::rename(store.root(), &moved).unwrap();
    std::fs::set_permissions(&moved, std::fs::Permissions::from_mode(0o777)).unwrap();
    let warnings = Store::open(&moved).unwrap().warnings();
    assert!(
        warnings.iter().any(|warning| warning.contains("built again")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|warning| warning.contains("other users")),
        "{warnings:?}"
    );
}
