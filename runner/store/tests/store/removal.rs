use rustix::fs::{Mode, OFlags};
use wrun_store::{FlightKey, StoreError};

use crate::support::{build, env_id, flight, fresh};

#[test]
fn a_leased_environment_is_not_removed() {
    let (_folder, store) = fresh();
    let id = build(&store, "x").id;
    let first = store.lease(&id).unwrap();
    let second = store.lease(&id).unwrap();
    assert!(store.environments().unwrap()[0].in_use);
    drop(first);
    assert!(matches!(store.remove(&id), Err(StoreError::Busy { .. })));
    let inherited = second.inheritable_fds().unwrap();
    drop(second);
    assert!(matches!(store.remove(&id), Err(StoreError::Busy { .. })));
    drop(inherited);
    assert!(!store.environments().unwrap()[0].in_use);
    let removal = store.remove(&id).unwrap();
    assert_eq!(
        (removal.label.as_str(), removal.files, removal.bytes),
        ("x", 2, 14)
    );
    assert!(matches!(store.remove(&id), Err(StoreError::NoEnvironment { .. })));
    assert_eq!(store.lease(&id).unwrap().environment().unwrap(), None);
    assert_eq!(std::fs::read_dir(store.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn an_environment_under_construction_is_neither_removed_nor_swept() {
    let (_folder, store) = fresh();
    let id = env_id("x");
    let flight = flight(&store, &FlightKey::Env(id.clone())).unwrap();
    let build = store.begin(&flight, &id).unwrap();
    assert!(matches!(store.remove(&id), Err(StoreError::Building { .. })));
    assert_eq!(store.sweep().unwrap().unfinished, 0);
    assert!(build.prefix().is_dir());
}

#[test]
fn environments_are_listed_and_found_by_the_beginning_of_their_id() {
    let (_folder, store) = fresh();
    let mut ids = ["a", "b", "c"].map(|name| build(&store, name).id);
    ids.sort();
    assert_eq!(store.find("").unwrap(), ids);
    assert_eq!(store.find(ids[1].as_str()).unwrap(), [ids[1].clone()]);
    assert_eq!(store.find("../").unwrap(), []);
    let mut labels: Vec<_> = store
        .environments()
        .unwrap()
        .into_iter()
        .map(|one| one.record.label)
        .collect();
    labels.sort();
    assert_eq!(labels, ["a", "b", "c"]);
}

#[test]
fn a_use_is_noted_once_in_five_minutes() {
    let (_folder, store) = fresh();
    let environment = build(&store, "x");
    assert_eq!(
        store.environments().unwrap()[0].last_used,
        environment.record.created_at
    );
    let file = store.root().join(format!("v1/use/{}", environment.id));
    store.touch(&environment.id);
    let now = std::time::SystemTime::now();
    let noted = |at: std::time::SystemTime| {
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(at)
            .unwrap();
        store.touch(&environment.id);
        std::fs::metadata(&file).unwrap().modified().unwrap()
    };
    let minute = std::time::Duration::from_mins(1);
    assert_eq!(noted(now - minute), now - minute);
    assert!(noted(now - 6 * minute) > now - minute);
    let future = now + 60 * minute;
    assert!(noted(future) < future, "a clock that was set back");
    assert!(store.environments().unwrap()[0].last_used.as_second() > 0);
}

#[test]
fn a_scratch_folder_is_removed_with_its_owner_and_left_alone_by_sweeps() {
    let (_folder, store) = fresh();
    let entries = || std::fs::read_dir(store.root().join("tmp")).unwrap().count();
    let scratch = store.scratch("a test").unwrap();
    scratch.tree().write("a/b", b"x", false).unwrap();
    assert_eq!(store.sweep().unwrap().scratch, 0);
    assert!(scratch.path().join("a/b").exists());
    drop(scratch);
    assert_eq!(entries(), 0);
    std::fs::create_dir_all(store.root().join("tmp/dead/deep")).unwrap();
    std::fs::write(store.root().join("tmp/dead.owner"), "").unwrap();
    std::fs::create_dir(store.root().join("tmp/nobody")).unwrap();
    std::fs::write(store.root().join("trash/rest"), "").unwrap();
    let swept = store.sweep().unwrap();
    assert_eq!(
        (swept.scratch, swept.trash, swept.problems.len()),
        (2, 1, 0),
        "{swept:?}"
    );
    assert_eq!(entries(), 0);
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let (_folder, store) = fresh();
    let scratch = store.scratch("depth").unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open(scratch.path(), flags, Mode::empty()).unwrap();
    for _ in 0..5000 {
        rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
        rustix::fs::symlinkat("/", &folder, "link").unwrap();
        folder = rustix::fs::openat(&folder, "d", flags, Mode::empty()).unwrap();
    }
    drop(scratch);
    assert_eq!(store.sweep().unwrap(), wrun_store::Swept::default());
    assert_eq!(std::fs::read_dir(store.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn removal_does_not_follow_links() {
    let (folder, store) = fresh();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "x").unwrap();
    let scratch = store.scratch("links").unwrap();
    scratch.tree().symlink(&outside, "link").unwrap();
    scratch
        .tree()
        .symlink(outside.join("precious"), "deep/link")
        .unwrap();
    scratch.tree().remove("link").unwrap();
    assert!(!scratch.tree().exists("link").unwrap());
    drop(scratch);
    assert!(outside.join("precious").exists());
}

#[test]
fn what_is_kept_beside_environments_is_counted() {
    let (_folder, store) = fresh();
    build(&store, "x");
    let before = store.usage().unwrap();
    assert_eq!((before.downloads, before.tools, before.code), (0, 0, 0));
    let folder = store.downloads("uv").unwrap().join("a/b");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("file"), "12345").unwrap();
    std::os::unix::fs::symlink("/usr", folder.join("elsewhere")).unwrap();
    std::fs::write(store.root().join("code/x.cwasm"), "123").unwrap();
    std::fs::create_dir_all(store.root().join("tools/uv/1.0")).unwrap();
    std::fs::write(store.root().join("tools/uv/1.0/uv"), "1234567").unwrap();
    let after = store.usage().unwrap();
    let link = "/usr".len() as u64;
    assert_eq!((after.downloads, after.tools, after.code), (5 + link, 7, 3));
}
