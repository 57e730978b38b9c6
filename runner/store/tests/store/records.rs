use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use wrun_core::lock::Lock;
use wrun_store::{Pointer, Store, StoreError};

use crate::support::{fresh, lock_id, spec_id};

fn pointer(name: &str) -> Pointer {
    Pointer {
        lock_id: lock_id(name),
        form: json!({"packages": [name]}),
        resolved_at: "2024-05-06T07:08:09Z".parse().unwrap(),
        tools: BTreeMap::from([("uv".to_owned(), "1.2".to_owned())]),
    }
}

fn lock() -> Lock {
    Lock {
        backend: "test".to_owned(),
        revision: 3,
        content: json!({"a": [1, "b"]}),
        packages: Vec::new(),
    }
}

#[test]
fn a_pointer_is_read_back_and_replaced() {
    let (_folder, store) = fresh();
    let id = spec_id("x");
    assert_eq!(store.pointer(&id).unwrap(), None);
    store.set_pointer(&id, &pointer("one")).unwrap();
    store.set_pointer(&id, &pointer("two")).unwrap();
    assert_eq!(
        Store::open(store.root()).unwrap().pointer(&id).unwrap(),
        Some(pointer("two"))
    );
}

#[test]
fn a_record_that_makes_no_sense_is_none() {
    let (_folder, store) = fresh();
    let id = spec_id("x");
    store.set_pointer(&id, &pointer("one")).unwrap();
    let file = store
        .root()
        .join(format!("v1/spec/{}/{id}.json", &id.as_str()[..2]));
    std::fs::write(&file, "{\"lock_id\":").unwrap();
    assert_eq!(store.pointer(&id).unwrap(), None);
}

#[test]
fn a_lock_that_was_changed_is_none_and_can_be_put_again() {
    let (_folder, store) = fresh();
    let id = store.put_lock(&lock()).unwrap();
    assert_eq!(id, lock().id().unwrap());
    assert_eq!(store.lock(&id).unwrap(), Some(lock()));
    let file = store
        .root()
        .join(format!("v1/lock/{}/{id}.json", &id.as_str()[..2]));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, text.replace("\"b\"", "\"c\"")).unwrap();
    assert_eq!(store.lock(&id).unwrap(), None);
    store.put_lock(&lock()).unwrap();
    assert_eq!(store.lock(&id).unwrap(), Some(lock()));
}

#[test]
fn a_lock_without_canonical_form_is_refused() {
    let (_folder, store) = fresh();
    let lock = Lock {
        content: json!(1.5),
        ..lock()
    };
    assert!(matches!(store.put_lock(&lock), Err(StoreError::Lock(_))));
}

#[test]
fn facts_are_kept_by_their_whole_key() {
    let (_folder, store) = fresh();
    let key = "/usr/bin/python3 with \"any\" ../text";
    assert_eq!(store.fact("interpreter", key).unwrap(), None);
    store
        .put_fact("interpreter", key, &json!({"version": "3.11.7"}))
        .unwrap();
    assert_eq!(
        store.fact("interpreter", key).unwrap(),
        Some(json!({"version": "3.11.7"}))
    );
    assert_eq!(store.fact("interpreter", "other").unwrap(), None);
    assert!(store.fact("../interpreter", key).is_err());
    assert!(store.put_fact("a/b", key, &json!(1)).is_err());
}

#[test]
fn code_is_given_out_only_if_nobody_else_could_have_written_it() {
    let (_folder, store) = fresh();
    assert_eq!(store.code("abc-1").unwrap(), None);
    let path = store.put_code("abc-1", b"machine code").unwrap();
    assert_eq!(store.code("abc-1").unwrap().as_ref(), Some(&path));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o400
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o420)).unwrap();
    assert_eq!(store.code("abc-1").unwrap(), None);
    store.put_code("abc-1", b"again").unwrap();
    assert_eq!(
        std::fs::read(store.code("abc-1").unwrap().unwrap()).unwrap(),
        b"again"
    );
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/bin/sh", &path).unwrap();
    assert_eq!(store.code("abc-1").unwrap(), None);
    assert!(store.code("../abc").is_err());
}

#[test]
fn a_tool_is_installed_once_and_a_failed_one_not_at_all() {
    let (_folder, store) = fresh();
    let mut fail = |_: &wrun_store::Tree| Err(StoreError::Path { rel: "x".to_owned() });
    assert!(store.install_tool("uv", "1.0", &mut fail).is_err());
    assert_eq!(store.tool("uv", "1.0").unwrap(), None);
    let mut runs = 0;
    for _ in 0..2 {
        let path = store
            .install_tool("uv", "1.0", &mut |tree| {
                runs += 1;
                tree.write("bin/uv", b"program", true)
            })
            .unwrap();
        assert_eq!(std::fs::read(path.join("bin/uv")).unwrap(), b"program");
    }
    assert_eq!(runs, 1);
    assert!(store.tool("..", "1.0").is_err());
    assert_eq!(std::fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn who_loses_the_race_for_a_tool_gets_the_winners() {
    let (_folder, store) = fresh();
    let path = store
        .install_tool("uv", "1.0", &mut |tree| {
            let winner = |tree: &wrun_store::Tree| tree.write("uv", b"winner", true);
            store.install_tool("uv", "1.0", &mut |tree| winner(tree))?;
            tree.write("uv", b"loser", true)
        })
        .unwrap();
    assert_eq!(std::fs::read(path.join("uv")).unwrap(), b"winner");
}

#[test]
fn downloads_have_a_folder_each() {
    let (_folder, store) = fresh();
    assert_eq!(store.downloads("uv").unwrap(), store.root().join("pkgs/uv"));
    assert!(store.root().join("pkgs/uv").is_dir());
    assert!(store.downloads("../uv").is_err());
}
