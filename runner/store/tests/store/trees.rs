use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use miette::Diagnostic as _;
use proptest::prelude::*;
use wrun_store::StoreError;

use crate::support::fresh;

#[test]
fn files_folders_and_links() {
    let (_folder, store) = fresh();
    let scratch = store.scratch("tree").unwrap();
    let tree = scratch.tree();
    tree.write("a/b/c", b"one", false).unwrap();
    tree.write("a/b/c", b"two", true).unwrap();
    assert_eq!(tree.read("a/b/c", 3).unwrap(), b"two");
    assert!(matches!(
        tree.read("a/b/c", 2),
        Err(StoreError::TooLarge { limit: 2, .. })
    ));
    assert!(tree.read("a/b", 10).is_err());
    let mode = |rel: &str| {
        std::fs::metadata(tree.path().join(rel))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("a/b/c"), 0o755);
    tree.make_dir("a/b").unwrap();
    tree.make_dir("").unwrap();
    tree.symlink("b/c", "a/link").unwrap();
    tree.symlink("nowhere", "a/link").unwrap();
    assert!(tree.exists("a/link").unwrap());
    assert!(tree.exists("").unwrap());
    assert!(!tree.exists("a/b/c/d").unwrap());
    tree.remove("a").unwrap();
    tree.remove("a").unwrap();
    assert!(!tree.exists("a").unwrap());
}

#[test]
fn a_file_that_is_linked_elsewhere_is_not_written_through() {
    let (folder, store) = fresh();
    let scratch = store.scratch("tree").unwrap();
    let elsewhere = folder.path().join("cached");
    std::fs::write(&elsewhere, "cached").unwrap();
    std::fs::hard_link(&elsewhere, scratch.path().join("hard")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, scratch.path().join("soft")).unwrap();
    for name in ["hard", "soft"] {
        scratch.tree().write(name, b"new", false).unwrap();
        assert_eq!(scratch.tree().read(name, 10).unwrap(), b"new");
    }
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"cached");
    assert_eq!(std::fs::metadata(&elsewhere).unwrap().nlink(), 1);
}

#[test]
fn a_link_that_leads_out_is_named_as_such() {
    let (folder, store) = fresh();
    let scratch = store.scratch("tree").unwrap();
    scratch.tree().symlink(folder.path(), "out").unwrap();
    let error = scratch.tree().write("out/file", b"", false).unwrap_err();
    assert_eq!(error.code().unwrap().to_string(), "store.path.escapes", "{error}");
    assert!(!folder.path().join("file").exists());
}

/// Everything below a folder but some places, with contents.
fn snapshot(folder: &Path, without: &[PathBuf]) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if without.contains(&path) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                pending.push(path.clone());
                found.insert(path, None);
            } else {
                found.insert(path.clone(), Some(std::fs::read(&path).unwrap_or_default()));
            }
        }
    }
    found
}

fn paths() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "..", ".", "", "a", "b", "out", "up", "loop", "in", "etc", "\0", "precious", "sub", "~", "\\..",
    ]);
    let joined = prop::collection::vec(part, 0..6).prop_map(|parts| parts.join("/"));
    prop_oneof![4 => joined, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]
    #[test]
    fn no_path_leads_out(rels in prop::collection::vec((paths(), 0..5_u8), 1..8)) {
        let (folder, store) = fresh();
        let outside = folder.path().join("outside");
        std::fs::create_dir_all(outside.join("sub")).unwrap();
        std::fs::write(outside.join("precious"), "precious").unwrap();
        let scratch = store.scratch("tree").unwrap();
        let tree = scratch.tree();
        tree.symlink(&outside, "out").unwrap();
        tree.symlink("../../..", "up").unwrap();
        tree.symlink("loop", "loop").unwrap();
        tree.symlink("sub", "in").unwrap();
        tree.make_dir("sub").unwrap();
        let ours = [scratch.path().to_path_buf(), store.root().join("trash")];
        let before = snapshot(folder.path(), &ours);
        for (rel, operation) in &rels {
            // Most of these are refused; what matters is what they do to everything else.
            let _ = match operation {
                0 => tree.write(rel, b"overwritten", false),
                1 => tree.make_dir(rel),
                2 => tree.symlink("/etc/passwd", rel),
                3 => tree.remove(rel),
                _ => {
                    let read = tree.read(rel, 1 << 20);
                    prop_assert!(read.as_ref().map_or(true, |content| content != b"precious"), "{rel}");
                    tree.exists(rel).map(drop)
                }
            };
            prop_assert!(scratch.path().is_dir());
        }
        prop_assert_eq!(snapshot(folder.path(), &ours), before);
    }
}
