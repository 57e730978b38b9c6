use std::collections::BTreeSet;

use wrun_core::id::Digest;

use crate::support::fresh;

const LIST: &str = "wrun-downloaded.txt";

fn digests(names: &[&str]) -> BTreeSet<Digest> {
    names.iter().map(|name| Digest::of(name.as_bytes())).collect()
}

#[test]
fn what_was_noted_is_known_and_nothing_else() {
    let (_folder, store) = fresh();
    let list = || store.downloaded("uv").unwrap();
    assert!(!list().has(&digests(&["a"])));
    list().note(&digests(&["a", "b"])).unwrap();
    list().note(&digests(&["b", "c"])).unwrap();
    assert!(list().has(&digests(&["a", "b", "c"])));
    assert!(!list().has(&digests(&["a", "d"])));
    assert!(!store.downloaded("other").unwrap().has(&digests(&["a"])));
}

#[test]
fn the_list_goes_with_its_cache() {
    let (_folder, store) = fresh();
    store.downloaded("uv").unwrap().note(&digests(&["a"])).unwrap();
    std::fs::remove_dir_all(store.downloads("uv").unwrap()).unwrap();
    assert!(!store.downloaded("uv").unwrap().has(&digests(&["a"])));
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let (folder, store) = fresh();
    let elsewhere = folder.path().join("elsewhere");
    let digest = digests(&["a"]);
    let text = digest.first().unwrap().to_string();
    std::fs::write(&elsewhere, &text).unwrap();
    let list = store.downloads("uv").unwrap().join(LIST);
    std::os::unix::fs::symlink(&elsewhere, &list).unwrap();
    assert!(!store.downloaded("uv").unwrap().has(&digest));
    store.downloaded("uv").unwrap().note(&digests(&["b"])).unwrap();
    assert!(list.symlink_metadata().unwrap().is_file());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), text);
}

#[test]
fn a_list_that_is_no_text_is_started_anew() {
    let (_folder, store) = fresh();
    let list = store.downloads("uv").unwrap().join(LIST);
    std::fs::write(list, [0xff]).unwrap();
    store.downloaded("uv").unwrap().note(&digests(&["a"])).unwrap();
    assert!(store.downloaded("uv").unwrap().has(&digests(&["a"])));
}
